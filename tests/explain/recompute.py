"""Works expressions out again from the values that steps show for their parts."""

from __future__ import annotations

from policyc.explain.steps import Step
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values
from policyc.plan.types import U64_MAX

__all__ = ["disagreements"]


def disagreements(
    step: Step, plan: n.Plan, values: Values, state: State, lets: dict[str, object]
) -> list[str]:
    """The steps whose value is not what the values of their parts come to.

    `lets` has the values of the lets that were taken apart so far.
    """
    found = [text for part in step.parts for text in disagreements(part, plan, values, state, lets)]
    if isinstance(step.expr, n.Local) and step.parts:
        lets[step.expr.name] = step.parts[0].value
    again = _again(step, plan, values, state, lets)
    if again != step.value or (again is None) is not (step.spelled == "absent"):
        found.append(f"{step.text}: shown {step.value!r}, recomputed {again!r}")
    return found


def _again(
    step: Step, plan: n.Plan, values: Values, state: State, lets: dict[str, object]
) -> object:
    parts = [part.value for part in step.parts]
    match step.expr:
        case n.Const(_, value):
            return value
        case n.Attribute(_, name):
            return values.get(name)
        case n.Param(type, name):
            return bool(state.params[name]) if type.kind == "bool" else state.params[name]
        case n.Local(_, name):
            return lets[name]
        case n.And():
            return parts.count(True) == len(parts)
        case n.Or():
            return True in parts
        case n.Not():
            return parts != [True]
        case n.Has():
            return parts != [None]
        case n.InSet() | n.InList() | n.UnderSet() | n.UnderPath() | n.IsPath():
            return parts[0] is not None and _is_one(step.expr, parts, plan, state)
        case _:
            return _of_numbers(step.expr, parts, plan)


def _is_one(expr: n.Expr, parts: list[n.ConstValue | None], plan: n.Plan, state: State) -> object:
    match expr:
        case n.InSet(_, name):
            return parts[0] in state.sets[name]
        case n.InList():
            return parts[0] in parts[1:]
        case n.UnderSet(_, name):
            return any(_holds(str(member), str(parts[0])) for member in state.sets[name])
        case n.UnderPath(_, path):
            return _holds(plan.paths[path], str(parts[0]))
        case n.IsPath(_, path):
            return parts[0] == plan.paths[path]
        case _:
            raise AssertionError(expr)


def _holds(ancestor: str, path: str) -> bool:
    """Whether one cgroup is another or at most 31 levels above it."""
    above, below = ([part for part in p.split("/") if part] for p in (ancestor, path))
    return below[: len(above)] == above and len(below) - len(above) < 32


def _of_numbers(expr: n.Expr, parts: list[n.ConstValue | None], plan: n.Plan) -> object:
    missing = None in parts
    match expr:
        case n.Compare(operator):
            return not missing and _compared(operator.value, parts)
        case n.Contains():
            return not missing and int(parts[0] or 0) | int(parts[1] or 0) == parts[1]
        case n.Overlaps():
            return not missing and int(parts[0] or 0) & int(parts[1] or 0) > 0
        case n.Arithmetic(_, operator):
            return None if missing else _saturated(operator.value, *_known(parts))
        case n.Union():
            return None if missing else int(parts[0] or 0) | int(parts[1] or 0)
        case n.Difference():
            return None if missing else int(parts[0] or 0) & ~int(parts[1] or 0)
        case n.Highest():
            if not parts[0]:
                return None
            highest = max(order for order in range(64) if int(parts[0]) >> order & 1)
            return min(plan.target.page_size * 2**highest, U64_MAX)
        case _:
            raise AssertionError(expr)


def _known(parts: list[n.ConstValue | None]) -> list[int]:
    return [int(part) for part in parts if part is not None]


def _compared(operator: str, parts: list[n.ConstValue | None]) -> bool:
    left, right = parts
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    difference = int(left or 0) - int(right or 0)
    return {"<": difference < 0, "<=": difference <= 0, ">": difference > 0}.get(
        operator, difference >= 0
    )


def _saturated(operator: str, left: int, right: int) -> int:
    if operator in "/%":
        return 0 if right == 0 else left // right if operator == "/" else left % right
    exact = {"+": left + right, "-": left - right, "*": left * right}[operator]
    return min(max(exact, 0), U64_MAX)
