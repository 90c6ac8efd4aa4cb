"""`policyc simulate` with a workload, as people run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import command, environment, invoke, run
from tests.simulate import made
from tests.simulate.test_report_document import SCHEMA, faults
from tests.simulate.test_runs import children

SMALL = """
description = "a small service"
duration = "1s"

[[machine.nodes]]
memory = "1G"
cpus = 2

[machine.thp]
enabled = "madvise"

[values]
size = "32M"

[cgroups."/kubepods/java"]
memory_max = "256M"

[[processes]]
name = "java"
cgroup = "/kubepods/java"

[[processes.vmas]]
name = "heap"
size = "$size"

[[processes.phases]]
pattern = "uniform"
vma = "heap"
rate = "100K/s"
duration = "1s"
"""

RATE = """policy rate;
param least : size = 8M in 4K..1G;
host { thp.enabled = always; }
thp { deny when vma.size < least; otherwise allow all; }
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A workload that takes no time."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL, "utf-8")
    return path


@pytest.fixture
def rate(tmp_path: Path) -> Path:
    """A policy with a parameter of its own."""
    path = tmp_path / "rate.thp"
    path.write_text(RATE, "utf-8")
    return path


@pytest.fixture
def hand_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that are made by hand: figures tell what the engine was given."""
    monkeypatch.setattr("policyc.simulate.runs._engine", made.engine)


def simulated(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """The document of a simulation."""
    result = invoke("simulate", "--jobs", "1", "--json", *map(str, arguments))
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def names(document: dict[str, Any]) -> list[str]:
    return [each["name"] for each in document["runs"]]


def test_a_policy_beside_the_stock_settings(rate: Path, small: Path) -> None:
    document = simulated(rate, "-w", small)
    assert faults(document, SCHEMA) == []
    assert names(document) == ["rate", "never", "madvise", "always", "always+shrinker"]
    assert document["policy"] == {"name": "rate", "file": str(rate), "profile": "thp-v12"}
    ours, never, madvise, always, _ = document["runs"]
    # 32 MiB are 16 PMD pages; nothing is advised, and the host block says always.
    assert ours["total"]["thp_fault_alloc"] == always["total"]["thp_fault_alloc"] == 16
    assert never["total"]["thp_fault_alloc"] == madvise["total"]["thp_fault_alloc"] == 0
    assert ours["total"]["memory_bytes"] == 32 << 20
    assert sum(rule["decisions"] for rule in ours["rules"]) >= 16
    assert never["rules"] == []
    assert set(ours["cgroups"]) >= {"/kubepods", "/kubepods/java"}


def test_the_same_seed_gives_the_same_bytes_however_many_processes(rate: Path, small: Path) -> None:
    arguments = ("simulate", str(rate), "-w", str(small), "--json", "-b", "never")
    one, two = (invoke(*arguments, "--jobs", jobs) for jobs in ("1", "2"))
    assert one.exit_code == two.exit_code == 0
    assert one.stdout == two.stdout
    assert simulated(rate, "-w", small, "--seed", "7")["seeds"] == [7]


def test_the_default_workload_comes_with_policyc(hand_made: None) -> None:
    result = invoke("simulate", "-", "--jobs", "1", stdin=RATE)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("workload  mixed-host: ")
    assert "policy    <stdin> (rate) as thp-v12" in result.stdout
    assert "compared with always: " in result.stdout


@pytest.mark.usefixtures("hand_made")
def test_baselines_are_chosen(policy: Path, rate: Path, small: Path) -> None:
    assert names(simulated(policy, "-w", small))[-2:] == ["always+shrinker", "numab1"]
    mode = ("--set", "machine.numa.balancing=1")
    assert names(simulated(policy, "-w", small, *mode))[-2:] == ["always+shrinker", "numab0"]
    assert names(simulated(rate, "-w", small, "-b", "none")) == ["rate"]
    assert names(simulated(rate, "-w", small, "-b", "always,never", "-b", "numab2")) == [
        "rate",
        "always",
        "never",
        "numab2",
    ]
    alone = simulated("-w", small, "--baseline", "always+shrinker")
    assert names(alone) == ["always+shrinker"]
    assert alone["policy"] is None
    # pgsteal is max_ptes_none here: 409 where the machine has the default.
    assert alone["runs"][0]["total"]["pgsteal"] == 409


@pytest.mark.usefixtures("hand_made")
def test_a_policy_may_be_called_like_a_baseline(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.thp"
    path.write_text("policy never; thp { otherwise deny; }")
    assert names(simulated(path, "-w", small, "-b", "never")) == ["policy never", "never"]


@pytest.mark.usefixtures("hand_made")
def test_values_are_overridden(rate: Path, small: Path) -> None:
    document = simulated(
        rate, "-w", small, "-b", "always", "--set", "machine.khugepaged.max_ptes_none=470"
    )
    assert [each["total"]["pgsteal"] for each in document["runs"]] == [470, 470]


@pytest.mark.usefixtures("hand_made")
def test_a_sweep_of_a_parameter_runs_baselines_once(policy: Path, small: Path) -> None:
    document = simulated(policy, "-w", small, "-b", "never", "--sweep", "ceiling=5%,10%,20%")
    assert [each["setting"] for each in document["runs"]] == [
        {"ceiling": "5%"},
        {"ceiling": "10%"},
        {"ceiling": "20%"},
        {},
    ]
    # pgscan is the ceiling here, in hundredths of a percent.
    assert [each["total"]["pgscan"] for each in document["runs"]] == [500, 1000, 2000, 0]


@pytest.mark.usefixtures("hand_made")
def test_a_sweep_of_the_workload_runs_everything_again(policy: Path, small: Path) -> None:
    document = simulated(
        policy,
        *("-w", small, "-b", "never", "--sweep", "ceiling=5%,10%"),
        *("--sweep", "machine.khugepaged.max_ptes_none=100,200", "--repeat", "2"),
    )
    ours = [each for each in document["runs"] if each["policy"]]
    assert [(each["total"]["pgscan"], each["total"]["pgsteal"], each["seed"]) for each in ours] == [
        (c, m, s) for c in (500, 1000) for m in (100, 200) for s in (1, 2)
    ]
    never = [each for each in document["runs"] if not each["policy"]]
    assert [(each["total"]["pgsteal"], each["seed"]) for each in never] == [
        (100, 1),
        (100, 2),
        (200, 1),
        (200, 2),
    ]
    assert document["seeds"] == [1, 2]
    assert document["sweeps"] == ["ceiling", "machine.khugepaged.max_ptes_none"]
    # Memory is a GiB for each seed here.
    assert document["spreads"][0]["figures"]["memory_bytes"]["mean"] == 1.5 * (1 << 30)


@pytest.mark.usefixtures("hand_made")
def test_conditions_decide_the_exit_code(rate: Path, small: Path) -> None:
    usual = (rate, "-w", small, "-b", "never,always")
    assert simulated(*usual, "--fail-if", "memory > always * 2")["failed"] == []
    # oom_kill is whether thp.enabled is always here, and the host block says so.
    document = simulated(*usual, "--fail-if", "oom > 0", "--fail-if", "oom > never", code=1)
    assert document["failed"] == [
        "oom > 0: rate has 1 > 0, 1 more",
        "oom > never: rate has 1 > 0 (never: 0), 1 more",
    ]
    # Without a policy any run is judged.
    alone = simulated("-w", small, "-b", "never,always", "--fail-if", "oom > 0", code=1)
    assert alone["failed"] == ["oom > 0: always has 1 > 0, 1 more"]
    text = invoke(
        "simulate", str(rate), "-w", str(small), "-j", "1", "--fail-if", "oom[/kubepods/java]>0"
    )
    assert text.exit_code == 1
    assert "fails: oom[/kubepods/java]>0: rate has 1 > 0, 1 more" in text.stdout


@pytest.mark.usefixtures("hand_made")
def test_a_page_is_written_whole(rate: Path, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    result = invoke("simulate", str(rate), "-w", str(small), "-j", "1", "--html", str(path))
    assert result.exit_code == 0
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "rate.thp",
        "report.html",
        "small.toml",
    ]
    result = invoke("simulate", str(rate), "-w", str(small), "-j", "1", "--html", str(tmp_path))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to run: give a policy, or name baselines"),
        (["--baseline", "none"], "nothing to run"),
        (["POLICY", "-b", "alwys"], "unknown baseline 'alwys'; did you mean 'always'?"),
        (["POLICY", "--fail-if", "ooms > 0"], "did you mean 'oom'?"),
        (["POLICY", "--fail-if", "oom > numab2"], "which is not run; add --baseline numab2"),
        (["POLICY", "--fail-if", "oom[/x] > 1"], "there is no cgroup '/x'"),
        (["POLICY", "--sweep", "least"], "expected NAME=VALUE,VALUE,.."),
        (["POLICY", "--sweep", "least=1M,1M"], "least has a value twice"),
        (["POLICY", "--sweep", "least=2G"], "param least: expected 4K..1G"),
        (["POLICY", "--sweep", "least=1M", "--sweep", "least=2M"], "a name is given twice"),
        (
            ["POLICY", "--sweep", "least=1M,2M,3M,4M,5M,6M,7M", "--repeat", "1000"],
            "expected at most 10,000",
        ),
        (["POLICY", "--profile", "numab-rfc1"], "'numab-rfc1' is not one of"),
        (["POLICY", "--against", "x.thp"], "--against is for traces: give one with --trace"),
        (["POLICY", "--top", "3"], "--top is for traces"),
        (["POLICY", "--page-size", "64K"], "--page-size is for traces"),
        (["POLICY", "--trace", "x", "--seed", "3"], "--seed is for workloads"),
        (["--trace", "x"], "--trace needs a policy"),
        (["POLICY", "--cgroups", "some"], "expected a number or `all`"),
        (["POLICY", "-w", "mixed-hots"], "did you mean 'mixed-host'?"),
        (["POLICY", "-w", "/"], "there is no file and no shipped workload"),
        (["-", "-w", "-"], "only one of the files can be standard input"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, rate: Path, small: Path) -> None:
    given = [str(rate) if each == "POLICY" else each for each in arguments]
    if "-w" not in given and "--trace" not in given:
        given += ["-w", str(small)]
    result = invoke("simulate", *given, stdin="")
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_what_is_wrong_with_a_workload_is_said_with_its_line(rate: Path, small: Path) -> None:
    small.write_text(SMALL.replace("memory_max", "memory_mxa"))
    result = invoke("simulate", str(rate), "-w", str(small))
    assert result.exit_code == 1
    assert f"{small}:16: " in result.stderr
    assert "did you mean 'memory_max'?" in result.stderr
    small.write_text(SMALL)
    result = invoke("simulate", str(rate), "-w", str(small), "--set", "machine.khugepagd.x=1")
    assert result.exit_code == 1
    assert "khugepagd" in result.stderr


def test_a_workload_can_be_standard_input(rate: Path) -> None:
    result = invoke("simulate", str(rate), "-w", "-", "-b", "never", "-j", "1", stdin=SMALL)
    assert result.exit_code == 0, result.output
    assert "a small service" in result.stdout


def test_actions_must_be_those_of_the_policy(rate: Path, small: Path) -> None:
    small.write_text('at = ["500ms param leest 1M"]\n' + SMALL)
    result = invoke("simulate", str(rate), "-w", str(small), "-b", "never")
    assert result.exit_code == 1
    assert "unknown parameter 'leest'; did you mean 'least'?" in result.stderr
    assert invoke("simulate", "-w", str(small), "-b", "never", "-j", "1").exit_code == 0


def test_a_policy_that_cannot_be_compiled_for_the_profile(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "event.thp"
    path.write_text("policy e; thp { deny when event is khugepaged; otherwise pass; }")
    assert simulated(path, "-w", small, "-b", "never")["policy"]["profile"] == "thp-v12"
    result = invoke("simulate", str(path), "-w", str(small), "--profile", "mthp-v2")
    assert result.exit_code == 1
    assert "cannot be compiled for mthp-v2" in result.stderr


@pytest.mark.usefixtures("hand_made")
def test_a_policy_without_a_thp_block_has_no_profile(tmp_path: Path, small: Path) -> None:
    path = tmp_path / "numa.thp"
    path.write_text("policy n; numa { otherwise balance; }")
    assert simulated(path, "-w", small)["policy"]["profile"] is None
    result = invoke("simulate", str(path), "-w", str(small), "--profile", "thp-v12")
    assert result.exit_code == 2
    assert "has no thp block" in result.stderr


def test_the_terminal_is_told_how_long_it_takes(rate: Path, small: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    small.write_text(SMALL.replace("1s", "20s"))
    process = subprocess.Popen(
        command("simulate", str(rate), "-w", str(small), "-b", "never", "--jobs", "1"),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(),
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        written += data
    os.close(ours)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"simulating: " in written
    assert b" left" in written
    # The line is gone in the end, and is no part of the report.
    assert written.endswith(b"\r\x1b[K")
    assert b"simulating" not in output


def test_without_a_terminal_nothing_is_said(rate: Path, small: Path) -> None:
    result = run("simulate", str(rate), "-w", str(small), "-b", "never")
    assert result.returncode == 0, result.stderr
    assert result.stderr == b""
    assert b"\x1b" not in result.stdout


def test_an_interrupt_ends_all_processes(rate: Path, small: Path) -> None:
    small.write_text(SMALL.replace('"1s"', '"10h"'))
    process = subprocess.Popen(
        command("simulate", str(rate), "-w", str(small), "-b", "never", "--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    # Two workers and the process that cleans up after them.
    while len(children(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == b""
    assert errors == b""


def test_help_does_not_need_the_model() -> None:
    result = run("simulate", "--help", PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 0
    assert b"| numpy" not in result.stderr
    assert b"policyc.simulate" not in result.stderr
