"""The text of emitted C: nothing of a policy's text gets out of a comment or an array."""

from __future__ import annotations

import dataclasses
import re

import pytest

from policyc.emit.bpf import emit_bpf, emit_bpf_many
from policyc.emit.c_text import comment
from policyc.emit.clang import ClangFailed, ToolMissing, compile_object, find_clang
from policyc.emit.limits import MAX_PATHS, MAX_RULES, PolicyTooLarge
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.types import BOOL, CGROUP, ORDERS, SIZE, STRING
from tests.emit.bpf_plans import random_plan

HOSTILE = (
    "*/ int evil; /*",
    "*//*/",
    "// comment",
    "ends in a backslash \\",
    "backslash, then spaces \\  ",
    "\\\nint evil;",
    "??/\n??)??!",
    '"; #define x',
    "\r\n#error evil\0\x1b[2J",
    "caf\u00e9 \u202e \U0001f600",
    "{{ 7 * 7 }} {% raw %}",
    "int include error define",
)

COMM = n.Attribute(STRING, "task.comm")
WHERE = n.Attribute(CGROUP, "cgroup")


def missing_clang() -> str:
    try:
        find_clang()
    except ToolMissing as error:
        return str(error)
    return ""


NO_CLANG = pytest.mark.skipif(bool(missing_clang()), reason=missing_clang() or "-")


def plan_of(*blocks: n.Block, **more: object) -> n.Plan:
    hook = n.HookPlan(n.HookName.THP, n.Combine.MEET, blocks)
    plan = n.Plan("p", "p.thp", n.Target(), ("/a",), (), (), (), hook, None, ())
    return dataclasses.replace(plan, **more)


def rule(index: int, condition: n.Expr | None, text: str = "rule") -> n.Rule:
    return n.Rule(index, condition, n.Allow(n.Const(ORDERS, 0x10 << index)), "", index + 1, text)


@pytest.mark.parametrize("text", HOSTILE)
def test_comment_cannot_be_left(text: str) -> None:
    safe = comment(text)
    assert not set(re.findall(r"\*/|/\*|//|\?\?", safe))
    assert safe.isascii()
    assert safe.isprintable()
    assert not safe.endswith("\\")


@NO_CLANG
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_no_code(text: str) -> None:
    """The tokens that are left without comments are those of a harmless policy."""

    def code(words: str) -> tuple[str, str]:
        is_name = n.Compare(n.CompareOperator.EQUAL, COMM, n.Const(STRING, words.encode()[:15]))
        block = n.Block(0, 0, 1, None, (rule(0, is_name, words), rule(1, None, words)), None, 1)
        plan = plan_of(block, name=words, file=words, paths=(words,))
        emitted = emit_bpf(plan, profiles()["thp-v9"])
        plain = re.sub(r"/\*.*?\*/|//[^\n]*", " ", emitted, flags=re.DOTALL)
        return emitted, re.sub(r"0x[0-9a-f]{2}\b|, \d+\)", "_", plain)

    emitted, tokens = code(text.replace("\0", ""))
    assert tokens.split() == code("x" * 15)[1].split()
    compile_object(emitted)


@NO_CLANG
def test_names_that_are_words_of_c_compile() -> None:
    params = tuple(
        n.ParamDefinition(name, BOOL, 1, 0, 1, 1) for name in ("int", "orders", "request", "params")
    )
    lets = tuple(n.LocalDefinition(p.name, n.Not(n.Param(BOOL, p.name)), 1) for p in params)
    sets = tuple(n.SetDefinition(p.name, CGROUP, (), 1) for p in params)
    conditions = [n.Local(BOOL, p.name) for p in params] + [n.InSet(WHERE, p.name) for p in params]
    rules = tuple(rule(i, c) for i, c in enumerate([*conditions, None]))
    plan = plan_of(n.Block(0, None, 0, None, rules, None, 1), params=params, locals=lets, sets=sets)
    compile_object(emit_bpf(plan, profiles()["thp-v7"]))


def test_no_counters_leaves_map_and_code_out() -> None:
    plan = plan_of(n.Block(0, None, 0, None, (rule(0, None),), None, 1))
    profile = profiles()["thp-v12"]
    assert "count_rule(rule)" in emit_bpf(plan, profile)
    assert "rule_counters" in emit_bpf(plan, profile)
    assert "count" not in emit_bpf(plan, profile, counters=False)


def test_current_is_never_asked_who_it_is() -> None:
    for seed in range(30):
        assert "get_current" not in emit_bpf(random_plan(seed), profiles()["testrun"])


def test_v9_never_returns_a_negative_answer() -> None:
    plan = plan_of(n.Block(0, None, 0, None, (rule(0, None),), None, 1))
    assert "return -1;" in emit_bpf(plan, profiles()["thp-v7"])
    assert "return -1;" in emit_bpf(plan, profiles()["thp-v12"])
    assert "return -" not in emit_bpf(plan, profiles()["thp-v9"])


def test_two_profiles_of_one_hook_are_refused() -> None:
    plan = plan_of(n.Block(0, None, 0, None, (rule(0, None),), None, 1))
    with pytest.raises(ValueError, match="one profile of each hook"):
        emit_bpf_many(plan, [profiles()["thp-v7"], profiles()["thp-v9"]])


def test_too_many_paths_are_refused() -> None:
    """Each rule has a condition of its own beside the path, so that they make no table."""
    size = n.Attribute(SIZE, "vma.size")
    rules = [
        rule(
            i % 9,
            n.And(
                (
                    n.UnderPath(WHERE, i),
                    n.Compare(n.CompareOperator.EQUAL, size, n.Const(SIZE, i)),
                )
            ),
        )
        for i in range(MAX_PATHS + 1)
    ]
    numbered = [dataclasses.replace(r, index=i) for i, r in enumerate([*rules, rule(0, None)])]
    plan = plan_of(
        n.Block(0, None, 0, None, tuple(numbered), None, 1),
        paths=tuple(f"/{i}" for i in range(MAX_PATHS + 1)),
    )
    with pytest.raises(PolicyTooLarge, match="1025 cgroup paths"):
        emit_bpf(plan, profiles()["testrun"])
    assert "policy_paths" in emit_bpf(
        dataclasses.replace(
            plan, thp=n.HookPlan(n.HookName.THP, n.Combine.MEET, (short(numbered),))
        ),
        profiles()["testrun"],
    )


def short(rules: list[n.Rule]) -> n.Block:
    """The block without one of its rules."""
    return n.Block(0, None, 0, None, tuple(rules[1:]), None, 1)


def test_short_runs_are_tables_where_there_are_too_many_paths() -> None:
    """Pairs of rules, each pair with a condition of its own: cheaper as branches, but too many."""
    size = n.Attribute(SIZE, "vma.size")
    rules: list[n.Rule] = []
    for i in range(MAX_PATHS + 2):
        rest = n.Compare(n.CompareOperator.EQUAL, size, n.Const(SIZE, i // 2))
        rules.append(dataclasses.replace(rule(0, n.And((n.UnderPath(WHERE, i), rest))), index=i))
    rules.append(dataclasses.replace(rule(0, None), index=len(rules)))
    block = n.Block(0, None, 0, None, tuple(rules), None, 1)
    paths = tuple(f"/{i}" for i in range(MAX_PATHS + 2))
    text = emit_bpf(plan_of(block, paths=paths), profiles()["testrun"])
    assert "policy_paths" not in text
    assert text.count("} table_") == len(paths) // 2


@pytest.mark.parametrize(("blocks", "rules", "message"), [(513, 1, "513 thp"), (300, 6, "300 thp")])
def test_too_many_blocks_are_refused(blocks: int, rules: int, message: str) -> None:
    pmd = n.Compare(n.CompareOperator.EQUAL, n.Attribute(SIZE, "vma.size"), n.Const(SIZE, 1))
    made: list[n.Block] = []
    for place in range(blocks):
        inside = [rule(0, pmd) for _ in range(rules - 1)] + [rule(0, None)]
        numbered = [dataclasses.replace(r, index=place * rules + i) for i, r in enumerate(inside)]
        made.append(n.Block(place, 0, 1, None, tuple(numbered), None, 1))
    with pytest.raises(PolicyTooLarge, match=message):
        emit_bpf(plan_of(*made), profiles()["testrun"])


def test_too_many_rules_are_refused() -> None:
    last = dataclasses.replace(rule(0, None), index=MAX_RULES)
    with pytest.raises(PolicyTooLarge, match="65536 rules"):
        emit_bpf(plan_of(n.Block(0, 0, 1, None, (last,), None, 1)), profiles()["testrun"])


NO_ROOM = {
    "jumps": """int f(volatile int *x) {
        if (*x) asm volatile(".rept 40000; r1 = r1; .endr" : : : "r1");
        return 1;
    }""",
    "stack": "void g(void *x); int f(void) { char x[600]; g(x); return x[1]; }",
}


@NO_CLANG
@pytest.mark.parametrize("what", NO_ROOM)
def test_what_clang_has_no_room_for_is_too_large(what: str) -> None:
    with pytest.raises(PolicyTooLarge, match=what):
        compile_object(NO_ROOM[what])


@NO_CLANG
def test_object_has_the_same_bytes_again_and_no_directory() -> None:
    text = emit_bpf(random_plan(3), profiles()["testrun"])
    assert text == emit_bpf(random_plan(3), profiles()["testrun"])
    data = compile_object(text)
    assert data == compile_object(text)
    assert b"/tmp" not in data
    assert b"policyc-" not in data


@NO_CLANG
def test_clang_that_fails_or_is_missing() -> None:
    with pytest.raises(ClangFailed, match="unknown type name 'nonsense'"):
        compile_object("nonsense x;")
    with pytest.raises(ToolMissing, match="POLICYC_CLANG"):
        compile_object("int x;", clang="/nowhere/clang")
    assert "clang" in find_clang()
