"""Generated modules: they stand alone, and no text of a policy gets out of a string."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policyc.api import Policy
from policyc.emit.python import emit_python
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.plan.types import BOOL, CGROUP, INT, ORDERS, SIZE, STRING
from policyc.runtime.requests import ThpRequest
from tests.emit.python_plans import random_plan
from tests.outcomes import outcome_of, plan_state

PID = n.Attribute(INT, "task.pid")
CGROUP_OF_TASK = n.Attribute(CGROUP, "cgroup")


def plan_of(*conditions: n.Expr, **parts: Any) -> n.Plan:
    """A plan whose rule N allows order N + 2 when condition N holds."""
    rules = [
        n.Rule(index, condition, n.Allow(n.Const(ORDERS, 4 << index)), "", index + 1, "")
        for index, condition in enumerate(conditions)
    ]
    rules.append(n.Rule(len(rules), None, n.Allow(n.Const(ORDERS, 0)), "", len(rules) + 1, ""))
    block = n.Block(0, None, 0, None, tuple(rules), None, 1)
    thp = n.HookPlan(n.HookName.THP, n.Combine.MEET, (block,))
    plan = n.Plan("p", "p.thp", n.Target(), (), (), (), (), thp, None, ())
    return replace(plan, **parts)


def executed(source: str) -> dict[str, Any]:
    """The names of a module that is not in sys.modules."""
    module: dict[str, Any] = {"__name__": "nowhere"}
    exec(compile(source, "nowhere.py", "exec", dont_inherit=True), module)
    return module


def holds(condition: n.Expr, request: ThpRequest, **parts: Any) -> bool:
    """Whether a condition holds, which the generated functions and the evaluator agree on."""
    plan = plan_of(condition, **parts)
    assert plan.thp is not None
    policy = Policy(plan)
    expected = evaluate(plan, plan.thp, request.values(), plan_state(policy.state))
    assert outcome_of(plan, policy.decide(request)) == expected
    assert policy.thp_orders(request) == expected.orders
    return expected.orders != 0


def test_standalone_module_needs_neither_policyc_nor_site_packages(tmp_path: Path):
    source = emit_python(random_plan(3), tuple(profiles().values()))
    (tmp_path / "generated.py").write_text(source, "ascii")
    program = (
        "import sys, json; sys.path.insert(0, '.')\n"
        "import generated as g\n"
        "r = g.ThpRequest(orders=0x3fc, cgroup='/a/b', task_comm='x')\n"
        "d = g.decide(r)\n"
        "assert not any(m.startswith('policyc') for m in sys.modules)\n"
        "print(json.dumps([d.orders, g.thp_orders(r), d.raw('thp-v9'), d.effective('thp-v9'),\n"
        "                  d.rule and d.rule.index, g.state.snapshot(), g.POLICY['name']]))\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    policy = Policy(random_plan(3))
    decision = policy.decide(ThpRequest(orders=0x3FC, cgroup="/a/b", task_comm="x"))
    assert json.loads(result.stdout) == [
        decision.orders,
        decision.orders,
        decision.raw("thp-v9"),
        decision.effective("thp-v9"),
        decision.rule and decision.rule.index,
        policy.state.snapshot(),
        "random",
    ]


def test_module_can_be_executed_without_an_entry_in_sys_modules():
    module = executed(emit_python(random_plan(1), ()))
    request = module["ThpRequest"](orders=4, cgroup="/a")
    assert module["decide"](request).orders == module["thp_orders"](request)


def test_embedded_runtime_defines_every_name_once():
    tree = ast.parse(emit_python(plan_of(), ()))
    defined: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            defined.append(statement.name)
        elif isinstance(statement, ast.Assign):
            defined += [t.id for t in statement.targets if isinstance(t, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            defined.append(statement.target.id)
    repeated = {name for name, count in Counter(defined).items() if count > 1}
    assert repeated == {"decide"}  # its overloads


def test_output_is_deterministic_and_ascii():
    first = emit_python(random_plan(7), tuple(profiles().values()))
    assert first == emit_python(random_plan(7), tuple(profiles().values()))
    assert first.isascii()


def test_policy_of_another_module_refuses_a_request_of_this_one():
    module = executed(emit_python(plan_of(), ()))
    with pytest.raises(TypeError, match="of this module"):
        module["decide"](ThpRequest(orders=4))


HOSTILE = (
    '"""\nimport os\nos._exit(3)\n"""',
    "'); __import__('os')._exit(3); ('",
    "\\",
    "{{ 7 * 7 }}{% for x in () %}",
    "# noqa\r\n\x0c\x00\u2028\u202e\udc80",
    "%s {0} {name!r}",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_strings(text: str):
    path = "/" + text.replace("/", "_").replace("\0", "_")
    comm = text.encode("utf-8", "surrogateescape").replace(b"\0", b"")[:15]
    condition = n.Or(
        (
            n.IsPath(CGROUP_OF_TASK, 0),
            n.InSet(n.Attribute(STRING, "task.comm"), text),
            n.UnderSet(CGROUP_OF_TASK, "class"),
            n.Compare(n.CompareOperator.EQUAL, PID, n.Param(INT, text)),
            n.Local(BOOL, text),
        )
    )
    plan = plan_of(
        condition,
        name=text,
        file=text,
        paths=(path,),
        sets=(n.SetDefinition(text, STRING, (comm,), 1), n.SetDefinition("class", CGROUP, (), 2)),
        params=(n.ParamDefinition(text, INT, 5, 0, 9, 3),),
        locals=(n.LocalDefinition(text, n.UnderPath(CGROUP_OF_TASK, 0), 4),),
    )
    assert plan.thp is not None
    block = plan.thp.blocks[0]
    rules = tuple(replace(rule, label=text, text=text) for rule in block.rules)
    plan = replace(plan, thp=replace(plan.thp, blocks=(replace(block, rules=rules),)))
    source = emit_python(plan, ())
    assert source.isascii()
    assert executed(source)["POLICY"] == {"name": text, "file": text}
    policy = Policy(plan)
    for request, orders in (
        (ThpRequest(orders=0x3FC, cgroup=path), 4),
        (ThpRequest(orders=0x3FC, task_comm=comm), 4),
        (ThpRequest(orders=0x3FC, task_pid=5), 4),
        (ThpRequest(orders=0x3FC, cgroup="/other", task_pid=6), 0),
    ):
        decision = policy.decide(request)
        assert decision.orders == policy.thp_orders(request) == orders
        assert decision.rule is not None
        assert (decision.rule.label, decision.rule.text, decision.rule.file) == (text,) * 3


def test_every_derived_attribute_is_what_the_request_says():
    at_least = n.CompareOperator.GREATER_EQUAL
    free = n.Attribute(SIZE, "memory.free")
    condition = n.Compare(at_least, free, n.Const(SIZE, 1))
    assert holds(condition, ThpRequest(orders=4, memory_max=5, memory_usage=4))
    assert not holds(condition, ThpRequest(orders=4, memory_max=4, memory_usage=5))
    assert not holds(condition, ThpRequest(orders=4, memory_max=5))


@pytest.mark.parametrize("depth", [0, 1, 30, 31, 32, 33, 40])
@pytest.mark.parametrize("path", ["/", "/a"])
def test_under_looks_at_32_levels(path: str, depth: int):
    cgroup = "/a" + "/x" * depth
    levels = depth + (path == "/")
    expected = levels < n.MAX_CGROUP_LEVELS
    request = ThpRequest(orders=4, cgroup=cgroup)
    groups = (n.SetDefinition("groups", CGROUP, (path,), 1),)
    assert holds(n.UnderPath(CGROUP_OF_TASK, 0), request, paths=(path,)) is expected
    assert holds(n.UnderSet(CGROUP_OF_TASK, "groups"), request, sets=groups) is expected


def test_under_does_not_take_a_prefix_for_an_ancestor():
    for path in ("/a", "/a/b"):
        request = ThpRequest(orders=4, cgroup="/ab" if path == "/a" else "/a/bc")
        assert not holds(n.UnderPath(CGROUP_OF_TASK, 0), request, paths=(path,))


@pytest.mark.parametrize("height", [7, 8, 15, 16, 17, 31, 45])
def test_deep_expressions_are_cut_into_assignments(height: int):
    total: n.Expr = PID
    for _ in range(height):
        total = n.Arithmetic(INT, n.ArithmeticOperator.ADD, n.Const(INT, 1), total)
    condition: n.Expr = n.Compare(n.CompareOperator.EQUAL, total, n.Const(INT, height + 7))
    for _ in range(height + height % 2):
        condition = n.Not(condition)
    assert holds(condition, ThpRequest(orders=4, task_pid=7))
    assert not holds(condition, ThpRequest(orders=4, task_pid=8))
    assert not holds(condition, ThpRequest(orders=4))


def test_many_rules_and_wide_conditions_compile():
    wide = n.Or(
        tuple(
            n.Compare(n.CompareOperator.EQUAL, PID, n.Const(INT, number)) for number in range(3_000)
        )
    )
    rules = [
        n.Compare(n.CompareOperator.EQUAL, PID, n.Const(INT, 10_000 + number))
        for number in range(40)
    ]
    policy = Policy(plan_of(*rules, *[wide] * 2))
    assert policy.thp_orders(ThpRequest(orders=1 << 41, task_pid=10_039)) == 1 << 41
    assert policy.thp_orders(ThpRequest(orders=1 << 42, task_pid=2_999)) == 1 << 42


def test_local_is_evaluated_once_in_a_function():
    local = n.Local(BOOL, "busy")
    busy = n.Compare(n.CompareOperator.GREATER, PID, n.Const(INT, 1234567))
    other = n.Compare(n.CompareOperator.EQUAL, n.Attribute(INT, "node.id"), n.Const(INT, 3))
    plan = plan_of(
        other,
        n.And((local, n.Not(other))),
        local,
        locals=(n.LocalDefinition("busy", busy, 1),),
    )
    source = emit_python(plan, ())
    function = source[source.index("def thp_orders") : source.index("@overload")]
    assert function.count("1234567") == 1
    # The first rule does not need it.
    assert function.index("# rule 0") < function.index("let_busy =") < function.index("# rule 1")
