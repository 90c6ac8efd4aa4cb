"""The command `policyc`: its verbs, which are imported when they are used, and how runs end."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

import click

from policyc import __version__
from policyc.cli.common import (
    CLOSED_PIPE,
    FINE,
    INTERRUPTED,
    MISSING,
    USAGE,
    Failure,
    did_you_mean,
    reason,
    visible_lines,
)

__all__ = ["VERBS", "policyc", "run"]

#: The verbs in the order of a policy's life, each a module of this package with a `command`.
VERBS = {
    "check": "Say everything that is wrong with a policy, or could be better.",
    "lint": "Say what in a policy is legal and seldom what was meant.",
    "fmt": "Write policies in their canonical form.",
    "compile": "Write a policy as BPF C, Python and a manifest.",
    "verify": "Load a policy through the verifier of the running kernel.",
    "run": "Attach a policy for as long as the command runs.",
    "test": "Run the tests and properties of policies.",
    "decide": "Explain one decision: which rule made it, and why.",
    "explain": "Take one decision apart, and say what would change it.",
    "simulate": "Predict what a policy does to a machine, or replay a trace of requests.",
    "prove": "Prove what a policy promises for every request, or refute it.",
    "diff": "Say whether two policies answer alike, and where they do not.",
    "workload": "Check, list, record and run workloads of `simulate`.",
    "profiles": "List the kernel interfaces that policies are compiled for.",
    "attributes": "List what policies can ask about, and where it exists.",
    "lsp": "Serve editors: findings while typing, completion, hover, rename.",
    "completion": "Print the completion script of a shell.",
    "help": "Show the help of a verb.",
}

_EPILOG = """\b
Exit codes:
  0    fine
  1    the answer is no: errors in a policy, a difference, a bad trace
  2    wrong usage, or a file that cannot be read or written
  3    something is missing, such as clang for `--emit object`
  130  interrupted (Ctrl-C)
  141  nobody reads the output any more (a closed pipe)

\b
Environment:
  NO_COLOR         no colours, whatever its value
  COLUMNS          the width of the output
  POLICYC_CLANG    the clang that compiles objects
  POLICYC_LIBBPF   the libbpf.so that loads them
  XDG_CACHE_HOME   where the tables of the grammar are kept (~/.cache)
"""


class _Verbs(click.Group):
    """A group whose commands are modules, and whose runs never end with a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb, imported now."""
        if cmd_name not in VERBS:
            return None
        module = import_module(f"policyc.cli.{cmd_name}")
        return module.command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the arguments begin with."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"no verb {args[0]!r}; {did_you_mean(args[0], VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with a line each, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and exit with the code of the outcome."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        arguments = sys.argv[1:] if args is None else list(args)
        prog_name = prog_name or "policyc"

        def call() -> object:
            self._main_shell_completion(extra, prog_name, complete_var or "_POLICYC_COMPLETE")
            with self.make_context(prog_name, arguments, **extra) as context:
                return self.invoke(context)

        sys.exit(_outcome(call))


def _outcome(call: Callable[[], object]) -> int:
    """The exit code of a run; every foreseeable end has one and a message."""
    try:
        try:
            try:
                code = call()
            except click.exceptions.Exit as end:
                code = end.exit_code
            # Whatever cannot be written must be known before the interpreter shuts down.
            sys.stdout.flush()
            return code if isinstance(code, int) else FINE
        except click.ClickException as error:
            error.message = visible_lines(error.message)  # pyright: ignore[reportAttributeAccessIssue]
            error.show()
            return error.exit_code
    except (KeyboardInterrupt, click.Abort, EOFError):
        _discard_output()
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return CLOSED_PIPE
    except FileNotFoundError as error:
        # A file of a policy or a trace has been reported by now: this is one of our own.
        return _report(str(error), MISSING)
    except OSError as error:
        _discard_output()
        return _report(f"cannot write the output: {reason(error)}", USAGE)
    except MemoryError:
        return _report("there is not enough memory for this", MISSING)
    except RecursionError:
        return _report("the input is nested too deeply", USAGE)


def _report(message: str, code: int) -> int:
    try:
        Failure(message, code).show()
    except OSError:
        _discard_output()
    return code


def _discard_output() -> None:
    """Send what is still buffered nowhere, so that the end of the interpreter is quiet."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            try:
                os.dup2(null, stream.fileno())
            except (AttributeError, OSError, ValueError):
                continue
    os.close(null)


@click.command(
    cls=_Verbs,
    name="policyc",
    epilog=_EPILOG,
    subcommand_metavar="VERB ...",
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="policyc")
@click.pass_context
def policyc(context: click.Context) -> int | None:
    """Compile memory policies of Linux to BPF.

    A policy (*.thp) says which page orders an allocation may use (transparent huge pages), and
    whether a task is NUMA balanced, by the cgroup, the task, the area and the pressure. policyc
    checks it, compiles it for one of several kernel interfaces (profiles), explains what it
    decides, and predicts what it does to memory, latency and migrations.

    \b
    Examples:
      policyc check fleet.thp
      policyc compile fleet.thp -o build
      policyc decide fleet.thp --hook thp cgroup=/kubepods/java/web-1 event=khugepaged
      policyc simulate fleet.thp --workload redis-bgsave

    `policyc VERB --help` tells the rest.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return None


def run() -> int:
    """Run the command line with the arguments of the process; the exit status."""
    sys.stdout = _usable(sys.stdout)
    sys.stderr = _usable(sys.stderr)
    try:
        policyc.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FINE
    return FINE


def _usable(stream: TextIO | None) -> TextIO:
    """The stream, or nowhere if it is closed; it takes what its encoding has not."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        cast("io.TextIOWrapper[Any]", stream).reconfigure(errors="backslashreplace")
    return cast("TextIO", stream)
