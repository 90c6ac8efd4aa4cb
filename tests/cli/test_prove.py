"""`policyc prove` and `policyc diff` as a user runs them."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import ROOT, command, environment, invoke, run

EXAMPLES = sorted((ROOT / "examples").glob("*.thp"))

SPARE = """policy spare;
set java : cgroup = { "/java" };
param limit : size = 16M in 0B..1G;
thp {
    deny when vma.size < limit;
    allow pmd when cgroup under java and vma.size > 32M;
    deny when vma.size < limit and vma.stack;
    deny when vma.exec;
    otherwise deny;
}
"""


@pytest.fixture
def solver() -> None:
    pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old.thp", tmp_path / "new.thp"
    old.write_text(SPARE)
    new.write_text(SPARE.replace("> 32M", ">= 32M").replace("    deny when vma.exec;\n", ""))
    return str(old), str(new)


@pytest.mark.usefixtures("solver")
def test_what_is_proved_and_what_is_not() -> None:
    result = invoke("prove", "-", stdin=SPARE)
    assert result.exit_code == 1
    text = result.stdout
    assert "for every request, all members of java, all values of limit" in text
    assert "proved   an answer is within the request" in text
    assert "thp-v7, thp-v9, thp-v12: the raw value is one that it knows" in text
    assert "3 rules: each decides something" in text
    shadowed = text.index("it is shadowed: earlier rules answer all that it asks for")
    assert text.index(":5  deny when vma.size < limit;") > shadowed
    assert "it is redundant: without it every answer is the same" in text
    assert text.endswith("11 proved, 2 refuted\n")


@pytest.mark.usefixtures("solver")
def test_claims_as_data() -> None:
    result = invoke("prove", "-", "--json", "--profile", "thp-v9", stdin=SPARE)
    document = json.loads(result.stdout)
    assert document["summary"] == {"proved": 7, "refuted": 2, "unknown": 0}
    assert {claim["profile"] for claim in document["claims"]} == {None, "thp-v9"}
    shadowed = [claim for claim in document["claims"] if claim["shadowed_by"]]
    assert [claim["rule"]["line"] for claim in shadowed] == [7]
    assert [rule["line"] for rule in shadowed[0]["shadowed_by"]] == [5]


PROMISES = (
    SPARE
    + """
property "nothing for small areas" for thp: vma.size < 4K implies result == none;
property "only PMD pages" for thp: result == none or result == pmd;
property "nothing below 1K" for thp: vma.size < 1K and limit >= 1K implies result == none;
"""
)


@pytest.mark.usefixtures("solver")
def test_properties_of_the_policy(tmp_path: Path) -> None:
    file = tmp_path / "promises.thp"
    file.write_text(PROMISES.replace("16M in 0B..1G", "0B in 0B..1G").replace("> 32M", ">= 2B"))
    document = json.loads(invoke("prove", str(file), "--json").stdout)
    found = {c["text"]: c for c in document["claims"] if c["subject"] == "property"}
    assert {text: claim["verdict"] for text, claim in found.items()} == {
        "nothing for small areas": "refuted",
        "only PMD pages": "proved",
        "nothing below 1K": "proved",
    }
    claim = found["nothing for small areas"]
    example = claim["counterexample"]
    assert example["request"] == {"vma.size": 2, "cgroup": "/java"}
    assert example["params"] == {"limit": 0}
    assert asked(str(file), example)["rule"]["line"] == claim["answer"]["rule"]["line"] == 6
    text = invoke("prove", str(file), COLUMNS="300").stdout
    assert f'refuted  property "nothing for small areas" ({file}:12)' in text
    assert "request     vma.size=2B\n                cgroup=/java" in text


@pytest.mark.usefixtures("solver")
def test_a_policy_without_spare_rules_is_proved() -> None:
    result = invoke("prove", str(ROOT / "examples" / "whitelist.thp"))
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(" proved\n")


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_everything_of_an_example_is_proved_and_it_equals_itself(example: Path) -> None:
    document = json.loads(invoke("prove", str(example), "--json").stdout)
    wrong = [claim["text"] for claim in document["claims"] if claim["verdict"] != "proved"]
    assert (len(document["claims"]) > 3, wrong) == (True, [])
    assert invoke("diff", str(example), str(example)).exit_code == 0


@pytest.mark.usefixtures("solver")
def test_where_two_policies_differ(files: tuple[str, str]) -> None:
    old, new = files
    result = invoke("diff", old, new, COLUMNS="300")
    assert result.exit_code == 1
    text = result.stdout
    assert f"rule removed  {old}:8  deny when vma.exec;" in text
    assert f"{new}:6  allow pmd when cgroup under java and vma.size > 32M;\n" in text
    assert "-> allow pmd when cgroup under java and vma.size >= 32M;" in text
    assert "thp: differ\n  request  vma.size=32M\n           cgroup=/java\n" in text
    assert f"old      deny\n           {old}:9  otherwise deny;" in text
    assert f"new      allow 2M\n           {new}:6  allow pmd" in text
    assert "thp-v9   differ  the same request: none -> 2M" in text


def asked(file: str, difference: dict[str, Any]) -> dict[str, Any]:
    """What `policyc decide` says to a request that `diff` has shown."""
    words = [word for text in difference["arguments"] for word in shlex.split(text)]
    result = invoke("decide", file, "--hook", "thp", "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["decision"]


@pytest.mark.usefixtures("solver")
def test_decide_takes_what_is_shown(files: tuple[str, str]) -> None:
    old, _ = files
    other = str(ROOT / "examples" / "fleet.thp")
    document = json.loads(invoke("diff", old, other, "--all", "--json").stdout)
    (hook,) = [item for item in document["hooks"] if item["hook"] == "thp"]
    assert hook["complete"]
    assert len(hook["differences"]) >= 10
    for difference in hook["differences"]:
        for file, side in ((old, "old"), (other, "new")):
            mine = dict(difference)
            names = {"java", "limit"} if side == "old" else {"java", "tuned", "ceiling", "canary"}
            mine["arguments"] = [
                text
                for text in difference["arguments"]
                if not text.startswith("--") or text.split()[1].split("=")[0].strip("+-") in names
            ]
            decision = asked(file, mine)
            assert decision["orders"] == difference[side]["orders"], difference
            expected = difference[side]["rule"]
            assert (decision["rule"] or {}).get("line") == (expected or {}).get("line")


@pytest.mark.usefixtures("solver")
def test_requests_that_are_hard_to_write(tmp_path: Path) -> None:
    """Names with quotes and bytes, orders without a name, members of sets."""
    text = """policy odd;
    set names : string = {{ "it's" }};
    thp {{
        deny when task.comm == "q\\"\\\\\\xff";
        deny when task.comm in names and cgroup == "/a b/'c'";
        otherwise {0};
    }}
    """
    old, new = tmp_path / "old.thp", tmp_path / "new.thp"
    for left, right in (("allow all", "allow ..pmd"), ("pass", "deny")):
        old.write_text(text.format(left))
        new.write_text(text.format(right))
        document = json.loads(invoke("diff", str(old), str(new), "--json").stdout)
        (difference,) = document["hooks"][0]["differences"]
        assert asked(str(new), difference)["orders"] == difference["new"]["orders"]
    other = tmp_path / "other.thp"
    changed = text.replace("deny when task", "allow 64K when task")
    other.write_text(changed.format("deny"))
    document = json.loads(invoke("diff", str(new), str(other), "--all", "--json").stdout)
    assert len(document["hooks"][0]["differences"]) == 2
    for difference in document["hooks"][0]["differences"]:
        assert asked(str(other), difference)["rule"]["line"] == difference["new"]["rule"]["line"]


@pytest.mark.usefixtures("solver")
def test_settings_of_the_machine_are_a_difference(tmp_path: Path) -> None:
    old, new = tmp_path / "old.thp", tmp_path / "new.thp"
    text = "policy p; host {{ thp.enabled = {0}; }} thp {{ otherwise pass; }}"
    old.write_text(text.format("madvise"))
    new.write_text(text.format("always"))
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 1
    assert "thp: equivalent" in result.stdout
    assert "host changed" in result.stdout


@pytest.mark.usefixtures("solver")
def test_what_is_not_settled_in_time_is_unknown(tmp_path: Path) -> None:
    old, new = tmp_path / "old.thp", tmp_path / "new.thp"
    old.write_text("policy p; thp { otherwise pass; }")
    new.write_text(
        "policy p; thp { deny when task.uid * task.pid == 9223372021822390277 "
        "and task.uid > 1 and task.pid > 1; otherwise pass; }"
    )
    result = invoke("diff", str(old), str(new), "--timeout", "100ms")
    assert result.exit_code == 1
    assert "thp: unknown: the solver did not settle it within the time limit" in result.stdout
    result = invoke("prove", str(new), "--timeout", "100ms")
    assert result.exit_code == 1
    assert "unknown  " in result.stdout
    assert " unknown\n" in result.stdout


HARD = """policy hard;
thp {
    deny when task.uid * task.pid == 9223372021822390277 and task.uid > 1 and task.pid > 1;
    otherwise pass;
}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("solver")
def test_a_long_proof_can_be_interrupted(tmp_path: Path) -> None:
    """The solver takes the signal for itself; that must not pass for its time limit."""
    file = tmp_path / "hard.thp"
    file.write_text(HARD)
    arguments = command("prove", str(file), "--timeout", "10min")
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(8)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert (output, errors) == (b"", b"")


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["prove", "-", "--timeout", "soon"], 2, "expected a duration such as 200ms"),
        (["prove", "-", "--timeout", "0ms"], 2, "expected 1ms to 1000h"),
        (["prove", "-", "--profile", "numab-rfc1"], 2, "which the policy does not"),
        (["prove", "-", "--profile", "testrun"], 2, "no kernel interface"),
        (["prove", "-", "--profile", "mthp-v2"], 1, "cannot supply"),
        (["prove", "missing.thp"], 2, "missing.thp"),
        (["diff", "-", "-"], 2, "only one of the policies can be standard input"),
        (["diff", "-", "missing.thp"], 2, "missing.thp"),
    ],
)
def test_wrong_usage(arguments: list[str], code: int, said: str) -> None:
    result = invoke(*arguments, stdin=SPARE)
    assert result.exit_code == code, result.output
    assert said in result.stderr


def test_an_erroneous_policy_is_not_proved() -> None:
    pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")
    result = invoke("prove", "-", stdin="policy p; thp { deny when vma.stack; }")
    assert result.exit_code == 1
    assert "PC0501" in result.stderr


@pytest.mark.parametrize("verb", ["prove", "diff"])
def test_without_the_solver_it_is_said_how_to_get_it(verb: str, tmp_path: Path) -> None:
    """A module of that name which cannot be imported stands in for one that is not there."""
    (tmp_path / "z3.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'z3'\", name='z3')"
    )
    example = str(EXAMPLES[0])
    arguments = [example] if verb == "prove" else [example, example]
    done = run(verb, *arguments, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 3
    assert b"z3 is missing" in done.stderr
    assert b"pip install 'policyc[prove]'" in done.stderr
    assert done.stdout == b""
