"""The wheel, installed where there is no checkout, compiles a policy."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

# Neither the checkout nor the environment of the tests may help an installed policyc.
_HELPFUL = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in _HELPFUL}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def run_well(*command: str | Path, cwd: Path) -> str:
    result = run(*command, cwd=cwd)
    assert result.returncode == 0, f"{command}\n{result.stdout}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", directory)
    run_well(*pip, *options, ROOT, cwd=directory)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel and what it says that it needs."""
    directory = tmp_path_factory.mktemp("installed")
    venv.create(directory, with_pip=True)
    pip = (directory / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    run_well(*pip, "install", "--no-deps", "--no-index", wheel, cwd=directory)
    result = run(*pip, "install", "--retries=1", "--timeout=20", wheel, cwd=directory)
    if result.returncode != 0:
        if run(*pip, "download", "--no-deps", "--retries=1", "click", cwd=directory).returncode:
            pytest.skip("the package index cannot be reached, so dependencies cannot be installed")
        pytest.fail(result.stdout)
    run_well(*pip, "check", cwd=directory)
    return directory


def test_wheel_holds_every_resource(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {"policyc/py.typed", "policyc/hooks/attributes.toml"}
    for kind in ("grammar", "templates", "examples", "docs/errors", "docs/lint"):
        files = [path for path in (ROOT / kind).rglob("*") if path.is_file()]
        assert files, f"the checkout has no {kind}"
        expected |= {f"policyc/_resources/{path.relative_to(ROOT)}" for path in files}
    assert expected - names == set()


def test_wheel_holds_nothing_else(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.startswith("policyc")} == set()
    assert not [name for name in names if "__pycache__" in name]


def test_wheel_carries_the_licenses(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    licenses = {name.partition(".dist-info/licenses/")[2] for name in names}
    assert {"LICENSE", "LICENSES/GPL-2.0.txt"} <= licenses


def test_installed_policyc_compiles_an_example(environment: Path, tmp_path: Path):
    (policy,) = environment.glob("lib/python*/site-packages/policyc/_resources/examples/fleet.thp")
    output = tmp_path / "output"
    run_well(environment / "bin/policyc", "compile", policy, "-o", output, cwd=tmp_path)
    suffixes = {path.suffix for path in output.rglob("*") if path.is_file()}
    assert {".c", ".py", ".json"} <= suffixes, sorted(output.rglob("*"))


def test_installed_policyc_uses_its_own_resources(environment: Path, tmp_path: Path):
    program = (
        "from policyc.resources import resource_path as p; print(p('grammar'), p('templates'))"
    )
    output = run_well(environment / "bin/python", "-c", program, cwd=tmp_path)
    assert all(path.startswith(str(environment.resolve())) for path in output.split()), output
