"""`policyc help VERB`: the same as `policyc VERB --help`."""

from __future__ import annotations

import click

from policyc.cli.application import VERBS
from policyc.cli.common import FINE, did_you_mean

__all__ = ["command"]


@click.command("help")
@click.argument("verb", metavar="[VERB]", required=False, type=click.STRING)
@click.pass_context
def command(context: click.Context, verb: str | None) -> int:
    """Show the help of a verb, or of policyc."""
    parent = context.parent
    assert parent is not None
    assert isinstance(parent.command, click.Group)
    if verb is None:
        click.echo(parent.get_help())
        return FINE
    found = parent.command.get_command(parent, verb)
    if found is None:
        context.fail(f"no verb {verb!r}; {did_you_mean(verb, VERBS)}")
    with click.Context(found, info_name=verb, parent=parent) as inner:
        click.echo(found.get_help(inner))
    return FINE
