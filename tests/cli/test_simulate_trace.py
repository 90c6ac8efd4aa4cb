from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import POLICY, ROOT, invoke, run

LINES: list[dict[str, Any]] = [
    {"hook": "thp", "orders": 512, "event": "khugepaged", "cgroup": "/kubepods/java/a"},
    {"hook": "thp", "orders": "all", "vma.size": "8M", "cgroup": "/x"},
    {"hook": "thp", "orders": [4, 9], "cgroup": "/x", "cgroup.psi.memory.full.avg10": "12%"},
    {"hook": "thp", "orders": "16K | pmd"},
    {"hook": "numa", "cgroup": "/kubepods/db/a", "task.comm": "postgres"},
    {"hook": "numa", "cgroup": "/kubepods/db/a", "task.comm": "psql"},
]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A trace of six requests."""
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def simulate(policy: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The document of a replay."""
    result = invoke("simulate", str(policy), "--json", *arguments)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_what_is_counted(policy: Path, trace: Path) -> None:
    hooks = simulate(policy, "--trace", str(trace))["hooks"]
    thp = hooks["thp"]
    assert thp["requests"] == 4
    assert thp["outcomes"] == {"as requested": 1, "narrowed": 1, "denied": 1, "no opinion": 1}
    assert {rule["line"]: rule["decided"] for rule in thp["rules"] if rule["decided"]} == {
        5: 1,
        6: 1,
        7: 1,
    }
    applied = {rule["line"]: rule["applied"] for rule in thp["rules"] if rule["applied"]}
    assert applied == {5: 1, 6: 1, 7: 1, 8: 1}
    assert thp["no_opinion"] == 1
    assert thp["events"]["khugepaged"] == {"as requested": 1}
    assert sum(thp["events"]["pagefault"].values()) == 3
    orders = {item["order"]: (item["requested"], item["allowed"]) for item in thp["orders"]}
    assert orders[9] == (4, 2)
    assert orders[4] == (2, 1)
    assert orders[2] == (2, 1)
    assert hooks["numa"]["outcomes"] == {"balanced": 1, "off": 1, "no opinion": 0}
    assert hooks["numa"]["hot_thresholds"] == [{"hot_threshold": 200_000_000, "balanced": 1}]
    cgroups = {item["cgroup"]: item["requests"] for item in thp["cgroups"]}
    assert cgroups == {"/x": 2, "/kubepods/java/a": 1, None: 1}


def test_the_report_for_people(policy: Path, trace: Path) -> None:
    result = invoke("simulate", str(policy), "--trace", str(trace), "--top", "1")
    assert result.exit_code == 0
    assert "6 requests (4 thp, 2 numa)" in result.stdout
    assert "thp: 1 as requested (25.0%), 1 narrowed (25.0%)" in result.stdout
    assert "cgroup (the first 1 of 3)" in result.stdout
    assert "/kubepods/java/a" not in result.stdout


def test_a_hook_without_a_block_is_left_alone(trace: Path) -> None:
    policy = "policy p; thp { otherwise deny; }"
    result = invoke("simulate", "-", "--trace", str(trace), stdin=policy)
    assert result.exit_code == 0
    assert "numa: the policy has no such block, 2 requests are left alone" in result.stdout


def test_two_policies_are_compared(policy: Path, trace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.thp"
    other.write_text(POLICY.replace("allow pmd", "allow ..64K").replace("200ms", "300ms"))
    document = simulate(policy, "--trace", str(trace), "--against", str(other), code=1)
    against = document["against"]
    assert against["differences"] == 2
    assert [(d["line"], d["hook"]) for d in against["first"]] == [(1, "thp"), (5, "numa")]
    assert against["first"][0]["answer"] == {"orders": 512}
    assert against["first"][0]["other_answer"] == {"orders": 0}
    assert against["first"][1]["other_answer"] == {"on": True, "hot_threshold": 300_000_000}
    assert against["first"][0]["rule"]["file"] == str(policy)
    assert against["first"][0]["other_rule"]["file"] == str(other)
    text = invoke("simulate", str(policy), "--trace", str(trace), "--against", str(other))
    assert text.exit_code == 1
    assert "the policies differ on 2 requests (33.3%)" in text.stdout
    assert f"{trace}:1: thp: orders 2M, event khugepaged" in text.stdout


def test_policies_that_agree(policy: Path, trace: Path) -> None:
    result = invoke("simulate", str(policy), "--trace", str(trace), "--against", str(policy))
    assert result.exit_code == 0
    assert "the policies agree on all 6 requests" in result.stdout


def test_gzip_and_standard_input_are_the_same(policy: Path, trace: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(trace.read_bytes()))
    plain = simulate(policy, "--trace", str(trace))["hooks"]
    assert simulate(policy, "--trace", str(packed))["hooks"] == plain
    result = invoke("simulate", str(policy), "--json", "--trace", "-", stdin=trace.read_bytes())
    assert json.loads(result.stdout)["hooks"] == plain


def test_the_shipped_trace_asks_for_everything(policy: Path) -> None:
    document = simulate(policy, "--trace", str(ROOT / "examples" / "traces" / "mixed.jsonl"))
    assert document["bad_lines"] == 0
    thp, numa = document["hooks"]["thp"], document["hooks"]["numa"]
    assert set(thp["events"]) == {
        "pagefault",
        "khugepaged",
        "swap_pagefault",
        "smaps",
        "forced_collapse",
    }
    assert all(rule["applied"] for rule in thp["rules"])
    assert all(rule["applied"] for rule in numa["rules"])
    assert thp["cgroup_count"] > 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object"),
        ('{"hook": "thb"}', 'hook: expected "thp" or "numa", got "thb"'),
        ('{"hook": "thp"}', "orders: every thp request has it"),
        ('{"hook": "thp", "orders": -1}', "orders: expected 0..18446744073709551615, got -1"),
        ('{"hook": "thp", "orders": true}', "orders: expected a mask"),
        ('{"hook": "thp", "orders": [64]}', "orders: expected 0..63, got 64"),
        ('{"hook": "thp", "orders": "9"}', "orders: expected an order set"),
        ('{"hook": "thp", "orders": 1, "evnt": 1}', "unknown key 'evnt'; did you mean 'event'?"),
        ('{"hook": "thp", "orders": 1, "event": 3}', "event: expected one of smaps"),
        ('{"hook": "thp", "orders": 1, "event": null}', "event: this attribute is never absent"),
        ('{"hook": "thp", "orders": 1, "vma.stack": 1}', "vma.stack: expected true or false"),
        ('{"hook": "numa", "vma.size": 1}', "unknown key 'vma.size'"),
        ('{"hook": "numa", "mm.rss": true}', "mm.rss: expected an integer"),
        ('{"hook": "numa", "mm.rss": 1.5}', "mm.rss: expected a whole number, got 1.5"),
        ('{"hook": "numa", "psi.io.some.avg10": 1.5}', "expected hundredths of a percent"),
        ('{"hook": "numa", "psi.io.some.avg10": 10001}', "expected at most 100%"),
        ('{"hook": "numa", "cgroup": "a"}', "cgroup: expected a normalised absolute path"),
        ('{"hook": "numa", "cgroup": {"a": 1}}', "cgroup: expected a path"),
        ('{"hook": "numa", "task.comm": "0123456789abcdef"}', "at most 15 bytes"),
        ('{"hook": "numa", "cgroup.id": 18446744073709551616}', "cgroup.id: expected 0.."),
        ("[" * 100_000, "nested too deeply"),
        ('{"hook": "numa", "cgroup.id": ' + "9" * 5000 + "}", "values are numbers"),
        ('"' + "x" * (1 << 20) + '"', "the line is longer than 1048576 bytes"),
    ],
)
def test_a_bad_line_is_shown_with_its_number(policy: Path, line: str, message: str) -> None:
    text = '{"hook": "numa"}\n\n' + line + '\n{"hook": "numa"}\n'
    result = invoke("simulate", str(policy), "--trace", "-", stdin=text)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: <stdin>:3: ")
    assert message in result.stderr
    assert result.stdout == ""
    going = invoke("simulate", str(policy), "--trace", "-", "--keep-going", "--json", stdin=text)
    assert going.exit_code == 1
    document = json.loads(going.stdout)
    assert (document["requests"], document["bad_lines"]) == (2, 1)
    assert "1 bad line passed over" in going.stderr


def test_bytes_that_are_not_text(policy: Path) -> None:
    result = invoke("simulate", str(policy), "--trace", "-", stdin=b'\xef\xbb\xbf{"hook": "\xff"}')
    assert result.exit_code == 1
    assert "<stdin>:1: byte 10 is not UTF-8" in result.stderr


def test_a_damaged_archive(policy: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"hook": "numa"}\n' * 50)[:-6])
    result = invoke("simulate", str(policy), "--trace", str(cut))
    assert result.exit_code == 1
    assert "the compressed data is damaged" in result.stderr
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"{}")
    assert invoke("simulate", str(policy), "--trace", str(plain)).exit_code == 2


def test_an_empty_trace_is_said(policy: Path) -> None:
    for text in ("", "\n\n", "\ufeff"):
        result = invoke("simulate", str(policy), "--trace", "-", stdin=text.encode())
        assert result.exit_code == 0
        assert "the trace is empty, nothing was asked" in result.stdout


def test_only_one_file_can_be_standard_input(policy: Path) -> None:
    for arguments in (["-", "--trace", "-"], [str(policy), "--trace", "-", "--against", "-"]):
        result = invoke("simulate", *arguments, stdin=POLICY)
        assert result.exit_code == 2
        assert "only one of the files can be standard input" in result.stderr


@pytest.mark.slow
def test_a_long_trace_is_streamed(policy: Path) -> None:
    line = b'{"hook": "thp", "orders": "all", "cgroup": "/kubepods/java/a", "vma.size": "8M"}\n'
    code = 'ulimit -v 400000; exec "$@"'
    import subprocess
    import sys

    from tests.cli.commands import environment

    result = subprocess.run(
        [
            "sh",
            "-c",
            code,
            "sh",
            sys.executable,
            "-m",
            "policyc",
            "simulate",
            str(policy),
            "--trace",
            "-",
            "--json",
        ],
        input=line * 300_000,
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["requests"] == 300_000


def test_progress_is_for_terminals(policy: Path, trace: Path) -> None:
    assert run("simulate", str(policy), "--trace", str(trace)).stderr == b""
