"""Rules about constants: shares, numbers that no kernel has, and truth values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyc.diagnostics.model import Fix
from policyc.hooks.loader import attributes
from policyc.lint.expressions import expressions, written_parts
from policyc.lint.fixes import remove_statement
from policyc.lint.model import Finding, Subject, Text
from policyc.plan.types import Kind, format_size
from policyc.syntax import tree as t

__all__ = ["beyond_the_kernel", "compared_with_a_truth", "settled_rollout"]

_EVERYTHING = 10_000

#: What 64-bit kernels can have at most, of whatever architecture, and what sets the limit.
_HIGHEST = {
    "vma.size": ((1 << 56) - 1, "user space has at most 64P of addresses"),
    "mm.size": ((1 << 56) - 1, "user space has at most 64P of addresses"),
    "mm.rss": (1 << 52, "machines have at most 4P of memory"),
    "memory.usage": (1 << 52, "machines have at most 4P of memory"),
    "memory.max": ((1 << 63) - 1, "without a limit it is nearly 8192P"),
    "task.pid": ((1 << 22) - 1, "process ids end below 4194304"),
    "task.uid": ((1 << 32) - 2, "user ids have 32 bits, and the last is none"),
    "node.count": (1024, "kernels have at most 1024 nodes"),
    "node.id": (1023, "kernels have at most 1024 nodes"),
}
_LOWEST = {"vma.size": 4096, "node.count": 1}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def settled_rollout(subject: Subject) -> Iterator[Finding]:
    """PL013: a share of 0% or 100% that nobody can change while the policy runs."""
    for block in subject.blocks:
        for entry in block.item.entries:
            if not isinstance(entry, t.RolloutEntry):
                continue
            match entry.share:
                case t.PercentLiteral(0):
                    yield Finding(
                        entry.span,
                        "a rollout to 0% takes the whole block out",
                        "no cgroup is in",
                        help="remove the block, or make the share a parameter that can be raised "
                        "while the policy runs",
                    )
                case t.PercentLiteral(value) if value == _EVERYTHING:
                    scoped = block.scope is not None
                    yield Finding(
                        entry.span,
                        "a rollout to 100% is the block without a rollout"
                        if scoped
                        else "a rollout to 100% only leaves out requests without a cgroup",
                        "every cgroup is in",
                        help="remove it, or make the share a parameter"
                        if scoped
                        else "write `pass when not has cgroup;` as the first rule, or nothing",
                        fix=remove_statement(entry.span) if scoped else None,
                    )
                case _:
                    pass


def beyond_the_kernel(subject: Text) -> Iterator[Finding]:
    """PL015: a comparison with a number that the attribute never has."""
    for expr in expressions(subject.file):
        for part in written_parts(expr):
            match part:
                case t.ComparisonExpr(operator, t.NameExpr(name), right) if (
                    _number(right) is not None
                ):
                    yield from _compared(subject, part, operator, name, right)
                case t.ComparisonExpr(operator, left, t.NameExpr(name)) if (
                    _number(left) is not None
                ):
                    yield from _compared(
                        subject, part, _SWAPPED.get(operator, operator), name, left
                    )
                case t.ComparisonExpr("in", t.NameExpr(name), t.ListExpr(items)):
                    for item in items:
                        if _number(item) is not None:
                            yield from _compared(subject, part, "==", name, item)
                case _:
                    pass


def _number(node: t.Expr) -> int | None:
    match node:
        case t.IntegerLiteral(value) | t.SizeLiteral(value):
            return value
        case _:
            return None


def _compared(
    subject: Text, node: t.ComparisonExpr, operator: str, name: str, constant: t.Expr
) -> Iterator[Finding]:
    value = _number(constant)
    if value is None or name not in _HIGHEST:
        return
    highest, reason = _HIGHEST[name]
    lowest = max(_LOWEST.get(name, 0), subject.target.page_size if name == "vma.size" else 0)
    outcome = _outcome(operator, value, lowest, highest)
    if outcome is None:
        return
    if value < lowest or (value == lowest and operator in ("<", ">=")):
        least = format_size(lowest) if attributes()[name].type.kind is Kind.SIZE else str(lowest)
        reason = f"{name} is never below {least}"
    yield Finding(
        constant.span,
        f"`{name}` never gets there: {reason}",
        f"the comparison is always {'true' if outcome else 'false'}",
        help="check the unit and the number of digits"
        if node.operator != "in"
        else "remove it from the list",
    )


def _outcome(operator: str, value: int, lowest: int, highest: int) -> bool | None:
    """What a comparison with every number from lowest to highest gives, None if it varies."""
    match operator:
        case "<":
            return True if highest < value else False if lowest >= value else None
        case "<=":
            return True if highest <= value else False if lowest > value else None
        case ">":
            return True if lowest > value else False if highest <= value else None
        case ">=":
            return True if lowest >= value else False if highest < value else None
        case "==" | "is":
            return None if lowest <= value <= highest else False
        case "!=":
            return None if lowest <= value <= highest else True
        case _:
            return None


_TRUTH = re.compile(r"(?P<name>[\w.]+)\s*(?P<operator>==|!=|\bis\b)\s*(?P<word>true|false)")


def compared_with_a_truth(subject: Text) -> Iterator[Finding]:
    """PL020: `X == true` is `X`, and `X == false` is `not X`."""
    for expr in expressions(subject.file):
        for part in written_parts(expr):
            if not isinstance(part, t.ComparisonExpr):
                continue
            found = _TRUTH.fullmatch(part.span.text)
            if found is None or found["name"] in ("true", "false"):
                continue
            same = (found["word"] == "true") == (found["operator"] != "!=")
            shorter = found["name"] if same else f"not {found['name']}"
            yield Finding(
                part.span,
                "a condition needs no comparison to be one",
                help=f"write `{shorter}`",
                fix=Fix(part.span, shorter),
            )
