"""Where the command line starts, and where it ends."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line with the arguments of the process; never returns.

    The imports are in here so that Ctrl-C is quiet from the first moment on. Nothing is
    cleaned up at the end: all output is flushed, and freeing what was imported would take
    longer than many runs.
    """
    gc.disable()  # a run is short or streams; collecting would only lengthen its start
    try:
        from policyc.cli.application import run

        code = run()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    for stream in (sys.stdout, sys.stderr):
        # One that is closed, or that nobody reads: application.py has said what there was to say.
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
