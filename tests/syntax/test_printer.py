"""The formatter: its text parses back to the same tree, and is laid out as one would write it."""

from __future__ import annotations

import unicodedata
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyc.check import check_text
from policyc.diagnostics.model import Diagnostics
from policyc.source import Source
from policyc.syntax import tree as t
from policyc.syntax.parser import parse
from policyc.syntax.printer import format_expr, format_policy, format_string
from tests.strategies import trees as make
from tests.strategies.policies import Generated, policies, policy_of_seed
from tests.strategies.trees import skeleton


def parsed(text: str) -> t.PolicyFile:
    diagnostics = Diagnostics()
    file = parse(Source("test.thp", text), diagnostics)
    assert file is not None, diagnostics.items
    return file


def formatted(text: str) -> str:
    return format_policy(parsed(text))


def condition(text: str) -> t.Expr:
    file = parsed(f"policy p; let x = {text};")
    (item,) = file.items
    assert isinstance(item, t.LetItem)
    return item.expr


# -- properties


@settings(max_examples=150)
@given(policies())
def test_a_policy_survives_printing_and_parsing(generated: Generated) -> None:
    file = generated.file
    text = format_policy(file)
    again = parsed(text)
    assert skeleton(again) == skeleton(file)
    assert format_policy(again) == text


@pytest.mark.parametrize("shard", range(4))
def test_generated_policies_have_no_errors(shard: int) -> None:
    for seed in range(shard, 800, 4):
        generated = policy_of_seed(seed)
        text = format_policy(generated.file)
        result = check_text(text, "generated.thp", target=generated.target)
        assert result.plan is not None, (result.diagnostics, text)
        assert skeleton(parsed(text)) == skeleton(generated.file), text


def _expressions() -> st.SearchStrategy[t.Expr]:
    """Expressions of any shape that the grammar has, sense or no sense."""
    names = st.sampled_from(["a", "cgroup", "task.comm", "x.y.z", "pmd"]).map(make.name_expr)
    numbers = st.integers(0, (1 << 64) - 1)
    span = make.SPAN
    literals = (
        numbers.map(make.integer)
        | numbers.map(lambda value: t.SizeLiteral(value, span))
        | numbers.map(lambda value: t.DurationLiteral(value, span))
        | st.integers(0, 10_000).map(lambda value: t.PercentLiteral(value, span))
        | st.binary(max_size=12).map(make.string)
        | st.text(max_size=8).map(lambda text: make.string(text.encode("utf-8", "surrogatepass")))
    )
    orders = st.integers(0, 20).map(lambda value: t.OrderLiteral(value, span))
    ends = numbers.map(lambda value: t.SizeLiteral(value, span)) | orders | names
    ranges = (
        st.builds(lambda low, high: t.RangeExpr(low, high, span), ends, ends)
        | ends.map(lambda low: t.RangeExpr(low, None, span))
        | ends.map(lambda high: t.RangeExpr(None, high, span))
    )
    lists = st.lists(literals | names, min_size=1, max_size=3).map(
        lambda items: t.ListExpr(tuple(items), span)
    )
    tests = names.map(lambda name: make.has(name.text))
    leaves = names | literals | orders | ranges | lists | tests

    def larger(inner: st.SearchStrategy[t.Expr]) -> st.SearchStrategy[t.Expr]:
        items = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return (
            st.builds(make.binary, st.sampled_from("+-*/%|"), inner, inner)
            | st.builds(make.comparison, st.sampled_from(OPERATORS), inner, inner)
            | st.builds(make.logical, st.sampled_from(("and", "or")), items)
            | inner.map(make.negation)
            | inner.map(make.highest)
        )

    return st.recursive(leaves, larger, max_leaves=12)


OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "is", "in", "under", "overlaps")


@settings(max_examples=600)
@given(_expressions())
def test_any_expression_survives(expr: t.Expr) -> None:
    assert skeleton(condition(format_expr(expr))) == skeleton(expr)


@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda s: s.encode("utf-8", "replace")))
def test_a_string_keeps_its_bytes_and_shows_them(value: bytes) -> None:
    literal = format_string(value)
    (item,) = parsed(f"policy p; set s : string = {{ {literal} }};").items
    assert isinstance(item, t.SetItem)
    assert item.members[0].value == value
    # Nothing that a terminal or an editor would act on; what Unicode may still assign is left.
    assert all(char.isprintable() or unicodedata.category(char) == "Cn" for char in literal)


# -- what it looks like


def test_the_layout() -> None:
    text = dedent(
        """\
        policy fleet;  # a comment is not kept
        set java:cgroup={"/kubepods/java"};set empty:string={};
        param ceiling:percent=10.50% in 0%..100%; param on_:bool=true;
        let squeezed=cgroup.psi.memory.full.avg10>ceiling;
        combine thp by meet;
        host{thp.enabled=madvise;thp.enabled[64K]=inherit;thp.defrag=defer+madvise;}
        thp{deny when squeezed;x:allow ..64K|pmd when cgroup under java;otherwise pass;}
        numa for cgroup "/db"{rollout 25% by cgroup;hot_threshold=200ms;otherwise off;}
        """
    )
    assert formatted(text) == dedent(
        """\
        policy fleet;

        set java : cgroup = { "/kubepods/java" };
        set empty : string = { };

        param ceiling : percent = 10.5% in 0%..100%;
        param on_ : bool = true;

        let squeezed = cgroup.psi.memory.full.avg10 > ceiling;

        combine thp by meet;

        host {
            thp.enabled = madvise;
            thp.enabled[64K] = inherit;
            thp.defrag = defer+madvise;
        }

        thp {
            deny when squeezed;
            x: allow ..64K | pmd when cgroup under java;
            otherwise pass;
        }

        numa for cgroup "/db" {
            rollout 25% by cgroup;
            hot_threshold = 200ms;
            otherwise off;
        }
        """
    )


def test_long_lines_are_broken_at_the_outermost_operator() -> None:
    names = [f"vma.size >= {number}M" for number in range(1, 8)]
    broken = formatted(f"policy p; thp {{ deny when {' and '.join(names)}; otherwise pass; }}")
    assert broken.splitlines()[3:10] == [
        "    deny when",
        "        vma.size >= 1M",
        *(f"        and vma.size >= {number}M" for number in range(2, 7)),
    ]
    assert broken.splitlines()[10] == "        and vma.size >= 7M;"
    members = ", ".join(f'"/a/path/of/some/length/{number}"' for number in range(5))
    assert '= {\n    "/a/path/of/some/length/0",\n' in formatted(
        f"policy p; set s : cgroup = {{ {members} }};"
    )


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("((a))", "a"),
        ("(a and b) and c", "(a and b) and c"),
        ("(a or b) and c", "(a or b) and c"),
        ("(a and b) or c", "a and b or c"),
        ("not (not a)", "not not a"),
        ("not (a == b)", "not a == b"),
        ("(not a) == b", "(not a) == b"),
        ("not (a and b)", "not (a and b)"),
        ("(a == b) == c", "(a == b) == c"),
        ("(a - b) - c", "a - b - c"),
        ("a - (b - c)", "a - (b - c)"),
        ("a * (b + c)", "a * (b + c)"),
        ("(a * b) % c", "a * b % c"),
        ("a - (b | c)", "a - (b | c)"),
        ("(a - b) | c", "a - b | c"),
        ("a | (b | c)", "a | (b | c)"),
        ("1024K", "1M"),
        ("1025K", "1025K"),
        ("0K", "0B"),
        ("0x10", "16"),
        ("1_000", "1000"),
        ("90s", "90s"),
        ("120s", "2min"),
        ("0h", "0ns"),
        ("1.50%", "1.5%"),
        ("0.05%", "0.05%"),
        ("order  4..pmd", "order 4..pmd"),
        ('"\\x41\\xff"', '"A\\xff"'),
        ('"kühl 名"', '"kühl 名"'),
        ('"\u202e\u2028"', '"\\xe2\\x80\\xae\\xe2\\x80\\xa8"'),
    ],
)
def test_expressions(written: str, canonical: str) -> None:
    assert format_expr(condition(written)) == canonical
