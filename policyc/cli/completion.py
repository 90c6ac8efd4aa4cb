"""`policyc completion`: the scripts that make shells complete the command line."""

from __future__ import annotations

import click

from policyc.cli.common import FINE

__all__ = ["command"]


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script that makes a shell complete verbs, options, profiles and files.

    \b
    Examples:
      policyc completion bash > ~/.local/share/bash-completion/completions/policyc
      policyc completion zsh > ~/.zfunc/_policyc       (a directory of $fpath)
      policyc completion fish > ~/.config/fish/completions/policyc.fish
      eval "$(policyc completion bash)"                (this shell only)
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root()
    completion = found(root.command, {}, "policyc", "_POLICYC_COMPLETE")
    # Not source(), which runs bash to see how old it is.
    click.echo(completion.source_template % completion.source_vars())
    return FINE
