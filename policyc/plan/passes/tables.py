"""Runs of rules that only ask where a cgroup is, as tables that are looked up by cgroup.

A run is two or more rules of a block, one after the other, each with a constant answer and
a condition of the form `cgroup under "/a"`, `cgroup == "/a"`, a list of such tests of which
one must hold, or one of these `and` further conditions, which are the same for the whole
run. The first rule of a run that holds is the one with the smallest index among those that
name the cgroup itself or have one of its ancestors above it. So the run is a table with two
rules for each path, the first that holds for that cgroup and the first that holds for the
ones below it, and the answer is the smallest number on the way up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policyc.plan import nodes as n
from policyc.plan.cost import branches_cost, table_cost
from policyc.plan.operands import block_roots, reachable, rule_roots

__all__ = ["MAX_MASK_PATHS", "Entry", "Run", "Table", "TablePlan", "runs", "tables_of"]

#: Paths that conditions outside of tables and scopes ask for: each is a bit of a mask that
#: is kept on the stack of a BPF program, which has 512 bytes.
MAX_MASK_PATHS = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """Indexes of rules: the first that holds for a path itself, and for all cgroups below it."""

    path: int
    itself: int
    below: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """Rules of a block that could be a table: `block.rules[start:stop]`.

    `rest` are the conditions that all of them have besides the path; `cgroup` is whose
    place they ask for.
    """

    start: int
    stop: int
    cgroup: n.Expr
    rest: tuple[n.Expr, ...]
    rules: tuple[n.Rule, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A run that is a table; `index` is unique in the plan."""

    index: int
    hook: n.HookName
    block: int
    run: Run

    @property
    def first(self) -> int:
        """The index of the first rule; those of the others follow it without a gap."""
        return self.run.rules[0].index


@dataclass(frozen=True, slots=True)
class TablePlan:
    """How a plan asks for paths: through tables, or one bit for each of `mask_paths`."""

    tables: tuple[Table, ...]
    mask_paths: tuple[int, ...]

    def of_block(self, hook: n.HookName, block: int) -> dict[int, Table]:
        """The tables of a block, by the place of their first rule."""
        return {t.run.start: t for t in self.tables if t.hook is hook and t.block == block}


def tables_of(plan: n.Plan) -> TablePlan:
    """The tables of a plan.

    A run becomes one where that is cheaper to verify, and every run does where there would
    otherwise be too many paths for a mask.
    """
    found = [(h.hook, b.index, run) for h in plan.hooks for b in h.blocks for run in runs(plan, b)]
    cheaper = [item for item in found if _is_cheaper(item[2])]
    chosen = _table_plan(plan, cheaper)
    return chosen if len(chosen.mask_paths) <= MAX_MASK_PATHS else _table_plan(plan, found)


def _is_cheaper(run: Run) -> bool:
    """Whether a run is cheaper as a table, even where others need the mask of paths anyway."""
    conditions = [rule.condition for rule in run.rules if rule.condition is not None]
    return branches_cost(conditions) > table_cost(run.rest)


def _table_plan(plan: n.Plan, chosen: list[tuple[n.HookName, int, Run]]) -> TablePlan:
    tables = tuple(Table(index, *item) for index, item in enumerate(chosen))
    covered = {rule.index for table in tables for rule in table.run.rules}
    left = reachable(plan, _roots_left(plan, tables, covered))
    used = {expr.path for expr in left if isinstance(expr, (n.UnderPath, n.IsPath))}
    used |= {b.scope for hook in plan.hooks for b in hook.blocks if b.scope is not None}
    return TablePlan(tables, tuple(sorted(used)))


def _roots_left(plan: n.Plan, tables: tuple[Table, ...], covered: set[int]) -> Iterator[n.Expr]:
    """What is still evaluated as an expression."""
    for hook in plan.hooks:
        for block in hook.blocks:
            yield from block_roots(block)
            for rule in block.rules:
                if rule.index not in covered:
                    yield from rule_roots(rule)
    for table in tables:
        yield from table.run.rest


def runs(plan: n.Plan, block: n.Block) -> Iterator[Run]:
    """The longest runs of a block, in order."""
    definitions = {definition.name: definition.expr for definition in plan.locals}
    start, keys = 0, list[_Key]()
    for place, rule in enumerate(block.rules):
        key = _key(rule, definitions)
        if keys and (key is None or not _continues(keys[-1], key, block.rules[place - 1], rule)):
            yield from _run(block, start, keys)
            keys = []
        if key is not None:
            start = start if keys else place
            keys.append(key)
        if rule.condition is None:
            break
    yield from _run(block, start, keys)


@dataclass(frozen=True, slots=True)
class _Key:
    """A condition taken apart: tests of paths of which one must hold, and the rest."""

    cgroup: n.Expr
    paths: tuple[n.UnderPath | n.IsPath, ...]
    rest: tuple[n.Expr, ...]


def _continues(last: _Key, key: _Key, last_rule: n.Rule, rule: n.Rule) -> bool:
    same = last.cgroup == key.cgroup and last.rest == key.rest
    return same and rule.index == last_rule.index + 1


def _run(block: n.Block, start: int, keys: list[_Key]) -> Iterator[Run]:
    if len(keys) < 2:
        return
    rules = block.rules[start : start + len(keys)]
    itself: dict[int, int] = {}
    below: dict[int, int] = {}
    for rule, key in zip(rules, keys, strict=True):
        for test in key.paths:
            itself.setdefault(test.path, rule.index)
            if isinstance(test, n.UnderPath):
                below.setdefault(test.path, rule.index)
    entries = tuple(Entry(path, index, below.get(path)) for path, index in itself.items())
    yield Run(start, start + len(keys), keys[0].cgroup, keys[0].rest, rules, entries)


def _key(rule: n.Rule, definitions: dict[str, n.Expr]) -> _Key | None:
    if rule.condition is None or not _is_constant(rule.action):
        return None
    items = _items(rule.condition)
    for place, item in enumerate(items):
        paths = _paths(item, definitions)
        if paths:
            return _Key(paths[0].value, paths, (*items[:place], *items[place + 1 :]))
    return None


def _is_constant(action: n.Action) -> bool:
    match action:
        case n.Allow(orders):
            return isinstance(orders, n.Const)
        case n.Balance() | n.Pass():
            return True


def _items(expr: n.Expr) -> tuple[n.Expr, ...]:
    """The conditions that must all hold for one to hold."""
    if isinstance(expr, n.And):
        return tuple(part for item in expr.items for part in _items(item))
    return (expr,)


def _paths(
    expr: n.Expr, definitions: dict[str, n.Expr]
) -> tuple[n.UnderPath | n.IsPath, ...] | None:
    """The tests of which one must hold, None if it is not a matter of one cgroup's paths."""
    match expr:
        case n.UnderPath() | n.IsPath():
            return (expr,)
        case n.Local(_, name):
            return _paths(definitions[name], definitions)
        case n.Or(items):
            found: list[n.UnderPath | n.IsPath] = []
            for item in items:
                paths = _paths(item, definitions)
                if paths is None or (found and paths[0].value != found[0].value):
                    return None
                found += paths
            return tuple(found)
        case _:
            return None
