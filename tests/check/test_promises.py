"""Tests and properties: what the plan has of them, and whether they are kept."""

from __future__ import annotations

import pytest

from policyc.check import check_text
from policyc.plan import cases as c
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import first_state, property_holds, run_case

POLICY = """\
policy p;
set java : cgroup = { "/java" };
param ceiling : percent = 10% in 0%..50%;
let squeezed = cgroup.psi.memory.full.avg10 > ceiling;
thp {
    deny when squeezed;
    allow pmd when cgroup under java and event is khugepaged;
    otherwise pass;
}
numa for cgroup "/db" { balance when task.comm == "postgres"; otherwise off; hot_threshold = 2ms; }
"""


PRESSURE = """
    given cgroup.psi.memory.full.avg10 = 20%; expect deny; param ceiling = 20%; expect pass;
    param ceiling = 19%; expect deny; given vma.stack = true; expect pass;
"""


def planned(more: str) -> n.Plan:
    result = check_text(POLICY + more, "p.thp")
    errors = [item for item in result.diagnostics if item.severity == "error"]
    assert result.plan is not None, errors
    return result.plan


def verdicts(steps: str, hook: str = "thp") -> list[bool]:
    plan = planned(f'test "t" for {hook} {{ {steps} }}')
    return [verdict.met for verdict in run_case(plan, plan.tests[0])]


@pytest.mark.parametrize(
    ("steps", "met"),
    [
        ("given vma.size = 2M; expect pass;", [True]),
        (
            'given cgroup = "/java/a", event = khugepaged; expect allow pmd; expect deny;',
            [True, False],
        ),
        # What comes out counts, not the words: pmd of a request without it is nothing.
        ('given cgroup = "/java", event = khugepaged, orders = 64K; expect deny;', [True]),
        (
            'given cgroup = "/java", event = khugepaged, orders = 64K | pmd; expect allow all;',
            [False],
        ),
        (
            "given orders = 64K; expect allow all; expect pass;",
            [True, True],
        ),
        ('given cgroup = "/java", event = khugepaged; set java = { }; expect pass;', [True]),
        (
            "given psi.io.some.avg10 = 1%, cgroup.psi.memory.full.avg10 = 20%; expect deny;",
            [True],
        ),
        (PRESSURE, [True, True, True, True]),
    ],
)
def test_steps_of_thp_tests(steps: str, met: list[bool]) -> None:
    assert verdicts(steps) == met


@pytest.mark.parametrize(
    ("steps", "met"),
    [
        (
            'given cgroup = "/db", task.comm = "postgres"; expect balance; expect off;',
            [True, False],
        ),
        (
            'given cgroup = "/db", task.comm = "postgres"; expect balance, hot_threshold = 2ms;',
            [True],
        ),
        (
            'given cgroup = "/db", task.comm = "postgres"; expect balance, hot_threshold = 3ms;',
            [False],
        ),
        ('given cgroup = "/db", task.comm = "psql"; expect off; expect pass;', [True, False]),
        ('given cgroup = "/x"; expect off; expect pass;', [True, True]),
    ],
)
def test_steps_of_numa_tests(steps: str, met: list[bool]) -> None:
    assert verdicts(steps, "numa") == met


def test_a_request_has_every_value() -> None:
    plan = planned(
        'test "t" for thp {'
        ' given cgroup = "/a/b", memory.free = 1G, orders = all - 64K; expect pass; }'
    )
    given = plan.tests[0].steps[0]
    assert isinstance(given, c.Given)
    values = dict(given.values)
    assert values["cgroup.depth"] == 2
    assert (values["memory.max"], values["memory.usage"]) == (1 << 30, 0)
    assert values["orders"] == 0b1111101100
    assert (values["event"], values["vma.size"], values["mm.rss"]) == ("pagefault", 2 << 20, None)
    assert given.stated == ("cgroup", "memory.free", "orders")
    assert given.text == 'given cgroup = "/a/b", memory.free = 1G, orders = all - 64K'


def test_each_test_begins_anew() -> None:
    plan = planned(
        'test "a" for thp { set java = { }; param ceiling = 0%; given event = smaps; expect pass; }'
        'test "b" for thp { given cgroup = "/java", event = khugepaged; expect allow pmd; }'
    )
    assert [v.met for case in plan.tests for v in run_case(plan, case)] == [True, True]


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ("squeezed implies result == none", {"cgroup.psi.memory.full.avg10": 2000}, True),
        ("result == none implies squeezed", {"orders": 0}, False),
        ("pmd in result", {"orders": 1 << 9}, True),
        ("pmd in result", {"orders": 1 << 4}, False),
        ("orders == result", {}, True),
        ("highest(result) >= 2M", {"orders": 0}, False),
        # It associates to the right: the other way round this would be false.
        ("vma.stack implies vma.stack implies result == none", {}, True),
    ],
)
def test_properties_of_thp(condition: str, values: dict[str, n.ConstValue], holds: bool) -> None:
    plan = planned(f'property "p" for thp: {condition};')
    assert plan.thp is not None
    request = {"orders": 0b1111111100, "event": "pagefault", "vma.stack": False, **values}
    state = first_state(plan)
    outcome = evaluate(plan, plan.thp, request, state)
    assert property_holds(plan, plan.properties[0], request, outcome, state) is holds


@pytest.mark.parametrize(
    ("condition", "comm", "holds"),
    [
        ("result", b"postgres", True),
        ("result", b"psql", False),
        ("result implies result.hot_threshold == 2ms", b"postgres", True),
        ("has result.hot_threshold", b"psql", False),
        ("result.hot_threshold <= 1s", b"psql", False),
    ],
)
def test_properties_of_numa(condition: str, comm: bytes, holds: bool) -> None:
    plan = planned(f'property "p" for numa: {condition};')
    assert plan.numa is not None
    request = {"cgroup": "/db", "task.comm": comm}
    state = first_state(plan)
    outcome = evaluate(plan, plan.numa, request, state)
    assert property_holds(plan, plan.properties[0], request, outcome, state) is holds


def test_implies_is_a_condition_of_rules_too() -> None:
    text = "policy p; thp { deny when vma.stack implies vma.exec; otherwise pass; }"
    plan = check_text(text, "p.thp").plan
    assert plan is not None
    assert plan.thp is not None
    for stack, execute in ((False, False), (False, True), (True, False), (True, True)):
        values = {"orders": 4, "vma.stack": stack, "vma.exec": execute}
        outcome = evaluate(plan, plan.thp, values, first_state(plan))
        assert (outcome.orders == 0) is (not stack or execute)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ('test "t" for thp { given event = nothing; expect pass; }', "PC0207"),
        ('test "t" for thp { given vma.sise = 2M; expect pass; }', "PC0201"),
        ('test "t" for thp { given orders = 3K; expect pass; }', "PC0401"),
        ('test "t" for thp { given orders = orders; expect pass; }', "PC0801"),
        ('test "t" for thp { given vma.stack = 3; expect pass; }', "PC0801"),
        ('test "t" for thp { given cgroup = "a"; expect pass; }', "PC0408"),
        (
            'test "t" for thp { given task.comm = "a name that is too long"; expect pass; }',
            "PC0407",
        ),
        ('test "t" for thp { given vma.size = 2M; expect allow 3K; }', "PC0401"),
        ('test "t" for thp { given vma.size = 2M; expect balance; }', "PC0510"),
        ('test "t" for thp { given vma.size = 2M; expect allow orders; }', "PC0801"),
        ('test "t" for thp { given vma.size = 2M, vma.size = 3M; expect pass; }', "PC0506"),
        ('test "t" for thp { given memory.free = 2M, memory.max = 1M; expect pass; }', "PC0805"),
        ('test "t" for numa { given vma.size = 2M; expect pass; }', "PC0205"),
        ('test "t" for numa { given node.id = 1; expect off, hot_threshold = 1s; }', "PC0511"),
        ('test "t" for numa { given node.id = 1; expect balance, hot_threshold = 1M; }', "PC0801"),
        ('test "t" for thp { expect pass; given vma.size = 2M; }', "PC0803"),
        ('test "t" for thp { param ceiling = 60%; given vma.size = 2M; expect pass; }', "PC0802"),
        ('test "t" for thp { param ceiling = 2M; given vma.size = 2M; expect pass; }', "PC0307"),
        ('test "t" for thp { param java = 2M; given vma.size = 2M; expect pass; }', "PC0201"),
        ('test "t" for thp { set jawa = { }; given vma.size = 2M; expect pass; }', "PC0201"),
        ('test "t" for thp { set java = { "a" }; given vma.size = 2M; expect pass; }', "PC0408"),
        ('property "p" for thp: result;', "PC0302"),
        ('property "p" for numa: result == none;', "PC0301"),
        ('property "p" for numa: squeezed implies vma.stack;', "PC0205"),
        ('property "p" for thp: result.hot_threshold > 1s;', "PC0205"),
        ('property "p" for thp: nothing;', "PC0201"),
        ('property "p" for thp: vma.stack; property "p" for numa: result;', "PC0202"),
        ("let mine = result == none; thp { deny when mine; otherwise pass; }", "PC0806"),
    ],
)
def test_mistakes(more: str, code: str) -> None:
    result = check_text(POLICY + more, "p.thp")
    errors = [item.code for item in result.diagnostics if item.severity == "error"]
    assert errors == [code], result.diagnostics
