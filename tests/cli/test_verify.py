"""`policyc verify`, where programs can be loaded; the hooks themselves are in tests/kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.places import policy_line
from policyc.hooks.loader import profiles
from policyc.kernel.library import unavailable
from policyc.kernel.verifier_log import source_lines
from tests.cli.commands import invoke
from tests.language.documents import ROOT

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


def test_a_line_of_c_is_one_of_the_policy() -> None:
    result = check_text(PAIR, "pair.thp", profiles=["thp-v12"])
    assert result.plan is not None
    text = emit_bpf(result.plan, profiles()["thp-v12"])
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if "if (has_mm_rss" in line:
            assert policy_line(text, "pair.thp", number) == 4
            assert policy_line(text, "pair.thp", number + 1) == 4
            assert policy_line(text, "pair.thp", number + 3) == 5
            break
    else:
        pytest.fail(text)
    reader = next(i for i, line in enumerate(lines, 1) if "thp_read_mm_rss(const" in line)
    assert policy_line(text, "pair.thp", reader + 3) is None
    assert policy_line(text, "pair.thp", 10**9) is None


def test_places_in_a_log() -> None:
    log = "0: (b7) r1 = 0\n; if (x) @ policy.bpf.c:12\n1: R1=0\n; old kernels name no place\n"
    assert source_lines(log) == [12]


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


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere.thp",),
        ("-", "--btf", "/nowhere"),
        ("-", "--btf", "/dev/null"),
        ("-", "--profile", "thp-v8"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = invoke("verify", *arguments, stdin=PAIR)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
