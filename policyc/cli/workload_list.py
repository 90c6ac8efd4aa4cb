"""`policyc workload list`: the workloads that come with policyc."""

from __future__ import annotations

import click

from policyc.cli.common import FINE, MISSING, Failure, echo, emit_json, terminal

__all__ = ["command"]


@click.command("list", short_help="List the workloads that come with policyc.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(as_json: bool) -> int:
    """List the workloads that come with policyc.

    `policyc simulate POLICY --workload NAME` and `policyc workload check NAME` take the
    names; the first one is simulated if none is named. The files are commented: copy one
    to start your own.

    \b
    Examples:
      policyc workload list
      policyc workload list --json | jq -r '.workloads[].path'
    """
    from policyc.simulate.workload import shipped
    from policyc.simulate.workload.reader import read_workload

    try:
        paths = {name: shipped.workload(name) for name in shipped.names()}
    except FileNotFoundError as error:
        raise Failure(str(error), MISSING) from None
    known = {name: read_workload(path) for name, path in paths.items()}
    if as_json:
        emit_json(
            {
                "workloads": [
                    {"name": name, "description": found.description, "path": str(paths[name])}
                    for name, found in known.items()
                ]
            }
        )
        return FINE
    from policyc.cli.tables import Column, table

    rows = [[name, found.description] for name, found in known.items()]
    echo(table([Column("workload"), Column("what it is")], rows, terminal()))
    return FINE
