"""Waiting for what the kernel does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["wait_for"]


def wait_for(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait until a condition holds; AssertionError after `seconds`, which emulation needs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
