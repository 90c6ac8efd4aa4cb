"""`policyc profiles`: the kernel interfaces that policies are compiled for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import FINE, echo, emit_json, terminal

if TYPE_CHECKING:
    from policyc.hooks.model import Profile

__all__ = ["command"]

_ANSWERS = {"order": "one order", "mask": "order mask", "bool": "yes or no"}


@click.command("profiles", short_help="List the kernel interfaces.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(as_json: bool) -> int:
    """List the kernel interfaces that policies are compiled for.

    A profile says what the kernel asks, how it is answered, whether "leave the request
    alone" can be said, and what a program is attached to. `compile --profile NAME` and
    `check --profile NAME` take the names; `policyc attributes` says what each can supply.

    \b
    Examples:
      policyc profiles
      policyc profiles --json | jq -r '.profiles[].name'
    """
    from policyc.hooks.loader import DEFAULT_PROFILES, profiles

    known = list(profiles().values())
    if as_json:
        emit_json({"profiles": [_document(profile, DEFAULT_PROFILES) for profile in known]})
    else:
        _print(known, DEFAULT_PROFILES)
    return FINE


def _print(known: list[Profile], defaults: tuple[str, ...]) -> None:
    from policyc.cli.tables import Column, table

    headings = ["profile", "hook", "answer", "leave alone", "attached to", "meaning"]
    rows = [
        [
            profile.name + ("*" if profile.name in defaults else ""),
            profile.hook,
            _ANSWERS[profile.answer],
            _leave(profile),
            profile.attachment,
            profile.title,
        ]
        for profile in known
    ]
    echo(table([Column(heading) for heading in headings], rows, terminal()))
    echo("\n* what `compile` and `check` use if no profile is named")


def _leave(profile: Profile) -> str:
    if profile.answer == "mask":
        return "the request"
    return "-" if profile.leave is None else str(profile.leave)


def _document(profile: Profile, defaults: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "default": profile.name in defaults,
        "hook": profile.hook,
        "struct_ops": profile.struct_ops,
        "member": profile.member,
        "arguments": list(profile.arguments),
        "returns": profile.returns,
        "answer": profile.answer,
        "leave": profile.leave,
        "deny": profile.deny,
        "attachment": profile.attachment,
        "instances": profile.instances,
        "update": profile.update,
        "walks_hierarchy": profile.walks_hierarchy,
    }
