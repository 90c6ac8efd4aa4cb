"""Where cgroup paths stand to one another."""

from __future__ import annotations

__all__ = ["is_under"]


def is_under(path: str, ancestor: str) -> bool:
    """Whether a path is that of the other cgroup or of one below it, at any depth."""
    return ancestor in (path, "/") or path.startswith(ancestor + "/")
