"""`policyc workload from-damon`: regions that DAMON recorded become a workload."""

from __future__ import annotations

import click

from policyc.cli.common import USAGE, Failure
from policyc.cli.recording import given_of, making, opened, options, show

__all__ = ["command"]


@click.command("from-damon", short_help="Make a workload from records of DAMON.")
@options
@click.option(
    "--sample",
    metavar="DURATION",
    help="Sampling interval of DAMON.  [default: that of the recording, else 5ms]",
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
    sample: str | None,
) -> int:
    """Make a workload from regions that DAMON recorded.

    FILE is, or `-` for standard input: what `damo report access --raw_form` or `--json`
    printed (in old versions `damo report raw`); the file of `damo record` in its JSON
    formats; or events damon_aggregated as `perf script`, tracefs or `trace-cmd report` print
    them.

    The workload is TOML with comments that say what was inferred, and how sure that is.

    \b
    Examples:
      damo record -d 60 $(pidof redis-server)
      damo report access --raw_form --raw_number | policyc workload from-damon - -o mine.toml
      perf script -i perf.data | policyc workload from-damon - --cgroup 0=/db

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
    interval = _duration(sample)
    from policyc.simulate.workload.damon import read_snapshots
    from policyc.simulate.workload.recorded_regions import workload_from_regions

    with opened(file) as stream, making(file):
        recorded = workload_from_regions(read_snapshots(stream), given, interval)
    return show(recorded, output)


def _duration(text: str | None) -> int | None:
    from policyc.runtime.units import parse_value

    if text is None:
        return None
    try:
        value = parse_value("duration", text)
    except ValueError as error:
        raise Failure(f"--sample: {error}", USAGE) from None
    if value <= 0:
        raise Failure(f"--sample: expected more than nothing, got {text}", USAGE)
    return value
