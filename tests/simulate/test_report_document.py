"""The JSON document of a report: what it has, and that its schema tells the truth."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from policyc.simulate.figures import FIGURES
from policyc.simulate.report.columns import Report
from policyc.simulate.report.document import document, number
from policyc.simulate.results import COUNTERS, Figures, Timeline
from policyc.simulate.workload.specification import GIB
from tests.simulate.made import column, figures, policy_run, report, run

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "simulation.schema.json").read_text("utf-8"))

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def faults(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """What of a value is not as a schema says; only the words that our schema uses."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        tried = [faults(value, each, place) for each in schema["anyOf"]]
        return [] if not all(tried) else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{place}: {value!r}"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fitting = [kind for kind in kinds if isinstance(value, _TYPES[kind])]
    if not fitting or (isinstance(value, bool) and "boolean" not in kinds):
        return [f"{place}: {value!r} is no {' or '.join(kinds)}"]
    found: list[str] = []
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{place}: {value!r}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += faults(item, schema["items"], f"{place}[{index}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        found += [
            f"{place}.{name} is missing" for name in schema.get("required", ()) if name not in value
        ]
        for name, item in value.items():
            inner = known.get(name, schema.get("additionalProperties"))
            if inner is False or inner is None:
                found.append(f"{place}.{name} is not in the schema")
            else:
                found += faults(item, inner, f"{place}.{name}")
    return found


def usual(**changes: object) -> Report:
    return report(
        policy_run(figures(memory=4 * GIB, huge={9: 2 * GIB, 4: GIB}, thp_split_page=7)),
        column("never", run("never", figures(memory=3 * GIB))),
        **changes,
    )


def test_the_schema_is_as_strict_as_it_looks() -> None:
    good = document(usual())
    assert faults(good, SCHEMA) == []
    assert faults({**good, "more": 1}, SCHEMA) == ["$.more is not in the schema"]
    del good["runs"][0]["total"]["oom_kill"]
    good["runs"][0]["no_opinion"] = 0.5
    assert faults(good, SCHEMA) == [
        "$.runs[0].total.oom_kill is missing",
        "$.runs[0].no_opinion: 0.5 is no integer",
    ]


@pytest.mark.parametrize(
    "made",
    [
        usual(),
        usual(policy="", file="", profile=""),
        usual(profile=""),
        usual(failed=("oom > 0: 1 > 0",), sweeps=("ceiling",)),
        report(column("never", run("never", Figures(), timeline=Timeline(), cgroups={}))),
        report(
            column("fleet", run("fleet"), run("fleet"), baseline=False, setting=(("a", "1"),)),
            column("never", run("never"), run("never")),
        ),
    ],
)
def test_every_report_fits_the_schema(made: Report) -> None:
    assert faults(json.loads(json.dumps(document(made))), SCHEMA) == []


def test_figures_have_their_names_and_all_counters() -> None:
    found = document(usual())
    ours, never = found["runs"]
    assert (ours["name"], ours["policy"]) == ("fleet", True)
    assert (never["name"], never["policy"]) == ("never", False)
    assert ours["total"]["memory_bytes"] == 4 * GIB
    assert ours["total"]["huge_bytes_by_order"] == {"4": GIB, "9": 2 * GIB}
    assert ours["total"]["huge_bytes"] == 3 * GIB
    assert ours["total"]["thp_split_page"] == 7
    assert ours["total"]["run_seconds"] == 60.0
    assert ours["cgroups"]["/kubepods/java"]["memory_bytes"] == 4 * GIB
    for name in COUNTERS:
        assert isinstance(never["total"][name], int)
    assert [rule["decisions"] for rule in ours["rules"]] == [30, 0, 60]
    assert ours["no_opinion"] == 10
    assert len(ours["timeline"]["seconds"]) == len(ours["timeline"]["series"]["memory.order9"])


def test_spreads_of_several_seeds() -> None:
    runs = [run("never", figures(memory=size * GIB)) for size in (1, 2, 3)]
    (spread,) = document(report(column("never", *runs)))["spreads"]
    assert spread["figures"]["memory_bytes"] == {
        "mean": 2.0 * GIB,
        "deviation": 1.0 * GIB,
        "least": 1.0 * GIB,
        "most": 3.0 * GIB,
    }
    assert set(spread["figures"]) == set(FIGURES)
    assert document(usual())["spreads"] == []


def test_the_same_report_has_the_same_bytes() -> None:
    assert json.dumps(document(usual())) == json.dumps(document(usual()))


def test_numbers_are_those_that_every_reader_has() -> None:
    assert number(1 << 60) == str(1 << 60)
    assert number((1 << 53) - 1) == (1 << 53) - 1
    assert number(0.1 + 0.2) == 0.3
    assert number(float("nan")) is None
    assert number(float("inf")) is None
