"""Which rules make a run, and what the table of a run says."""

from __future__ import annotations

from dataclasses import replace

from policyc.plan import nodes as n
from policyc.plan.passes.tables import MAX_MASK_PATHS, Entry, Run, runs, tables_of
from policyc.plan.types import BOOL, CGROUP, ORDERS, SIZE

CGROUP_OF_TASK = n.Attribute(CGROUP, "cgroup")
SIZE_OF_AREA = n.Attribute(SIZE, "vma.size")
PMD = n.Allow(n.Const(ORDERS, 1 << 9))


def under(path: int) -> n.Expr:
    return n.UnderPath(CGROUP_OF_TASK, path)


def equals(path: int) -> n.Expr:
    return n.IsPath(CGROUP_OF_TASK, path)


def at_least(size: int) -> n.Expr:
    return n.Compare(n.CompareOperator.GREATER_EQUAL, SIZE_OF_AREA, n.Const(SIZE, size))


def block_of(*conditions: n.Expr, action: n.Action = PMD) -> n.Block:
    rules = [n.Rule(i, c, action, "", i + 1, "") for i, c in enumerate(conditions)]
    rules.append(n.Rule(len(rules), None, n.Pass(), "", len(rules) + 1, ""))
    return n.Block(0, None, 0, None, tuple(rules), None, 1)


def plan_of(*blocks: n.Block, lets: dict[str, n.Expr] | None = None) -> n.Plan:
    definitions = tuple(n.LocalDefinition(name, expr, 1) for name, expr in (lets or {}).items())
    hook = n.HookPlan(n.HookName.THP, n.Combine.MEET, blocks)
    paths = tuple(f"/{place}" for place in range(4 * MAX_MASK_PATHS))
    return n.Plan("p", "p.thp", n.Target(), paths, (), (), definitions, hook, None, ())


def runs_of(*conditions: n.Expr, lets: dict[str, n.Expr] | None = None) -> list[Run]:
    block = block_of(*conditions)
    return list(runs(plan_of(block, lets=lets), block))


def places(*conditions: n.Expr, lets: dict[str, n.Expr] | None = None) -> list[tuple[int, int]]:
    return [(run.start, run.stop) for run in runs_of(*conditions, lets=lets)]


def test_the_first_rule_of_a_path_counts_for_itself_and_for_what_is_below() -> None:
    (run,) = runs_of(equals(1), under(1), n.Or((under(2), equals(3))), under(1), under(3))
    assert run.entries == (Entry(1, 0, 1), Entry(2, 2, 2), Entry(3, 2, 4))


def test_another_condition_ends_a_run_and_another_rest_begins_one() -> None:
    small, large = at_least(1), at_least(9)
    assert places(under(1), under(2), small, under(3), under(4)) == [(0, 2), (3, 5)]
    with_rest = [n.And((under(i), small)) for i in range(3)]
    assert places(*with_rest, n.And((under(4), large)), n.And((large, under(5)))) == [
        (0, 3),
        (3, 5),
    ]
    assert places(under(1), n.And((under(2), small)), under(3)) == []


def test_the_rest_is_every_other_condition() -> None:
    parts = at_least(1), n.Has(SIZE_OF_AREA)
    (run,) = runs_of(
        n.And((parts[0], under(1), parts[1])),
        n.And((n.And((equals(2), parts[0])), parts[1])),
    )
    assert run.rest == parts


def test_negations_and_sets_and_other_tests_are_no_places() -> None:
    for other in (
        n.Not(under(2)),
        n.UnderSet(CGROUP_OF_TASK, "groups"),
        n.Or((under(2), at_least(1))),
        n.Has(CGROUP_OF_TASK),
    ):
        assert places(other, other) == []
        assert places(under(1), other, under(1)) == []


def test_a_rest_may_ask_for_places_too() -> None:
    outside = n.Not(under(0))
    plan = plan_of(block_of(*(n.And((under(i), outside)) for i in range(1, 40))))
    assert len(tables_of(plan).tables) == 1
    assert tables_of(plan).mask_paths == (0,)


def test_lets_are_looked_through_and_kept_for_others() -> None:
    lets = {"here": under(1), "there": n.Or((n.Local(BOOL, "here"), equals(2)))}
    (run,) = runs_of(n.Local(BOOL, "there"), under(3), lets=lets)
    assert run.entries == (Entry(1, 0, 0), Entry(2, 0, None), Entry(3, 1, 1))
    conditions = [n.Local(BOOL, "there"), *(under(i) for i in range(3, 40))]
    only = plan_of(block_of(*conditions), lets=lets)
    assert tables_of(only).mask_paths == ()
    both = plan_of(block_of(*conditions, n.Not(n.Local(BOOL, "here"))), lets=lets)
    assert tables_of(both).mask_paths == (1,)


def test_answers_that_are_computed_are_no_table() -> None:
    computed = n.Allow(n.Difference(n.Attribute(ORDERS, "orders"), n.Const(ORDERS, 1)))
    block = block_of(under(1), under(2), action=computed)
    assert list(runs(plan_of(block), block)) == []


def test_indexes_with_a_gap_are_two_runs() -> None:
    """The place of an answer is found by subtracting the index of the first rule."""
    block = block_of(*(under(i) for i in range(4)))
    rules = [replace(rule, index=rule.index + 5 * (rule.index > 1)) for rule in block.rules]
    gap = replace(block, rules=tuple(rules))
    assert [(run.start, run.stop) for run in runs(plan_of(gap), gap)] == [(0, 2), (2, 4)]


def test_scopes_and_what_is_no_table_keep_their_bits() -> None:
    chain = block_of(*(under(i) for i in range(100, 140)), n.And((under(7), at_least(1))))
    scoped = replace(block_of(equals(100)), index=1, scope=3, depth=1)
    plan = tables_of(plan_of(chain, replace(scoped, rules=renumbered(scoped, 50))))
    assert plan.mask_paths == (3, 7, 100)
    assert [(table.index, table.block) for table in plan.tables] == [(0, 0)]
    assert set(plan.of_block(n.HookName.THP, 0)) == {0}
    assert plan.of_block(n.HookName.NUMA, 0) == plan.of_block(n.HookName.THP, 1) == {}


def renumbered(block: n.Block, first: int) -> tuple[n.Rule, ...]:
    return tuple(replace(rule, index=rule.index + first) for rule in block.rules)


def test_short_runs_are_tables_only_where_there_are_too_many_paths() -> None:
    few = [n.And((under(i), at_least(i // 2))) for i in range(MAX_MASK_PATHS)]
    assert tables_of(plan_of(block_of(*few))).tables == ()
    many = [n.And((under(i), at_least(i // 2))) for i in range(MAX_MASK_PATHS + 2)]
    plan = tables_of(plan_of(block_of(*many)))
    assert len(plan.tables) == len(many) // 2
    assert plan.mask_paths == ()
