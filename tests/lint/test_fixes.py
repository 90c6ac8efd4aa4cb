"""Fixes leave every decision as it was, and a second run finds nothing to fix."""

from __future__ import annotations

from random import Random

import pytest

from policyc.check import check_text
from policyc.lint import fix_text, lint_text
from policyc.plan import nodes as n
from policyc.plan.evaluate import evaluate
from policyc.syntax.printer import format_policy
from tests.strategies.policies import policy_of_seed
from tests.strategies.requests import Requests, World, states


def fixed(text: str) -> str:
    return fix_text(text.encode(), "a.thp").data.decode()


def plan_of(data: bytes | str, target: n.Target | None = None) -> n.Plan:
    plan = check_text(data, "a.thp", profiles=["testrun"], target=target).plan
    assert plan is not None
    return plan


def differences(old: n.Plan, new: n.Plan, count: int) -> list[object]:
    """Requests that two plans decide differently."""
    random = Random(old.name)
    world = World(old, random)
    found: list[object] = []
    for hook, other in zip(old.hooks, new.hooks, strict=True):
        requests = Requests(old, hook, world, random)
        for state in states(old, random):
            for request in requests.make(count):
                one = evaluate(old, hook, request.values, state)
                two = evaluate(new, other, request.values, state)
                rules = [o.decided_by and o.decided_by.index for o in (one, two)]
                same = (one.orders, one.on, one.hot_threshold) == (
                    two.orders,
                    two.on,
                    two.hot_threshold,
                )
                if not same or rules[0] != rules[1]:
                    found.append((request, one, two))
    return found


MESSY = """# Head.
policy messy;

set   idle : cgroup = { "/x" };    # nobody asks
let   a = b;
let   b = vma.stack == true;
param enabled : bool = true;

thp for cgroup "/a" {
    rollout 100% by cgroup;    # over
    deny when vma.stack == false and (enabled is true or vma.exec != true);
    otherwise pass;  # lint: allow PL004 nothing
}
# lint: allow PL020 nothing
numa for cgroup "/a" { rollout 100% by cgroup; otherwise off; }
"""

CLEAN = """# Head.
policy messy;

param enabled : bool = true;

thp for cgroup "/a" {
    deny when not vma.stack and (enabled or not vma.exec);
    otherwise pass;
}
numa for cgroup "/a" {  otherwise off; }
"""


def test_all_fixes_at_once():
    result = fix_text(MESSY.encode(), "a.thp")
    assert result.data.decode() == CLEAN
    assert result.applied == 11
    assert result.left.findings == ()


def test_fixes_are_idempotent_and_mean_the_same():
    again = fix_text(CLEAN.encode(), "a.thp")
    assert (again.data.decode(), again.applied) == (CLEAN, 0)
    assert differences(plan_of(MESSY), plan_of(CLEAN), 300) == []


@pytest.mark.parametrize("seed", range(40))
def test_fixes_of_random_policies(seed: int):
    generated = policy_of_seed(seed)
    data = format_policy(generated.file).encode("utf-8", "surrogatepass")
    if not lint_text(data, "a.thp", target=generated.target).checked:
        return
    result = fix_text(data, "a.thp", target=generated.target)
    again = fix_text(result.data, "a.thp", target=generated.target)
    assert (again.data, again.applied) == (result.data, 0)
    old, new = plan_of(data, generated.target), plan_of(result.data, generated.target)
    assert differences(old, new, 40) == []


def test_random_policies_have_something_to_fix():
    texts = [format_policy(policy_of_seed(seed).file) for seed in range(40)]
    assert sum(fix_text(text.encode(), "a.thp").applied > 0 for text in texts) > 5


def test_a_comment_inside_a_declaration_is_not_lost():
    text = 'policy a;\nset s : string = {\n    "x",  # why\n};\nthp { otherwise pass; }\n'
    result = fix_text(text.encode(), "a.thp")
    assert result.data.decode() == text
    assert [finding.code for finding in result.left.findings] == ["PL011"]


def test_what_stands_on_the_same_line_stays():
    text = "policy a; let b = 64K; let c = (vma.stack); thp { deny when c; otherwise pass; }"
    assert fixed(text) == "policy a;  let c = (vma.stack); thp { deny when c; otherwise pass; }"


def test_a_rollout_without_a_scope_is_not_fixed():
    """It leaves out requests without a cgroup, which would change sides."""
    text = "policy a;\nthp { rollout 100% by cgroup; otherwise deny; }\n"
    result = fix_text(text.encode(), "a.thp")
    assert (result.data.decode(), [f.code for f in result.left.findings]) == (text, ["PL013"])


def test_mark_and_line_ends_are_kept():
    data = b"\xef\xbb\xbfpolicy a;\r\nlet b = 64K;\r\nthp { otherwise pass; }\r\n"
    assert fix_text(data, "a.thp").data == (b"\xef\xbb\xbfpolicy a;\r\nthp { otherwise pass; }\r\n")


def test_a_policy_with_errors_is_left_alone():
    text = "policy a;\nlet b = 64K;\nthp { deny when vma.stack == true; }\n"
    assert fixed(text) == text


def test_findings_that_a_comment_accepts_are_not_fixed():
    text = "policy a;\nlet b = 64K;  # lint: allow PL011 for later\nthp { otherwise pass; }\n"
    assert fixed(text) == text


def test_what_only_tests_change_is_reported_and_stays():
    text = """policy p;

param idle : int = 3 in 0..10;
set tried : cgroup = { "/a" };
let left = vma.exec;

thp {
    deny when vma.stack == true;
    otherwise pass;
}

test "changes" for thp {
    param idle = 4;
    set tried = { };
    given vma.stack = true;
    expect deny;
}
"""
    wanted = text.replace("let left = vma.exec;\n", "").replace("stack == true", "stack")
    assert fixed(text) == wanted
    left = lint_text(wanted.encode(), "a.thp").findings
    assert [(item.code, item.span.line, item.fix) for item in left] == [
        ("PL011", 3, None),
        ("PL011", 4, None),
    ]
