"""The reference of what `policyc simulate --json` prints, from the tables of figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from policyc.simulate.figures import ALIASES, FIGURES
from policyc.simulate.report.document import figures_document
from policyc.simulate.results import COUNTERS, Figures

__all__ = ["simulation_page", "simulation_schema"]

_INTRODUCTION = """\
[`policyc simulate`](cli.md#simulate) with `--json` prints one object. Its JSON schema is
[simulation.schema.json](simulation.schema.json). The same policy, workload and seed give the same
bytes. Sizes are in bytes, times in seconds, pressures in percent; numbers above 2^53 are decimal
strings, and floats have twelve digits.

```sh
policyc simulate fleet.thp --json |
    jq '.runs[] | {name, oom: .total.oom_kill, peak: .total.memory_peak_bytes}'
```"""

#: The keys of the document.
_DOCUMENT = {
    "workload": "its `name` and `description`",
    "policy": (
        "its `name`, `file` and `profile` (null without a thp block); null if only baselines ran"
    ),
    "seeds": "the seeds, one unless there is `--repeat`",
    "sweeps": "the names that `--sweep` gave values to",
    "verdict": "the sentences that the text report begins with",
    "failed": (
        "the conditions of `--fail-if` that hold, in sentences; the exit code is 1 if there are any"
    ),
    "runs": (
        "each run: first those of the policy, then each baseline; of each all swept "
        "values, all seeds"
    ),
    "spreads": (
        "with `--repeat`: for each `name` and `setting` the `mean`, `deviation` (the "
        "standard deviation of a sample), `least` and `most` of each figure of the totals"
    ),
}

#: The keys of a run.
_RUN = {
    "name": "that of the policy, or of the baseline",
    "policy": "whether it is the policy's",
    "setting": (
        "the values that `--sweep` gave, by name; a baseline has none for parameters of the policy"
    ),
    "seed": "of everything that is random",
    "total": "the figures of the whole machine",
    "cgroups": "those of each cgroup with all below it, by path",
    "process_seconds": "when each process ended its phases, by name; -1 if it was killed",
    "rules": (
        "each rule with its `hook`, `index`, `label`, `line`, `text` and how often it "
        "made the `decisions`; empty for baselines"
    ),
    "no_opinion": "requests that no block had an opinion on",
    "notes": "sentences, such as the settings without which the policy had no effect",
    "timeline": (
        "`seconds` and, of the same length, `series` by name: `memory.order0` and so on "
        "in bytes; `migrations`, `faults`, `splits`, `collapses`, `decisions.allowed`, "
        "`decisions.narrowed`, `decisions.denied` a second; `pressure.some`, "
        "`pressure.full` in percent; `cgroup.PATH` in bytes"
    ),
}

_DICTIONARIES = {
    "huge_bytes_by_order": "bytes in folios of each order above 0, at the end",
    "bytes_by_node": "bytes on each node, at the end",
    "faults_by_order": "page faults by the order of the folio that they got",
}


_DERIVED = """\
`huge_share`, `throughput`, `work_rate` and `migrations` follow from the others: `--fail-if` and
`spreads` know them, runs do not repeat them."""


def simulation_page() -> str:
    """docs/reference/simulation.md, below its title."""
    short: dict[str, list[str]] = {}
    for alias, name in ALIASES.items():
        short.setdefault(name, []).append(f"`{alias}`")
    own = {name: each.meaning for name, each in FIGURES.items() if name not in COUNTERS}
    return "\n\n".join(
        (
            _INTRODUCTION,
            _table("key", _DOCUMENT, {}),
            "A run:",
            _table("key", _RUN, {}),
            "## Figures",
            _table("figure", own | _DICTIONARIES, short),
            _DERIVED,
            "## Counters",
            "They have the names of /proc/vmstat and memory.stat, and are all there, 0 or not.",
            _table("counter", COUNTERS, short),
        )
    )


def _table(head: str, rows: Mapping[str, str], short: Mapping[str, list[str]]) -> str:
    lines = [f"| {head} | what it is | short names |", "|---|---|---|"]
    for name, meaning in rows.items():
        escaped = meaning.replace("|", "\\|")
        lines.append(f"| `{name}` | {escaped} | {', '.join(short.get(name, []))} |")
    if not short:
        lines = [line.rsplit(" | ", 1)[0].removesuffix("|---") + " |" for line in lines]
        lines[1] = "|---|---|"
    return "\n".join(lines)


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **more,
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _by_name(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


_TEXT = {"type": "string"}
_COUNT = {"$ref": "#/$defs/count"}
_NUMBER = {"type": "number"}


def _figures() -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, value in figures_document(Figures()).items():
        if isinstance(value, dict):
            properties[name] = {**_by_name(_COUNT), "description": _DICTIONARIES[name]}
        elif isinstance(value, list):
            properties[name] = {**_array(_COUNT), "description": _DICTIONARIES[name]}
        else:
            kind = _NUMBER if isinstance(value, float) else _COUNT
            properties[name] = {**kind, "description": FIGURES[name].meaning}
    return _object(properties)


def simulation_schema() -> str:
    """docs/reference/simulation.schema.json."""
    rule = _object(
        {
            "hook": {"enum": ["thp", "numa"]},
            "index": _COUNT,
            "label": {"type": ["string", "null"]},
            "line": _COUNT,
            "text": _TEXT,
            "decisions": _COUNT,
        }
    )
    run = _object(
        {
            "name": _TEXT,
            "policy": {"type": "boolean"},
            "setting": _by_name(_TEXT),
            "seed": _COUNT,
            "total": {"$ref": "#/$defs/figures"},
            "cgroups": _by_name({"$ref": "#/$defs/figures"}),
            "process_seconds": _by_name(_NUMBER),
            "rules": _array(rule),
            "no_opinion": _COUNT,
            "notes": _array(_TEXT),
            "timeline": _object({"seconds": _array(_NUMBER), "series": _by_name(_array(_NUMBER))}),
        }
    )
    spread = _object(dict.fromkeys(("mean", "deviation", "least", "most"), _NUMBER))
    policy = _object({"name": _TEXT, "file": _TEXT, "profile": {"type": ["string", "null"]}})
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What policyc simulate --json prints",
        **_object(
            {
                "workload": _object({"name": _TEXT, "description": _TEXT}),
                "policy": {"anyOf": [policy, {"type": "null"}]},
                "seeds": _array(_COUNT),
                "sweeps": _array(_TEXT),
                "verdict": _array(_TEXT),
                "failed": _array(_TEXT),
                "runs": _array(run),
                "spreads": _array(
                    _object(
                        {
                            "name": _TEXT,
                            "setting": _by_name(_TEXT),
                            "figures": _object(dict.fromkeys(FIGURES, spread)),
                        }
                    )
                ),
            }
        ),
        "$defs": {
            "count": {
                "anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}],
                "description": "above 2^53 a decimal string",
            },
            "figures": _figures(),
        },
    }
    return json.dumps(document, indent=2) + "\n"
