"""`policyc explain`, as a user meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import POLICY, ROOT, invoke

SCHEMA = json.loads((ROOT / "docs/reference/explanation.schema.json").read_text("utf-8"))
TRACE = ROOT / "examples" / "traces" / "mixed.jsonl"
EXAMPLES = sorted((ROOT / "examples").glob("*.thp"))
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def text(*arguments: str, policy: str = POLICY, **environment: str) -> str:
    """What is printed."""
    result = invoke("explain", "-", *arguments, stdin=policy, **environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def data(*arguments: str, policy: str = POLICY) -> Any:
    """The document."""
    return json.loads(text("--json", *arguments, policy=policy))


def faults(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """What of a value is not as a schema says; only the words that our schema uses."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tried = [faults(value, each, place) for each in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{place}: {value!r}"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = any(
        isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    )
    if not fits or ("pattern" in schema and not re.search(schema["pattern"], str(value))):
        return [f"{place}: {value!r} is no {kinds}"]
    if isinstance(value, list):
        return [
            fault
            for index, item in enumerate(value)
            for fault in faults(item, schema["items"], f"{place}[{index}]")
        ]
    if not isinstance(value, dict):
        return []
    known, rest = schema.get("properties", {}), schema["additionalProperties"]
    found = [
        f"{place}.{name} is missing" for name in schema.get("required", ()) if name not in value
    ]
    for name, item in value.items():
        inner = known.get(name, rest)
        found += faults(item, inner, f"{place}.{name}") if inner else [f"{place}.{name}: unknown"]
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits_the_schema_and_the_line_of_a_trace(path: Path) -> None:
    hooks = set(re.findall(r"^(thp|numa)\b", path.read_text("utf-8"), re.MULTILINE))
    for line, hook in ((2, "thp"), (3, "numa")):
        if hook in hooks:
            arguments = ("--trace", str(TRACE), "--line", str(line), "--json")
            result = invoke("explain", str(path), *arguments)
            assert result.exit_code == 0, result.output
            assert faults(json.loads(result.stdout), SCHEMA) == []


def test_the_schema_is_as_strict_as_it_looks() -> None:
    document = data("--hook", "thp", "cgroup=/kubepods/batch/a", "cgroup.id=4711")
    assert faults(document, SCHEMA) == []
    assert faults({**document, "more": 1}, SCHEMA) == ["$.more: unknown"]
    document["nearest"]["changes"][0]["kind"] = "rule"
    del document["blocks"][0]["rules"][0]["found"]
    assert len(faults(document, SCHEMA)) == 2


def test_every_rule_with_its_parts_and_where_it_stopped() -> None:
    shown = text("--hook", "thp", "cgroup=/kubepods/java/web-1", "event=khugepaged")
    assert shown.startswith("thp: allow 2M\n")
    rows = [line.split() for line in shown.splitlines()]
    assert ["5", "fails"] in [row[:2] for row in rows]
    assert ["6", "holds"] in [row[:2] for row in rows]
    assert ["7", "not", "reached"] in [row[:3] for row in rows]
    assert re.search(
        r"avg10 > ceiling += false  \(cgroup\.psi\.memory\.full\.avg10 is absent", shown
    )
    assert re.search(r"cgroup under java += true  \(/kubepods/java is in java\)", shown)
    assert re.search(r"event is khugepaged += khugepaged is khugepaged = true", shown)
    assert "vma.size >= 8M =" not in shown
    assert "8 otherwise" not in shown
    assert "does not apply: /kubepods/java/web-1 is not in /kubepods/batch" in shown


def test_all_takes_apart_what_was_not_reached() -> None:
    shown = text("--hook", "thp", "--all", "cgroup=/kubepods/java/web-1", "event=khugepaged")
    assert re.search(r"vma.size >= 8M += 2M >= 8M = false", shown)
    assert re.search(r'task.comm == "redis-server" += false  \(task.comm is absent\)', shown)


def test_values_stand_in_the_place_of_names() -> None:
    pressed = text("--hook", "thp", "cgroup=/a", "cgroup.psi.memory.full.avg10=12.5%")
    assert re.search(r"avg10 > ceiling += 12\.5% > 10% = true", pressed)
    assert "param ceiling" in pressed.partition("nearest change")[2]
    assert "12.5%" in pressed.partition("nearest change")[2]


def test_a_let_is_taken_apart_once() -> None:
    policy = """policy p; let big = vma.size > 8M; let small = ..64K;
        thp { deny when big and vma.stack; allow small when big; otherwise pass; }"""
    shown = text("vma.size=9M", policy=policy)
    assert shown.count("vma.size > 8M = ") == 1
    assert shown.count("as shown") == 1
    said = " ".join(shown.split())
    assert "the rule says 4K | 16K..64K, and of the requested 16K..2M that leaves 16K..64K" in said


def test_the_orders_of_an_answer_are_worked_out() -> None:
    policy = """policy p; let most = orders - pmd;
        thp { allow (most - 64K) | 4K when event is pagefault; otherwise pass; }"""
    said = " ".join(text(policy=policy).split())
    assert "orders - 2M = 16K..2M - 2M = 16K..1M" in said
    assert "the rule says most - 64K | 4K, which is 4K | 16K..32K | 128K..1M, and of the" in said


def test_arithmetic_says_where_it_is_not_that_of_whole_numbers() -> None:
    policy = """policy p; thp { deny when memory.usage - memory.max > 1B or vma.size / mm.rss > 0;
        otherwise pass; }"""
    shown = text("memory.usage=1M", "memory.max=2M", "mm.rss=0B", policy=policy)
    assert "1M - 2M = 0B  (not below 0)" in shown
    assert "2M / 0B = 0  (by zero is 0)" in shown


def test_how_blocks_combine() -> None:
    blocks = """thp { allow 16K..64K when vma.stack; otherwise allow 16K | pmd; }
        thp for cgroup "/a" { otherwise allow 16K..64K; }"""
    asked = ("cgroup=/a/b", "orders=16K..2M")
    met = text(*asked, policy=f"policy p; combine thp by meet; {blocks}")
    assert "meet: 16K..2M (requested) & (16K | 2M) (line 1) & 16K..64K (line 2) = 16K" in met
    assert "attributed to line 2, the innermost: it took several to get there" in met
    nearest = text(*asked, policy=f"policy p; combine thp by nearest; {blocks}")
    assert "nearest: the innermost opinion counts, 16K..64K of line 2" in nearest
    assert "not counted: 16K | 2M (line 1)" in nearest
    outermost = data(*asked, policy=f"policy p; combine thp by outermost; {blocks}")["combination"]
    assert (outermost["counted"], outermost["ignored"]) == ([1], [2])


def test_scopes_and_rollouts() -> None:
    inside = text("--hook", "thp", "cgroup=/kubepods/batch/a", "cgroup.id=4711")
    assert "applies: /kubepods/batch/a is in /kubepods/batch" in inside
    assert "cgroup.id 4711 is in the rollout: its place is 15.63% of 25%" in inside
    outside = text("--hook", "thp", "cgroup=/kubepods/batch/a", "cgroup.id=4712")
    assert "does not apply: cgroup.id 4712 is outside the rollout" in outside


@pytest.mark.parametrize(
    ("policy", "arguments", "profile", "expected"),
    [
        ("otherwise pass;", (), "thp-v7", "-1 leaves the request as it was; it is negative: the"),
        ("otherwise pass;", (), "thp-v9", "it cannot say that a request is left as it was"),
        ("otherwise allow 16K..64K;", (), "thp-v12", "the highest allowed order, 4 (64K)"),
        ("otherwise deny;", (), "thp-v7", "0: no order is allowed"),
        ("otherwise allow 64K;", (), "mthp-v2", "the allowed orders, as a mask"),
    ],
)
def test_why_kernels_differ(
    policy: str, arguments: tuple[str, ...], profile: str, expected: str
) -> None:
    profiles = data(*arguments, policy=f"policy p; thp {{ {policy} }}")["profiles"]
    reasons = next(p for p in profiles if p["name"] == profile)
    assert expected in f"{reasons['encoding']}; {reasons['kernel']}"


def test_no_change() -> None:
    shown = text(policy="policy p; thp { otherwise deny; }")
    assert "no nearest change" in shown
    assert "no change of one attribute, parameter or member of a set" in shown


def test_narrow_and_plain_terminals() -> None:
    arguments = ("--hook", "thp", "cgroup=/kubepods/java/web-1", "event=khugepaged")
    narrow = text(*arguments, COLUMNS="60")
    blocks = narrow.partition("\n\n")[2].partition("what they looked at")[0].splitlines()
    assert len(blocks) > 10
    assert max(map(len, blocks)) <= 60
    assert "\x1b" not in narrow
    hidden = text(
        "task.comm=\x1b[31m", policy="policy p; thp { deny when has task.comm; otherwise pass; }"
    )
    assert "\x1b" not in hidden


def refusal(*arguments: str, code: int = 2) -> str:
    """What is said of arguments that are wrong."""
    result = invoke("explain", "-", *arguments, stdin=POLICY)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    return result.stderr


def test_traces_that_cannot_be_used(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text('{"hook":"thp"}\n\n{"hook":"thp","orders":"all"}\n', "utf-8")
    assert invoke("explain", "-", "--trace", str(trace), "--line", "3", stdin=POLICY).exit_code == 0
    at = ("--trace", str(trace), "--line")
    assert "t.jsonl:1: orders: every thp request has it" in refusal(*at, "1", code=1)
    assert "t.jsonl:2: the line is empty" in refusal(*at, "2", code=1)
    assert "ends before line 4: it has 3 lines" in refusal(*at, "4")
    assert "is a thp request" in refusal(*at, "3", "--hook", "numa")
    assert "by --trace, not both" in refusal(*at, "3", "event=smaps")
    assert "given together" in refusal("--trace", str(trace))
    assert "given together" in refusal("--line", "1", "--hook", "thp")
    assert "cannot read" in refusal("--trace", str(tmp_path / "none"), "--line", "1")
    assert "only one of the files" in refusal("--trace", "-", "--line", "1")


def test_a_damaged_trace(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl.gz"
    trace.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3broken")
    assert "t.jsonl.gz" in refusal("--trace", str(trace), "--line", "1", code=1)


def test_what_is_asked_is_read_as_by_decide() -> None:
    assert "did you mean" in refusal("--hook", "thp", "vma.sise=2M")
    assert "say which with --hook" in refusal()
    changed = data("--hook", "thp", "cgroup=/x", "event=khugepaged", "--set", "java+=/x")
    assert changed["decision"]["rule"]["line"] == 6
