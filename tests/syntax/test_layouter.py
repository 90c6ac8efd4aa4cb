"""The layouter says what the formatter says, whatever it was asked before."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyc.source import Source
from policyc.syntax import layouter as module
from policyc.syntax.formatter import format_source
from policyc.syntax.layouter import Layouter
from policyc.syntax.parser import parse_valid
from policyc.syntax.printer import format_policy
from tests.strategies.policies import policy_of_seed
from tests.syntax.test_formatter import EXAMPLES, MORE, with_comments

#: Pieces that make statements of others, or end what is open.
PIECES = (
    *(";", "{", "}", "(", ")", '"', "#", "\n", ",", ":", "policy q;", "thp {", "otherwise pass;"),
    *("host {", 'test "x" for thp {', "deny", "when", "set", "let", "}\n}", "é", "\\", "..", ";;"),
)


def expected(text: str) -> str | None:
    """What the formatter makes of a whole text; None if it has errors."""
    source = Source("", text)
    file = parse_valid(source)
    return None if file is None else format_source(source, file)


def policy(seed: int) -> str:
    choices = random.Random(seed)
    plain = format_policy(policy_of_seed(seed).file)
    plain += "".join(choices.sample(MORE, seed % 5))
    return with_comments(plain, seed, choices.choice((0.0, 0.02, 0.1, 0.4)))


def edited(text: str, choices: random.Random) -> str:
    """A text in which something was put in, taken out or moved."""
    start = choices.randrange(len(text) + 1)
    end = min(len(text), start + choices.choice((0, 0, 1, 1, 3, 40)))
    other = choices.randrange(len(text) + 1)
    new = choices.choice((*PIECES, "", text[other : other + choices.choice((1, 20, 80))]))
    return text[:start] + new + text[end:]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000))
def test_versions_of_a_policy(seed: int) -> None:
    choices = random.Random(seed)
    layouter = Layouter()
    text = first = policy(seed)
    for _ in range(12):
        assert layouter.format(Source("", text)) == expected(text), text
        text = edited(first if choices.random() < 0.3 else text, choices)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples(path: Path) -> None:
    text = path.read_text("utf-8")
    assert Layouter().format(Source("", text)) == expected(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing",
        "policy p;",
        "policy p; policy q;",
        "let a = 1;",
        "let a = 1; policy p;",
        "let a = 1; thp { }",
        "combine thp by meet;",
        "policy p; thp { deny; } }",
        "policy p; thp { deny;",
        "policy p; thp { deny",
        "policy p; thp {",
        "policy p; }",
        "policy p; thp { } thp for cgroup { }",
        "policy p; thp { deny; thp { deny; } }",
        "policy p; numa { balance; hot_threshold = 2s; }",
        "policy p; host { thp.enabled = always; deny; }",
        'policy p; test "a" for thp { set s = { }; expect deny; }',
        'policy p; thp { deny when task.comm == "a;b{c}"; }  # ; } {',
        'policy p; let s = "\\q";',
        "\ufeffpolicy p;",
        "policy p;\r\nthp {\r\n deny;\r\n}\r\n",
    ],
)
def test_what_is_a_policy_and_what_is_not(text: str) -> None:
    layouter = Layouter()
    layouter.format(Source("", "policy p; thp { deny; otherwise pass; } let a = 1;"))
    assert layouter.format(Source("", text)) == expected(text)


def test_only_new_statements_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counted(source: Source) -> object:
        parsed.append(source.text)
        return parse_valid(source)

    monkeypatch.setattr(module, "parse_valid", counted)
    layouter = Layouter()
    text = "policy p;\n\nthp {\n    deny when vma.stack;\n    otherwise pass;\n}\n"
    assert layouter.format(Source("", text)) == text
    assert len(parsed) == 4
    moved = text.replace("    otherwise", "    # why\n    allow none;\n    otherwise")
    assert layouter.format(Source("", moved)) == moved
    assert len(parsed) == 5
    assert "allow none;" in parsed[-1]
