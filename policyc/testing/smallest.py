"""The smallest counterexample: nothing can be left out of it, and no number lowered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values
from policyc.plan.promises import first_state
from policyc.testing.maker import Maker

__all__ = ["smallest"]

_Known: TypeAlias = dict[str, n.ConstValue | None]
_Fails: TypeAlias = Callable[[Values, State], bool]

#: Each round makes something simpler; seldom more than three do.
_MOST_ROUNDS = 20


def smallest(maker: Maker, values: Values, state: State, fails: _Fails) -> tuple[Values, State]:
    """A request and a state that fail as these do and cannot be made simpler in one step."""
    known: _Known = {name: values.get(name) for name in maker.pools}
    for _ in range(_MOST_ROUNDS):
        before = (dict(known), state)
        for wished in _wishes(maker, state):
            if _can_have(maker, known, wished, fails):
                state = wished
                break
        state = _shorter_member(maker, known, state, fails)
        state = _smaller_state(maker, known, state, fails)
        for name in known:
            _simplify(maker, known, name, state, fails)
        if before == (known, state):
            break
    return maker.complete(known), state


def _wishes(maker: Maker, state: State) -> list[State]:
    """States that are more like what the policy says."""
    first = first_state(maker.plan)
    params = [{**state.params, name: value} for name, value in first.params.items()]
    sets = [{**state.sets, name: value} for name, value in first.sets.items()]
    wished = [first, *(State(item, state.params) for item in sets)]
    wished += [State(state.sets, item) for item in params]
    return [item for item in wished if item != state]


def _can_have(maker: Maker, known: _Known, state: State, fails: _Fails) -> bool:
    """Whether it fails in that state, if need be with one attribute changed to suit."""
    changes: list[_Known] = [{}]
    changes += [{name: value} for name in known for value in maker.pools[name]]
    for change in changes:
        if fails(maker.complete({**known, **change}), state):
            known.update(change)
            return True
    return False


def _shorter_member(maker: Maker, known: _Known, state: State, fails: _Fails) -> State:
    """A shorter cgroup or name of a task, in the request and the sets that were changed for it."""
    first = first_state(maker.plan)
    for name in ("cgroup", "task.comm"):
        now = known.get(name)
        if not isinstance(now, (bytes, str)):
            continue
        for value in _simpler(maker, name, now):
            if not isinstance(value, (bytes, str)):
                continue
            renamed = {
                key: frozenset(value if member == now else member for member in members)
                if members != first.sets[key]
                else members
                for key, members in state.sets.items()
            }
            changed = State(renamed, state.params)
            if changed != state and fails(maker.complete({**known, name: value}), changed):
                known[name] = value
                state = changed
                break
    return state


def _smaller_state(maker: Maker, known: _Known, state: State, fails: _Fails) -> State:
    values, first = maker.complete(known), first_state(maker.plan)
    for name, members in first.sets.items():
        own = state.sets[name]
        fewer = (own - {member} for member in sorted(own, key=repr))
        for tried in (members, frozenset[bytes | str](), *fewer):
            changed = State({**state.sets, name: tried}, state.params)
            if own not in (members, tried) and fails(values, changed):
                state = changed
                break
    for item in maker.plan.params:
        now = state.params[item.name]
        options = maker.param_values(item)
        place = options.index(now) if now in options else len(options)
        for value in options[:place]:
            changed = State(state.sets, {**state.params, item.name: value})
            if fails(values, changed):
                state = changed
                break
    return state


def _simplify(maker: Maker, known: _Known, name: str, state: State, fails: _Fails) -> None:
    """Put the simplest value that fails too in the place of an attribute's."""

    def still_fails(value: n.ConstValue | None) -> bool:
        return fails(maker.complete({**known, name: value}), state)

    now = known[name]
    if now == maker.pools[name][0]:
        return
    for value in _simpler(maker, name, now):
        if still_fails(value):
            known[name] = value
            return
    if name == "orders" and isinstance(now, int):
        known[name] = _fewest(now, still_fails)
    elif type(now) is int:
        known[name] = _lowest(now, still_fails)


def _simpler(maker: Maker, name: str, now: n.ConstValue | None) -> Iterator[n.ConstValue | None]:
    """What to try in the place of a value, the simplest first."""
    pool = maker.pools[name]
    yield pool[0]
    rest = [value for value in pool[1:] if value is not None]
    if isinstance(now, (bytes, str)) and name in ("cgroup", "task.comm"):
        shorter = [value for value in rest if isinstance(value, type(now))]
        ordered = sorted(shorter, key=lambda value: (len(value), value))
        yield from ordered[: ordered.index(now) if now in ordered else None]
    elif type(now) is int and name != "orders":
        yield from sorted(value for value in rest if int(value) < now)
    elif now in rest:
        yield from rest[: rest.index(now)]


def _fewest(mask: int, fails: Callable[[n.ConstValue | None], bool]) -> int:
    """A request for as few of the orders as it takes."""
    for order in range(mask.bit_length()):
        without = mask & ~(1 << order)
        if without != mask and fails(without):
            mask = without
    return mask


def _lowest(high: int, fails: Callable[[n.ConstValue | None], bool]) -> int:
    """The lowest number down to which it fails; below it, it does not."""
    low = -1
    while high - low > 1:
        middle = (high + low) // 2
        if fails(middle):
            high = middle
        else:
            low = middle
    return high
