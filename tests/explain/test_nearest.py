"""The nearest change: what is found, how near it is, and that nothing is nearer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from policyc.check import check_text
from policyc.explain.nearest import Change, Nearest, distance, nearest_changes
from policyc.plan import nodes as n
from policyc.plan.evaluate import State, Values, cgroup_mix, evaluate
from policyc.plan.types import BOOL, CGROUP, ORDERS, PERCENT, SIZE
from policyc.simulate.values import REQUESTS, completed, every_order
from tests.explain.test_property import differ
from tests.strategies.requests import first_state

ALL = every_order(n.Target())


def nearest(policy: str, hook: str = "thp", params: dict[str, int] | None = None, **given: Any):
    """The nearest changes for a request by fields; the names of the changes are the keys."""
    found = search(policy, hook, params, **given)
    return {change.name: change for change in found.changes}


def search(
    policy: str, hook: str = "thp", params: dict[str, int] | None = None, **given: Any
) -> Nearest:
    """The search for a request by fields."""
    plan = check_text(f"policy p; {policy}", "p.thp", profiles=["testrun"]).plan
    assert plan is not None
    asked = next(item for item in plan.hooks if item.hook.value == hook)
    if hook == "thp":
        given.setdefault("orders", ALL)
    values = REQUESTS[hook](**completed(given)).values()  # type: ignore[arg-type]
    state = first_state(plan)
    return nearest_changes(
        plan, asked, values, State(state.sets, {**state.params, **(params or {})})
    )


def pair(change: Change) -> tuple[object, object]:
    """From what to what."""
    return change.before, change.after


def test_a_number_goes_just_over_the_edge() -> None:
    policy = "thp { allow pmd when vma.size >= 8M; otherwise deny; }"
    assert pair(nearest(policy, vma_size=2 << 20)["vma.size"]) == (2 << 20, 8 << 20)
    assert pair(nearest(policy, vma_size=9 << 20)["vma.size"]) == (9 << 20, (8 << 20) - 1)


def test_a_percentage_by_hundredths_and_a_parameter_within_its_range() -> None:
    policy = """param ceiling : percent = 10% in 5%..12%;
        thp { deny when psi.memory.some.avg10 > ceiling; otherwise pass; }"""
    found = nearest(policy, psi_memory_some_avg10=1200)
    assert pair(found["psi.memory.some.avg10"]) == (1200, 1000)
    assert pair(found["ceiling"]) == (1000, 1200)
    # 13% is above every ceiling that is allowed.
    assert "ceiling" not in nearest(policy, psi_memory_some_avg10=1300)


@pytest.mark.parametrize(
    ("condition", "now", "then"),
    [
        ("memory.usage * 10 > memory.max * 9", 100, 901),
        ("memory.free < 100B", 100, 901),
        ("memory.usage + memory.usage / 3 == memory.max", 100, 750),
        ("memory.max / memory.usage == 7", 500, 142),
        ("memory.usage % 64B == 0B and memory.usage > 500B", 500, 512),
    ],
)
def test_arithmetic_is_solved(condition: str, now: int, then: int) -> None:
    policy = f"thp {{ deny when {condition}; otherwise pass; }}"
    found = nearest(policy, memory_max=1000, memory_usage=now)
    assert pair(found["memory.usage"]) == (now, then)


def test_names_appear_and_disappear() -> None:
    policy = (
        """thp { deny when task.comm == "redis" or vma.advice is nohugepage; otherwise pass; }"""
    )
    found = nearest(policy)
    assert pair(found["task.comm"]) == (None, b"redis")
    assert pair(found["vma.advice"]) == ("none", "nohugepage")
    assert found["vma.advice"].distance < found["task.comm"].distance
    assert pair(nearest(policy, task_comm=b"redis")["task.comm"]) == (b"redis", b"other")
    known = 'thp { deny when task.comm != "a" and task.comm != "other"; otherwise pass; }'
    assert pair(nearest(known, task_comm=b"a")["task.comm"]) == (b"a", b"other0")


def test_members_of_sets() -> None:
    policy = """set java : cgroup = { "/a" }; set tuned : string = { "x" };
        thp { deny when cgroup under java or task.comm in tuned; otherwise pass; }"""
    inside = nearest(policy, cgroup="/a/b/c")
    assert pair(inside["java"]) == ("/a", None)
    assert pair(inside["cgroup"]) == ("/a/b/c", "/")
    outside = nearest(policy, cgroup="/b/c", task_comm=b"y")
    assert pair(outside["java"]) == (None, "/b/c")  # not "/b", which holds others too
    assert pair(outside["tuned"]) == (None, b"y")
    assert pair(outside["task.comm"]) == (b"y", b"x")


def test_depth_changes_with_the_cgroup() -> None:
    found = nearest("thp { deny when cgroup.depth >= 4; otherwise pass; }", cgroup="/a/b")
    assert pair(found["cgroup"]) == ("/a/b", "/a/b/x/x")
    assert "cgroup.depth" not in found
    assert found["cgroup"].values["cgroup.depth"] == 4
    without = nearest("thp { deny when cgroup.depth >= 2; otherwise pass; }")
    assert {name: pair(change) for name, change in without.items()} == {"cgroup": (None, "/x/x")}


def test_the_highest_order_is_lowered_by_all_that_are_above() -> None:
    found = nearest("thp { deny when highest(orders) > 64K; otherwise pass; }")
    assert pair(found["orders"]) == (ALL, 0b11100)


def test_far_from_what_is_usual_every_step_is_tried() -> None:
    deep = "/a" + "/b" * 40
    found = nearest("thp { deny when cgroup.depth >= 4; otherwise pass; }", cgroup=deep)
    assert pair(found["cgroup"]) == (deep, "/a/b/b")
    odd = ALL | 1 << 60
    found = nearest("thp { allow pmd when orders == 16K..pmd; otherwise pass; }", orders=odd)
    assert pair(found["orders"]) == (odd, ALL)


def test_what_is_read_from_a_cgroup_comes_and_goes_with_it() -> None:
    policy = """thp {
        deny when cgroup.depth >= 2 or cgroup.psi.memory.full.avg10 > 10%;
        allow pmd when has cgroup;
        otherwise pass;
    }"""
    assert nearest(policy).keys() == {"cgroup"}
    # Pressure that a trace gives without a cgroup can be another one.
    assert "cgroup.psi.memory.full.avg10" in nearest(policy, cgroup_psi_memory_full_avg10=2000)
    squeezed = nearest(policy, cgroup="/a", cgroup_psi_memory_full_avg10=2000)
    without = squeezed["cgroup"]
    assert pair(without) == ("/a", None)
    assert without.values["cgroup.psi.memory.full.avg10"] is None
    assert without.outcome.orders == ALL


def test_orders_must_matter_for_what_is_requested_either_way() -> None:
    # Fewer requested orders give fewer allowed ones, which is no other answer.
    assert not search("thp { allow ..64K when vma.stack; otherwise allow ..64K; }").changes
    found = nearest("thp { deny when pmd in orders; otherwise pass; }")
    assert pair(found["orders"]) == (ALL, ALL & ~(1 << 9))


def test_rollouts_by_share_and_by_id() -> None:
    policy = """param share : percent = 5%;
        thp for cgroup "/a" { rollout share by cgroup; otherwise deny; }"""
    found = nearest(policy, cgroup="/a/b", cgroup_id=4711)
    assert cgroup_mix(4711) % 10_000 == 1563
    assert pair(found["share"]) == (500, 1564)
    before, after = pair(found["cgroup.id"])
    assert before == 4711
    between = range(4711 - abs(int(str(after)) - 4711) + 1, 4711 + abs(int(str(after)) - 4711))
    assert cgroup_mix(int(str(after))) % 10_000 < 500
    assert all(cgroup_mix(number) % 10_000 >= 500 for number in between)
    assert pair(nearest(policy, cgroup="/a/b")["cgroup.id"])[0] is None


def test_numa_and_its_threshold() -> None:
    policy = """param hot : duration = 200ms in 1ms..10s;
        numa { balance when node.count > 2; otherwise off; hot_threshold = hot; }"""
    found = nearest(policy, "numa", node_count=3)
    assert pair(found["node.count"]) == (3, 2)
    # Another threshold is what the parameter is for, not another answer.
    assert "hot" not in found


def test_none() -> None:
    found = search("thp { allow ..64K when vma.stack; otherwise allow ..64K; }")
    assert found.changes == ()
    assert found.complete
    assert found.tried > 0


@pytest.mark.slow
def test_large_policies_are_given_up_and_say_so() -> None:
    rules = "\n".join(f'deny when cgroup under "/g/{i}" and vma.size == {i}B;' for i in range(600))
    found = search(f"thp {{ {rules} otherwise pass; }}", cgroup="/h", vma_size=9999)
    assert not found.complete
    assert found.tried == 500_000 // 601


def test_nearest_first_and_ties_in_the_order_of_the_table() -> None:
    policy = """set s : string = { "x" };
        thp {
            deny when vma.stack or vma.locked or vma.size > 2M or task.comm in s;
            otherwise pass;
        }"""
    found = search(policy, vma_size=2 << 20, task_comm=b"y").changes
    assert [change.name for change in found] == [
        "vma.size",
        "vma.stack",
        "vma.locked",
        "task.comm",
        "s",
    ]


@pytest.mark.parametrize(
    ("type", "before", "after", "expected"),
    [
        (SIZE, 8 << 20, (8 << 20) - 1, 1 / (8 << 20)),
        (SIZE, 0, 5, 1.0),
        (PERCENT, 1250, 1000, 0.025),
        (ORDERS, 0b1100, 0b0110, 2 / 3),
        (CGROUP, "/a/b", "/a", 1 / 2),
        (CGROUP, "/a/b", "/a/c", 2 / 3),
        (CGROUP, "/a", "/", 1.0),
        (BOOL, False, True, 1.0),
        (SIZE, None, 5, 2.0),
    ],
)
def test_distance(type: Any, before: Any, after: Any, expected: float) -> None:
    assert distance(type, before, after) == pytest.approx(expected)
    assert distance(type, after, before) == pytest.approx(expected)


@pytest.mark.slow
def test_no_percentage_is_nearer() -> None:
    tried = [count for seed in range(12) for count in found_and_least(Random(seed))]
    assert [found for found, _ in tried] == [least for _, least in tried]
    assert sum(found is not None for found, _ in tried) > 8


def found_and_least(random: Random) -> Iterator[tuple[int | None, int | None]]:
    """For each percentage of a random policy what the search finds, and what trying all does."""
    rules = " ".join(f"{random.choice(ANSWERS)} when {condition(random)};" for _ in range(4))
    text = f"policy p; param edge : percent = 30% in 10%..70%; thp {{ {rules} otherwise pass; }}"
    plan = check_text(text, "p.thp", profiles=["testrun"]).plan
    assert plan is not None, text
    assert plan.thp is not None
    state = first_state(plan)
    pressures = {name: random.randrange(10_001) for name in PRESSURES}
    values = REQUESTS["thp"].from_values({"orders": ALL, **pressures}).values()
    changes = nearest_changes(plan, plan.thp, values, state).changes
    found = {change.name: change for change in changes}
    for name in PRESSURES:
        yield steps(found.get(name)), least(plan, plan.thp, values, state, name)
    for param in plan.params:
        yield steps(found.get(param.name)), least_param(plan, plan.thp, values, state, param)


ANSWERS = ("deny", "allow pmd", "allow 64K", "pass")
PRESSURES = ("psi.memory.some.avg10", "psi.io.full.avg10")


def condition(random: Random) -> str:
    """Two comparisons of percentages."""
    return random.choice((" and ", " or ", " and not ")).join(
        f"{random.choice(PRESSURES)} {random.choice(('<', '<=', '>', '>=', '==', '!='))} "
        f"{random.choice(('edge', f'{random.randrange(1, 99)}%', random.choice(PRESSURES[:1])))}"
        for _ in range(2)
    )


def steps(change: Change | None) -> int | None:
    """How many hundredths a change goes; None if there is none, or none to a number."""
    if change is None or change.after is None:
        return None
    return abs(int(change.before or 0) - int(change.after))


def least(plan: n.Plan, hook: n.HookPlan, values: Values, state: State, name: str) -> int | None:
    """The smallest change of an attribute that gives another answer, by trying all."""
    before, now = evaluate(plan, hook, values, state), int(values[name] or 0)
    return min(
        (
            abs(other - now)
            for other in range(10_001)
            if differ(hook, before, evaluate(plan, hook, {**values, name: other}, state))
        ),
        default=None,
    )


def least_param(
    plan: n.Plan, hook: n.HookPlan, values: Values, state: State, param: n.ParamDefinition
) -> int | None:
    """The same of a parameter, within its range."""
    before, now = evaluate(plan, hook, values, state), state.params[param.name]
    changed = (
        (other, replace(state, params={**state.params, param.name: other}))
        for other in range(param.low, param.high + 1)
    )
    return min(
        (
            abs(other - now)
            for other, after in changed
            if differ(hook, before, evaluate(plan, hook, values, after))
        ),
        default=None,
    )
