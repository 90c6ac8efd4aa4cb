"""A rule about rules that stand behind one for a cgroup above theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from policyc.diagnostics.model import Label
from policyc.lint.model import Finding, Statement, Subject
from policyc.plan import nodes as n
from policyc.plan.paths import are_near

__all__ = ["behind_an_outer_cgroup"]


@dataclass(slots=True)
class _Earlier:
    """Rules that answer for cgroups by their path, by what else they ask for.

    What is asked for besides is found by any one part of it, so that long blocks stay linear.
    """

    paths: dict[frozenset[n.Expr], dict[str, Statement]] = field(
        default_factory=dict[frozenset[n.Expr], dict[str, Statement]]
    )
    by_part: dict[n.Expr | None, list[frozenset[n.Expr]]] = field(
        default_factory=dict[n.Expr | None, list[frozenset[n.Expr]]]
    )

    def add(self, others: frozenset[n.Expr], path: str, statement: Statement) -> None:
        if others not in self.paths:
            self.paths[others] = {}
            self.by_part.setdefault(next(iter(others), None), []).append(others)
        self.paths[others].setdefault(path, statement)

    def above(self, others: frozenset[n.Expr], path: str) -> tuple[str, Statement] | None:
        """A rule that holds for all below a cgroup above, whenever the other things hold."""
        for part in (None, *others):
            for asked in self.by_part.get(part, ()):
                found = self.paths[asked] if asked <= others else {}
                for outer in _outer(path):
                    if outer in found:
                        return outer, found[outer]
        return None


def behind_an_outer_cgroup(subject: Subject) -> Iterator[Finding]:
    """PL024: the first rule that holds decides, and what is under /a/b is under /a."""
    for statements in subject.by_block():
        earlier = _Earlier()
        for statement in statements:
            condition = statement.rule.condition
            if condition is None:
                continue
            parts = frozenset(_parts(condition, subject.lets))
            paths = {part for part in parts if isinstance(part, n.UnderPath | n.IsPath)}
            if len(paths) == 1:
                [asked] = paths
                path = subject.plan.paths[asked.path]
                found = earlier.above(parts - paths, path)
                if found is not None:
                    yield _finding(statement, path, *found)
                elif isinstance(asked, n.UnderPath):
                    earlier.add(parts - paths, path, statement)
            for outer in _alternatives(condition, subject):
                earlier.add(frozenset(), outer, statement)


def _finding(statement: Statement, path: str, outer: str, first: Statement) -> Finding:
    return Finding(
        statement.rule.span,
        f"an earlier rule answers all of this: what is under {path} is under {outer} too",
        related=(Label(first.rule.span, "this rule comes first"),),
        help="put the rule for the inner cgroup first; here it decides for cgroups only that are "
        "so deep that a policy does not see the outer one",
    )


def _parts(condition: n.Expr, lets: Mapping[str, n.Expr]) -> Iterator[n.Expr]:
    """What must all hold."""
    match condition:
        case n.And(items):
            for item in items:
                yield from _parts(item, lets)
        case n.Local(name=name) if isinstance(lets[name], n.And | n.UnderPath | n.IsPath):
            yield from _parts(lets[name], lets)
        case _:
            yield condition


def _alternatives(condition: n.Expr, subject: Subject) -> Iterator[str]:
    """The paths of which one is enough."""
    match condition:
        case n.Or(items):
            for item in items:
                if isinstance(item, n.UnderPath):
                    yield subject.plan.paths[item.path]
        case n.Local(name=name) if isinstance(subject.lets[name], n.Or):
            yield from _alternatives(subject.lets[name], subject)
        case _:
            pass


def _outer(path: str) -> Iterator[str]:
    """The paths above one that a request there sees."""
    outer = path
    while outer != "/":
        outer = outer.rpartition("/")[0] or "/"
        if not are_near(path, outer):
            return
        yield outer
