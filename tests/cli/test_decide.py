from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyc.plan.evaluate import cgroup_mix
from tests.cli.commands import POLICY, invoke

PMD, ALL = 1 << 9, 0x3FC


def decide(*arguments: str, policy: str = POLICY, hook: str = "thp") -> dict[str, Any]:
    """The document of a decision."""
    result = invoke("decide", "-", "--hook", hook, "--json", *arguments, stdin=policy)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refusal(*arguments: str, hook: str = "thp") -> str:
    """What is said of arguments that are wrong."""
    result = invoke("decide", "-", "--hook", hook, *arguments, stdin=POLICY)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr


def test_the_rule_that_decided_and_why(policy: Path) -> None:
    result = invoke(
        "decide", str(policy), "--hook", "thp", "cgroup=/kubepods/java/web-1", "event=khugepaged"
    )
    assert result.exit_code == 0
    text = result.stdout
    assert text.startswith("thp: allow 2M\n")
    assert f"decided by {policy}:6  allow pmd when cgroup under java" in text
    assert "requested  16K..2M  (orders 2 to 9)" in text
    assert "allowed    2M  (order 9)" in text
    assert "/kubepods/java/web-1 is not in /kubepods/batch" in text
    assert "cgroup.psi.memory.full.avg10  absent" in text
    assert "param ceiling                 10%" in text
    assert "mthp-v2    -  cannot supply event, task.comm, vma.size" in text
    assert "allow 64K when" not in text  # a rule after the one that holds was not looked at


def test_the_same_as_data() -> None:
    document = decide("cgroup=/kubepods/java/web-1", "event=khugepaged")
    assert document["decision"]["orders"] == PMD
    assert document["decision"]["requested"] == ALL
    assert document["decision"]["rule"]["line"] == 6
    tested = document["blocks"][0]["tested"]
    assert [(rule["line"], rule["holds"]) for rule in tested] == [(5, False), (6, True)]
    assert document["blocks"][1]["applies"] is False
    profiles = {profile["name"]: profile for profile in document["profiles"]}
    assert profiles["thp-v7"]["raw"] == 9
    assert profiles["thp-v9"]["effective"] == PMD
    assert profiles["mthp-v2"]["raw"] is None
    assert profiles["mthp-v2"]["cannot_supply"] == ["event", "task.comm", "vma.size"]


def test_leaving_alone_is_what_v9_cannot_say() -> None:
    profiles = {p["name"]: p for p in decide()["profiles"]}
    assert (profiles["thp-v7"]["raw"], profiles["thp-v7"]["effective"]) == (-1, ALL)
    assert (profiles["thp-v9"]["raw"], profiles["thp-v9"]["effective"]) == (9, PMD)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("all", ALL),
        ("pmd", PMD),
        ("64K", 1 << 4),
        ("order 4", 1 << 4),
        ("16K..64K | pmd", 0b111 << 2 | PMD),
        ("all - pmd", ALL & ~PMD),
        ("none", 0),
        ("0x1_0000_0002", 1 << 32 | 2),
    ],
)
def test_orders_are_written_as_in_a_policy(text: str, mask: int) -> None:
    assert decide(f"orders={text}")["decision"]["requested"] == mask


def test_all_orders_depend_on_the_target() -> None:
    document = decide("--page-size", "64K", policy="policy p; thp { otherwise allow pmd; }")
    assert document["decision"] == {
        "rule": document["decision"]["rule"],
        "requested": 0x3FFC,
        "orders": 1 << 13,
    }


def test_literals_have_their_units() -> None:
    squeezed = decide("cgroup=/x", "cgroup.psi.memory.full.avg10=10.01%")
    assert squeezed["decision"]["orders"] == 0
    assert squeezed["values"]["cgroup.psi.memory.full.avg10"] == 1001
    assert decide("vma.size=8M")["decision"]["orders"] == 1 << 4
    assert decide("vma.size=8388607")["decision"]["rule"] is None
    quoted = decide(
        'task.comm="redis-server"', 'cgroup="/kubepods/batch/a"', f"cgroup.id={inside()}"
    )
    assert quoted["values"]["task.comm"] == "redis-server"


def inside() -> int:
    """The id of a cgroup that is in the rollout of 25 %."""
    return next(number for number in range(100) if cgroup_mix(number) % 10_000 < 2500)


def test_a_rollout_needs_the_id_of_the_cgroup() -> None:
    batch = ("cgroup=/kubepods/batch/a", "task.comm=redis-server")
    without = decide(*batch)
    assert without["decision"]["rule"] is None
    assert without["blocks"][1]["why_not"] == "it has a rollout, and the request has no cgroup.id"
    assert "give cgroup.id=N" in without["notes"][0]
    assert decide(*batch, f"cgroup.id={inside()}")["decision"]["orders"] == 0
    outside = next(number for number in range(100) if cgroup_mix(number) % 10_000 >= 2500)
    document = decide(*batch, f"cgroup.id={outside}")
    assert document["decision"]["rule"] is None
    assert "outside the rollout" in document["blocks"][1]["why_not"]
    assert document["notes"] == []


def test_ids_above_2_53_survive_json() -> None:
    top = (1 << 64) - 1
    document = decide("cgroup=/kubepods/batch/a", f"cgroup.id={top}")
    assert document["values"]["cgroup.id"] == str(top)


def test_numa() -> None:
    document = decide("cgroup=/kubepods/db/1", "task.comm=postgres", hook="numa")
    assert document["decision"]["on"] is True
    assert document["decision"]["hot_threshold"] == 200_000_000
    assert [p["name"] for p in document["profiles"]] == ["numab-rfc1"]
    result = invoke("decide", "-", "--hook", "numa", stdin=POLICY)
    assert result.stdout.startswith("numa: not balanced by this policy\n")


def test_the_only_hook_needs_no_option() -> None:
    result = invoke("decide", "-", stdin="policy p; numa { otherwise balance; }")
    assert result.stdout.startswith("numa: balance\n")
    assert "say which with --hook" in invoke("decide", "-", stdin=POLICY).stderr
    only = invoke("decide", "-", "--hook", "thp", stdin="policy p; numa { otherwise off; }")
    assert only.exit_code == 2
    assert "policy p has no thp block" in only.stderr


def test_parameters_and_sets_can_be_changed() -> None:
    pressed = ("cgroup=/jvm/a", "event=khugepaged", "cgroup.psi.memory.full.avg10=30%")
    assert decide(*pressed)["decision"]["orders"] == 0
    tuned = (*pressed, "--param", "ceiling=50%")
    assert decide(*tuned)["decision"]["rule"] is None
    assert decide(*tuned, "--set", "java+=/jvm")["decision"]["orders"] == PMD
    java = (*tuned[1:], "cgroup=/kubepods/java/a")
    assert decide(*java)["decision"]["orders"] == PMD
    for change in ("java-=/kubepods/java", "java=/jvm", "java="):
        assert decide(*java, "--set", change)["decision"]["rule"] is None
    both = ("--set", "java=/jvm", "--set", "java=/kubepods/java")
    assert decide(*java, *both)["decision"]["orders"] == PMD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evnt=pagefault"], "unknown attribute 'evnt'; did you mean 'event'?"),
        (["event=khuge"], "did you mean 'khugepaged'?"),
        (["event"], "expected KEY=VALUE"),
        (["event=smaps", "event=smaps"], "event is given twice"),
        (["vma.size=200ms"], "vma.size: expected a size such as 64K or 2M, got '200ms'"),
        (["cgroup=kubepods"], "cgroup: expected a normalised absolute path"),
        (["psi.cpu.some.avg10=12"], "expected a percentage such as 12.5%, got '12'"),
        (["psi.cpu.some.avg10=100.01%"], "expected at most 100%, got 100.01%"),
        (["vma.stack=yes"], "vma.stack: expected true or false"),
        (["task.comm=sixteen-bytes-xx"], "task.comm: expected at most 15 bytes"),
        (["task.pid=-1"], "task.pid: expected a number"),
        (["task.pid=18446744073709551616"], "expected 0..18446744073709551615"),
        (["orders=9"], "orders: expected an order set"),
        (["orders=8K"], "there are no anonymous folios of order 1"),
        (["orders=64K; } numa { otherwise off"], "orders: expected an order set"),
        (["orders=orders"], "orders: expected an order set"),
        (["cgroup=/a/b", "cgroup.depth=1"], "cgroup.depth: /a/b has depth 2"),
        (["memory.max=1G", "memory.free=2G"], "memory.free: it is not memory.max - memory.usage"),
        (["--param", "ceilin=1%"], "unknown parameter 'ceilin'; did you mean 'ceiling'?"),
        (["--param", "ceiling=12"], "param ceiling: expected a percentage"),
        (["--set", "jav+=/x"], "unknown set 'jav'; did you mean 'java'?"),
        (["--set", "java+=x"], "set java: expected a normalised absolute path"),
        (["--set", "java"], "expected --set NAME+=MEMBER"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], message: str) -> None:
    assert message in refusal(*arguments)


def test_an_attribute_of_the_other_hook_is_explained() -> None:
    assert "thp requests have it, numa requests do not" in refusal("vma.size=8M", hook="numa")


def test_free_memory_alone_is_enough() -> None:
    policy = "policy p; thp { allow all when memory.free >= 4G; otherwise deny; }"
    document = decide("memory.free=4G", policy=policy)
    assert document["decision"]["orders"] == ALL
    assert document["values"]["memory.max"] == 4 << 30
    assert document["values"]["memory.usage"] == 0
    assert decide("memory.max=8G", "memory.usage=5G", policy=policy)["decision"]["orders"] == 0
    assert (
        decide("memory.max=9G", "memory.free=5G", policy=policy)["values"]["memory.usage"]
        == 4 << 30
    )


def test_text_of_requests_and_policies_does_not_act_on_the_terminal() -> None:
    policy = 'policy p; thp { deny when cgroup under "/\\x1b[31m"; otherwise pass; }'
    result = invoke("decide", "-", "cgroup=/\x1b[31m/\u202e", stdin=policy)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output
    assert result.stdout.startswith("thp: deny")


def test_a_policy_with_errors_is_not_asked() -> None:
    result = invoke("decide", "-", stdin="policy p; thp { deny when vma.stack; }")
    assert result.exit_code == 1
    assert "PC0501" in result.stderr
    assert "<stdin> cannot be used: " in result.stderr
