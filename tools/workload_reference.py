"""The reference of workloads, from the tables that the reader goes by."""

from __future__ import annotations

import json
import re
from typing import Any

from policyc.runtime.units import spell_value
from policyc.simulate.workload.actions import FORMS
from policyc.simulate.workload.schema import PATTERN_KEYS, TABLES, Field, Kind, Table, default
from policyc.simulate.workload.specification import Pattern

__all__ = ["workload_page", "workload_schema"]

_INTRODUCTION = """\
A workload is a TOML file for [`policyc simulate`](cli.md#simulate): a machine with its settings,
cgroups with their limits, and processes with what they do to memory. `policyc workload check`
says what is wrong with one and what it amounts to; `policyc workload list` names those that come
with policyc. [workload.schema.json](workload.schema.json) is a JSON schema for editors.

```toml
description = "A cache that is filled, then read"
duration = "30s"

[values]
size = "4G"

[machine]
swap = "2G"

[[machine.nodes]]
memory = "16G"
cpus = 8

[machine.thp]
enabled = "always"

[cgroups."/cache"]
memory_high = "3G"

[[processes]]
name = "cache"
cgroup = "/cache"
threads = 4

[[processes.vmas]]
name = "slabs"
size = "$size"

[[processes.phases]]
pattern = "sequential"
passes = 1

[[processes.phases]]
pattern = "zipf"
duration = "30s"
rate = "1M/s"
write = 0.1
```

A key that is not in the tables below is an error; so is a value of the wrong kind."""

_VALUES = """\
| kind | written as |
|---|---|
| size | `"64K"`, `"8G"`, or a number of bytes; K, M, G, T are powers of 1024 |
| duration | `"200ms"`, `"30s"`, with ns, us, ms, s, min or h; only 0 has no unit |
| share | `"20%"`, or a number of 0 to 1 |
| count | a number, or `"20M"`; K, M, G, T are powers of 1000 |
| rate | a number a second, or `"1.5M/s"` |
| bandwidth | a number of bytes a second, or `"200G/s"` |
| name, path, word | a text in quotes |

`"$name"` stands for a value of `[values]`, wherever a single value does."""

_OVERRIDES = """\
`--set KEY=VALUE` changes a workload before it is checked, in `simulate`, `workload check` and
`workload run`. The key is a dotted path; processes, VMAs, phases and nodes are gone into by name or
number (from 0), cgroups by path, and a value by its name alone:

| option | what it changes |
|---|---|
| `--set machine.khugepaged.max_ptes_none=470` | a setting of the machine |
| `--set machine.thp.sizes.64K=inherit` | the mode of one page size |
| `--set machine.nodes.0.memory=32G` | the memory of a node |
| `--set cgroups./kubepods/java.memory_max=4G` | a limit, also of a cgroup that is not declared |
| `--set processes.java.count=4` | a process, by name |
| `--set processes.java.vmas.heap.size=2G` | one of its VMAs |
| `--set processes.java.phases.1.rate=1M/s` | one of its phases |
| `--set size=16G` | `size` of `[values]` |
| `--set "at=30s detach; 60s attach"` | the actions |"""

_CGROUPS = """\
Cgroups of processes are made with their ancestors, without limits, if they are not declared. `/` is
the root, where a process is that names no cgroup."""

_PATTERNS = {
    Pattern.SEQUENTIAL: "touches every page of the range in order, over and over",
    Pattern.STRIDE: "touches one byte every `stride` bytes, in order, over and over",
    Pattern.UNIFORM: "touches pages of the range at random, all alike",
    Pattern.ZIPF: "touches them at random, that of rank k with weight k^-`exponent`; which pages "
    "are the hottest is scattered over the range",
    Pattern.HOTSET: "sends `hot_share` of its touches to a window of `hot_size`, the rest anywhere",
    Pattern.FREE: "gives the range back, `madvise(MADV_DONTNEED)`",
    Pattern.COLLAPSE: "asks for huge pages, `madvise(MADV_COLLAPSE)`",
    Pattern.FORK: "forks `children` that share all memory copy-on-write and live for `duration`; "
    "the next phase begins at once",
    Pattern.SLEEP: "does nothing for `duration`",
    Pattern.EXIT: "ends the process, which frees its memory",
}

_PHASES = """\
The phases of a process follow each other, and `repeat` of the process says how often. A phase
that touches memory ends in one way: after `touches`, after `passes` over its range, or after
`duration`. It goes as fast as the memory allows, unless `rate` holds it back.

| pattern | what it does | keys of its own |
|---|---|---|
"""

_ACTIONS = """\
`at` is an array of texts, each a time and what is done then to the policy that runs:

    at = ["30s set add java /kubepods/x", "60s param ceiling 20%", "90s detach"]

| action | after the time |
|---|---|
"""

_ACTION_MEANINGS = (
    "adds a member to a set of the policy",
    "takes a member away",
    "gives a parameter another value",
    "attaches the policy; without this it is attached from the start",
    "detaches it",
)

_SUMMARY = """\
`policyc workload check --json` prints `files`, each with `file`, `errors` and `warnings` (numbers),
`findings` (`severity`, `path`, `line` or null, `message`), and `summary`, null where there are
errors: `name`, `description`, `nodes`, `cpus`, `machine_memory` and `memory` (bytes; a shared VMA
counts once), `cgroups`, `processes`, `threads`, `touches` and `seconds` (both are estimates unless
a rate and a duration say them), `estimated`."""

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")

_REFERENCE = r"^\$[A-Za-z_][A-Za-z0-9_-]*$"
_SIZE = r"^[0-9][0-9_]*(B|[KMGTP]|[KMGTP]iB)?$"
_DURATION = r"^([0-9][0-9_]*(ns|us|ms|s|min|h)|0)$"
_PERCENT = r"^[0-9][0-9_]*(\.[0-9]{1,2}0*)?%$"
_DECIMAL = r"[0-9][0-9_]*(\.[0-9]+)?[kKMGT]?"

#: JSON schemas of the kinds, without bounds.
_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.NAME: {"type": "string", "maxLength": 200},
    Kind.COMM: {"type": "string", "maxLength": 15},
    Kind.CGROUP: {"type": "string", "pattern": r"^(/|\$[A-Za-z_])"},
    Kind.BOOL: {"type": "boolean"},
    Kind.INT: {"type": "integer"},
    Kind.COUNT: {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_DECIMAL}$"}]},
    Kind.SIZE: {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _SIZE}]},
    Kind.LIMIT: {
        "anyOf": [{"type": "integer"}, {"const": "max"}, {"type": "string", "pattern": _SIZE}]
    },
    Kind.DURATION: {"anyOf": [{"const": 0}, {"type": "string", "pattern": _DURATION}]},
    Kind.SHARE: {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "pattern": _PERCENT},
        ]
    },
    Kind.NUMBER: {"type": "number"},
    Kind.RATE: {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_DECIMAL}(/s)?$"}]},
    Kind.BANDWIDTH: {
        "anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_DECIMAL}B?(/s)?$"}]
    },
}


def workload_page() -> str:
    """The text of docs/reference/workload.md, without its title."""
    parts = [_INTRODUCTION, "## Values", _VALUES, "## Overrides", _OVERRIDES]
    for name, table in TABLES.items():
        if name == "values":
            continue
        title = f"`{table.header}`" if table.header else "The top of the file"
        parts += [f"## {title}", *([table.meaning] if table.header else [])]
        parts += [_CGROUPS] if name == "cgroup" else []
        parts.append(_fields(table))
    parts += ["## Patterns", _PHASES + "\n".join(map(_pattern, Pattern))]
    forms = zip(FORMS.values(), _ACTION_MEANINGS, strict=True)
    parts += ["## Actions", _ACTIONS + "\n".join(f"| `{form}` | {what} |" for form, what in forms)]
    parts += ["## As JSON", _SUMMARY]
    return "\n\n".join(parts)


def _pattern(pattern: Pattern) -> str:
    own = PATTERN_KEYS[pattern] - PATTERN_KEYS[Pattern.UNIFORM]
    keys = ", ".join(f"`{field.key}`" for field in TABLES["phase"].fields if field.key in own)
    return f"| `{pattern.value}` | {_PATTERNS[pattern]} | {keys} |"


def _fields(table: Table) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for field in table.fields:
        cells = (f"`{field.key}`", _value(field), _default(table, field), field.meaning)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _value(field: Field) -> str:
    match field.kind:
        case Kind.CHOICE if field.key == "pattern":
            return "a [pattern](#patterns)"
        case Kind.CHOICE:
            return ", ".join(f"`{choice}`" for choice in field.choices)
        case Kind.MODES:
            modes = ", ".join(f"`{choice}`" for choice in field.choices)
            return f"a table: by page size {modes}"
        case Kind.TABLE | Kind.TABLES | Kind.BY_PATH | Kind.VALUES:
            header = TABLES[field.table].header
            return (
                f"[`{header}`](#{_anchor(header)})" if field.kind is not Kind.VALUES else "a table"
            )
        case Kind.INT | Kind.NUMBER if field.high is not None and field.high < 1 << 16:
            return f"{field.kind.value}, {field.low:g} to {field.high:g}"
        case _:
            return field.kind.value


def _anchor(header: str) -> str:
    return "".join(char for char in header.lower() if char.isalnum() or char in "_- ")


def _default(table: Table, field: Field) -> str:
    if field.required:
        return "must be given"
    if field.nothing:
        return field.nothing
    if field.key == "threads" and table is TABLES["phase"]:
        return "that of the process"
    value = 1 if field.key == "threads" else default(table, field.key)
    match value:
        case None | "" | ():
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f"`{value}`"
        case 0 if field.kind is Kind.SIZE:
            return "`0`"
        case int() if field.kind is Kind.SIZE:
            return f"`{spell_value('size', value)}`"
        case int() if field.kind is Kind.DURATION:
            return f"`{spell_value('duration', value)}`" if value else "`0`"
        case int() if field.kind is Kind.BANDWIDTH:
            return f"`{value // 10**9}G/s`"
        case int() | float():
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
        case _:
            return ""


def workload_schema() -> str:
    """The text of docs/reference/workload.schema.json."""
    kinds = {
        kind.name.lower(): {"description": kind.value, **schema} for kind, schema in _KINDS.items()
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A workload of policyc simulate, TOML",
        **_object(TABLES["workload"]),
        "$defs": {
            **kinds,
            "reference": {
                "description": "a value of [values]",
                "type": "string",
                "pattern": _REFERENCE,
            },
            **{
                f"table_{name}": _object(table)
                for name, table in TABLES.items()
                if name not in ("workload", "values")
            },
        },
    }
    return json.dumps(schema, indent=2) + "\n"


def _object(table: Table) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.key: _schema(field) for field in table.fields},
    }
    if required := [field.key for field in table.fields if field.required]:
        schema["required"] = required
    if table is TABLES["phase"]:
        schema["allOf"] = [_of_pattern(pattern) for pattern in Pattern]
    return schema


def _of_pattern(pattern: Pattern) -> dict[str, Any]:
    """A phase of this pattern has these keys, and an end where one is needed."""
    known = PATTERN_KEYS[pattern]
    keys = ["pattern", *(field.key for field in TABLES["phase"].fields if field.key in known)]
    then: dict[str, Any] = {"propertyNames": {"enum": keys}}
    if "touches" in known:
        then["oneOf"] = [{"required": [key]} for key in ("touches", "passes", "duration")]
    elif "duration" in known:
        then["required"] = ["duration"]
    given = {"properties": {"pattern": {"const": pattern.value}}, "required": ["pattern"]}
    return {"if": given, "then": then}


def _schema(field: Field) -> dict[str, Any]:
    about = {"description": _LINK.sub(r"\1", field.meaning)}
    below = {"$ref": f"#/$defs/table_{field.table}"}
    match field.kind:
        case Kind.TABLE:
            return {**about, **below}
        case Kind.TABLES:
            return {**about, "type": "array", "items": below}
        case Kind.BY_PATH:
            return {**about, "type": "object", "additionalProperties": below}
        case Kind.VALUES:
            single = {"type": ["string", "number", "boolean"]}
            return {**about, "type": "object", "additionalProperties": single}
        case Kind.ACTIONS:
            forms = [form.replace("NAME", r"\S+") for form in FORMS.values()]
            pattern = "|".join(
                form.replace("MEMBER", ".+").replace("VALUE", ".+") for form in forms
            )
            item = {"type": "string", "pattern": rf"^[0-9]\w* ({pattern})$"}
            return {**about, "type": "array", "items": item}
        case Kind.MODES:
            mode = _or_reference({"enum": list(field.choices)})
            names = {"pattern": _SIZE}
            return {**about, "type": "object", "propertyNames": names, "additionalProperties": mode}
        case Kind.CHOICE:
            return {**about, **_or_reference({"enum": list(field.choices)})}
        case _:
            kind: dict[str, Any] = {"$ref": f"#/$defs/{field.kind.name.lower()}"}
            if field.kind in (Kind.INT, Kind.NUMBER) and field.high is not None:
                kind |= {"minimum": field.low, "maximum": field.high}
            texts = (Kind.TEXT, Kind.NAME, Kind.COMM, Kind.CGROUP)
            return {**about, **(kind if field.kind in texts else _or_reference(kind))}


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"$ref": "#/$defs/reference"}]}
