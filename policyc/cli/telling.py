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
    """A block in which standard error, if it is a terminal, says what is done, and how far.

    What it gets is how far that is; "" takes it back, before something else is printed.
    """
    stream = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
    started = time.monotonic()
    said = False

    def tell(how_far: str) -> None:
        nonlocal started, said
        now = time.monotonic()
        if stream is None or (not said and not how_far):
            return
        if not how_far:
            said = False
            stream.write("\r\x1b[K")
        elif now - started > _PATIENCE:
            started, said = now, True
            stream.write(f"\r{what}: {how_far}\x1b[K")
        stream.flush()

    try:
        yield tell
    finally:
        tell("")
