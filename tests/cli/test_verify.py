"""`policyc verify`, where programs can be loaded; the hooks themselves are in tests/kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.places import policy_lines
from policyc.hooks.btf import Btf
from policyc.hooks.loader import profiles
from policyc.kernel.library import unavailable
from policyc.kernel.verifier_log import reason_of, source_lines
from tests.cli.commands import command, environment, invoke, run
from tests.differential.compare import checked_plan
from tests.language.documents import ROOT
from tests.strategies.policies import policy_of_seed

SHAPES = ROOT / "tests" / "fixtures" / "btf" / "shapes"

loads = pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-")

PAIR = """\
policy pair;

thp {
    deny when mm.rss < 8M;
    otherwise pass;
}

numa {
    otherwise balance;
}
"""


def many_conditions(count: int) -> str:
    """Rules that make no table, as each has a condition of its own."""
    rules = "\n".join(
        f'    deny when cgroup under "/a/{i}" and vma.size >= {8 + i}M and mm.rss > {i + 1}M;'
        for i in range(count)
    )
    return f"policy many;\n\nthp {{\n{rules}\n    otherwise pass;\n}}\n"


@loads
@pytest.mark.kernel
def test_every_program_with_what_it_cost() -> None:
    result = invoke("verify", "-", "--json", stdin=PAIR)
    assert result.exit_code == 0, result.stderr
    verified = json.loads(result.stdout)["verified"]
    assert [item["hook"] for item in verified] == ["thp", "numa"]
    for item in verified:
        assert item["accepted"]
        assert item["loaded_as"] == "testrun" or not item["why"]
        for program in item["programs"]:
            assert 0 < program["instructions"] <= program["verified_instructions"] < 10_000
            assert 0 < program["peak_states"] <= program["states"]
            assert program["verification_ns"] > 0
        assert "rule_counters" in [each["name"] for each in item["maps"]]


@loads
@pytest.mark.kernel
def test_the_stand_in_is_called_one() -> None:
    result = invoke("verify", "-", "--profile", "testrun", stdin=PAIR)
    assert result.exit_code == 0, result.stderr
    assert "thp as testrun\n" in result.stdout
    asked = json.loads(invoke("verify", "-", "--json", stdin=PAIR).stdout)["verified"]
    shown = invoke("verify", "-", stdin=PAIR).stdout
    for item in asked:
        if item["loaded_as"] == "testrun":
            assert f"{item['hook']} as {item['profile']} is not offered by this kernel" in shown
            assert item["why"] in shown


@loads
@pytest.mark.kernel
@pytest.mark.slow
def test_a_refusal_points_at_the_rule(tmp_path: Path) -> None:
    policy = tmp_path / "many.thp"
    policy.write_text(many_conditions(900))
    log = tmp_path / "log"
    result = invoke("verify", str(policy), "--profile", "testrun", "--log", str(log))
    assert result.exit_code == 1
    assert "error[PC0705]" in result.stderr
    assert "BPF program is too large" in result.stderr
    line = int(result.stderr.split("many.thp:")[1].split(":")[0])
    # The verifier walks the rules in their order: a million instructions reach into them.
    assert 100 < line < 904
    assert f'cgroup under "/a/{line - 4}"' in result.stderr
    assert "processed 1000001 insns" in log.read_text()


TWO_RULES = """\
policy two;

let small = vma.size < 8M;

thp {
    deny when mm.rss < 8M;
    deny when small and
        task.uid == 5;
    otherwise pass;
}

thp for cgroup "/x" {
    otherwise deny;
}
"""


def test_a_line_of_c_is_one_of_the_policy() -> None:
    result = check_text(TWO_RULES, "two.thp", profiles=["thp-v12"])
    assert result.plan is not None
    text = emit_bpf(result.plan, profiles()["thp-v12"])
    found = policy_lines(text, "two.thp")
    said = {line.strip(): found.get(number) for number, line in enumerate(text.split("\n"), 1)}
    expected = {
        "u64 mm_rss = 0;": 6,
        "bool has_mm_rss = thp_read_mm_rss(request, &mm_rss);": 6,
        "if (has_mm_rss && mm_rss < 8388608ULL)": 6,
        "return thp_answer(opinion, 0, 1);": 6,
        # What only the second rule reads stands in front of the comment that names it.
        "u64 vma_size = thp_read_vma_size(request);": 3,
        "bool let_small = vma_size < 8388608ULL;": 3,
        "bool has_task_uid = thp_read_task_uid(request, &task_uid);": 7,
        "return thp_answer(opinion, 0, 2);": 7,
        "return NO_RULE;": None,
        "rule = thp_block_1(request, &paths, &opinion);": 12,
        "return thp_answer(opinion, 0, 4);": 13,
    }
    assert {line: said.get(line) for line in expected} == expected
    reader = next(
        i for i, line in enumerate(text.split("\n"), 1) if "thp_read_mm_rss(const" in line
    )
    assert reader + 2 not in found


def test_every_statement_of_every_rule_has_its_line() -> None:
    """Whatever a policy is made of, a refusal in a rule is told where it is."""
    for seed in range(60):
        _, plan = checked_plan(policy_of_seed(seed))
        text = emit_bpf(plan, profiles()["testrun"])
        found = policy_lines(text, plan.file)
        by_index = {rule.index + 1: rule for rule in plan.rules}
        for number, line in enumerate(text.split("\n"), 1):
            answer = re.fullmatch(r"\s+return (?:\w+_answer\(opinion, .*, )?([1-9]\d*)\)?;", line)
            if answer:
                assert found[number] == by_index[int(answer[1])].line, (seed, line)


def test_the_way_to_a_refusal() -> None:
    """From the end backwards, and in front of a branch that the verifier went back to."""
    text = "\n".join(f"line {number};" for number in range(1, 30)) + "\nagain;\nagain;\n"
    log = """\
; line 3; @ policy.bpf.c:3
10: (b7) r1 = 0
; line 5; @ policy.bpf.c:5
12: (55) if r1 != 0x0 goto pc+9
; line 7; @ policy.bpf.c:7
13: (b7) r1 = 7

from 12 to 22: R1=1
; line 9; @ policy.bpf.c:9
22: (61) r1 = *(u32 *)(r2 +0)
R2 invalid mem access 'scalar'
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1
"""
    assert source_lines(log, text) == [9, 5, 3]
    older = re.sub(r" @ .*", "", log)
    assert source_lines(older, text) == [9, 5, 3]
    assert source_lines("; again;\n; not there\n; line 4;\n", text) == [4]
    assert reason_of(log) == "R2 invalid mem access 'scalar'"


def test_another_kernel_that_has_no_hook() -> None:
    result = invoke("verify", "-", "--btf", str(SHAPES / "stock-6.12.btf"), stdin=PAIR)
    assert result.exit_code == 1
    assert "PC0701" in result.stderr
    assert "2 errors" in result.stderr


@loads
@pytest.mark.kernel
def test_another_kernel_that_has_it() -> None:
    thp = "policy small; thp { deny when mm.rss < 8M; otherwise pass; }"
    result = invoke("verify", "-", "--btf", str(SHAPES / "v9.btf"), stdin=thp)
    assert result.exit_code == 0, result.stderr
    assert f"thp as thp-v9 for {SHAPES}/v9.btf" in result.stdout
    assert "loaded here as testrun" in result.stdout
    assert "is not offered" not in result.stdout


@pytest.mark.parametrize(
    ("policy", "code"),
    [("", 1), ("policy x; thp { deny; }", 1), ("policy x; thp { otherwise allow 8K; }", 1)],
)
def test_a_policy_with_errors_is_not_loaded(policy: str, code: int) -> None:
    result = invoke("verify", "-", stdin=policy)
    assert result.exit_code == code
    assert "is not verified: 1 error" in result.stderr


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICYC_CLANG", "/nowhere/clang")
    from policyc.emit.clang import find_clang

    find_clang.cache_clear()
    result = invoke("verify", "-", stdin=PAIR)
    find_clang.cache_clear()
    assert result.exit_code == 3
    assert "/nowhere/clang" in result.stderr


def test_without_libbpf() -> None:
    result = run("verify", "-", stdin=PAIR.encode(), POLICYC_LIBBPF="/nowhere/libbpf.so.1")
    assert result.returncode == 3
    assert b"/nowhere/libbpf.so.1" in result.stderr
    assert b"make libbpf" in result.stderr


@loads
@pytest.mark.kernel
@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv (util-linux) is not installed")
def test_without_the_right_to_load_programs() -> None:
    result = subprocess.run(
        ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command("verify", "-")],
        input=PAIR.encode(),
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert result.returncode == 3
    assert b"the right to load BPF programs is missing" in result.stderr
    assert b"CAP_BPF" in result.stderr
    assert result.stdout == b""


def test_without_the_types_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def running() -> list[Btf]:
        raise FileNotFoundError(2, "No such file or directory", "/sys/kernel/btf/vmlinux")

    monkeypatch.setattr("policyc.hooks.btf.running", running)
    result = invoke("verify", "-", stdin=PAIR)
    assert result.exit_code == 3
    assert "CONFIG_DEBUG_INFO_BTF" in result.stderr
    # What is wrong with the policy is said all the same.
    assert invoke("verify", "-", stdin="policy x; thp { deny; }").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere.thp",),
        ("-", "--btf", "/nowhere"),
        ("-", "--btf", "/dev/null"),
        ("-", "--btf", str(SHAPES)),
        ("-", "--profile", "thp-v8"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = invoke("verify", *arguments, stdin=PAIR)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
