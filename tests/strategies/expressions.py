"""Random expressions that are well typed by construction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.types import (
    BOOL,
    CGROUP,
    DURATION,
    INT,
    NUMERIC,
    ORDERS,
    PERCENT,
    SIZE,
    STRING,
    Kind,
    Type,
)
from policyc.syntax import tree as t
from tests.strategies import trees as make
from tests.strategies.choices import Choices
from tests.strategies.pools import COMMS, NUMBERS, PATHS, order_numbers

__all__ = ["LET_TYPES", "Declared", "Expressions", "Made", "Scope"]

#: What a let can be of.
LET_TYPES = (BOOL, SIZE, INT, ORDERS, DURATION, PERCENT, CGROUP, STRING)

_PLAIN_ATTRIBUTES = {
    hook: tuple(row for row in attributes().values() if hook in row.hooks)
    for hook in ("thp", "numa")
}
#: The 36 pressure averages would crowd out the other attributes.
_PRESSURES = frozenset(
    {
        "cgroup.psi.memory.full.avg10",
        "cgroup.psi.cpu.some.avg300",
        "psi.memory.some.avg60",
        "psi.io.full.avg10",
    }
)


@dataclass(frozen=True, slots=True)
class Made:
    """An expression; `const` is its value where the checker will fold it.

    For anything but a number it only says that it is folded. `adapts` says that its type is
    taken from the other operand, as with `64K`, which is a size or an order.
    """

    node: t.Expr
    const: int | None = None
    adapts: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """A let or a parameter that expressions can use; `present` if `has` of it is refused."""

    name: str
    type: Type
    hooks: frozenset[str] = frozenset({"thp", "numa"})
    const: int | None = None
    present: bool = False


@dataclass(slots=True)
class Scope:
    """What has been declared so far."""

    params: list[Declared] = field(default_factory=list[Declared])
    lets: list[Declared] = field(default_factory=list[Declared])
    sets: list[tuple[str, Type]] = field(default_factory=list[tuple[str, Type]])


class Expressions:
    """Makes expressions that mean something in every one of some hooks."""

    def __init__(
        self, choices: Choices, scope: Scope, target: n.Target, hooks: frozenset[str]
    ) -> None:
        self.choices = choices
        self.scope = scope
        self.target = target
        self.hooks = hooks
        first, *others = [_PLAIN_ATTRIBUTES[hook] for hook in sorted(hooks)]
        self._rows = [
            row
            for row in first
            if all(row in other for other in others)
            and ("psi." not in row.name or row.name in _PRESSURES)
        ]

    # -- names

    def _attribute_names(self, type: Type) -> list[str]:
        return [row.name for row in self._rows if row.type == type]

    def _lets(self, type: Type) -> list[Declared]:
        return [let for let in self.scope.lets if let.type == type and self.hooks <= let.hooks]

    def _named(self, type: Type) -> list[Made]:
        """Attributes twice, so that requests matter more than constants; params; lets."""
        found = [Made(make.name_expr(text)) for text in self._attribute_names(type)] * 2
        found += [
            Made(make.name_expr(item.name)) for item in self.scope.params if item.type == type
        ]
        found += [Made(make.name_expr(let.name), let.const) for let in self._lets(type)]
        return found

    # -- numbers

    def number(self, type: Type, fuel: int) -> Made:
        """An int, size, duration or percent."""
        if fuel > 0 and type != PERCENT and self.choices.chance(40):
            return self._compound(type, fuel - 1)
        named = self._named(type)
        if named and self.choices.chance(65):
            return self.choices.pick(named)
        return self.number_literal(type)

    def number_literal(self, type: Type) -> Made:
        value = self.choices.pick(NUMBERS[type])
        match type.kind:
            case Kind.INT:
                return Made(make.integer(value), value)
            case Kind.SIZE:
                return Made(t.SizeLiteral(value, make.SPAN), value, adapts=True)
            case Kind.DURATION:
                return Made(t.DurationLiteral(value, make.SPAN), value)
            case _:
                return Made(t.PercentLiteral(value, make.SPAN), value)

    def _compound(self, type: Type, fuel: int) -> Made:
        if type == SIZE and self.choices.chance(25):
            return Made(make.highest(self.orders(fuel).node))
        forms: list[tuple[str, Type, Type]] = [(op, type, type) for op in "+-%"]
        if type == INT:
            forms += [(op, INT, INT) for op in "*/"] + [
                ("/", SIZE, SIZE),
                ("/", DURATION, DURATION),
            ]
        else:
            forms += [("*", type, INT), ("*", INT, type), ("/", type, INT)]
        operator, left_type, right_type = self.choices.pick(forms)
        left = self.number(left_type, fuel)
        if left_type == right_type == SIZE and not left.adapts and self.choices.chance(15):
            right = self._order_as_size()
        else:
            right = self.number(right_type, fuel)
        if operator in "/%" and right.const == 0:
            right = Made(make.integer(3), 3) if right_type == INT else self._one(right_type)
        return self._arithmetic(operator, left, right)

    def _one(self, type: Type) -> Made:
        node = t.SizeLiteral if type == SIZE else t.DurationLiteral
        return Made(node(1, make.SPAN), 1, adapts=type == SIZE)

    def _arithmetic(self, operator: str, left: Made, right: Made) -> Made:
        const = None
        if left.const is not None and right.const is not None:
            const = saturating(n.ArithmeticOperator(operator), left.const, right.const)
        node = make.binary(operator, left.node, right.node)
        return Made(node, const, left.adapts and right.adapts)

    def _order_as_size(self) -> Made:
        """`pmd` or `order N`, which are sizes next to a size."""
        if self.choices.chance(50):
            return Made(make.name_expr("pmd"), self.target.pmd_size)
        order = self.choices.pick(order_numbers(self.target))
        return Made(t.OrderLiteral(order, make.SPAN), self.target.page_size << order)

    # -- order sets

    def orders(self, fuel: int) -> Made:
        """An order set, where one is expected."""
        if fuel > 0 and self.choices.chance(40):
            operator = self.choices.pick("|-")
            left, right = self.orders(fuel - 1), self.orders(fuel - 1)
            return self._set_operation(operator, left, right)
        named = self._named(ORDERS)
        if named and self.choices.chance(40):
            return self.choices.pick(named)
        return self._constant_orders()

    def _set_operation(self, operator: str, left: Made, right: Made) -> Made:
        folded = None if left.const is None or right.const is None else 1
        node = make.binary(operator, left.node, right.node)
        return Made(node, folded, left.adapts and right.adapts)

    def _constant_orders(self) -> Made:
        match self.choices.below(5):
            case 0:
                return Made(make.name_expr("pmd"), 1, adapts=True)
            case 1:
                return Made(make.name_expr(self.choices.pick(("all", "none"))), 1, adapts=True)
            case 2:
                return Made(self._order_node(), 1, adapts=True)
            case _:
                return self._range()

    def _order_node(self) -> t.Expr:
        order = self.choices.pick(order_numbers(self.target))
        if self.choices.chance(30):
            return t.OrderLiteral(order, make.SPAN)
        return t.SizeLiteral(self.target.page_size << order, make.SPAN)

    def _range(self) -> Made:
        numbers = order_numbers(self.target)
        low = self.choices.below(len(numbers))
        high = low + self.choices.below(len(numbers) - low)
        ends = (self._end(numbers[low]), self._end(numbers[high]))
        match self.choices.below(4):
            case 0:
                return Made(t.RangeExpr(ends[0], None, make.SPAN), 1)
            case 1:
                return Made(t.RangeExpr(None, ends[1], make.SPAN), 1)
            case _:
                return Made(t.RangeExpr(*ends, make.SPAN), 1)

    def _end(self, order: int) -> t.Expr:
        if order == self.target.pmd_order and self.choices.chance(50):
            return make.name_expr("pmd")
        if self.choices.chance(20):
            return t.OrderLiteral(order, make.SPAN)
        return t.SizeLiteral(self.target.page_size << order, make.SPAN)

    def _fixed_orders(self, fuel: int) -> Made:
        """An order set that is one without its surroundings."""
        made = self.orders(fuel)
        return self._set_operation("|", made, self._range()) if made.adapts else made

    # -- conditions

    def condition(self, fuel: int) -> Made:
        """A bool."""
        if fuel > 0 and self.choices.chance(45):
            match self.choices.below(4):
                case 0:
                    return Made(make.negation(self.condition(fuel - 1).node))
                case 1:
                    return Made(make.logical("or", self._conditions(fuel - 1)))
                case _:
                    return Made(make.logical("and", self._conditions(fuel - 1)))
        return self._test(fuel)

    def _conditions(self, fuel: int) -> tuple[t.Expr, ...]:
        count = 2 + self.choices.below(2)
        return tuple(self.condition(fuel).node for _ in range(count))

    def _test(self, fuel: int) -> Made:
        forms: Sequence[Callable[[int], Made]] = (
            self._flag,
            self._compare_numbers,
            self._compare_numbers,
            self._cgroup_test,
            self._cgroup_test,
            self._comm_test,
            self._has,
            self._enum_test,
            self._order_test if "orders" in self._attribute_names(ORDERS) else self._comm_test,
            self._compare_bools,
            self._number_list,
        )
        return self.choices.pick(forms)(fuel)

    def _flag(self, _: int) -> Made:
        named = self._named(BOOL)
        if named and self.choices.chance(95):
            return self.choices.pick(named)
        return Made(make.name_expr(self.choices.pick(("true", "false"))), 1)

    def _compare_numbers(self, fuel: int) -> Made:
        types = [wanted for wanted in (SIZE, INT, PERCENT, DURATION) if self._named(wanted)]
        wanted = self.choices.pick(types)
        left = self.number(wanted, fuel)
        if left.const is not None:
            left = self.choices.pick(self._named(wanted))
        if wanted == SIZE and self.choices.chance(20):
            right = self._order_as_size()
        elif self.choices.chance(50):
            right = self.number_literal(wanted)
        else:
            right = self.number(wanted, fuel)
        if self.choices.chance(20):
            left, right = right, left
        operator = self.choices.pick(("==", "!=", "<", "<=", ">", ">=", "is"))
        return Made(make.comparison(operator, left.node, right.node))

    def _number_list(self, fuel: int) -> Made:
        types = [wanted for wanted in (INT, SIZE, PERCENT) if self._attribute_names(wanted)]
        wanted = self.choices.pick(types)
        left = self.number(wanted, fuel)
        if left.const is not None:
            left = Made(make.name_expr(self._attribute_names(wanted)[0]))
        items = [self.number_literal(wanted).node for _ in range(1 + self.choices.below(4))]
        if wanted == SIZE and self.choices.chance(30):
            items.append(make.name_expr("pmd"))
        return Made(make.comparison("in", left.node, t.ListExpr(tuple(items), make.SPAN)))

    def _cgroup(self) -> t.Expr:
        return self.choices.pick(self._named(CGROUP)).node

    def _path(self) -> t.StringLiteral:
        return make.string(self.choices.pick(PATHS))

    def _paths(self) -> t.Expr:
        count = 1 + self.choices.below(3)
        return t.ListExpr(tuple(self._path() for _ in range(count)), make.SPAN)

    def _cgroup_test(self, _: int) -> Made:
        sets = [text for text, found in self.scope.sets if found == CGROUP]
        if sets and self.choices.chance(40):
            operator = self.choices.pick(("under", "in"))
            name = make.name_expr(self.choices.pick(sets))
            return Made(make.comparison(operator, self._cgroup(), name))
        match self.choices.below(5):
            case 0:
                return Made(make.comparison("in", self._cgroup(), self._paths()))
            case 1:
                return Made(make.comparison("under", self._cgroup(), self._paths()))
            case 2:
                pair = [self._cgroup(), self._path()]
                if self.choices.chance(30):
                    pair.reverse()
                return Made(make.comparison(self.choices.pick(("==", "is", "!=")), *pair))
            case _:
                return Made(make.comparison("under", self._cgroup(), self._path()))

    def _comm_test(self, _: int) -> Made:
        comm = make.name_expr("task.comm")
        sets = [text for text, found in self.scope.sets if found == STRING]
        if sets and self.choices.chance(40):
            return Made(make.comparison("in", comm, make.name_expr(self.choices.pick(sets))))
        if self.choices.chance(30):
            names = self.choices.some(COMMS, 1, 4)
            items = t.ListExpr(tuple(make.string(item) for item in names), make.SPAN)
            return Made(make.comparison("in", comm, items))
        lets = self._lets(STRING)
        if lets and self.choices.chance(30):
            right = make.name_expr(self.choices.pick(lets).name)
        else:
            right = make.string(self.choices.pick(COMMS))
        pair = [comm, right]
        if self.choices.chance(20):
            pair.reverse()
        return Made(make.comparison(self.choices.pick(("==", "!=", "is")), *pair))

    def _has(self, _: int) -> Made:
        names = [row.name for row in self._rows]
        names += [
            let.name for let in self.scope.lets if not let.present and self.hooks <= let.hooks
        ] * 3
        return Made(make.has(self.choices.pick(names)))

    def _asked_orders(self, fuel: int) -> Made:
        """An order set that depends on the request, mostly."""
        if self.choices.chance(70):
            asked = Made(make.name_expr("orders"))
            if fuel == 0 or self.choices.chance(60):
                return asked
            return self._set_operation(self.choices.pick("-|"), asked, self.orders(fuel - 1))
        return self.orders(fuel)

    def _order_test(self, fuel: int) -> Made:
        match self.choices.below(5):
            case 0:
                left, right = self.orders(fuel).node, self._asked_orders(fuel).node
                return Made(make.comparison("overlaps", left, right))
            case 1:
                left, right = self._asked_orders(fuel).node, self._fixed_orders(fuel).node
                if self.choices.chance(50):
                    left, right = right, left
                return Made(make.comparison(self.choices.pick(("==", "!=", "is")), left, right))
            case 2:
                items = (make.name_expr("pmd"), self._order_node_literal())
                left = self._fixed_orders(fuel).node
                return Made(make.comparison("in", left, t.ListExpr(items, make.SPAN)))
            case 3:
                left = make.highest(self._asked_orders(fuel).node)
                operator = self.choices.pick(("<", "<=", "==", ">=", ">"))
                return Made(make.comparison(operator, left, self._order_as_size().node))
            case _:
                left, right = self.orders(fuel).node, self._asked_orders(fuel).node
                return Made(make.comparison("in", left, right))

    def _order_node_literal(self) -> t.Literal:
        order = self.choices.pick(order_numbers(self.target))
        return t.SizeLiteral(self.target.page_size << order, make.SPAN)

    def _enum_test(self, fuel: int) -> Made:
        rows = [row for row in self._rows if row.type.kind is Kind.ENUM]
        if not rows:
            return self._compare_numbers(fuel)
        row = self.choices.pick(rows)
        members = [member.name for member in enumerations()[row.type.enum].members]
        if self.choices.chance(30):
            items = tuple(make.name_expr(m) for m in self.choices.some(members, 1, 3))
            right: t.Expr = t.ListExpr(items, make.SPAN)
            return Made(make.comparison("in", make.name_expr(row.name), right))
        pair = [make.name_expr(row.name), make.name_expr(self.choices.pick(members))]
        if self.choices.chance(20):
            pair.reverse()
        return Made(make.comparison(self.choices.pick(("is", "==", "!=")), *pair))

    def _compare_bools(self, fuel: int) -> Made:
        left = self._flag(fuel)
        right = self.condition(min(fuel, 1)) if self.choices.chance(40) else self._flag(fuel)
        return Made(make.comparison(self.choices.pick(("==", "!=", "is")), left.node, right.node))

    # -- anything

    def of_type(self, type: Type, fuel: int) -> Made:
        """An expression for a let of a type."""
        if type.kind in NUMERIC:
            return self.number(type, fuel)
        match type.kind:
            case Kind.BOOL:
                return self.condition(fuel)
            case Kind.ORDERS:
                return self._fixed_orders(fuel)
            case Kind.CGROUP:
                return Made(make.name_expr("cgroup"))
            case _:
                if self.choices.chance(50):
                    return Made(make.name_expr("task.comm"))
                return Made(make.string(self.choices.pick(COMMS)), 1)
