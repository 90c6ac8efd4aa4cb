"""What `policyc workload from-perf` and `from-damon` share: options, input, output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

import click

from policyc.cli.common import FINE, NO, USAGE, Failure, reason

if TYPE_CHECKING:
    from policyc.simulate.workload.recorded import Given, Recorded

__all__ = ["given_of", "making", "opened", "options", "show"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def options(function: _Function) -> _Function:
    """FILE, `-o` and the options about what a recording does not tell."""
    for option in reversed(
        [
            click.argument("file", metavar="FILE", type=click.Path(path_type=str)),
            click.option(
                "--output",
                "-o",
                metavar="FILE",
                type=click.Path(path_type=str),
                help="Write the workload to this file.  [default: standard output]",
            ),
            click.option("--name", metavar="NAME", help="Name of the workload."),
            click.option(
                "--memory",
                metavar="SIZE",
                help="Memory of all nodes together, such as 64G.  [default: that of this host]",
            ),
            click.option(
                "--nodes",
                metavar="N",
                type=click.IntRange(1, 64),
                help="NUMA nodes, all of one size.  [default: those of this host]",
            ),
            click.option(
                "--cpus",
                metavar="N",
                type=click.IntRange(1, 1 << 16),
                help="CPUs of all nodes together.  [default: those of this host]",
            ),
            click.option(
                "--page-size",
                metavar="4K|16K|64K",
                type=click.Choice(["4K", "16K", "64K"], case_sensitive=False),
                help="Base page size of the kernel that recorded.  [default: that of this host]",
            ),
            click.option(
                "--cgroup",
                "cgroups",
                metavar="WHAT=PATH",
                multiple=True,
                help="The cgroup of a process by its id or name (of DAMON: by target); "
                "repeatable.  [default: /recorded/NAME]",
            ),
        ]
    ):
        function = option(function)
    return function


def given_of(
    file: str,
    *,
    name: str | None,
    memory: str | None,
    nodes: int | None,
    cpus: int | None,
    page_size: str | None,
    cgroups: Sequence[str],
) -> Given:
    """The values of the options; a usage error if one is none."""
    from policyc.runtime.units import parse_value
    from policyc.simulate.workload.recorded import Given, named

    size = None
    if memory is not None:
        try:
            size = parse_value("size", memory)
        except ValueError as error:
            raise Failure(f"--memory: {error}", USAGE) from None
        if not 1 << 20 <= size <= 1 << 50:
            raise Failure(f"--memory: expected 1M to 1024T, got {memory}", USAGE)
    plain = "recorded" if file == "-" else Path(file).name.split(".")[0]
    return Given(
        name=named(name or plain, (), fallback="recorded"),
        memory=size,
        nodes=nodes,
        cpus=cpus,
        page_size=None if page_size is None else int(page_size[:-1]) << 10,
        cgroups=dict(_cgroup(text) for text in cgroups),
    )


def _cgroup(text: str) -> tuple[str, str]:
    from policyc.runtime.checks import checked_cgroup

    what, equals, path = text.partition("=")
    if not equals or not what:
        raise Failure(f"--cgroup: expected WHAT=PATH such as 812=/db, got {text!r}", USAGE)
    try:
        return what, checked_cgroup("--cgroup", path)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


@contextmanager
def opened(file: str) -> Generator[BinaryIO]:
    """The bytes of a file, or of standard input for `-`."""
    try:
        if file == "-":
            if sys.stdin is None:
                raise OSError(0, "It is closed")
            yield cast(BinaryIO, sys.stdin.buffer)
            return
        with Path(file).open("rb") as stream:
            yield stream
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {_named(file)}: {reason(error)}", USAGE) from None


@contextmanager
def making(file: str) -> Generator[None]:
    """A block that makes a workload; a recording that is none ends the run, exit code 1."""
    from policyc.simulate.workload.lines import RecordError

    try:
        yield
    except RecordError as error:
        raise Failure(f"{_named(file)}: {error}", NO) from None


def _named(file: str) -> str:
    from policyc.cli.files import STANDARD_INPUT

    return STANDARD_INPUT if file == "-" else file


def show(recorded: Recorded, output: str | None) -> int:
    """Write the workload to a file, whole or not at all, or print it."""
    text = recorded.toml()
    if output is None:
        click.echo(text, nl=False)
        return FINE
    from policyc.cli.common import plural
    from policyc.cli.files import write_files

    path = Path(output)
    if not path.name:
        raise Failure(f"cannot write {output}: it is a directory", USAGE)
    write_files(path.parent, {path.name: text.encode()})
    workload = recorded.workload
    count = len(workload.processes)
    phases = sum(len(process.phases) for process in workload.processes)
    click.echo(
        f"{output}: {count:,} process{'' if count == 1 else 'es'}, {plural(phases, 'phase')}; "
        f"`policyc workload check {output}` sums it up"
    )
    return FINE
