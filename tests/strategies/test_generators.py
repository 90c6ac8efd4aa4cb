"""What the generators reach: a comparison over policies that are all alike would prove little."""

from __future__ import annotations

from random import Random

from policyc.emit.uses import expressions
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import ancestors, evaluate
from policyc.plan.types import U64_MAX
from tests.differential.compare import checked_plan
from tests.strategies.policies import TARGETS, policy_of_seed
from tests.strategies.requests import Requests, World, first_state, states

PLANS = [checked_plan(policy_of_seed(seed))[1] for seed in range(300)]

_NODES = {
    n.Const, n.Attribute, n.Param, n.Local, n.Arithmetic, n.Compare, n.InSet, n.InList,
    n.UnderSet, n.UnderPath, n.IsPath, n.Union, n.Difference, n.Contains, n.Overlaps, n.Highest,
    n.Has, n.And, n.Or, n.Not,
}  # fmt: skip


def test_policies_have_everything_that_a_plan_can_have() -> None:
    found = [expr for plan in PLANS for expr in expressions(plan)]
    assert {type(expr) for expr in found} == _NODES
    operators = {expr.operator for expr in found if isinstance(expr, n.Arithmetic)}
    assert operators == set(n.ArithmeticOperator)
    compared = {expr.operator for expr in found if isinstance(expr, n.Compare)}
    assert compared == set(n.CompareOperator)
    names = {expr.name for expr in found if isinstance(expr, n.Attribute)}
    assert {row.root for row in attributes().values()} <= {attributes()[x].root for x in names}
    assert {row.name for row in attributes().values() if "psi." not in row.name} <= names | {
        "memory.free"
    }
    hooks = [hook for plan in PLANS for hook in plan.hooks]
    assert {(hook.hook, hook.combine) for hook in hooks} == {
        (hook, combine) for hook in n.HookName for combine in n.Combine
    }
    blocks = [block for hook in hooks for block in hook.blocks]
    assert {type(block.rollout) for block in blocks} == {n.Const, n.Param, type(None)}
    assert {type(block.hot_threshold) for block in blocks} == {n.Const, n.Param, type(None)}
    assert {plan.target for plan in PLANS} == set(TARGETS)
    assert max(len(plan.rules) for plan in PLANS) <= 35


def test_requests_reach_most_rules_and_every_kind_of_answer() -> None:
    answers: set[str] = set()
    reached = rules = 0
    for seed, plan in enumerate(PLANS[:120]):
        random = Random(seed)
        world = World(plan, random)
        for hook in plan.hooks:
            fired: set[int] = set()
            for state in states(plan, random):
                for request in Requests(plan, hook, world, random).make(150):
                    outcome = evaluate(plan, hook, request.values, state)
                    fired |= {rule.index for rule in outcome.fired if rule is not None}
                    requested = request.values.get("orders", 0)
                    answers.add(_kind(requested, outcome.orders) if requested else str(outcome.on))
            reached += len(fired)
            rules += sum(len(block.rules) for block in hook.blocks)
    assert answers >= {"all", "some", "none", "True", "False"}
    # The rest stands behind conditions that are constant, or behind each other.
    assert reached > 0.5 * rules


def _kind(requested: object, allowed: int) -> str:
    return "none" if not allowed else "all" if allowed == requested else "some"


def test_requests_have_the_values_that_hurt() -> None:
    values: dict[str, set[object]] = {}
    ids: set[int] = set()
    tails: set[bytes] = set()
    depths: set[int] = set()
    for seed, plan in enumerate(PLANS[:120]):
        random = Random(seed)
        world = World(plan, random)
        for hook in plan.hooks:
            for request in Requests(plan, hook, world, random).make(200):
                for name, value in request.values.items():
                    values.setdefault(name, set()).add(value)
                tails.add(request.tail)
                cgroup = request.values.get("cgroup")
                if isinstance(cgroup, str):
                    ids |= {world.id(path) for path in ancestors(cgroup)}
                    depths.add(cgroup.count("/"))
    assert {None, b"", b"exactly15bytes!", b"exactly15bytes"} <= values["task.comm"]
    assert {0, U64_MAX, 1 << 9, 1 << 11, 1 << 13, 1 << 63} <= values["orders"]
    assert {None, "/", "/a", "/a/b", "/a/bc", "/a/b/child", "/ab"} <= values["cgroup"]
    assert {None, 0, 1, U64_MAX, (1 << 63) - 1, 1 << 63} <= values["task.uid"]
    assert len(tails) > 1
    assert max(depths) > n.MAX_CGROUP_LEVELS
    assert n.MAX_CGROUP_LEVELS - 1 in depths
    assert any(number > 1 << 53 for number in ids)
    assert any(number > U64_MAX - 100_000 for number in ids)
    for name, seen in values.items():
        row = attributes().get(name)
        absent = row is None or bool(row.absent)
        assert (None in seen) is absent, name


def test_states_are_within_their_ranges_and_differ() -> None:
    for seed, plan in enumerate(PLANS):
        situations = states(plan, Random(seed))
        assert situations[0] == first_state(plan)
        for state in situations:
            assert set(state.sets) == {item.name for item in plan.sets}
            for param in plan.params:
                assert param.low <= state.params[param.name] <= param.high
        if plan.sets:
            assert any(not any(state.sets.values()) for state in situations)
