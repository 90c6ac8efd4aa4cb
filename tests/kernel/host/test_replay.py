"""The decisions that programs in the VM recorded are those of the reference evaluator."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from policyc.check import check_text
from policyc.hooks.loader import profiles
from policyc.plan.evaluate import State
from tests.records.replay import Replay, Result
from tests.records.ring import records_of

RESULTS = Path(os.environ["POLICYC_RESULTS"])
RECORDINGS = sorted(RESULTS.glob("*/files/decisions/*.json"))

#: Real decisions per run, which has all three signatures in the stock lane, and one otherwise.
LEAST = 100_000 if RESULTS.name == "stock" else 40_000

EVENTS = {"smaps", "pagefault", "swap_pagefault", "khugepaged", "forced_collapse"}

#: Of so many decisions, one may have seen values that changed while it was made.
SETTLED = 20


def replay_of(about: dict[str, Any]) -> Replay:
    """The policy, its state and the cgroups of a recording."""
    profile = profiles()[about["profile"]]
    result = check_text(about["text"], f"{about['name']}.thp", profiles=[profile.name])
    plan = result.plan
    assert plan is not None
    sets = {
        name: frozenset(text.encode("latin-1") if kind == "bytes" else text for kind, text in items)
        for name, items in about["sets"].items()
    }
    hook = next(item for item in plan.hooks if profile.answers(item.hook))
    paths = {int(number): path for number, path in about["cgroups"].items()}
    return Replay(plan, hook, profile, State(sets, about["params"]), paths)


@cache
def replayed(file: Path) -> tuple[dict[str, Any], Result, Counter[str]]:
    """What stands beside a recording, how its replay went, and its decisions by event."""
    about = json.loads(file.read_text("utf-8"))
    replay = replay_of(about)
    result, events = Result(), Counter[str]()
    for record in replay.records(records_of(file.with_suffix(".records").read_bytes())):
        replay.check([record], result)
        events[str(record.before.values.get("event", "-"))] += 1
    return about, result, events


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_decisions_are_those_of_the_evaluator(file: Path) -> None:
    about, result, _ = replayed(file)
    assert result.wrong[:5] == [], f"{len(result.wrong)} of {result.decisions} are wrong"
    assert result.decisions + about["dropped"] == about["asked"]
    assert about["dropped"] == 0
    assert result.changed * SETTLED <= result.decisions


def test_there_are_enough_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Of every profile, for every reason."""
    decisions, changed = Counter[str](), Counter[str]()
    reasons: dict[str, Counter[str]] = {}
    for file in RECORDINGS:
        about, result, events = replayed(file)
        decisions[about["profile"]] += result.decisions
        changed[about["profile"]] += result.changed
        reasons.setdefault(about["profile"], Counter()).update(events)
    with capsys.disabled():
        for name, count in sorted(decisions.items()):
            counted = ", ".join(f"{key} {value}" for key, value in reasons[name].most_common())
            changes = f"{changed[name]} with values that changed meanwhile"
            sys.stdout.write(f"\n{name}: {count} decisions replayed, {changes}; {counted}\n")
    if not os.environ.get("POLICYC_COMPLETE"):
        pytest.skip("only chosen tests ran in the VM, so their decisions need not be enough")
    assert decisions.total() >= LEAST
    assert {"mthp-v2", "numab-rfc1"} <= decisions.keys()
    for name in decisions:
        if name.startswith("thp-"):
            assert reasons[name].keys() >= EVENTS
