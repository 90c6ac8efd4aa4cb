"""`policyc lsp`: the language server, which editors start."""

from __future__ import annotations

import gc
from importlib.util import find_spec

import click

from policyc.cli.common import FINE, MISSING, Failure, profile_option, target_of, target_options

__all__ = ["command"]


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

    gc.enable()  # unlike other runs, this one goes on
    make_server(profiles, target_of(page_size, pmd_order)).start_io()
    return FINE
