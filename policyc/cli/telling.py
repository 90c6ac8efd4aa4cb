"""How far a long run is, for whoever waits at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["told"]

#: Nothing is said of what is done within so many seconds, and again only after as many.
_PATIENCE = 0.5


@contextmanager
def told(what: str) -> Generator[Callable[[str], None]]:
    """A block in which standard error, if it is a terminal, says what is done, and how far."""
    stream = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
    last = time.monotonic()
    said = False

    def tell(how_far: str) -> None:
        nonlocal last, said
        now = time.monotonic()
        if stream is not None and now - last > _PATIENCE:
            last, said = now, True
            stream.write(f"\r{what}: {how_far}\x1b[K")
            stream.flush()

    try:
        yield tell
    finally:
        if stream is not None and said:
            stream.write("\r\x1b[K")
            stream.flush()
