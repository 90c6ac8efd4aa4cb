"""Random policies with what fixes are for, in one file and in two: the fixes change no answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from policyc.check import check_text
from policyc.lint import Linted, lint_files
from policyc.plan import nodes as n
from policyc.syntax import tree as t
from policyc.syntax.printer import format_policy
from tests.lint.test_fixes import differences
from tests.strategies.policies import policy_of_seed

Files = dict[str, str]

_TRUTH = re.compile(r"(?<!has )(?<!= )(?<!is )\bvma\.(?:stack|locked|exec)\b(?! *[!=]=| is)")
_BLOCK = re.compile(
    r'^(?:thp|numa) for cgroup "[^"\n]*" \{\n(?!(?:(?!^\}).)*^ *rollout)', re.MULTILINE | re.DOTALL
)


def dirty(text: str, random: Random, end: str = "z") -> str:
    """A policy with comparisons, rollouts, lets and comments in it that fixes take out."""

    def compared(found: re.Match[str]) -> str:
        tail = random.choice(("", " == true", " != false", " is true"))
        return found[0] + tail

    text = _TRUTH.sub(compared, text)
    text = _BLOCK.sub(lambda found: f"{found[0]}    rollout 100% by cgroup;\n", text)
    lines = text.split("\n")
    for _ in range(random.randrange(4)):
        lines.insert(random.randrange(len(lines)), "# lint: allow PL017 for nothing")
    idle = f"let idle_{end} = idler_{end};\nlet idler_{end} = vma.stack == true;\n"
    return "\n".join(lines) + f"\n{idle}"


def in_two(file: t.PolicyFile, random: Random) -> Files:
    """The policy with its definitions in another file, which it imports in some way."""
    kinds = (t.SetItem, t.ParamItem, t.LetItem)
    own = [item for item in file.items if isinstance(item, kinds)]
    rest = [item for item in file.items if not isinstance(item, kinds)]
    title, _, body = format_policy(_with(file, rest)).partition(";\n")
    _, _, definitions = format_policy(_with(file, own)).partition(";\n")
    names = ", ".join(item.name.text for item in own)
    wanted = f" ({names})" if names and random.random() < 0.6 else ""
    return {
        "main.thp": dirty(f'{title};\nimport "lib.thp"{wanted};\n{body}', random),
        "lib.thp": dirty(definitions, random, "l"),
    }


def _with(file: t.PolicyFile, items: Sequence[t.Item]) -> t.PolicyFile:
    return replace(file, items=tuple(items))


def plan_of(files: Files, target: n.Target) -> n.Plan | None:
    return check_text(
        files["main.thp"],
        "main.thp",
        profiles=["testrun"],
        target=target,
        read=lambda path: files[path].encode("utf-8", "surrogatepass"),
    ).plan


def fixed(files: Files, target: n.Target) -> dict[str, Linted]:
    texts = [(text.encode("utf-8", "surrogatepass"), name) for name, text in files.items()]
    return {each.name: each for each in lint_files(texts, target=target, fix=True)}


def texts_of(linted: dict[str, Linted]) -> Files:
    return {name: each.data.decode("utf-8", "surrogatepass") for name, each in linted.items()}


def case(seed: int) -> tuple[Files, n.Target]:
    random = Random(seed)
    generated = policy_of_seed(1000 + seed)
    files = (
        in_two(generated.file, random)
        if seed % 2
        else {"main.thp": dirty(format_policy(generated.file), random)}
    )
    return files, generated.target


SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_fixes_change_no_answer_and_leave_nothing_to_fix(seed: int):
    files, target = case(seed)
    before = plan_of(files, target)
    if before is None:
        return  # the next test counts these
    done = fixed(files, target)
    texts = texts_of(done)
    assert not [item for each in done.values() for item in each.result.findings if item.fix]
    again = fixed(texts, target)
    assert texts_of(again) == texts
    assert all(each.applied == 0 for each in again.values())
    after = plan_of(texts, target)
    assert after is not None
    assert differences(before, after, 40) == []


def test_most_policies_check_and_are_fixed_in_every_way():
    checked = [(files, t) for files, t in map(case, SEEDS) if plan_of(files, t) is not None]
    assert len(checked) > len(SEEDS) * 3 // 4
    codes: set[str] = set()
    for files, target in checked:
        texts = [(text.encode("utf-8", "surrogatepass"), name) for name, text in files.items()]
        for each in lint_files(texts, target=target):
            codes |= {item.code for item in each.result.findings if item.fix is not None}
    assert codes == {"PL011", "PL013", "PL020", "PL021", "PL023"}
