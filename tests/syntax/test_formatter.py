"""The formatter keeps comments, empty lines and meaning, and formats its own text to itself."""

from __future__ import annotations

import random
import re
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyc.diagnostics.model import Diagnostics
from policyc.source import Source
from policyc.syntax import tree as t
from policyc.syntax.formatter import comments_of, format_source
from policyc.syntax.parser import parse
from policyc.syntax.printer import format_policy
from tests.strategies.policies import policy_of_seed
from tests.strategies.trees import skeleton

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/**/*.thp"))

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[A-Za-z0-9_.%]+|[=!<>]=|\S')


def parsed(text: str) -> t.PolicyFile:
    diagnostics = Diagnostics()
    file = parse(Source("test.thp", text), diagnostics)
    assert file is not None, (diagnostics.items, text)
    return file


def formatted(text: str) -> str:
    file = parsed(text)
    return format_source(file.source, file)


def with_comments(text: str, seed: int, density: float) -> str:
    """The tokens of a policy with comments and line ends at random between them."""
    choices = random.Random(seed)
    parts: list[str] = []
    for number, token in enumerate(_TOKEN.findall(text)):
        parts.append(token)
        if choices.random() < density:
            before = choices.choice(("", " ", "\n", "\n\n", "\n\n\n  "))
            parts.append(f"{before}# comment {number}\n{choices.choice(('', ' ', chr(10)))}")
        else:
            parts.append(choices.choice((" ", " ", " ", "\n", "\n\n", "\t")))
    return "".join(parts)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1000), st.sampled_from((0.0, 0.02, 0.1, 0.5)))
def test_meaning_comments_and_form_survive(policy: int, seed: int, density: float) -> None:
    file = policy_of_seed(policy).file
    text = with_comments(format_policy(file), seed, density)
    once = formatted(text)
    assert skeleton(parsed(once)) == skeleton(file), text
    assert sorted(comments_of(Source("", once))) == sorted(comments_of(Source("", text))), text
    assert formatted(once) == once, text
    assert "\n\n\n" not in once
    assert all(line == line.rstrip() for line in once.splitlines())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples(path: Path) -> None:
    text = path.read_text("utf-8")
    once = formatted(text)
    assert skeleton(parsed(once)) == skeleton(parsed(text))
    assert comments_of(Source("", once)) == comments_of(Source("", text))
    assert formatted(once) == once


def test_the_layout() -> None:
    text = dedent(
        """\
        # SPDX


        policy fleet;   # the fleet
        import "a.thp"   as a;import "b.thp" (x,  # first
         y);
        set java:cgroup={"/a", # one
            # two
            "/b"};
        set   empty : string = {};
        let big = vma.size>=1G;  # large


        # pressure
        let squeezed=psi.memory.full.avg10>5%;
        thp{ # the block

            # nobody
            deny when big # why
              and squeezed;  # end
            deny when # here
              # and here
              vma.stack or ( # paren
              vma.locked) or vma.exec # last
              ;
            allow all when /* no */ big;


            otherwise pass;

            # the end
        }
        test "t" for thp{given event=khugepaged,# e
        orders=all;expect deny;

        set java={};given orders=pmd;expect deny;}
        property "p" for thp:big implies result==none;
        # eof
        """
    ).replace("/* no */ ", "")
    assert formatted(text) == dedent(
        """\
        # SPDX

        policy fleet;  # the fleet

        import "a.thp" as a;
        import "b.thp" (
            x,  # first
            y,
        );
        set java : cgroup = {
            "/a",  # one
            # two
            "/b",
        };
        set empty : string = { };
        let big = vma.size >= 1G;  # large

        # pressure
        let squeezed = psi.memory.full.avg10 > 5%;

        thp {  # the block
            # nobody
            deny when
                big  # why
                and squeezed;  # end
            deny when  # here
                # and here
                vma.stack
                # paren
                or vma.locked
                # last
                or vma.exec;
            allow all when big;

            otherwise pass;

            # the end
        }

        test "t" for thp {
            given
                event = khugepaged,  # e
                orders = all;
            expect deny;

            set java = { };
            given orders = pmd;
            expect deny;
        }

        property "p" for thp:
            big implies result == none;
        # eof
        """
    )


def test_long_lists_and_requests_are_broken() -> None:
    names = ", ".join(f"name_{number}" for number in range(12))
    assert formatted(f'import "a.thp" ({names});').splitlines()[:2] == [
        'import "a.thp" (',
        "    name_0,",
    ]
    text = f'policy p; test "x" for thp {{ given {", ".join(["event = khugepaged"] * 6)}; }}'
    assert formatted(text).splitlines()[3:5] == ["    given", "        event = khugepaged,"]


def test_line_ends_and_byte_order_marks_go() -> None:
    assert formatted("policy p;\r\n# c\r\nlet a = b;\r\n") == "policy p;\n\n# c\nlet a = b;\n"
