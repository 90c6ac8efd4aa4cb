from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from policyc.cli.common import Failure
from policyc.cli.files import write_files
from tests.cli.commands import POLICY, environment, invoke

DEFAULT = {"fleet.bpf.c", "fleet.py", "fleet.json"}


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_the_defaults(policy: Path, tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    result = invoke("compile", str(policy), "-o", str(output))
    assert result.exit_code == 0
    assert names(output) == DEFAULT
    assert result.stdout.splitlines()[-1].startswith("policy fleet for thp-v7, numab-rfc1: 8 rules")
    assert all(name in result.stdout for name in DEFAULT)
    assert json.loads((output / "fleet.json").read_text())["policy"] == "fleet"


def test_only_profiles_with_a_block_are_defaults(tmp_path: Path) -> None:
    policy = "policy only; numa { otherwise balance; }"
    result = invoke("compile", "-", "-o", str(tmp_path), "--json", stdin=policy)
    assert json.loads(result.stdout)["profiles"] == ["numab-rfc1"]
    assert names(tmp_path) == {"only.bpf.c", "only.py", "only.json"}


def test_the_python_module_decides(policy: Path, tmp_path: Path) -> None:
    assert invoke("compile", str(policy), "-o", str(tmp_path), "--emit", "python").exit_code == 0
    code = (
        "import fleet\n"
        "request = fleet.ThpRequest(orders=0x3fc, vma_size=8 << 20)\n"
        "assert fleet.thp_orders(request) == 1 << 4\n"
        "assert 'policyc' not in __import__('sys').modules\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"],
        check=True,
    )


def test_emits_and_profiles_take_commas_and_repetition(policy: Path, tmp_path: Path) -> None:
    arguments = ["compile", str(policy), "-o", str(tmp_path / "out")]
    emits = ["--emit", "c,host", "--emit", "manifest", "--emit", "c"]
    result = invoke(*arguments, *emits, "-p", "thp-v9,thp-v12", "-p", "numab-rfc1", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["profiles"] == ["thp-v9", "thp-v12", "numab-rfc1"]
    written = {Path(file["path"]).name: file["bytes"] for file in document["files"]}
    assert set(written) == names(tmp_path / "out")
    assert {"fleet.host.sh", "fleet.json", "fleet.thp-v9.bpf.c"} <= set(written)
    assert all((tmp_path / "out" / name).stat().st_size == size for name, size in written.items())


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--emit", "c,pyton", "unknown kind of output 'pyton'; did you mean 'python'?"),
        ("--profile", "numab", "unknown profile 'numab'; did you mean 'numab-rfc1'?"),
        ("--emit", ",", "expected a kind of output; there are c, python"),
    ],
)
def test_unknown_names(policy: Path, option: str, value: str, advice: str) -> None:
    result = invoke("compile", str(policy), option, value)
    assert result.exit_code == 2
    assert advice in result.stderr


def test_a_policy_with_errors_leaves_earlier_output_alone(policy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert invoke("compile", str(policy), "-o", str(output)).exit_code == 0
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()}
    policy.write_text(POLICY.replace("8M", "200ms"))
    result = invoke("compile", str(policy), "-o", str(output))
    assert result.exit_code == 1
    assert "PC0301" in result.stderr
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in output.iterdir()
    } == before
    failed = invoke("compile", str(policy), "-o", str(output), "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["files"] == []


def test_a_missing_compiler_leaves_nothing_behind(policy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ["compile", str(policy), "-o", str(output), "--emit", "c,object"]
    result = subprocess.run(
        [sys.executable, "-m", "policyc", *arguments],
        env=environment(POLICYC_CLANG="/nowhere/clang"),
        capture_output=True,
        check=False,
    )
    assert result.returncode == 3
    assert b"missing" in result.stderr
    assert b"help: " in result.stderr
    assert not output.exists()


def test_the_same_policy_gives_the_same_bytes(policy: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert invoke("compile", str(policy), "-o", str(tmp_path / name)).exit_code == 0
    for name in DEFAULT:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_no_counters_changes_the_c(policy: Path, tmp_path: Path) -> None:
    for name, options in (("with", []), ("without", ["--no-counters"])):
        invoke("compile", str(policy), "-o", str(tmp_path / name), "--emit", "c", *options)
    assert (tmp_path / "with" / "fleet.bpf.c").stat().st_size > (
        tmp_path / "without" / "fleet.bpf.c"
    ).stat().st_size


def test_output_that_cannot_be_written(policy: Path, tmp_path: Path) -> None:
    result = invoke("compile", str(policy), "-o", str(policy))
    assert result.exit_code == 2
    blocked = tmp_path / "blocked"
    (blocked / "fleet.py").mkdir(parents=True)
    result = invoke("compile", str(policy), "-o", str(blocked))
    assert result.exit_code == 2
    assert f"cannot write {blocked / 'fleet.py'}: is a directory" in result.stderr
    assert names(blocked) == {"fleet.py"}
    nowhere = invoke("compile", str(policy), "-o", "/proc/nowhere")
    assert nowhere.exit_code == 2
    assert "cannot write" in nowhere.stderr


def test_a_full_disk_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"a": b"old a", "b": b"old b"})
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match="no space left on device"):
        write_files(tmp_path, {"a": b"new a", "b": b"new b"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"old a",
        "b": b"old b",
    }


@pytest.mark.parametrize("moment", range(1, 9))
def test_killed_at_any_moment_each_file_is_old_or_new(moment: int, tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"old a", "b": b"old b"})
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from policyc.cli.files import write_files\n"
        "events = ('open', 'os.rename', 'os.chmod', 'os.remove')\nseen = 0\n"
        "def hook(event, arguments):\n"
        "    global seen\n"
        f"    if event in events and any({str(tmp_path)!r} in str(a) for a in arguments):\n"
        "        seen += 1\n"
        f"        if seen == {moment}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(hook)\n"
        f"write_files(Path({str(tmp_path)!r}), {{'a': b'new a' * 9000, 'b': b'new b' * 9000}})\n"
    )
    result = subprocess.run([sys.executable, "-c", code], env=environment(), check=False)
    assert result.returncode in (0, -9)
    for name in "ab":
        data = (tmp_path / name).read_bytes()
        assert data in (f"old {name}".encode(), f"new {name}".encode() * 9000)


def test_modes_and_links(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_files(tmp_path, {"new": b"x", "run.sh": b"x"})
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "run.sh").stat().st_mode) == 0o750
    (tmp_path / "new").chmod(0o604)
    (tmp_path / "link").symlink_to("new")
    write_files(tmp_path, {"link": b"through"})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_bytes() == b"through"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604
    assert names(tmp_path) == {"new", "run.sh", "link"}
