"""`policyc workload`: verbs about workloads, each a module `workload_...` of this package."""

from __future__ import annotations

from importlib import import_module

import click

from policyc.cli.common import did_you_mean

__all__ = ["command"]

#: The verbs and what they are for; the module of "from-perf" is workload_from_perf.
_VERBS = {
    "check": "Say what is wrong with a workload, and what it amounts to.",
    "list": "List the workloads that come with policyc.",
    "from-perf": "Make a workload from what `perf script` prints.",
    "from-damon": "Make a workload from records of DAMON.",
    "run": "Run a workload on this machine, to compare the model with the kernel.",
}


class _Verbs(click.Group):
    """A group whose commands are modules, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, imported now."""
        if cmd_name not in _VERBS:
            return None
        module = import_module(f"policyc.cli.workload_{cmd_name.replace('-', '_')}")
        return module.command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with."""
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            ctx.fail(f"no verb {args[0]!r}; {did_you_mean(args[0], _VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with a line each, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


@click.command("workload", cls=_Verbs, subcommand_metavar="VERB ...")
def command() -> None:
    """Check, list, record and run workloads of `policyc simulate`.

    A workload (*.toml) describes a machine, its cgroups, and what processes do to memory;
    docs/reference/workload.md has all keys.

    \b
    Examples:
      policyc workload list
      policyc workload check mine.toml
      policyc workload check redis-bgsave --set size=16G
    """
