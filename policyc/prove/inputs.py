"""Everything that an answer can depend on, as variables of the solver.

A request is the attributes that are asked for, each with a variable for its value and, where
it can be absent, one for its presence. What the kernel keeps true of requests is a constraint:
a percent is at most 100 %, the depth is that of the cgroup, and what is read from a cgroup is
absent where there is none. Nothing else is assumed.

A cgroup is known by its nearest ancestor among the paths that are named, whether it is that
path itself, and its depth. Whether it, or one above it, is in a set that can be edited is free.
The place of a cgroup in a rollout is a number below 10,000: the mix is a bijection of 64-bit
numbers, so each place has its ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.model import AttributeRow
from policyc.plan import nodes as n
from policyc.plan.cases import RESULT, RESULT_HOT_THRESHOLD
from policyc.plan.evaluate import State, Values, ancestors, cgroup_mix
from policyc.plan.operands import block_roots, reachable, rule_roots
from policyc.plan.paths import is_under
from policyc.plan.promises import first_state, hook_of
from policyc.plan.types import CGROUP, STRING, U64_MAX, Kind, Type
from policyc.prove import terms as t
from policyc.runtime.checks import COMM_BYTES

__all__ = ["PLACES", "Inputs", "Membership", "Term"]

#: A rollout is a share of so many places.
PLACES = 10_000


@dataclass(frozen=True, slots=True)
class Term:
    """A value that may be absent, as a term: a bool, a number, or a code for a name."""

    present: t.Bool
    value: t.Bool | t.Number


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the cgroup of the request is in a set, and whether it or one above it is."""

    itself: t.Bool
    under: t.Bool


class Inputs:
    """The variables of a request of one hook and of the state of some policies.

    Sets and parameters that all of the policies have are the same for them; others are as
    their policy declares them, and so is everything if the state is not `free`.
    """

    def __init__(self, plans: Sequence[n.Plan], hook: n.HookName, *, free: bool = True) -> None:
        self.plans = plans
        self.hook = hook
        self.constraints: list[t.Bool] = []
        parts = [part for plan in plans for part in _parts(plan, hook)]
        self._sets, self._params = _shared_sets(plans), _shared_params(plans)
        if not free:
            self._sets, self._params = {}, {}
        paths = {"/"}.union(*(plan.paths for plan in plans), *_members(plans, CGROUP))
        self.paths = sorted((str(path) for path in paths), key=_components)
        self._place_of_path = {path: index for index, path in enumerate(self.paths)}
        self.strings = _strings(parts, plans)
        self.cgroup = t.free_bool("has cgroup")
        self.at = t.free_number("cgroup at")
        self.exact = t.free_bool("cgroup exact")
        self.depth = t.free_number("cgroup.depth")
        self.place = t.free_number("rollout place")
        self.attributes: dict[str, Term] = {}
        self.params: dict[str, t.Bool | t.Number] = {}
        self.cgroup_sets: dict[str, Membership] = {}
        self.string_sets: dict[tuple[str, int | None], t.Bool] = {}
        self.has_rollout = any(
            block.rollout is not None for plan in plans for block in hook_of(plan, hook).blocks
        )
        self._constrain_cgroup()
        names = [part.name for part in parts if isinstance(part, n.Attribute)]
        if hook is n.HookName.THP:
            names.insert(0, "orders")
        for name in dict.fromkeys(names):
            if name not in (RESULT, RESULT_HOT_THRESHOLD):
                self.attribute(name)
        for item in self._params.values():
            self._make_param(item)

    def _constrain_cgroup(self) -> None:
        last = len(self.paths) - 1
        self.constraints += [t.number_is(self.at, 0, last), t.number_is(self.place, 0, PLACES - 1)]
        depths = [len(_components(path)) for path in self.paths]
        levels: t.Number = depths[0]
        for place, depth in enumerate(depths[1:], 1):
            # Paths next to each other are often as deep as each other.
            if depth != depths[place - 1]:
                levels = t.choose_number(t.at_most(place, self.at), depth, levels)
        self.constraints.append(
            t.choose_bool(self.exact, t.equal(self.depth, levels), t.below(levels, self.depth))
        )

    # -- the request

    @property
    def requested(self) -> t.Number:
        """The requested orders; 0 where there is no such thing."""
        return self.attribute("orders").value if self.hook is n.HookName.THP else 0

    def row(self, name: str) -> AttributeRow:
        """The declaration of an attribute."""
        return attributes()[name]

    def attribute(self, name: str) -> Term:
        """The value of an attribute."""
        if name not in self.attributes:
            self.attributes[name] = self._attribute(self.row(name))
        return self.attributes[name]

    def _attribute(self, row: AttributeRow) -> Term:
        if row.derived:
            left, right = (self.attribute(name) for name in row.derived)
            value = t.saturated(n.ArithmeticOperator.SUBTRACT, left.value, right.value)
            return Term(t.all_of((left.present, right.present)), value)
        if row.name == "cgroup":
            return Term(self.cgroup, 0)
        if row.name == "cgroup.depth":
            return Term(self.cgroup, self.depth)
        present = t.free_bool(f"has {row.name}") if row.absent else True
        if row.root == "cgroup":
            self.constraints.append(t.implies(present, self.cgroup))
        if row.type.kind is Kind.BOOL:
            return Term(present, t.free_bool(row.name))
        value = t.free_number(row.name)
        self.constraints.append(t.number_is(value, 0, self._top(row)))
        if row.type == STRING:
            self.constraints += [
                t.negation(t.equal(value, code))
                for code, text in enumerate(self.strings)
                if len(text) > COMM_BYTES or b"\0" in text
            ]
        return Term(present, value)

    def _top(self, row: AttributeRow) -> int:
        match row.type.kind:
            case Kind.PERCENT:
                return PLACES
            case Kind.ENUM:
                return len(enumerations()[row.type.enum].members) - 1
            case Kind.STRING:
                return len(self.strings)
            case _:
                return U64_MAX

    def string_code(self, text: bytes) -> int:
        """The code of a name that a policy mentions."""
        return self.strings.index(text)

    def is_path(self, path: str) -> t.Bool:
        """Whether the cgroup is a named path."""
        return t.all_of((self.cgroup, self.exact, t.equal(self.at, self._place_of_path[path])))

    def under(self, path: str) -> t.Bool:
        """Whether the cgroup or an ancestor that is near enough is a named path."""
        first = last = self._place_of_path[path]
        while last + 1 < len(self.paths) and is_under(self.paths[last + 1], path):
            last += 1
        deepest = len(_components(path)) + n.MAX_CGROUP_LEVELS - 1
        return t.all_of(
            (self.cgroup, t.number_is(self.at, first, last), t.at_most(self.depth, deepest))
        )

    # -- the state

    def param(self, plan: n.Plan, name: str) -> t.Bool | t.Number:
        """The value of a parameter of one of the policies."""
        if name in self._params:
            return self.params[name]
        definition = next(item for item in plan.params if item.name == name)
        default = definition.default
        return bool(default) if definition.type.kind is Kind.BOOL else default

    def _make_param(self, item: n.ParamDefinition) -> None:
        if item.type.kind is Kind.BOOL:
            self.params[item.name] = t.free_bool(f"param {item.name}")
            return
        value = t.free_number(f"param {item.name}")
        self.constraints.append(t.number_is(value, item.low, item.high))
        self.params[item.name] = value

    def membership(self, plan: n.Plan, name: str) -> Membership:
        """Where the cgroup stands to a set of one of the policies."""
        if name not in self._sets:
            definition = next(item for item in plan.sets if item.name == name)
            return self.declared_membership(definition)
        if name not in self.cgroup_sets:
            itself = t.free_bool(f"cgroup in {name}")
            under = t.free_bool(f"cgroup under {name}")
            root = t.all_of((self.exact, t.equal(self.at, 0)))
            self.constraints += [
                t.implies(itself, under),
                t.implies(t.all_of((under, root)), itself),
                t.implies(under, self.cgroup),
            ]
            self.cgroup_sets[name] = Membership(itself, under)
        return self.cgroup_sets[name]

    def declared_membership(self, definition: n.SetDefinition) -> Membership:
        """Where the cgroup stands to a set as it is declared."""
        members = sorted(str(member) for member in definition.members)
        return Membership(
            t.any_of(self.is_path(path) for path in members),
            t.any_of(self.under(path) for path in members),
        )

    def has_string(self, plan: n.Plan, name: str, code: t.Number) -> t.Bool:
        """Whether a name, given by its code, is in a set of one of the policies."""
        if name not in self._sets:
            definition = next(item for item in plan.sets if item.name == name)
            return self.declared_string(definition, code)
        key = (name, code if isinstance(code, int) else None)
        if key not in self.string_sets:
            made = t.free_bool(f"{code} in {name}")
            for (other, known), fact in self.string_sets.items():
                if other == name and (known is None or key[1] is None):
                    literal = known if key[1] is None else key[1]
                    comm = self.attribute("task.comm").value
                    self.constraints.append(t.implies(t.equal(comm, literal), t.same(made, fact)))
            self.string_sets[key] = made
        return self.string_sets[key]

    def declared_string(self, definition: n.SetDefinition, code: t.Number) -> t.Bool:
        """Whether a name is in a set as it is declared."""
        codes = sorted(self.string_code(m) for m in definition.members if isinstance(m, bytes))
        return t.any_of(t.equal(code, item) for item in codes)

    @property
    def shared_sets(self) -> dict[str, n.SetDefinition]:
        """The sets whose members are free, as the last policy declares them."""
        return self._sets

    @property
    def shared_params(self) -> dict[str, n.ParamDefinition]:
        """The parameters that are free, with the range that all of the policies allow."""
        return self._params

    def state_of(self, plan: n.Plan, shared: State) -> State:
        """The state of one policy in which what is shared has these values."""
        first = first_state(plan)
        sets = {name: shared.sets.get(name, members) for name, members in first.sets.items()}
        params = {name: shared.params.get(name, value) for name, value in first.params.items()}
        return State(sets, params)

    # -- from a request to variables

    def assignment(self, values: Values, state: State) -> list[tuple[t.Bool | t.Number, int]]:
        """The variables with the values that they have for a request in a state."""
        found: list[tuple[t.Bool | t.Number, int]] = []
        cgroup, cgroup_id = values.get("cgroup"), values.get("cgroup.id")
        found.append((self.cgroup, cgroup is not None))
        if cgroup is not None:
            components = _components(str(cgroup))
            at = next(p for p in _prefixes(str(cgroup)) if p in self._place_of_path)
            found += [(self.at, self._place_of_path[at]), (self.exact, at == cgroup)]
            found.append((self.depth, len(components)))
        else:
            found += [(self.at, 0), (self.exact, True), (self.depth, 0)]
        place = 0 if cgroup_id is None else cgroup_mix(int(cgroup_id)) % PLACES
        found.append((self.place, place))
        for name, made in self.attributes.items():
            row = self.row(name)
            if row.derived or name in ("cgroup", "cgroup.depth"):
                continue
            value = values.get(name)
            if made.present is not True:
                found.append((made.present, value is not None))
            if value is not None:
                found.append((made.value, self._code(row, value)))
        found += [(self.params[name], state.params[name]) for name in self.params]
        return found + self._set_assignment(values, state)

    def _code(self, row: AttributeRow, value: n.ConstValue) -> int:
        if isinstance(value, bytes):
            return self.strings.index(value) if value in self.strings else len(self.strings)
        if isinstance(value, str):
            names = [member.name for member in enumerations()[row.type.enum].members]
            return names.index(value)
        return int(value)

    def _set_assignment(self, values: Values, state: State) -> list[tuple[t.Bool | t.Number, int]]:
        found: list[tuple[t.Bool | t.Number, int]] = []
        cgroup = values.get("cgroup")
        for name, facts in self.cgroup_sets.items():
            members = state.sets[name]
            under = cgroup is not None and any(p in members for p in ancestors(str(cgroup)))
            found += [(facts.itself, cgroup in members), (facts.under, under)]
        for (name, code), fact in self.string_sets.items():
            text = values.get("task.comm") if code is None else self.strings[code]
            found.append((fact, text in state.sets[name]))
        return found


# -- the vocabulary


def _components(path: str) -> list[str]:
    return path.split("/")[1:] if path != "/" else []


def _prefixes(path: str) -> Iterable[str]:
    """The path and all that are above it, near or not, innermost first."""
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield "/"


def _parts(plan: n.Plan, hook: n.HookName) -> list[n.Expr]:
    """Every expression that the answers and the properties of a hook are made of."""
    roots: list[n.Expr] = []
    for block in hook_of(plan, hook).blocks:
        roots += block_roots(block)
        for rule in block.rules:
            roots += rule_roots(rule)
    roots += [promise.condition for promise in plan.properties if promise.hook is hook]
    return list(reachable(plan, roots))


def _members(plans: Sequence[n.Plan], type: Type) -> list[tuple[bytes | str, ...]]:
    return [item.members for plan in plans for item in plan.sets if item.type == type]


def _strings(parts: Iterable[n.Expr], plans: Sequence[n.Plan]) -> list[bytes]:
    found: set[bytes] = set()
    for part in parts:
        if isinstance(part, n.Const) and isinstance(part.value, bytes):
            found.add(part.value)
    for members in _members(plans, STRING):
        found.update(member for member in members if isinstance(member, bytes))
    return sorted(found)


def _shared_sets(plans: Sequence[n.Plan]) -> dict[str, n.SetDefinition]:
    first, *others = ({item.name: item for item in plan.sets} for plan in plans)
    shared = dict(first)
    for other in others:
        shared = {
            name: other[name]
            for name, item in shared.items()
            if name in other and other[name].type == item.type
        }
    return shared


def _shared_params(plans: Sequence[n.Plan]) -> dict[str, n.ParamDefinition]:
    """Parameters of the same type; the range is what is allowed to all of them."""
    first, *others = ({item.name: item for item in plan.params} for plan in plans)
    shared = dict(first)
    for other in others:
        shared = {
            name: _narrowed(other[name], item)
            for name, item in shared.items()
            if name in other and other[name].type == item.type
        }
        shared = {name: item for name, item in shared.items() if item.low <= item.high}
    return shared


def _narrowed(item: n.ParamDefinition, other: n.ParamDefinition) -> n.ParamDefinition:
    low, high = max(item.low, other.low), min(item.high, other.high)
    default = min(max(item.default, low), high)
    return n.ParamDefinition(item.name, item.type, default, low, high, item.line)
