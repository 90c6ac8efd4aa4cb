"""From an example of the solver to a request in a state, as small as it can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policyc.hooks.loader import enumerations
from policyc.plan import nodes as n
from policyc.plan.evaluate import Outcome, State, Values, ancestors, cgroup_mix, evaluate
from policyc.plan.operands import reachable
from policyc.plan.promises import first_state, hook_of
from policyc.plan.types import CGROUP, STRING, U64_MAX, Kind
from policyc.prove import terms as t
from policyc.prove.inputs import PLACES, Inputs
from policyc.prove.questions import Questions, Wish
from policyc.runtime.requests import NumaRequest, ThpRequest

__all__ = ["DEEPEST", "Witness", "every_order", "replayed", "request_of", "wishes", "witness"]

_REQUESTS: dict[n.HookName, type[ThpRequest | NumaRequest]] = {
    n.HookName.THP: ThpRequest,
    n.HookName.NUMA: NumaRequest,
}

#: A cgroup that is deeper is not shown: nobody could read its path.
DEEPEST = 1000

#: Ids of cgroups are looked for up to here; behind it the mix is turned around.
_IDS = 300_000

_U64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Witness:
    """A request in a state; `stated` are the attributes that are not as they are by default.

    `values` has every attribute of the hook. `state` has what is shared by the policies.
    """

    hook: n.HookName
    values: Values
    state: State
    stated: tuple[str, ...]


def every_order(target: n.Target) -> int:
    """What a request for `all` asks for: the orders of large anonymous folios."""
    return ((2 << target.pmd_order) - 1) & ~0b11


def replayed(plan: n.Plan, found: Witness, inputs: Inputs) -> Outcome:
    """The reference evaluator's answer to it."""
    state = inputs.state_of(plan, found.state)
    return evaluate(plan, hook_of(plan, found.hook), found.values, state)


def request_of(found: Witness) -> ThpRequest | NumaRequest:
    """The request as policies in memory take it."""
    return _REQUESTS[found.hook].from_values(found.values)


# -- what a small example is like


def wishes(inputs: Inputs) -> Iterator[Wish]:
    """The first state, then defaults and absence, then small numbers."""
    for name, item in inputs.shared_params.items():
        yield _param_wish(inputs, name, item)
    for definition in inputs.shared_sets.values():
        yield from _set_wishes(inputs, definition)
    defaults = _defaults(inputs)
    near = _near(inputs)
    if inputs.hook is n.HookName.THP:
        yield _orders_wish(inputs)
    for name in inputs.attributes:
        if name not in ("orders", "cgroup", "cgroup.depth", "memory.free"):
            yield _attribute_wish(inputs, name, defaults.get(name), near)
    yield Wish(
        t.negation(inputs.cgroup),
        (Wish(inputs.exact), Wish(number=inputs.depth), Wish(number=inputs.at)),
    )
    if inputs.has_rollout:
        yield Wish(number=inputs.place)


def _param_wish(inputs: Inputs, name: str, item: n.ParamDefinition) -> Wish:
    value = inputs.params[name]
    if item.type.kind is Kind.BOOL:
        return Wish(t.same(value, bool(item.default)))
    return Wish(t.equal(value, item.default), (Wish(number=value),))


def _set_wishes(inputs: Inputs, definition: n.SetDefinition) -> Iterator[Wish]:
    name = definition.name
    if definition.type == CGROUP and name in inputs.cgroup_sets:
        declared, facts = inputs.declared_membership(definition), inputs.cgroup_sets[name]
        yield Wish(
            t.all_of((t.same(facts.itself, declared.itself), t.same(facts.under, declared.under)))
        )
    for (owner, code), fact in inputs.string_sets.items():
        if owner == name and definition.type == STRING:
            text = inputs.attribute("task.comm").value if code is None else code
            yield Wish(t.same(fact, inputs.declared_string(definition, text)))


def _orders_wish(inputs: Inputs) -> Wish:
    """All orders, or few, of those that a request of a policy's words can have."""
    target = inputs.plans[-1].target
    usual = every_order(target)
    orders = inputs.requested
    usual_only = t.equal(t.except_for(orders, usual | 1), 0)
    few = [Wish(t.negation(t.bit(orders, order))) for order in reversed(range(64))]
    return Wish(t.equal(orders, usual), (Wish(usual_only), *few))


def _attribute_wish(
    inputs: Inputs, name: str, default: n.ConstValue | None, near: tuple[int, ...]
) -> Wish:
    made = inputs.attributes[name]
    if made.present is not True:
        return Wish(t.negation(made.present), (Wish(number=made.value, near=near),))
    if isinstance(default, bool):
        return Wish(t.same(made.value, default))
    if isinstance(default, str):
        kind = inputs.row(name).type
        default = [m.name for m in enumerations()[kind.enum].members].index(default)
    wanted = t.equal(made.value, int(default or 0))
    return Wish(wanted, (Wish(number=made.value, near=near),))


def _defaults(inputs: Inputs) -> Values:
    request = _REQUESTS[inputs.hook]
    return request.from_values({"orders": 0} if inputs.hook is n.HookName.THP else {}).values()


def _near(inputs: Inputs) -> tuple[int, ...]:
    """The numbers that the policies name, and their neighbours."""
    found: set[int] = set()
    for plan in inputs.plans:
        roots = [rule.condition for rule in plan.rules if rule.condition is not None]
        roots += [promise.condition for promise in plan.properties]
        for expr in reachable(plan, roots):
            if isinstance(expr, n.Const) and type(expr.value) is int:
                found.update((expr.value - 1, expr.value, expr.value + 1))
    return tuple(sorted(value for value in found if 0 <= value <= U64_MAX))


# -- the example as values


def witness(inputs: Inputs, questions: Questions) -> Witness | None:
    """The request and the state of the solver's last example, None if it cannot be written out."""
    value = questions.value
    values: dict[str, n.ConstValue | None] = {}
    for name, made in inputs.attributes.items():
        row = inputs.row(name)
        if row.derived or name in ("cgroup", "cgroup.depth"):
            continue
        present = made.present is True or value(made.present)
        values[name] = _decoded(inputs, name, value(made.value)) if present else None
    state = _params(inputs, questions)
    if value(inputs.cgroup):
        path = _path(inputs, value(inputs.at), bool(value(inputs.exact)), value(inputs.depth))
        if path is None:
            return None
        values["cgroup"] = path
        values["cgroup.depth"] = 0 if path == "/" else path.count("/")
    sets = {
        name: _edited(inputs, questions, definition, values)
        for name, definition in inputs.shared_sets.items()
    }
    if _is_rolled_out(inputs, values.get("cgroup")):
        values["cgroup.id"] = _cgroup_id(value(inputs.place), _edges(inputs, state))
    complete = _REQUESTS[inputs.hook].from_values(values).values()
    return Witness(inputs.hook, complete, State(sets, state), _stated(inputs, complete))


def _is_rolled_out(inputs: Inputs, cgroup: n.ConstValue | None) -> bool:
    """Whether a rollout is about the cgroup, so that its id matters."""
    return isinstance(cgroup, str) and any(
        block.rollout is not None
        and (block.scope is None or plan.paths[block.scope] in ancestors(cgroup))
        for plan in inputs.plans
        for block in hook_of(plan, inputs.hook).blocks
    )


def _stated(inputs: Inputs, values: Values) -> tuple[str, ...]:
    """What has to be said of the request; the rest is as it is when nothing is said."""
    usual = {**_defaults(inputs), "orders": every_order(inputs.plans[-1].target)}
    follow = ("cgroup.depth", "memory.free")
    return tuple(
        name for name, value in values.items() if value != usual.get(name) and name not in follow
    )


def _decoded(inputs: Inputs, name: str, code: int) -> n.ConstValue:
    kind = inputs.row(name).type
    match kind.kind:
        case Kind.BOOL:
            return bool(code)
        case Kind.ENUM:
            return enumerations()[kind.enum].members[code].name
        case Kind.STRING:
            return inputs.strings[code] if code < len(inputs.strings) else _other(inputs.strings)
        case _:
            return code


def _other(known: Sequence[bytes]) -> bytes:
    """A name that no policy mentions."""
    names = (b"other" + (b"-%d" % number if number else b"") for number in range(len(known) + 1))
    return next(name for name in names if name not in known)


def _path(inputs: Inputs, at: int, exact: bool, depth: int) -> str | None:
    path = inputs.paths[at]
    if exact:
        return path
    if depth > DEEPEST:
        return None
    taken = {other.rpartition("/")[2] for other in inputs.paths}
    names = (f"other-{number}" if number else "other" for number in range(len(taken) + 1))
    step = next(name for name in names if name not in taken)
    start = "" if path == "/" else path
    return start + f"/{step}" * (depth - start.count("/"))


def _params(inputs: Inputs, questions: Questions) -> dict[str, int]:
    return {name: questions.value(term) for name, term in inputs.params.items()}


def _edited(
    inputs: Inputs,
    questions: Questions,
    definition: n.SetDefinition,
    values: dict[str, n.ConstValue | None],
) -> frozenset[bytes | str]:
    """The declared members, with as few changes as the example needs."""
    members: set[bytes | str] = set(definition.members)
    for (owner, code), fact in inputs.string_sets.items():
        text = values.get("task.comm") if code is None else inputs.strings[code]
        if owner == definition.name and isinstance(text, bytes):
            (members.add if questions.value(fact) else members.discard)(text)
    cgroup, facts = values.get("cgroup"), inputs.cgroup_sets.get(definition.name)
    if facts is None or not isinstance(cgroup, str):
        return frozenset(members)
    (members.add if questions.value(facts.itself) else members.discard)(cgroup)
    above = ancestors(cgroup)
    if not questions.value(facts.under):
        members.difference_update(above)
    elif not members.intersection(above):
        members.add(above[1])
    return frozenset(members)


def _edges(inputs: Inputs, params: dict[str, int]) -> list[int]:
    """The places where a rollout ends, of any block."""
    edges = {0, PLACES}
    for plan in inputs.plans:
        known = {**first_state(plan).params, **params}
        for block in hook_of(plan, inputs.hook).blocks:
            match block.rollout:
                case n.Const(_, value):
                    edges.add(int(value))
                case n.Param(_, name):
                    edges.add(known[name])
                case _:
                    pass
    return sorted(edges)


def _cgroup_id(place: int, edges: Sequence[int]) -> int:
    """An id that is in the same rollouts as the place."""
    low = max(edge for edge in edges if edge <= place)
    high = min(edge for edge in edges if edge > place)
    for number in range(2, _IDS):
        if low <= cgroup_mix(number) % PLACES < high:
            return number
    return _unmixed(place)


def _unmixed(mixed: int) -> int:
    """The id whose mix is this number: every step of the mix can be turned around."""
    mixed = _unshifted(mixed, 31)
    mixed = _unshifted(mixed * pow(0x94D049BB133111EB, -1, _U64) % _U64, 27)
    mixed = _unshifted(mixed * pow(0xBF58476D1CE4E5B9, -1, _U64) % _U64, 30)
    return (mixed - 0x9E3779B97F4A7C15) % _U64


def _unshifted(mixed: int, shift: int) -> int:
    """The number x for which x ^ (x >> shift) is this one."""
    found = mixed
    for _ in range(64 // shift):
        found = mixed ^ (found >> shift)
    return found
