"""`policyc lsp`: the language server, which editors start."""

from __future__ import annotations

import gc
import logging
import os
import sys
from importlib.util import find_spec

import click

from policyc.cli.common import FINE, MISSING, Failure, profile_option, target_of, target_options

__all__ = ["command"]

#: How soon an answer takes its turn while a policy is being checked, in seconds.
_SWITCH = 0.001


@click.command("lsp", short_help="Serve editors: findings, completion, hover, rename.")
@profile_option(
    "Check for this kernel interface; repeatable, and with commas. [default: thp-v7, numab-rfc1]"
)
@target_options
def command(profiles: tuple[str, ...], page_size: str, pmd_order: int | None) -> int:
    """Serve an editor by the Language Server Protocol, on standard input and output.

    Editors start it; docs/how-to/editor.md tells how. It needs pygls, which
    `pip install 'policyc[lsp]'` installs.

    \b
    Exit codes:
      0  the editor has ended it
      2  wrong usage
      3  pygls is missing
    """
    if find_spec("pygls") is None:
        raise Failure(
            "pygls is missing, which the language server is made with",
            MISSING,
            "pip install 'policyc[lsp]'",
        )
    from policyc.lsp.server import make_server

    _log_briefly()
    sys.setswitchinterval(_SWITCH)
    # Only the protocol writes to the editor: whatever else is printed goes to its log.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        server = make_server(profiles, target_of(page_size, pmd_order))
        _collect_rarely()
        server.start_io(sys.stdin.buffer, output)
    return FINE


def _collect_rarely() -> None:
    """What is loaded stays; a tree of a policy is many objects, and none of them are in cycles."""
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    gc.enable()


def _log_briefly() -> None:
    """What goes wrong in the protocol is told in a line, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("policyc lsp: %(message)s"))
    handler.addFilter(_first_line)
    logging.getLogger("pygls").addHandler(handler)


def _first_line(record: logging.LogRecord) -> bool:
    from pygls.exceptions import JsonRpcInvalidParams

    if record.exc_info and isinstance(record.exc_info[1], JsonRpcInvalidParams):
        return False  # the editor shows why something was refused
    lines = record.getMessage().strip().splitlines()
    record.msg, record.args = (lines[0][:500] if lines else ""), None
    record.exc_info = record.exc_text = None
    return True
