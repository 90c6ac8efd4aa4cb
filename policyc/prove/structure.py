"""What was changed between two policies, by their declarations and rules; needs no solver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, cast

from policyc.hooks.loader import host_rows
from policyc.plan import nodes as n
from policyc.plan.types import Kind, format_size
from policyc.runtime.units import spell_value

__all__ = ["Change", "changes"]

#: Rules that are at least so much alike are one that was changed.
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `old` and `new` are texts, with the lines that they are in; "" and 0 for none."""

    kind: Literal["added", "removed", "moved", "changed"]
    what: Literal["set", "param", "let", "combine", "block", "rule", "host"]
    name: str
    old: str = ""
    old_line: int = 0
    new: str = ""
    new_line: int = 0


def changes(old: n.Plan, new: n.Plan) -> tuple[Change, ...]:
    """The changes in the order of a policy: declarations, host settings, blocks with rules."""
    return (
        *_named("set", {s.name: _set(s) for s in old.sets}, {s.name: _set(s) for s in new.sets}),
        *_named(
            "param",
            {item.name: _param(item) for item in old.params},
            {item.name: _param(item) for item in new.params},
        ),
        *_named("let", _lets(old), _lets(new), shown=False),
        *_named("host", _host(old), _host(new)),
        *_named("combine", _combines(old, new), _combines(new, old)),
        *_blocks(old, new),
    )


# -- declarations

#: What is compared, what is shown of it, and its line.
_Item = tuple[object, str, int]


def _named(
    what: Literal["set", "param", "let", "combine", "host"],
    old: Mapping[str, _Item],
    new: Mapping[str, _Item],
    *,
    shown: bool = True,
) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before is None and after is not None:
            yield Change("added", what, name, new=after[1], new_line=after[2])
        elif after is None and before is not None:
            yield Change("removed", what, name, before[1], before[2])
        elif before is not None and after is not None and before[0] != after[0]:
            texts = (before[1], after[1]) if shown else ("", "")
            yield Change("changed", what, name, texts[0], before[2], texts[1], after[2])


def _set(item: n.SetDefinition) -> _Item:
    members = sorted(
        m if isinstance(m, str) else m.decode("utf-8", "backslashreplace") for m in item.members
    )
    quoted = ", ".join(f'"{member}"' for member in members)
    text = f"{item.type} = {{ {quoted} }}"
    return (item.type, frozenset(item.members)), text, item.line


def _param(item: n.ParamDefinition) -> _Item:
    kind = item.type.kind
    text = f"{item.type} = {spell_value(kind.value, item.default)}"
    if kind is not Kind.BOOL:
        low, high = (spell_value(kind.value, value) for value in (item.low, item.high))
        text += f" in {low}..{high}"
    return text, text, item.line


def _lets(plan: n.Plan) -> dict[str, _Item]:
    return {item.name: (_shape(plan, item.expr), "", item.line) for item in plan.locals}


def _host(plan: n.Plan) -> dict[str, _Item]:
    return {
        _setting_name(plan, item): (item.value, _setting(item), item.line) for item in plan.host
    }


def _setting_name(plan: n.Plan, item: n.HostSetting) -> str:
    if item.argument is None:
        return item.name
    return f"{item.name.removesuffix('[]')}[{format_size(plan.target.page_size << item.argument)}]"


def _setting(item: n.HostSetting) -> str:
    if isinstance(item.value, bool):
        return "on" if item.value else "off"
    if isinstance(item.value, int):
        return spell_value(host_rows()[item.name].type.kind.value, item.value)
    return str(item.value)


def _combines(plan: n.Plan, other: n.Plan) -> dict[str, _Item]:
    """The modes of the hooks that both answer."""
    both = {hook.hook for hook in plan.hooks} & {hook.hook for hook in other.hooks}
    return {
        hook.hook.value: (hook.combine, hook.combine.value, hook.blocks[0].line)
        for hook in plan.hooks
        if hook.hook in both
    }


def _shape(plan: n.Plan, part: object) -> object:
    """A part of a plan without its place in the tables of the plan."""
    match part:
        case n.UnderPath(value, path) | n.IsPath(value, path):
            return (type(part).__name__, _shape(plan, value), plan.paths[path])
        case n.Node():
            parts = (getattr(part, name) for name in part.__match_args__)
            return (type(part).__name__, *(_shape(plan, item) for item in parts))
        case tuple():
            return tuple(_shape(plan, item) for item in cast("tuple[object, ...]", part))
        case _:
            return part


# -- blocks and rules

_Key = tuple[str, str, int]


def _keyed(plan: n.Plan) -> dict[_Key, n.Block]:
    """The blocks by hook and scope, numbered where a scope has several."""
    found: dict[_Key, n.Block] = {}
    for hook in plan.hooks:
        for block in hook.blocks:
            scope = "" if block.scope is None else plan.paths[block.scope]
            number = 0
            while (hook.hook.value, scope, number) in found:
                number += 1
            found[hook.hook.value, scope, number] = block
    return found


def _blocks(old: n.Plan, new: n.Plan) -> Iterator[Change]:
    before, after = _keyed(old), _keyed(new)
    for key in dict.fromkeys([*before, *after]):
        name = f'{key[0]} for cgroup "{key[1]}"' if key[1] else key[0]
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            yield Change("added", "block", name, new_line=now.line)
        elif now is None and was is not None:
            yield Change("removed", "block", name, old_line=was.line)
        elif was is not None and now is not None:
            for what in ("rollout", "hot_threshold"):
                parts = getattr(was, what), getattr(now, what)
                if _shape(old, parts[0]) != _shape(new, parts[1]):
                    texts = tuple(_value(part) for part in parts)
                    yield Change(
                        "changed", "block", f"{what} of {name}", texts[0], was.line, texts[1],
                        now.line,
                    )  # fmt: skip
        yield from _rules(name, was.rules if was else (), now.rules if now else ())


def _value(expr: n.Expr | None) -> str:
    match expr:
        case None:
            return "none"
        case n.Const(type, value):
            return spell_value(type.kind.value, int(value))
        case n.Param(_, name):
            return name
        case _:
            return str(expr)


def _rules(block: str, old: Sequence[n.Rule], new: Sequence[n.Rule]) -> Iterator[Change]:
    """The changes of a list of rules; a rule is known by its label, or else by its text."""
    matcher = SequenceMatcher(None, [_key(r) for r in old], [_key(r) for r in new], autojunk=False)
    left, right = dict(enumerate(old)), dict(enumerate(new))
    found: list[Change] = []
    for a, b, size in matcher.get_matching_blocks():
        for step in range(size):
            was, now = left.pop(a + step), right.pop(b + step)
            if was.text != now.text:
                found.append(_change("changed", block, was, now))
    for index, was in list(left.items()):
        place = next((i for i, now in right.items() if _key(now) == _key(was)), None)
        if place is not None:
            del left[index]
            now = right.pop(place)
            found.append(_change("moved" if was.text == now.text else "changed", block, was, now))
    for index, was in list(left.items()):
        place = _most_alike(was, right)
        if place is not None:
            del left[index]
            found.append(_change("changed", block, was, right.pop(place)))
    found += [_change("removed", block, was, None) for was in left.values()]
    found += [_change("added", block, None, now) for now in right.values()]
    yield from sorted(found, key=lambda change: change.new_line or change.old_line)


def _key(rule: n.Rule) -> str:
    return f"{rule.label}:" if rule.label else rule.text


def _most_alike(was: n.Rule, others: Mapping[int, n.Rule]) -> int | None:
    def alike(now: n.Rule) -> float:
        return SequenceMatcher(None, was.text, now.text, autojunk=False).ratio()

    # Nobody waits for the comparison of thousands of rules with each other.
    near = [index for index, now in others.items() if not (was.label and now.label)][:50]
    best = max(near, key=lambda index: alike(others[index]), default=None)
    return best if best is not None and alike(others[best]) >= _ALIKE else None


def _change(
    kind: Literal["added", "removed", "moved", "changed"],
    block: str,
    was: n.Rule | None,
    now: n.Rule | None,
) -> Change:
    return Change(
        kind,
        "rule",
        block,
        was.text if was else "",
        was.line if was else 0,
        now.text if now else "",
        now.line if now else 0,
    )
