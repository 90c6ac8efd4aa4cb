"""What can be said of a condition without a request: always true, always false, or neither.

Each subject (an attribute, a parameter, any expression) has a domain: the values that it
can still have, if it is present at all, given what is known to hold. The analysis says
True or False only when that is certain, and None otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.paths import are_near, is_under
from policyc.plan.types import ORDERS, PERCENT, U64_MAX, Kind

__all__ = ["Truth"]


@dataclass(frozen=True, slots=True)
class _Interval:
    low: int
    high: int


_Domain: TypeAlias = "_Interval | frozenset[str]"

_Fact = TypeVar("_Fact")

_NEGATED = {
    n.CompareOperator.EQUAL: n.CompareOperator.NOT_EQUAL,
    n.CompareOperator.NOT_EQUAL: n.CompareOperator.EQUAL,
    n.CompareOperator.LESS: n.CompareOperator.GREATER_EQUAL,
    n.CompareOperator.LESS_EQUAL: n.CompareOperator.GREATER,
    n.CompareOperator.GREATER: n.CompareOperator.LESS_EQUAL,
    n.CompareOperator.GREATER_EQUAL: n.CompareOperator.LESS,
}
_SWAPPED = {
    n.CompareOperator.LESS: n.CompareOperator.GREATER,
    n.CompareOperator.LESS_EQUAL: n.CompareOperator.GREATER_EQUAL,
    n.CompareOperator.GREATER: n.CompareOperator.LESS,
    n.CompareOperator.GREATER_EQUAL: n.CompareOperator.LESS_EQUAL,
}


class Truth:
    """Facts that hold at a point of a block, and the conditions that follow from them.

    Facts are undone in the reverse order (`assuming`), so that a long list of rules costs
    time in proportion to its length.
    """

    _EMPTY = n.Const(ORDERS, 0)

    def __init__(
        self,
        params: Mapping[str, n.ParamDefinition],
        lets: Mapping[str, n.Expr],
        paths: Callable[[int], str],
    ) -> None:
        self._params = params
        self._lets = lets
        self._path = paths
        self._known: dict[int, bool] = {}
        self._domains: dict[int, _Domain] = {}
        self._present: dict[int, bool] = {}
        self._never_absent: dict[int, bool] = {}
        self._keys: dict[n.Expr, int] = {}
        self._keys_by_id: dict[int, tuple[n.Expr, int]] = {}
        self._above: list[str] = []
        self._undo: list[Callable[[], object]] = []

    def fresh(self) -> Truth:
        """The same tables without any facts."""
        return Truth(self._params, self._lets, self._path)

    def _key(self, expr: n.Expr) -> int:
        """The same number for equal expressions; each object is hashed once."""
        entry = self._keys_by_id.get(id(expr))
        if entry is None or entry[0] is not expr:
            entry = (expr, self._keys.setdefault(expr, len(self._keys)))
            self._keys_by_id[id(expr)] = entry
        return entry[1]

    # -- facts

    @contextmanager
    def assuming(self, *facts: tuple[n.Expr, bool]) -> Generator[None]:
        """Within the block the conditions are known to have these values."""
        mark = len(self._undo)
        try:
            for expr, holds in facts:
                self.assume(expr, holds)
            yield
        finally:
            while len(self._undo) > mark:
                self._undo.pop()()

    def assume(self, expr: n.Expr, holds: bool) -> None:  # noqa: C901 - one case for each node
        """From here on the condition is known to be true, or false."""
        expr = self._plain(expr)
        if self._known.get(self._key(expr)) is holds:
            return  # and so is what follows from it: lets that share lets stay linear
        self._learn(self._known, expr, holds)
        match expr:
            case n.And(items) if holds:
                for item in items:
                    self.assume(item, True)
            case n.Or(items) if not holds:
                for item in items:
                    self.assume(item, False)
            case n.Not(item):
                self.assume(item, not holds)
            case n.Compare():
                self._narrow(expr, holds)
            case n.InList(value, members) if holds and _is_enum(members):
                names = frozenset(str(member.value) for member in members)
                domain = self._domain(value)
                if isinstance(domain, frozenset):
                    self._learn(self._domains, self._plain(value), domain & names)
                self._learn(self._present, self._plain(value), True)
            case n.InList(value, members) if not holds and _is_enum(members):
                for member in members:
                    self._narrow(n.Compare(n.CompareOperator.EQUAL, value, member), False)
            case n.UnderPath(value, path) if holds:
                self._above.append(self._path(path))
                self._undo.append(self._above.pop)
                self._learn(self._present, value, True)
            case n.IsPath(value, _) | n.InSet(value, _) | n.UnderSet(value, _) if holds:
                self._learn(self._present, self._plain(value), True)
            case n.Has(value):
                self._learn(self._present, self._plain(value), holds)
            case _:
                pass

    def _learn(self, table: dict[int, _Fact], expr: n.Expr, value: _Fact) -> None:
        key = self._key(expr)
        if key in table:
            before = table[key]
            self._undo.append(lambda: table.__setitem__(key, before))
        else:
            self._undo.append(lambda: table.pop(key))
        table[key] = value

    def _narrow(self, compare: n.Compare, holds: bool) -> None:
        subject, operator, constant = self._oriented(compare)
        if subject is None or constant is None:
            return
        if holds:
            self._learn(self._present, subject, True)
        domain = self._domain(subject)
        if domain is None:
            return
        effective = operator if holds else _NEGATED[operator]
        if isinstance(domain, frozenset):
            value = frozenset({str(constant.value)})
            same = effective is n.CompareOperator.EQUAL
            self._learn(self._domains, subject, domain & value if same else domain - value)
            return
        self._learn(self._domains, subject, _narrowed(domain, effective, int(constant.value)))

    # -- questions

    def of(self, expr: n.Expr) -> bool | None:  # noqa: C901 - one case for each node
        """Whether the condition is certainly true or certainly false here."""
        expr = self._plain(expr)
        known = self._known.get(self._key(expr))
        if known is not None:
            return known
        match expr:
            case n.Const(_, value):
                return bool(value)
            case n.And(items):
                return self._all(items, True)
            case n.Or(items):
                result = self._all(items, False)
                return None if result is None else not result
            case n.Not(item):
                inner = self.of(item)
                return None if inner is None else not inner
            case n.Compare():
                return self._comparison(expr)
            case n.InList(value, members):
                return self._in_list(value, members)
            case n.Contains(inner, outer):
                return self._contains(self._plain(inner), self._plain(outer))
            case n.Overlaps(left, right):
                return False if self._EMPTY in (self._plain(left), self._plain(right)) else None
            case n.UnderPath(value, path):
                return self._under(value, self._path(path))
            case n.IsPath(_, path):
                return None if self._compatible(self._path(path)) else False
            case n.Has(value):
                return True if self._surely_present(value) else None
            case _:
                return None

    def first_constant(self, expr: n.Expr) -> tuple[n.Expr, bool] | None:
        """The innermost part of a condition that is constant where it stands, if any."""
        match expr:
            case n.And(items) | n.Or(items):
                wanted = isinstance(expr, n.And)
                known = self._known.get(self._key(expr))
                return (expr, known) if known is not None else self._constant_item(items, wanted)
            case n.Not(item):
                return self.first_constant(item)
            case _:
                return self._whole(expr)

    def _whole(self, expr: n.Expr) -> tuple[n.Expr, bool] | None:
        value = self.of(expr)
        return None if value is None else (expr, value)

    def _constant_item(self, items: tuple[n.Expr, ...], wanted: bool) -> tuple[n.Expr, bool] | None:
        with self.assuming():
            for item in items:
                found = self.first_constant(item)
                if found is not None:
                    return found
                self.assume(item, wanted)
        return None

    def _all(self, items: tuple[n.Expr, ...], wanted: bool) -> bool | None:
        """Whether every item has the wanted value, each given that those before it have."""
        certain = True
        with self.assuming():
            for item in items:
                value = self.of(item)
                if value is (not wanted):
                    return False
                certain = certain and value is wanted
                self.assume(item, wanted)
        return True if certain else None

    def _comparison(self, compare: n.Compare) -> bool | None:
        subject, operator, constant = self._oriented(compare)
        if constant is None:
            return None
        if subject is None:
            left = compare.left
            assert isinstance(left, n.Const)
            return _holds(operator, left.value, constant.value)
        domain = self._domain(subject)
        if domain is None:
            return None
        if isinstance(domain, frozenset):
            value = str(constant.value)
            same = (value in domain, len(domain) == 1 and value in domain)
            possible, certain = (
                same if operator is n.CompareOperator.EQUAL else (not same[1], not same[0])
            )
        else:
            narrowed = _narrowed(domain, operator, int(constant.value))
            possible, certain = (
                narrowed.low <= narrowed.high,
                _excludes(domain, _NEGATED[operator], int(constant.value)),
            )
        if not possible:
            return False
        return True if certain and self._surely_present(subject) else None

    def _in_list(self, value: n.Expr, members: tuple[n.Const, ...]) -> bool | None:
        domain = self._domain(value)
        if not isinstance(domain, frozenset):
            return None
        names = {str(member.value) for member in members}
        if not domain & names:
            return False
        return True if domain <= names and self._surely_present(value) else None

    def _contains(self, inner: n.Expr, outer: n.Expr) -> bool | None:
        if isinstance(inner, n.Const) and isinstance(outer, n.Const):
            return int(inner.value) & ~int(outer.value) == 0
        if isinstance(inner, n.Const) and inner.value == 0:
            return True
        return True if isinstance(outer, n.Const) and outer.value == n.ALL_ORDERS else None

    def _under(self, value: n.Expr, path: str) -> bool | None:
        if any(is_under(above, path) and are_near(above, path) for above in self._above):
            return True
        if path == "/" and self._present.get(self._key(self._plain(value))):
            return True
        return None if self._compatible(path) else False

    def _compatible(self, path: str) -> bool:
        """Whether a cgroup can be under this path and under all that it is known to be under."""
        return all(
            (is_under(path, a) or is_under(a, path)) and are_near(path, a) for a in self._above
        )

    # -- subjects

    def _plain(self, expr: n.Expr) -> n.Expr:
        while isinstance(expr, n.Local):
            expr = self._lets[expr.name]
        return expr

    def _oriented(
        self, compare: n.Compare
    ) -> tuple[n.Expr | None, n.CompareOperator, n.Const | None]:
        """Subject, operator and constant, swapped if need be; no subject if both are constant."""
        left, right = self._plain(compare.left), self._plain(compare.right)
        operator = compare.operator
        if isinstance(right, n.Const):
            return (None if isinstance(left, n.Const) else left), operator, right
        if isinstance(left, n.Const):
            return right, _SWAPPED.get(operator, operator), left
        return left, operator, None

    def _domain(self, subject: n.Expr) -> _Domain | None:
        subject = self._plain(subject)
        known = self._domains.get(self._key(subject))
        if known is not None:
            return known
        match subject:
            case n.Attribute(type, _) | n.Param(type, _) if type.kind is Kind.ENUM:
                return frozenset(member.name for member in enumerations()[type.enum].members)
            case n.Param(_, name):
                return _Interval(self._params[name].low, self._params[name].high)
            case n.Attribute(type, _) if type == PERCENT:
                return _Interval(0, 10_000)
            case n.Attribute(type, _) if type.kind in (Kind.INT, Kind.SIZE, Kind.DURATION):
                return _Interval(0, U64_MAX)
            case n.Arithmetic():
                return _Interval(0, U64_MAX)
            case n.Highest():
                return _Interval(1, U64_MAX)
            case _:
                return None

    def _surely_present(self, expr: n.Expr) -> bool:
        expr = self._plain(expr)
        return self._present.get(self._key(expr)) is True or self._is_never_absent(expr)

    def _is_never_absent(self, expr: n.Expr) -> bool:
        """Whether no request lacks the value, whatever else is known."""
        match self._plain(expr):
            case n.Attribute(_, name):
                return not attributes()[name].absent
            case n.Arithmetic(_, _, left, right) as arithmetic:
                key = self._key(arithmetic)
                if key not in self._never_absent:
                    both = self._is_never_absent(left) and self._is_never_absent(right)
                    self._never_absent[key] = both
                return self._never_absent[key]
            case n.Highest():
                return False
            case _:
                return True


def _is_enum(members: tuple[n.Const, ...]) -> bool:
    return members[0].type.kind is Kind.ENUM


def _narrowed(domain: _Interval, operator: n.CompareOperator, value: int) -> _Interval:
    """The part of an interval for which the comparison holds; low > high if none does."""
    low, high = domain.low, domain.high
    match operator:
        case n.CompareOperator.EQUAL:
            return _Interval(max(low, value), min(high, value))
        case n.CompareOperator.NOT_EQUAL:
            return _Interval(low + (low == value), high - (high == value))
        case n.CompareOperator.LESS:
            return _Interval(low, min(high, value - 1))
        case n.CompareOperator.LESS_EQUAL:
            return _Interval(low, min(high, value))
        case n.CompareOperator.GREATER:
            return _Interval(max(low, value + 1), high)
        case n.CompareOperator.GREATER_EQUAL:
            return _Interval(max(low, value), high)


def _excludes(domain: _Interval, operator: n.CompareOperator, value: int) -> bool:
    narrowed = _narrowed(domain, operator, value)
    return narrowed.low > narrowed.high


def _holds(operator: n.CompareOperator, left: n.ConstValue, right: n.ConstValue) -> bool:
    if operator is n.CompareOperator.EQUAL:
        return left == right
    if operator is n.CompareOperator.NOT_EQUAL:
        return left != right
    value = int(left)
    return not _excludes(_Interval(value, value), operator, int(right))
