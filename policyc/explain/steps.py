"""What each part of an expression comes to for one request, and why."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.explain.spelling import (
    spell_constant,
    spell_expression,
    spell_operator,
    type_of,
)
from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.evaluate import State, Values, ancestors, value_of
from policyc.plan.operands import operands
from policyc.plan.types import U64_MAX

__all__ = ["Step", "Stepper"]


@dataclass(frozen=True, slots=True)
class Step:
    """One part of an expression with its value, None if it is absent.

    `working` has the values in the place of the operands, such as `12.5% > 10%`; `note` says
    why, such as `cgroup is absent`. Both may be empty. `parts` are the steps of the operands;
    those of a let are its definition where it is used first, and nothing later.
    """

    expr: n.Expr
    text: str
    value: n.ConstValue | None
    spelled: str
    working: str
    note: str
    parts: tuple[Step, ...]


class Stepper:
    """Makes the steps of expressions for one request; a let is taken apart once."""

    def __init__(self, plan: n.Plan, values: Values, state: State) -> None:
        self._plan = plan
        self._values = values
        self._state = state
        self._definitions = {definition.name: definition.expr for definition in plan.locals}
        self._shown: set[str] = set()

    def step(self, expr: n.Expr) -> Step:
        """The step of an expression, with those of all its parts."""
        value = value_of(self._plan, expr, self._values, self._state)
        note = self._note(expr)
        inner = operands(expr)
        if isinstance(expr, n.Local):
            if expr.name in self._shown:
                note = "as shown"
            else:
                inner = (self._definitions[expr.name],)
                self._shown.add(expr.name)
        return Step(
            expr,
            spell_expression(expr, self._plan),
            value,
            spell_constant(value, type_of(expr), self._plan.target),
            self._working(expr),
            note,
            tuple(self.step(part) for part in inner),
        )

    def _of(self, expr: n.Expr) -> n.ConstValue | None:
        return value_of(self._plan, expr, self._values, self._state)

    def _spelled(self, expr: n.Expr) -> str:
        return spell_constant(self._of(expr), type_of(expr), self._plan.target)

    def _working(self, expr: n.Expr) -> str:
        """The expression with values for its operands; empty where it would say nothing."""
        match expr:
            case n.Compare(operator, left, right):
                pair, word = (left, right), spell_operator(operator, left)
            case n.Arithmetic(_, operator, left, right):
                pair, word = (left, right), operator.value
            case n.Union(left, right):
                pair, word = (left, right), "|"
            case n.Difference(left, right):
                pair, word = (left, right), "-"
            case n.Contains(left, right):
                pair, word = (left, right), "in"
            case n.Overlaps(left, right):
                pair, word = (left, right), "overlaps"
            case n.Highest(orders):
                return f"highest({self._spelled(orders)})"
            case _:
                return ""
        if any(self._of(side) is None for side in pair):
            return ""
        return f"{self._side(pair[0])} {word} {self._side(pair[1])}"

    def _side(self, expr: n.Expr) -> str:
        text = self._spelled(expr)
        return f"({text})" if " - " in text or " | " in text else text

    def _note(self, expr: n.Expr) -> str:
        missing = self._missing(expr)
        if missing:
            return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} absent"
        match expr:
            case n.InSet(value, name):
                found = "is" if self._of(expr) else "is not"
                return f"{self._spelled(value)} {found} in {name}{self._size(name)}"
            case n.InList(value, _):
                return f"it is {self._spelled(value)}"
            case n.UnderSet(value, name):
                return self._under_set(str(self._of(value)), name)
            case n.UnderPath(value, path):
                return _under_path(str(self._of(value)), self._plan.paths[path])
            case n.IsPath(value, _) | n.Has(value):
                return f"it is {self._spelled(value)}"
            case n.Arithmetic(_, operator, left, right):
                return _limits(operator, int(self._of(left) or 0), int(self._of(right) or 0))
            case n.Highest(orders) if not self._of(orders):
                return "there is no highest of no orders"
            case _:
                return ""

    def _missing(self, expr: n.Expr) -> list[str]:
        """The operands whose absence decides."""
        match expr:
            case n.And() | n.Or() | n.Not() | n.Local():
                return []
            case _:
                absent = [part for part in operands(expr) if self._of(part) is None]
                return list(dict.fromkeys(spell_expression(part, self._plan) for part in absent))

    def _size(self, name: str) -> str:
        return "" if self._state.sets[name] else ", which is empty"

    def _under_set(self, cgroup: str, name: str) -> str:
        members = self._state.sets[name]
        found = next((path for path in ancestors(cgroup) if path in members), None)
        if found is None:
            return f"{cgroup} and its ancestors are not in {name}{self._size(name)}"
        return f"{found} is in {name}"


def _under_path(cgroup: str, path: str) -> str:
    if path in ancestors(cgroup):
        return f"it is {cgroup}"
    if cgroup.startswith(f"{path.rstrip('/')}/"):
        return f"{cgroup} is more than {n.MAX_CGROUP_LEVELS - 1} levels below"
    return f"it is {cgroup}"


def _limits(operator: n.ArithmeticOperator, left: int, right: int) -> str:
    """Where arithmetic is not that of whole numbers."""
    if right == 0 and operator in (n.ArithmeticOperator.DIVIDE, n.ArithmeticOperator.MODULO):
        return "by zero is 0"
    match operator:
        case n.ArithmeticOperator.SUBTRACT if right > left:
            return "not below 0"
        case n.ArithmeticOperator.ADD | n.ArithmeticOperator.MULTIPLY:
            added = operator is n.ArithmeticOperator.ADD
            exact = left + right if added else left * right
            return "" if saturating(operator, left, right) == exact else f"at most {U64_MAX}"
        case _:
            return ""
