"""`policyc attributes`: what policies can ask about, and which kernel interface has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import FINE, echo, emit_json, profile_option, terminal

if TYPE_CHECKING:
    from policyc.hooks.model import AttributeRow, Profile

__all__ = ["command"]

_PRESSURE = re.compile(r"psi\.[a-z]+\.[a-z]+\.avg[0-9]+$")
_LEGEND = (
    "psi.R.K.W: R is memory, cpu or io; K is some or full; W is avg10, avg60 or avg300, "
    "as in psi.memory.full.avg10"
)


@click.command("attributes", short_help="List what policies can ask about.")
@click.option("--hook", type=click.Choice(["thp", "numa"]), help="Only what this hook has.")
@profile_option("Only what these kernel interfaces have; repeatable, and with commas.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(hook: str | None, profiles: tuple[str, ...], as_json: bool) -> int:
    """List what policies can ask about: attributes, their types, and where they exist.

    The marks say which kernel interfaces (see `policyc profiles`) can supply an attribute.
    A policy that asks for another one cannot be compiled for it. A value that is absent
    compares false with everything; `has NAME` tests for it.

    \b
    Examples:
      policyc attributes --hook numa
      policyc attributes --profile mthp-v2
      policyc attributes --json | jq -r '.attributes[] | select(.type == "size") | .name'
    """
    from policyc.hooks import loader

    known = loader.profiles()
    chosen = [known[name] for name in profiles or known]
    chosen = [profile for profile in chosen if hook is None or profile.answers(hook)]
    rows = [
        row
        for row in loader.attributes().values()
        if (hook is None or hook in row.hooks) and any(_has(profile, row) for profile in chosen)
    ]
    if as_json:
        _print_json(rows, chosen)
    else:
        _print(rows, chosen)
    return FINE


def _has(profile: Profile, row: AttributeRow) -> bool:
    return profile.has(row) and any(profile.answers(hook) for hook in row.hooks)


def _print(rows: list[AttributeRow], chosen: list[Profile]) -> None:
    from policyc.cli.tables import Column, mark, table

    place = terminal()
    keys = "abcdefghijklmnopqrstuvwxyz"[: len(chosen)]
    echo("  ".join(f"{key} {profile.name}" for key, profile in zip(keys, chosen, strict=True)))
    echo()
    by_name = {_PRESSURE.sub("psi.R.K.W", row.name): row for row in rows}
    body = [
        [
            name,
            str(row.type).removeprefix("enum "),
            " ".join(mark(_has(profile, row), place) for profile in chosen),
            row.meaning + (f"\nabsent if {row.absent}" if row.absent else ""),
        ]
        for name, row in by_name.items()
    ]
    columns = [Column("attribute"), Column("type"), Column(" ".join(keys)), Column("meaning")]
    echo(table(columns, body, place))
    echo()
    if any("psi" in name for name in by_name):
        echo(_LEGEND)
    for name, members in _enumerations(rows).items():
        echo(f"{name}: {', '.join(members)}")


def _enumerations(rows: list[AttributeRow]) -> dict[str, list[str]]:
    """The members of the enumerations that some attributes are of."""
    from policyc.hooks.loader import enumerations

    used = {row.type.enum for row in rows}
    return {
        name: [member.name for member in enumeration.members]
        for name, enumeration in enumerations().items()
        if name in used
    }


def _print_json(rows: list[AttributeRow], chosen: list[Profile]) -> None:
    enums = _enumerations(rows)
    attributes: list[dict[str, Any]] = [
        {
            "name": row.name,
            "type": row.type.kind.value,
            "enum": row.type.enum or None,
            "hooks": sorted(row.hooks, reverse=True),
            "profiles": [profile.name for profile in chosen if _has(profile, row)],
            "meaning": row.meaning,
            "absent": row.absent or None,
        }
        for row in rows
    ]
    emit_json({"attributes": attributes, "enumerations": enums})
