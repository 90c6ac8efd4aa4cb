"""Finds the grammar, the templates, the examples and the pages of codes, wherever it runs."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resource_path"]

_PACKAGE = Path(__file__).resolve().parent


def resource_path(kind: str) -> Path:
    """The directory of one kind of resource: `grammar`, `docs/lint` and so on.

    A wheel carries them in the package; in a checkout they stand next to it. The
    checkout is recognised by its pyproject.toml, so that a directory which happens to
    have the same name in site-packages is never taken for ours.
    """
    installed = _PACKAGE / "_resources" / kind
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise FileNotFoundError(
        f"the {kind} directory of policyc is missing: neither {installed} nor "
        f"{checkout / kind} (of a checkout) exists; install policyc again"
    )
