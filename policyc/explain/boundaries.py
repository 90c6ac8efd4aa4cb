"""The numbers at which a condition changes its mind, for one attribute or parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from policyc.explain.spelling import type_of
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values, value_of
from policyc.plan.operands import block_roots, reachable, rule_roots
from policyc.plan.types import NUMERIC

__all__ = ["Conditions", "Situation", "conditions_of", "interesting_numbers"]

#: A request and the state of the policy.
Situation = tuple[Values, State]

#: Between two points, remainders can turn any number of times.
_TURNS = 4


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the rules of a hook ask, each question with the names that its answer depends on.

    `constants` are all constants, wherever they stand; `paths` are those of scopes and
    conditions, as indices into `Plan.paths`.
    """

    asked: tuple[tuple[n.Expr, frozenset[str]], ...]
    constants: tuple[n.Const, ...]
    paths: tuple[int, ...]

    def about(self, names: Iterable[str]) -> list[n.Expr]:
        """The questions whose answer depends on one of the names."""
        wanted = frozenset(names)
        return [expr for expr, depends in self.asked if depends & wanted]


def conditions_of(plan: n.Plan, hook: n.HookPlan) -> Conditions:
    """Everything that deciding a request of a hook can ask."""
    roots = [root for block in hook.blocks for root in _roots(block)]
    asked: list[tuple[n.Expr, frozenset[str]]] = []
    constants: list[n.Const] = []
    paths = [block.scope for block in hook.blocks if block.scope is not None]
    for expr in reachable(plan, roots):
        match expr:
            case n.Compare() | n.InList():
                asked.append((expr, _names(plan, expr)))
            case n.UnderPath(_, path) | n.IsPath(_, path):
                paths.append(path)
            case n.Const():
                constants.append(expr)
            case _:
                pass
    return Conditions(tuple(asked), tuple(constants), tuple(dict.fromkeys(paths)))


def _roots(block: n.Block) -> list[n.Expr]:
    return [*block_roots(block), *(root for rule in block.rules for root in rule_roots(rule))]


def _names(plan: n.Plan, expr: n.Expr) -> frozenset[str]:
    """The attributes of a question, and its parameters with `param ` before their names."""
    found: set[str] = set()
    for part in reachable(plan, [expr]):
        match part:
            case n.Attribute(_, name):
                found.add(name)
            case n.Param(_, name):
                found.add(f"param {name}")
            case _:
                pass
    return frozenset(found)


def interesting_numbers(
    plan: n.Plan,
    questions: Iterable[n.Expr],
    now: Situation,
    put: Callable[[int], Situation],
    within: tuple[int, int],
) -> list[int]:
    """The numbers within two ends on both sides of where a question is answered otherwise.

    `put` gives the request and state with a number in the place of the one that is varied.
    """
    low, high = within
    found: set[int] = {low, min(low + 1, high), max(high - 1, low), high}
    for question in questions:
        near = _at_hand(plan, question, now)
        found |= {value + step for value in near for step in (-1, 0, 1)}
        if isinstance(question, n.Compare) and _is_numeric(question):
            points = {low, high, *(value for value in near if low <= value <= high)}
            found |= _turning_points(_signs(plan, question, put), sorted(points))
    return sorted(value for value in found if low <= value <= high)


def _at_hand(plan: n.Plan, question: n.Expr, now: Situation) -> set[int]:
    """The numbers that stand in a question, and what its sides come to now."""
    found: set[int] = set()
    for part in reachable(plan, [question]):
        match part:
            case n.Const(_, value):
                if isinstance(value, int):
                    found.add(int(value))
            case n.Compare(_, left, right):
                for side in (left, right):
                    value = value_of(plan, side, *now)
                    if isinstance(value, int):
                        found.add(int(value))
            case n.Arithmetic(_, operator, left, right) if operator in _MULTIPLES:
                size, divisor = value_of(plan, left, *now), value_of(plan, right, *now)
                if size is not None and divisor:
                    multiple = int(size) // int(divisor) * int(divisor)
                    found |= {multiple, multiple + int(divisor)}
            case _:
                pass
    return found


_MULTIPLES = (n.ArithmeticOperator.DIVIDE, n.ArithmeticOperator.MODULO)


def _is_numeric(question: n.Compare) -> bool:
    """Whether the sides are numbers that can be more or less."""
    return type_of(question.left).kind in NUMERIC


def _signs(
    plan: n.Plan, question: n.Compare, put: Callable[[int], Situation]
) -> Callable[[int], int | None]:
    """Whether the left side is less than (-1), equal to (0) or more than (1) the right one."""

    def sign(number: int) -> int | None:
        situation = put(number)
        left = value_of(plan, question.left, *situation)
        right = value_of(plan, question.right, *situation)
        if left is None or right is None:
            return None
        return (int(left) > int(right)) - (int(left) < int(right))

    return sign


def _turning_points(sign: Callable[[int], int | None], points: list[int]) -> set[int]:
    """The numbers on both sides of each turn between points, by halving."""
    found: set[int] = set()
    known = [(point, sign(point)) for point in points]
    for (start, at_start), (end, at_end) in pairwise(known):
        here, there = start, at_start
        for _ in range(_TURNS):
            if there == at_end or here == end:
                break
            low, high = here, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if sign(middle) == there else (low, middle)
            found |= {low, high}
            here, there = high, sign(high)
    return found
