"""Where the command line starts."""

from __future__ import annotations

import gc

__all__ = ["main"]


def main() -> int:
    """Run the command line with the arguments of the process; the exit status.

    The imports are in here so that Ctrl-C is quiet from the first moment on.
    """
    gc.disable()  # a run is short or streams; collecting would only lengthen its start
    try:
        from policyc.cli.application import run

        return run()
    except KeyboardInterrupt:
        return 130
