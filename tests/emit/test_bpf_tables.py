"""Tables mean what their rules mean, one after the other, and cost the same at any size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from policyc.api import load
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.layout import Answer, answer_layout, pack_request, request_layout, unpack_answer
from policyc.hooks.loader import profiles
from policyc.kernel import objects
from policyc.plan import nodes as n
from policyc.plan.cost import hook_cost
from policyc.plan.evaluate import State, Values, evaluate
from policyc.plan.passes import tables
from policyc.plan.passes.tables import tables_of
from policyc.plan.types import CGROUP, ORDERS
from tests.differential.lanes import host, kernel
from tests.differential.lanes.kernel import MAY_GOTO, has_may_goto
from tests.emit.bpf_plans import cgroup_id, random_state, random_table_plan, random_values

SEEDS = range(60)
EXAMPLES = Path(__file__).parents[2] / "examples"

#: What the design asks of a policy with a table of any size.
MOST_VERIFIED = 200

NO_HOST = pytest.mark.skipif(bool(host.available()), reason=host.available() or "-")
NO_KERNEL = pytest.mark.skipif(
    bool(kernel.available()) or not has_may_goto(),
    reason=kernel.available() or "the kernel is older than 6.9: no may_goto",
)


def expected(plan: n.Plan, hook: n.HookPlan, values: Values, state: State) -> Answer:
    outcome = evaluate(plan, hook, values, state)
    value = outcome.orders if hook.hook is n.HookName.THP else int(outcome.on)
    fired = tuple(None if rule is None else rule.index for rule in outcome.fired)
    return Answer(value, bool(outcome.opinions), outcome.hot_threshold, fired)


def check(plan: n.Plan, lane: host.HostLane | kernel.KernelLane, seed: int) -> None:
    random = Random(seed)
    (hook,) = plan.hooks
    layout, answers = request_layout(plan, hook), answer_layout(plan, hook)
    counts = Counter[int]({rule.index: 0 for rule in plan.rules})
    for _ in range(3):
        state = random_state(random)
        lane.set_state(state)
        batch = [random_values(random, hook.hook, plan.paths) for _ in range(150)]
        got = lane.decide(hook, [pack_request(layout, values, cgroup_id) for values in batch])
        for values, data in zip(batch, got, strict=True):
            answer = expected(plan, hook, values, state)
            assert unpack_answer(answers, data) == answer, values
            counts.update(index for index in answer.fired if index is not None)
    assert lane.counters() == counts


def test_random_plans_have_tables_of_every_sort() -> None:
    """Otherwise the tests below would compare branches with branches."""
    plans = [random_table_plan(seed) for seed in SEEDS]
    chosen = [tables_of(plan).tables for plan in plans]
    assert sum(bool(found) for found in chosen) > len(SEEDS) // 2
    assert sum(len({t.block for t in found}) > 1 for found in chosen) > 5
    assert any(len(found) > len({t.block for t in found}) for found in chosen)
    every = [table for found in chosen for table in found]
    assert {table.hook for table in every} == set(n.HookName)
    assert {bool(table.run.rest) for table in every} == {False, True}
    assert any(isinstance(rule.action, n.Pass) for table in every for rule in table.run.rules)
    assert any(entry.below != entry.itself for table in every for entry in table.run.entries)


@NO_HOST
@pytest.mark.parametrize("seed", SEEDS)
def test_host_agrees(seed: int) -> None:
    plan = random_table_plan(seed)
    with host.HostLane(plan, cgroup_id) as lane:
        check(plan, lane, seed)


@NO_KERNEL
@pytest.mark.parametrize("seed", SEEDS)
def test_kernel_agrees(seed: int) -> None:
    plan = random_table_plan(seed)
    data = compile_object(MAY_GOTO + emit_bpf(plan, profiles()["testrun"]))
    with kernel.KernelLane(plan, data, cgroup_id) as lane:
        check(plan, lane, seed)


WRONG = {
    "the parent is the cgroup": ("rules->below < index", "rules->self < index"),
    "the cgroup is its parent": ("index = rules->self", "index = rules->below"),
    "the innermost rule wins": ("if (rules && rules->below < index)", "if (rules && index == ~0U)"),
    "the outermost rule wins": ("rules->below < index", "rules->below != NO_INDEX"),
    "ancestors are not asked": ("while (MAY_GO_ON && ", "while (false && "),
    "a pass has an opinion": ("_passes[place])", "_passes[place] && false)"),
    "rules are counted from 1": ("u32 place = ", "u32 place = 1 + "),
}


@NO_HOST
@pytest.mark.parametrize("bug", WRONG)
def test_wrong_tables_are_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans and requests above are such that a mistake shows."""
    old, new = WRONG[bug]
    monkeypatch.setattr(host, "emit_bpf", lambda *given: emit_bpf(*given).replace(old, new))
    testrun = profiles()["testrun"]
    affected = (s for s in SEEDS if old in emit_bpf(random_table_plan(s), testrun))
    assert any(disagrees(seed) for seed in islice(affected, 10))


def disagrees(seed: int) -> bool:
    plan = random_table_plan(seed)
    with host.HostLane(plan, cgroup_id) as lane:
        try:
            check(plan, lane, seed)
        except AssertionError:
            return True
    return False


def chain(count: int, node: type[n.UnderPath | n.IsPath] = n.UnderPath) -> n.Plan:
    """A rule for each of many cgroups, with one of five answers."""
    cgroup = n.Attribute(CGROUP, "cgroup")
    rules = [
        n.Rule(i, node(cgroup, i), n.Allow(n.Const(ORDERS, 0x10 << i % 5)), "", i + 1, f"rule {i}")
        for i in range(count)
    ]
    rules.append(n.Rule(count, None, n.Pass(), "", count + 1, "otherwise"))
    hook = n.HookPlan(
        n.HookName.THP, n.Combine.MEET, (n.Block(0, None, 0, None, tuple(rules), None, 1),)
    )
    paths = tuple(f"/pods/{i}" for i in range(count))
    return n.Plan("chain", "chain.thp", n.Target(), paths, (), (), (), hook, None, ())


def verified(plan: n.Plan, hook: n.HookPlan) -> int:
    """How many instructions the verifier looks at."""
    data = compile_object(MAY_GOTO + emit_bpf(plan, profiles()["testrun"], hook=hook))
    with objects.load(data) as loaded:
        (program,) = loaded.programs
    return program.verified_instructions


@NO_KERNEL
@pytest.mark.parametrize("count", [1_000, 10_000])
def test_large_tables_decide_and_cost_the_same(
    count: int, record_property: Callable[[str, object], None]
) -> None:
    plan = chain(count)
    (hook,) = plan.hooks
    assert tables_of(plan).mask_paths == ()
    cost = verified(plan, hook)
    record_property("verified instructions", cost)
    assert cost == verified(chain(100), chain(100).hooks[0])
    assert cost < MOST_VERIFIED
    layout, answers = request_layout(plan, hook), answer_layout(plan, hook)
    state = State({}, {})
    data = compile_object(MAY_GOTO + emit_bpf(plan, profiles()["testrun"]))
    with kernel.KernelLane(plan, data, cgroup_id) as lane:
        for number in (0, 1, count // 2, count - 1, count):
            for below in ("", "/app", "/app/1"):
                values = {"orders": 0x3FF, "cgroup": f"/pods/{number}{below}"}
                (data,) = lane.decide(hook, [pack_request(layout, values, cgroup_id)])
                assert unpack_answer(answers, data) == expected(plan, hook, values, state)


def examples() -> list[tuple[str, n.Plan, n.HookPlan]]:
    found: list[tuple[str, n.Plan, n.HookPlan]] = []
    for file in sorted(EXAMPLES.glob("*.thp")):
        plan = load(file).plan
        found += [(f"{file.stem} {hook.hook}", plan, hook) for hook in plan.hooks]
    assert found
    return found


CHAINS = [
    (f"{count} {node.__name__}", chain(count, node), chain(count, node).hooks[0])
    for count in (10, 50, 100)
    for node in (n.UnderPath, n.IsPath)
]


@NO_KERNEL
@pytest.mark.parametrize(("name", "plan", "hook"), [*examples(), *CHAINS])
@pytest.mark.parametrize("as_tables", [True, False])
def test_estimate_is_within_a_factor_of_two(
    name: str,
    plan: n.Plan,
    hook: n.HookPlan,
    as_tables: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not as_tables:
        monkeypatch.setattr(tables, "table_cost", lambda _: 1 << 60)
    estimate = hook_cost(plan, hook, tables_of(plan))
    cost = verified(plan, hook)
    assert cost / 2 <= estimate <= cost * 2, name


def test_a_run_is_a_table_from_the_size_on_that_the_estimate_says() -> None:
    """Few rules stay branches, which are easier to read; any more are verified at one price."""
    sizes = [count for count in range(1, 40) if tables_of(chain(count)).tables]
    assert sizes == list(range(min(sizes), 40))
    assert 10 <= min(sizes) <= 20
    for count in range(1, 40):
        estimate = hook_cost(chain(count), chain(count).hooks[0], tables_of(chain(count)))
        assert estimate < 2 * MOST_VERIFIED
