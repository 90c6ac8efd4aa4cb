"""The workloads that come with policyc."""

from __future__ import annotations

from pathlib import Path

from policyc.resources import resource_path
from policyc.runtime.checks import did_you_mean

__all__ = ["DEFAULT", "names", "workload"]

#: The one that is simulated if none is named.
DEFAULT = "mixed-host"


def names() -> tuple[str, ...]:
    """The names of the shipped workloads, the default one first."""
    found = sorted(path.stem for path in _directory().glob("*.toml"))
    return tuple(sorted(found, key=lambda name: name != DEFAULT))


def workload(name: str) -> Path:
    """The file that a name means: a file if there is one, else a shipped workload.

    Raises FileNotFoundError, with what was perhaps meant, if it is neither.
    """
    path = Path(name)
    if path.is_file() or (path.exists() and not path.is_dir()):
        return path
    if name in names():
        return _directory() / f"{name}.toml"
    hint = did_you_mean(name, names()) or f"; shipped workloads: {', '.join(names())}"
    raise FileNotFoundError(f"there is no file and no shipped workload {name!r}{hint}")


def _directory() -> Path:
    return resource_path("examples") / "workloads"
