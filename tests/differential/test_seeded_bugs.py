"""The comparison is worth something: bugs that are put in on purpose are found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest

from policyc.check import check_text
from policyc.emit import bpf, python
from policyc.plan import encode, evaluate
from policyc.plan import nodes as n
from policyc.plan.types import U64_MAX
from policyc.syntax import tree as t
from policyc.syntax.printer import format_policy
from tests.differential.compare import (
    checked_plan,
    host_lane,
    memory_lane,
    module_lane,
    reference_lane,
)
from tests.differential.failures import find_failure, smallest_failure
from tests.differential.lanes import host
from tests.strategies.policies import policy_of_seed
from tests.strategies.shrink import shrink

SEEDS = 400
REQUESTS = 300

#: Building a library takes longest; a bug in the C has to show in so many of them.
MAX_BUILDS = 60

#: A policy with a literal rollout.
ROLLOUT_SEED = 1

Operator = n.ArithmeticOperator

# -- in the evaluator

_saturating = evaluate.saturating
_value: Any = evaluate._value
_compare: Any = evaluate._compare
_deciding: Any = evaluate._deciding
_raw_answer = encode.raw_answer
_cgroup_mix = evaluate.cgroup_mix
_ancestors = evaluate.ancestors


def _arithmetic(wrong: Operator, result: Callable[[int, int], int]) -> Any:
    def saturating(operator: Operator, a: int, b: int) -> int:
        return result(a, b) & U64_MAX if operator is wrong else _saturating(operator, a, b)

    return saturating


def _present_if_unequal(env: Any, expr: n.Expr) -> Any:
    match expr:
        case n.Compare(n.CompareOperator.NOT_EQUAL, left, right):
            return evaluate._value(env, left) != evaluate._value(env, right)
        case _:
            return _value(env, expr)


def _under_by_prefix(env: Any, expr: n.Expr) -> Any:
    match expr:
        case n.UnderPath(value, path):
            return str(_value(env, value)).startswith(env.plan.paths[path])
        case _:
            return _value(env, expr)


def _has_unless_zero(env: Any, expr: n.Expr) -> Any:
    return bool(_value(env, expr.value)) if isinstance(expr, n.Has) else _value(env, expr)


def _highest_of_nothing(env: Any, expr: n.Expr) -> Any:
    found = _value(env, expr)
    return 0 if isinstance(expr, n.Highest) and found is None else found


def _signed(value: Any) -> Any:
    return value - (1 << 64) if isinstance(value, int) and value >> 63 else value


def _signed_compare(operator: Any, left: Any, right: Any) -> bool:
    return _compare(operator, _signed(left), _signed(right))


def _outermost_for_nearest(combine: n.Combine, opinions: Any) -> Any:
    swapped = n.Combine.OUTERMOST if combine is n.Combine.NEAREST else combine
    return _deciding(swapped, opinions)


def _minus_one(profile: Any, outcome: Any, requested: int) -> int:
    raw = _raw_answer(profile, outcome, requested)
    return -1 if profile.name == "thp-v9" and outcome.orders == requested else raw


EVALUATOR: dict[str, tuple[Any, str, Any]] = {
    "sums wrap": (evaluate, "saturating", _arithmetic(Operator.ADD, lambda a, b: a + b)),
    "differences wrap": (
        evaluate,
        "saturating",
        _arithmetic(Operator.SUBTRACT, lambda a, b: a - b),
    ),
    "products wrap": (evaluate, "saturating", _arithmetic(Operator.MULTIPLY, lambda a, b: a * b)),
    "a quotient by zero is the dividend": (
        evaluate,
        "saturating",
        _arithmetic(Operator.DIVIDE, lambda a, b: a // b if b else a),
    ),
    "a remainder by zero is the dividend": (
        evaluate,
        "saturating",
        _arithmetic(Operator.MODULO, lambda a, b: a % b if b else a),
    ),
    "what is absent is unequal": (evaluate, "_value", _present_if_unequal),
    "under looks at characters": (evaluate, "_value", _under_by_prefix),
    "zero is not there": (evaluate, "_value", _has_unless_zero),
    "the highest of no order is 0": (evaluate, "_value", _highest_of_nothing),
    "comparisons are signed": (evaluate, "_compare", _signed_compare),
    "nearest is outermost": (evaluate, "_deciding", _outermost_for_nearest),
    "-1 to thp-v9": (encode, "raw_answer", _minus_one),
    "a rollout takes one more": (evaluate, "cgroup_mix", lambda number: _cgroup_mix(number) - 1),
    "one level of the tree less": (evaluate, "ancestors", lambda path: _ancestors(path)[:31]),
}

# -- in the text that is emitted

C_TEXT = {
    "sums wrap": ("return a + b < a ? ~0ULL : a + b;", "return a + b;"),
    "differences wrap": ("return a > b ? a - b : 0;", "return a - b;"),
    "half of an overflow is missed": ("middle >> 32 || ", ""),
    "a quotient by zero is the dividend": ("b ? a / b : 0;", "b ? a / b : a;"),
    "what follows a name counts": ("\tpad_comm(value);\n", ""),
    "a name equals its beginning": ("text->bytes, size)", "text->bytes, size - 1)"),
    "a rollout takes one more": ("% 10000 >= ", "% 10000 > "),
    "absent values are zero": (
        "if (!(request->packet->present",
        "if (0 && !(request->packet->present",
    ),
    "one level of the tree less": (
        "levels < MAX_CGROUP_LEVELS ? levels : MAX_CGROUP_LEVELS",
        "levels < MAX_CGROUP_LEVELS - 1 ? levels : MAX_CGROUP_LEVELS - 1",
    ),
    "the parent is the cgroup": (
        "paths->under.words[0] |= mask->words[0];",
        "paths->self.words[0] |= mask->words[0], paths->under.words[0] |= mask->words[0];",
    ),
    "percents are rounded first": ("(average * 100) >> 11", "(average >> 11) * 100"),
    "meet is union": ("decision->orders & opinion->orders", "decision->orders | opinion->orders"),
    "the largest threshold counts": (
        "opinion->hot_threshold < decision->hot_threshold",
        "opinion->hot_threshold > decision->hot_threshold",
    ),
    "another mix": ("(mixed >> 27)", "(mixed >> 28)"),
    "the size of an order overflows": ("? ~0ULL : 1ULL <<", "? 0 : 1ULL <<"),
}

PYTHON_TEXT = {
    "sums are not capped": ("<= 18446744073709551615", "<= 1 << 70"),
    "one level of the tree more": (
        "len(levels) < MAX_CGROUP_LEVELS",
        "len(levels) <= MAX_CGROUP_LEVELS",
    ),
    "a rollout takes one more": ("% 10000 >= ", "% 10000 > "),
    "orders that are not requested": ("orders & ", "orders | "),
    "the outermost opinion counts": ('"nearest": slice(-1, None)', '"nearest": slice(1)'),
    "nothing allowed is left alone": ("1 if allowed else self.deny", "1 if allowed else -1"),
}


def _is_found(seed: int, lanes: Any) -> bool:
    try:
        return find_failure(seed, REQUESTS, lanes) is not None
    except AssertionError:
        return True  # what the interfaces must hold to was checked on the way


@pytest.mark.parametrize("bug", EVALUATOR)
def test_a_wrong_evaluator_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*EVALUATOR[bug])
    assert any(_is_found(seed, (reference_lane, memory_lane)) for seed in range(SEEDS))


def _wrong(emit: Any, old: str, new: str, *arguments: Any, **options: Any) -> str:
    return emit(*arguments, **options).replace(old, new)


@pytest.mark.skipif(bool(host.available()), reason=host.available() or "-")
@pytest.mark.parametrize("bug", C_TEXT)
def test_wrong_c_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = C_TEXT[bug]
    right = bpf.emit_bpf
    monkeypatch.setattr(host, "emit_bpf", partial(_wrong, right, old, new))
    testrun = host.profiles()["testrun"]
    affected = (
        s for s in range(SEEDS) if old in right(checked_plan(policy_of_seed(s))[1], testrun)
    )
    lanes = (reference_lane, host_lane)
    assert any(_is_found(seed, lanes) for seed in islice(affected, MAX_BUILDS))


@pytest.mark.parametrize("bug", PYTHON_TEXT)
def test_wrong_python_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = PYTHON_TEXT[bug]
    monkeypatch.setattr(python, "emit_python", partial(_wrong, python.emit_python, old, new))
    assert any(_is_found(seed, (reference_lane, module_lane)) for seed in range(SEEDS))


def test_a_failure_is_shown_small_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person gets to see: a short policy, the request, the state, and every answer."""
    monkeypatch.setattr(*EVALUATOR["what is absent is unequal"])
    lanes = (reference_lane, memory_lane)
    seed = next(s for s in range(SEEDS) if find_failure(s, REQUESTS, lanes))
    failure = smallest_failure(seed, REQUESTS, lanes, seconds=20)
    assert failure is not None
    shown = str(failure)
    assert "!=" in failure.text
    assert failure.text.count(";") <= 6, shown
    present = {name for name, value in failure.question.request.values.items() if value}
    assert len(present) <= 2, shown
    for part in (failure.text, "request:", "params:", "reference:", "python in memory:"):
        assert part in shown


def test_shrinking_keeps_what_fails() -> None:
    def has_rollout(file: t.PolicyFile) -> bool:
        text = format_policy(file)
        return "rollout" in text and check_text(text, "shrunk.thp").plan is not None

    file = policy_of_seed(ROLLOUT_SEED).file
    assert has_rollout(file)
    small = shrink(file, has_rollout, deadline=float("inf"))
    assert has_rollout(small)
    assert len(format_policy(small).splitlines()) == 6
