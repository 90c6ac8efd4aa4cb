"""PL024 is compared with the evaluator: a rule it names decides for no cgroup of usual depth."""

from __future__ import annotations

import itertools
import random

from policyc.api import loads
from policyc.lint import lint_text
from policyc.runtime.requests import ThpRequest

PATHS = ("/", "/a", "/a/b", "/a/b/c", "/a/bc", "/d", "/d/e")
CONDITIONS = ("vma.stack", "vma.exec", "vma.locked")


def condition(choices: random.Random) -> str:
    parts = [f'cgroup {choices.choice(("under", "under", "=="))} "{choices.choice(PATHS)}"']
    parts += choices.sample(CONDITIONS, choices.choice((0, 0, 1, 1, 2)))
    choices.shuffle(parts)
    return choices.choice((" and ", " and ", " or ")).join(parts)


def policy(seed: int) -> str:
    choices = random.Random(seed)
    conditions = [condition(choices) for _ in range(choices.randint(2, 6))]
    rules = "".join(f"    deny when {text};\n" for text in conditions)
    return f"policy p;\nthp {{\n{rules}    otherwise pass;\n}}\n"


def deciding_lines(text: str) -> set[int]:
    """The lines of the rules that some request of usual depth reaches."""
    asked = loads(text)
    lines: set[int] = set()
    for path in (*PATHS, "/a/x", "/x", "/a/b/x/y", "/d/e/f"):
        for stack, executable, locked in itertools.product((False, True), repeat=3):
            request = ThpRequest(
                orders=0x3FC,
                cgroup=path,
                vma_stack=stack,
                vma_exec=executable,
                vma_locked=locked,
            )
            lines |= {rule.line for rule in asked.decide(request).fired if rule is not None}
    return lines


def test_a_rule_that_is_named_decides_nothing() -> None:
    named = 0
    for seed in range(300):
        text = policy(seed)
        found = lint_text(text, "p.thp", codes={"PL024"}).findings
        lines = {item.span.line for item in found}
        named += len(lines)
        assert not lines & deciding_lines(text), text
    assert named > 50
