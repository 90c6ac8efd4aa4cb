"""Where the grammar and the templates are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from policyc import resources


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package directory in the place of the real one."""
    directory = tmp_path / "policyc"
    directory.mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", directory)
    return directory


def test_checkout_has_a_grammar():
    assert (resources.resource_path("grammar") / "policy.lark").is_file()


def test_installed_package_goes_before_a_checkout(package: Path):
    (package / "_resources/grammar").mkdir(parents=True)
    (package.parent / "grammar").mkdir()
    (package.parent / "pyproject.toml").touch()
    assert resources.resource_path("grammar") == package / "_resources/grammar"


def test_same_name_in_site_packages_is_not_ours(package: Path):
    (package.parent / "grammar").mkdir()  # no pyproject.toml: this is no checkout
    with pytest.raises(FileNotFoundError, match="grammar directory of policyc is missing"):
        resources.resource_path("grammar")
