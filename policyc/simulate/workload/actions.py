"""What is done to a running policy, as text: `30s set add java /kubepods/x`."""

from __future__ import annotations

from policyc.runtime.checks import did_you_mean
from policyc.simulate.workload.conversions import UnfitError, convert, describe
from policyc.simulate.workload.schema import Field, Kind
from policyc.simulate.workload.specification import SECOND, Action, ActionKind

__all__ = ["FORMS", "parse_action", "spell_action"]

#: The actions as they are written, after the time.
FORMS: dict[ActionKind, str] = {
    ActionKind.SET_ADD: "set add NAME MEMBER",
    ActionKind.SET_REMOVE: "set remove NAME MEMBER",
    ActionKind.PARAM: "param NAME VALUE",
    ActionKind.ATTACH: "attach",
    ActionKind.DETACH: "detach",
}

_TIME = Field(key="", kind=Kind.DURATION, meaning="", high=30 * 24 * 3600 * SECOND)


def parse_action(text: object) -> Action:
    """The action that a text says; raises UnfitError."""
    if not isinstance(text, str):
        raise UnfitError(f"found {describe(text)}, expected a text such as '60s detach'")
    time, _, rest = str(text).strip().partition(" ")
    try:
        at: int = convert(_TIME, time)
    except UnfitError as error:
        raise UnfitError(f"an action begins with its time: {error}") from None
    rest = rest.strip()
    for kind, form in FORMS.items():
        verb = kind.value
        if rest != verb and not rest.startswith(f"{verb} "):
            continue
        words = rest[len(verb) :].split(None, 1)
        wanted = form.count("NAME") + form.count("MEMBER") + form.count("VALUE")
        if len(words) != wanted:
            raise UnfitError(f"found {describe(text)}, expected '{time} {form}'")
        name, value = (*words, "", "")[:2]
        return Action(at=at, kind=kind, name=name, value=value.strip())
    hint = did_you_mean(rest, [kind.value for kind in ActionKind])
    forms = ", ".join(f"'{form}'" for form in FORMS.values())
    raise UnfitError(f"found {describe(rest)} after the time, expected one of {forms}{hint}")


def spell_action(action: Action) -> str:
    """An action as it is written in a workload."""
    from policyc.runtime.units import spell_value

    time = spell_value("duration", action.at)
    return " ".join(filter(None, (time, action.kind.value, action.name, action.value)))
