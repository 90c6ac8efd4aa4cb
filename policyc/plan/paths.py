"""Where cgroup paths stand to one another."""

from __future__ import annotations

from policyc.plan.nodes import MAX_CGROUP_LEVELS

__all__ = ["are_near", "is_under"]


def is_under(path: str, ancestor: str) -> bool:
    """Whether a path is that of the other cgroup or of one below it, at any depth."""
    return ancestor in (path, "/") or path.startswith(ancestor + "/")


def are_near(path: str, other: str) -> bool:
    """Whether a request in the lower of two cgroups, one under the other, still sees the upper."""
    return abs(_depth(path) - _depth(other)) < MAX_CGROUP_LEVELS


def _depth(path: str) -> int:
    return 0 if path == "/" else path.count("/")
