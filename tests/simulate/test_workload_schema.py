"""The tables of keys, the JSON schema and the reference agree with what the reader reads."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from typing import Any

import pytest

from policyc.simulate.workload import shipped
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.reader import examine_workload
from policyc.simulate.workload.schema import PATTERN_KEYS, TABLES
from tests.language.documents import ROOT
from tests.simulate.test_workload_reader import SMALL, phase

REFERENCE = ROOT / "docs" / "reference"
SCHEMA = json.loads((REFERENCE / "workload.schema.json").read_text("utf-8"))

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is as a schema says; knows the words that our schema uses, and no others."""
    return all(_holds(word, value, schema) for word in schema)


def _holds(word: str, value: Any, schema: dict[str, Any]) -> bool:  # noqa: C901 - one case a word
    given = schema[word]
    match word:
        case "$ref":
            return valid(value, SCHEMA["$defs"][given.rpartition("/")[2]])
        case "anyOf":
            return any(valid(value, each) for each in given)
        case "oneOf":
            return sum(valid(value, each) for each in given) == 1
        case "allOf":
            return all(valid(value, each) for each in given)
        case "if":
            return not valid(value, given) or valid(value, schema["then"])
        case "enum":
            return value in given
        case "const":
            return value == given and isinstance(value, bool) == isinstance(given, bool)
        case "type":
            kinds = given if isinstance(given, list) else [given]
            return any(isinstance(value, _TYPES[kind]) for kind in kinds) and not (
                isinstance(value, bool) and "boolean" not in kinds
            )
        case "pattern":
            return not isinstance(value, str) or re.search(given, value) is not None
        case "maxLength":
            return not isinstance(value, str) or len(value) <= given
        case "minimum" | "maximum":
            if not isinstance(value, int | float):
                return True
            return value >= given if word == "minimum" else value <= given
        case "items":
            return not isinstance(value, list) or all(valid(each, given) for each in value)
        case "properties":
            return all(key not in value or valid(value[key], each) for key, each in given.items())
        case "additionalProperties":
            others = [value[key] for key in value if key not in schema.get("properties", {})]
            return not others if given is False else all(valid(each, given) for each in others)
        case "propertyNames":
            return all(valid(key, given) for key in value)
        case "required":
            return all(key in value for key in given)
        case "then" | "description" | "title" | "$schema" | "$defs":
            return True
        case _:
            raise AssertionError(f"the schema uses {word}")


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_every_field_of_the_specification(name: str) -> None:
    table = TABLES[name]
    keys = [field.key for field in table.fields]
    assert len(set(keys)) == len(keys)
    if table.makes is None:
        return
    fields = {field.name for field in dataclasses.fields(table.makes)}
    extra = {"workload": {"values", "at"}, "process": {"threads"}}.get(name, set())
    missing = {"workload": {"actions"}, "cgroup": {"path"}}.get(name, set())
    assert set(keys) == fields - missing | extra


def test_choices_are_those_of_the_pattern() -> None:
    field = TABLES["phase"].field("pattern")
    assert field is not None
    assert set(field.choices) == {pattern.value for pattern in spec.Pattern}
    keys = {field.key for field in TABLES["phase"].fields} - {"pattern"}
    assert set().union(*PATTERN_KEYS.values()) == keys


@pytest.mark.parametrize("name", shipped.names())
def test_shipped_workloads_fit_the_schema(name: str) -> None:
    assert valid(tomllib.loads(shipped.workload(name).read_text("utf-8")), SCHEMA)


def test_the_example_of_the_reference_is_a_workload() -> None:
    page = (REFERENCE / "workload.md").read_text("utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert examine_workload(text.encode(), "example.toml").findings == ()
    assert valid(tomllib.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        phase('pattern = "uniform"\npasses = 1\nrate = "1.5M/s"\nwrite = "40%"\ndelay = 0'),
        phase('pattern = "uniform"\npasses = 1\nrate = 5\nwrite = 1\nwork = "50ns"'),
        phase('pattern = "fork"\nduration = "5s"\nchildren = 2') + "# never touched",
        'at = ["30s set add java /kubepods/x", "0 attach"]\n' + SMALL,
        SMALL + '[machine.thp.sizes]\n64K = "inherit"\n2MiB = "always"\n',
        SMALL + '[cgroups."/a"]\nmemory_max = "max"\nswap_max = 0\n',
        '[values]\nx = "1G"\n' + SMALL.replace('"1G"', '"$x"'),
    ],
)
def test_both_take(text: str) -> None:
    examined = examine_workload(text.encode(), "example.toml")
    assert examined.workload is not None
    assert valid(tomllib.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        phase('pattern = "uniform"'),
        phase('pattern = "uniform"\npasses = 1\ntouches = 1'),
        phase('pattern = "uniform"\npasses = 1\nstride = 5'),
        phase('pattern = "sequental"\npasses = 1'),
        phase('pattern = "sleep"'),
        phase('pattern = "exit"\nduration = "1s"'),
        phase('pattern = "uniform"\nduration = 60'),
        phase('pattern = "uniform"\nduration = "60"'),
        phase('pattern = "uniform"\npasses = 1\nwrite = 2'),
        phase('pattern = "uniform"\npasses = 1\nrate = "5/min"'),
        phase('pattern = "uniform"\npasses = 1\nthreads = true'),
        SMALL.replace("[[processes]]", "[[process]]"),
        SMALL.replace('"1G"', '"1Q"'),
        SMALL.replace('memory = "16G"', ""),
        SMALL.replace("cpus = 8", "cpus = -1"),
        SMALL + "[machine.khugepaged]\nmax_ptes_non = 1\n",
        SMALL + '[machine.thp.sizes]\n64K = "advise"\n',
        SMALL + '[machine.thp]\nenabled = "inherit"\n',
        'at = ["soon detach"]\n' + SMALL,
    ],
)
def test_neither_takes(text: str) -> None:
    examined = examine_workload(text.encode(), "example.toml")
    assert examined.workload is None
    assert not valid(tomllib.loads(text), SCHEMA)
