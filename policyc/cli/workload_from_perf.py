"""`policyc workload from-perf`: recorded page faults become a workload."""

from __future__ import annotations

import click

from policyc.cli.recording import given_of, making, opened, options, show

__all__ = ["command"]


@click.command("from-perf", short_help="Make a workload from what `perf script` prints.")
@options
@click.option(
    "--thp",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether the recorded programs got PMD-sized pages, of which each takes one fault.",
)
def command(
    file: str,
    *,
    output: str | None,
    name: str | None,
    memory: str | None,
    nodes: int | None,
    cpus: int | None,
    page_size: str | None,
    cgroups: tuple[str, ...],
    thp: str,
) -> int:
    """Make a workload from page faults that perf recorded.

    FILE is what `perf script` printed, or `-` for standard input; the text of tracefs and of
    `trace-cmd report` is read, too. Each fault needs its time and address. Mappings, tasks,
    system calls and events of huge pages are used where they are there.

    The workload is TOML with comments that say what was inferred, and how sure that is. A
    fault is the first touch of a page; what is touched again and again is not seen.

    \b
    Examples:
      perf record -e page-faults -c 1 -d -- COMMAND
      perf script --show-task-events --show-mmap-events \\
        -F comm,pid,tid,time,event,addr | policyc workload from-perf - -o mine.toml
      policyc workload from-perf faults.txt --memory 64G --nodes 2 --cgroup redis-server=/db

    \b
    Exit codes:
      0  made
      1  the recording cannot be used
      2  wrong usage, or a file that cannot be read or written
    """
    given = given_of(
        file,
        name=name,
        memory=memory,
        nodes=nodes,
        cpus=cpus,
        page_size=page_size,
        cgroups=cgroups,
    )
    from policyc.simulate.workload.lines import text_lines
    from policyc.simulate.workload.recorded_faults import workload_from_faults

    huge = {"auto": None, "on": True, "off": False}[thp]
    with opened(file) as stream, making(file):
        recorded = workload_from_faults(text_lines(stream), given, huge=huge)
    return show(recorded, output)
