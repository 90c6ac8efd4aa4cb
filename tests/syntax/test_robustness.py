"""Any bytes are checked: the result is a plan or a diagnostic, soon, and never a traceback."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policyc.check import CheckResult, check_text
from policyc.diagnostics.model import Severity
from policyc.diagnostics.render import render_concise, render_full, render_json
from policyc.syntax.parser import MAX_BYTES
from policyc.syntax.printer import format_policy
from tests.strategies.policies import policy_of_seed

HEAD = "policy p;\n"
BLOCK = "\nthp { otherwise pass; }\n"

#: Far more than it takes; a shared machine can be ten times slower than usual.
SECONDS = 40.0


def checked(text: str | bytes) -> CheckResult:
    """The result, which has a plan or an error and can be shown in every form."""
    result = check_text(text, "any.thp")
    has_errors = any(item.severity is Severity.ERROR for item in result.diagnostics)
    assert (result.plan is None) == has_errors
    shown = result.diagnostics[:50]
    render_full(shown, color=False, width=100)
    render_concise(shown)
    render_json(shown)
    return result


def codes(text: str | bytes) -> set[str]:
    return {item.code for item in checked(text).diagnostics}


def deny_when(condition: str) -> str:
    return f"{HEAD}thp {{ deny when {condition}; otherwise pass; }}\n"


# -- large and deep

LARGE: dict[str, tuple[str | bytes, set[str]]] = {
    "10 MB": (b"# " + b"x" * (10 << 20), {"PC0107"}),
    "as many bytes as are read": (HEAD + BLOCK + "#" * (MAX_BYTES - 60), set()),
    "a hundred thousand (": (deny_when("(" * 100_000), {"PC0102"}),
    "a hundred thousand pairs of ()": (
        deny_when("(" * 100_000 + "vma.stack" + ")" * 100_000),
        set(),
    ),
    "a hundred thousand not": (deny_when("not " * 100_000 + "vma.stack"), {"PC0106"}),
    "a hundred thousand highest(": (deny_when("highest(" * 100_000), {"PC0102"}),
    "fifty thousand sums": (deny_when(" + ".join(["vma.size"] * 50_000) + " > 4K"), {"PC0106"}),
    "a chain of and": (
        deny_when(" and ".join(f"task.uid != {number}" for number in range(20_000))),
        set(),
    ),
    "an unbroken {": (HEAD + "{" * 100_000, {"PC0102"}),
    "an unbroken }": (HEAD + "}" * 100_000, {"PC0102"}),
    "an unbroken ;": (HEAD + ";" * 100_000, {"PC0102"}),
    "a name of a million letters": (f"policy {'a' * 1_000_000};{BLOCK}", {"PC0203"}),
    "a name of a hundred thousand parts": (deny_when(".".join(["a"] * 100_000)), {"PC0201"}),
    "a number of a million digits": (deny_when("task.uid > " + "9" * 1_000_000), {"PC0108"}),
    "a hexadecimal number of a million digits": (
        deny_when("task.uid > 0x" + "f" * 1_000_000),
        {"PC0108"},
    ),
    "a percent of a million digits": (
        deny_when(f"psi.cpu.some.avg10 > {'9' * 1_000_000}%"),
        {"PC0406"},
    ),
    "a path of a megabyte": (deny_when(f'cgroup under "{"/a" * 500_000}"'), {"PC0408"}),
    "twenty thousand rules": (
        HEAD
        + "thp {"
        + "".join(f"deny when vma.size == {number}B;\n" for number in range(20_000))
        + "otherwise pass; }",
        set(),
    ),
    "ten thousand scopes": (
        HEAD + "".join(f'thp for cgroup "/{n}" {{ otherwise pass; }}\n' for n in range(10_000)),
        set(),
    ),
    "two thousand lets in a chain": (
        HEAD
        + "".join(f"let a{n} = a{n + 1} and vma.stack;\n" for n in range(2_000))
        + f"let a2000 = vma.stack;{BLOCK}",
        {"PC0106"},
    ),
    "two thousand lets in a circle": (
        HEAD + "".join(f"let a{n} = a{(n + 1) % 2000};\n" for n in range(2_000)) + BLOCK,
        {"PC0204"},
    ),
    "lets that double": (
        HEAD
        + "".join(f"let a{n} = a{n + 1} and (a{n + 1} or vma.exec);\n" for n in range(30))
        + "let a30 = vma.stack;\nthp { deny when a0; otherwise pass; }",
        set(),
    ),
    "a thousand open strings": (HEAD + 'set a : string = { "abc };\n' * 1_000, {"PC0103"}),
    "a hundred thousand bad escapes": (
        f'{HEAD}set a : string = {{ "' + "\\q" * 100_000 + f'" }};{BLOCK}',
        {"PC0104"},
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_and_deep_input(name: str) -> None:
    text, expected = LARGE[name]
    start = time.perf_counter()
    found = check_text(text, "large.thp").diagnostics
    assert time.perf_counter() - start < SECONDS
    errors = {item.code for item in found if item.severity is Severity.ERROR}
    assert errors == expected or (expected and expected <= errors)


def test_time_grows_with_the_length() -> None:
    """Ten times as many rules may take about ten times as long, not a hundred times."""

    def seconds(rules: int) -> float:
        lines = "".join(f'deny when cgroup under "/a/{n}";\n' for n in range(rules))
        text = f"{HEAD}thp {{{lines}otherwise pass; }}"
        times: list[float] = []
        for _ in range(3):
            start = time.perf_counter()
            assert check_text(text, "rules.thp").plan is not None
            times.append(time.perf_counter() - start)
        return min(times)

    seconds(100)
    assert seconds(5_000) < 40 * seconds(500)


# -- odd characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", {"PC0110"}),
        (b" \t\r\n# nothing\n", {"PC0110"}),
        (b"\xef\xbb\xbf" + (HEAD + BLOCK).encode(), set[str]()),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + (HEAD + BLOCK).encode(), {"PC0101"}),
        ((HEAD + BLOCK).replace("\n", "\r\n"), set[str]()),
        ((HEAD + BLOCK).replace("\n", "\r"), set[str]()),
        ((HEAD + BLOCK).encode("utf-16"), {"PC0105"}),
        (HEAD.encode() + b"\xff", {"PC0105"}),
        (HEAD.encode() + b"\xc0\x80", {"PC0105"}),
        (HEAD + "\ud800", {"PC0105"}),
        (HEAD + 'set a : string = { "\udfff" };' + BLOCK, {"PC0105"}),
        (b"\0" * 1000, {"PC0101"}),
        (HEAD + BLOCK + "\0", {"PC0101"}),
        (HEAD + 'set a : string = { "\0" };' + BLOCK, {"PC0104"}),
        (HEAD + "let a = \u2028true;" + BLOCK, {"PC0101"}),
        (deny_when("vma.size > ４K"), {"PC0101"}),
        (deny_when("vma.size > ²"), {"PC0101"}),
        (deny_when("vma.size > 1_K").replace("_K", "_"), {"PC0101"}),
        (deny_when("vma.size ≥ 4K"), {"PC0101"}),
        (deny_when("vmа.size > 4K"), {"PC0101"}),  # a Cyrillic а
        (HEAD + BLOCK.replace(";", "；"), {"PC0101"}),
        (HEAD + BLOCK.replace(";", "\u037e"), {"PC0101"}),
        (deny_when("task.comm == “x”"), {"PC0101"}),
        (deny_when("task.comm == 'x'"), {"PC0101"}),
        ('"', {"PC0103"}),
        ('"\\', {"PC0103"}),
        ("policy", {"PC0102"}),
        ("policy ;", {"PC0102"}),
        (".", {"PC0101"}),
        (". 5", {"PC0101"}),
    ],
)
def test_odd_characters(text: str | bytes, expected: set[str]) -> None:
    found = checked(text).diagnostics
    errors = {item.code for item in found if item.severity is Severity.ERROR}
    assert errors == expected or (expected and errors > expected), errors


# -- anything


@settings(max_examples=150)
@given(st.binary(max_size=200))
@example(b"policy \xed\xa0\x80;")
def test_any_bytes(data: bytes) -> None:
    checked(data)


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    checked(text)
    checked(HEAD + text)


_LANGUAGE = r"""
( ) { } [ ] ; , : = | - + * / % .. . # " \ == != < <= > >=
policy set param let combine host thp numa for cgroup by rollout hot_threshold when
otherwise allow deny pass balance off not and or is in under overlaps has highest
order all none pmd true false orders event khugepaged vma.size task.comm psi
0 1 4096 64K 2M 1B 10% 0.25% 200ms 0x1f 99999999999999999999 "/a" "x" "\xff" p q
string size percent int bool import test property
"""
WORDS = [*_LANGUAGE.split(), "é", "４", "²", "’", "\0", "\r", "\u2028", "\ufeff"]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(["", HEAD, HEAD + "thp {"]))
def test_any_words(words: list[str], head: str) -> None:
    checked(head + " ".join(words))


@pytest.mark.parametrize("shard", range(4))
def test_policies_with_mistakes(shard: int) -> None:
    """Texts that are nearly right go deeper into the checker than any others."""
    random = Random(shard)
    outcomes: set[bool] = set()
    for seed in range(shard, 600, 4):
        generated = policy_of_seed(10_000_000 + seed)
        text = format_policy(generated.file)
        for _ in range(random.choice((1, 1, 2, 6))):
            start = random.randrange(len(text) + 1)
            end = start + random.choice((0, 0, 1, 3, 30))
            source = random.randrange(len(text))
            copied = text[source : source + random.choice((1, 8, 40))]
            text = text[:start] + random.choice(["", copied, random.choice(WORDS)]) + text[end:]
        outcomes.add(checked(text).plan is None)
    assert outcomes == {True, False}


def test_lets_nest_no_deeper_than_expressions() -> None:
    lets = "".join(
        f"let a{number} = {'not (' * 94}a{number + 1} and vma.exec{')' * 94};\n"
        for number in range(9)
    )
    text = f"policy p;\n{lets}let a9 = vma.stack;\nthp {{ deny when a0; otherwise pass; }}"
    result = check_text(text, "deep.thp")
    assert [item.code for item in result.diagnostics] == ["PC0106"]
