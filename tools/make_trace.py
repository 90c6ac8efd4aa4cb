"""Writes examples/traces/mixed.jsonl and docs/reference/trace.schema.json.

The trace holds requests as a busy machine would make them.

The machine is made up, the mixture is not: an anonymous fault asks for the PMD page first and
for the smaller orders if there is none, khugepaged asks for the PMD page only, smaps for
everything; pressure comes in waves, and now and then something is absent.

Usage: python tools/make_trace.py [--check]
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policyc.runtime.request import AttributeField
from policyc.simulate.values import attribute_fields

_ROOT = Path(__file__).parent.parent
TRACE = _ROOT / "examples" / "traces" / "mixed.jsonl"
SCHEMA = _ROOT / "docs" / "reference" / "trace.schema.json"

REQUESTS = 2300
SEED = 20251026

MIB, GIB = 1 << 20, 1 << 30
PMD = 1 << 9
BELOW_PMD = PMD - 1


@dataclass(frozen=True, slots=True)
class Workload:
    """Containers of one kind: where they are, what runs in them, what their memory is like."""

    cgroup: str
    containers: int
    comms: tuple[str, ...]
    uid: int
    limit: int
    advised: float
    pressed: float
    weight: int
    kinds: tuple[str, ...] = ("anon",)


WORKLOADS = (
    Workload("/kubepods/java/web-{}", 6, ("java",), 1001, 8 * GIB, 0.4, 0.3, 18),
    Workload(
        "/kubepods/java-zgc/cart-{}", 2, ("java",), 1001, 16 * GIB, 0.8, 0.1, 6, ("anon", "shmem")
    ),
    Workload(
        "/kubepods/burstable/pod-{}", 8, ("python3", "node", "nginx"), 1002, 2 * GIB, 0.1, 0.5, 14
    ),
    Workload(
        "/kubepods/guaranteed/pod-{}", 3, ("haproxy", "memcached"), 1003, 4 * GIB, 0.0, 0.1, 8
    ),
    Workload(
        "/kubepods/batch/job-{}",
        12,
        ("spark-worker", "redis-server", "cc1plus"),
        1004,
        12 * GIB,
        0.2,
        0.6,
        18,
    ),
    Workload(
        "/kubepods/db/main-{}",
        2,
        ("postgres", "postgres", "pg_dump"),
        999,
        64 * GIB,
        0.6,
        0.2,
        12,
        ("anon", "shmem"),
    ),
    Workload("/services/search/shard-{}", 4, ("searchd",), 1005, 32 * GIB, 0.5, 0.2, 6),
    Workload(
        "/workloads/in-memory-db/{}", 2, ("redis-server", "mysqld"), 1006, 96 * GIB, 0.3, 0.2, 6
    ),
    Workload("/analytics/query-{}", 3, ("clickhouse-serv",), 1007, 128 * GIB, 0.7, 0.4, 6),
    Workload("/latency/gateway-{}", 2, ("envoy",), 1008, 2 * GIB, 0.0, 0.1, 3),
    Workload("/tenants/a/web/{}", 2, ("php-fpm",), 1009, GIB, 0.1, 0.5, 3),
    Workload(
        "/system.slice/journald.service",
        1,
        ("systemd-journal",),
        0,
        512 * MIB,
        0.0,
        0.1,
        3,
        ("anon", "file"),
    ),
)

EVENTS = {"pagefault": 62, "khugepaged": 20, "swap_pagefault": 8, "smaps": 6, "forced_collapse": 4}
NUMA_SHARE = 0.15
AREAS = ("128K", "1M", "2M", "4M", "8M", "64M", "512M", "2G")


class Machine:
    """Makes requests; the same ones each time."""

    def __init__(self) -> None:
        self._random = random.Random(SEED)
        self._time = 0.0

    def lines(self) -> list[str]:
        """The lines of the trace."""
        requests: list[dict[str, Any]] = []
        while len(requests) < REQUESTS:
            requests += self._requests(len(requests) / REQUESTS)
        return [json.dumps(request, separators=(",", ":")) for request in requests]

    def _requests(self, progress: float) -> list[dict[str, Any]]:
        """What one moment asks: a fault that does not get its PMD page asks twice."""
        chance = self._random
        self._time += chance.expovariate(40.0)
        workload = chance.choices(WORKLOADS, [w.weight for w in WORKLOADS])[0]
        number = chance.randrange(workload.containers)
        hook = "numa" if chance.random() < NUMA_SHARE else "thp"
        request: dict[str, Any] = {"hook": hook, "time": round(self._time, 3)}
        common = self._task(workload, number, progress)
        if hook == "numa":
            return [{**request, **common}]
        event = chance.choices(list(EVENTS), list(EVENTS.values()))[0]
        area = self._area(workload, event)
        masks = {"pagefault": [PMD], "swap_pagefault": [BELOW_PMD], "smaps": ["all"]}
        orders: list[Any] = masks.get(event, [PMD])
        if event == "pagefault" and chance.random() < 0.45:
            orders = [PMD, BELOW_PMD]
        if event == "khugepaged" and chance.random() < 0.3:
            orders = ["all"]
        return [{**request, "orders": mask, "event": event, **area, **common} for mask in orders]

    def _area(self, workload: Workload, event: str) -> dict[str, Any]:
        chance = self._random
        advised = chance.random() < workload.advised or event == "forced_collapse"
        area: dict[str, Any] = {"vma.size": chance.choice(AREAS)}
        if advised:
            area["vma.advice"] = "hugepage"
        elif chance.random() < 0.03:
            area["vma.advice"] = "nohugepage"
        kind = chance.choice(workload.kinds)
        if kind != "anon":
            area["vma.kind"] = kind
        for flag, often in (("vma.stack", 0.04), ("vma.locked", 0.02), ("vma.exec", 0.03)):
            if chance.random() < often:
                area[flag] = True
        return area

    def _task(self, workload: Workload, number: int, progress: float) -> dict[str, Any]:
        chance = self._random
        node = {"node.count": 2, "node.id": chance.randrange(2)}
        if chance.random() < 0.01:
            # The owner of the address space has exited: nothing is known of its task.
            return node
        usage = round(workload.limit * chance.uniform(0.2, 0.97))
        place = WORKLOADS.index(workload)
        return {
            "task.comm": chance.choice(workload.comms),
            "task.uid": workload.uid,
            "task.pid": 10_000 + 100 * place + number,
            "cgroup": workload.cgroup.format(number),
            "cgroup.id": 4_000 + 37 * place + 11 * number,
            "mm.rss": round(usage * chance.uniform(0.1, 0.9)) & ~4095,
            "memory.usage": usage & ~4095,
            "memory.max": workload.limit,
            **self._pressure(workload, progress),
            **node,
        }

    def _pressure(self, workload: Workload, progress: float) -> dict[str, str]:
        """Two waves over the trace, higher where memory is short."""
        chance = self._random
        if chance.random() < 0.02:
            return {}
        wave = max(0.0, 1 - abs(progress % 0.5 - 0.25) * 8)
        full = 40 * wave * workload.pressed * chance.random()
        some = min(100.0, full * chance.uniform(1.2, 2.5))
        system = 25 * wave * chance.uniform(0.3, 1.0)
        return {
            "cgroup.psi.memory.some.avg10": _percent(some),
            "cgroup.psi.memory.full.avg10": _percent(full),
            "psi.memory.some.avg10": _percent(system),
            "psi.memory.full.avg10": _percent(system / 2),
        }


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


_U64 = {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1}
_ORDER_SET = {"type": "string", "examples": ["all", "pmd", "16K..64K | 2M"]}
_SIZE = {"type": "string", "pattern": "^[0-9][0-9_]*([KMGTP](iB)?|B)?$"}
_PERCENT = {"type": "string", "pattern": "^[0-9][0-9_]*(\\.[0-9]{1,2}0*)?%$"}
_INT = {"type": "string", "pattern": "^([0-9][0-9_]*|0x[0-9a-fA-F_]+)$"}
_PATH = {"type": "string", "pattern": "^/", "examples": ["/kubepods/java"]}


def _value(field: AttributeField) -> dict[str, Any]:
    """The schema of the values that an attribute can have in a trace."""
    order = {"type": "integer", "minimum": 0, "maximum": 63}
    choices: dict[str, list[dict[str, Any]]] = {
        "orders": [_U64, _ORDER_SET, {"type": "array", "items": {"anyOf": [order, _ORDER_SET]}}],
        "bool": [{"type": "boolean"}],
        "enum": [{"enum": list(field.members)}],
        "string": [{"type": "string", "maxLength": 15}],
        "cgroup": [_PATH],
        "percent": [{**_U64, "maximum": 10_000}, _PERCENT],
        "size": [_U64, _SIZE],
        "int": [_U64, _INT],
    }
    accepted = choices[field.kind] + ([{"type": "null"}] if field.optional else [])
    return accepted[0] if len(accepted) == 1 else {"anyOf": accepted}


def _line(hook: str) -> dict[str, Any]:
    known = {name: _value(field) for name, field in attribute_fields(hook).items()}
    return {
        "title": f"a request of {hook}",
        "type": "object",
        "properties": {
            "hook": {"const": hook},
            "time": {"description": "when it was asked; not looked at"},
            "comment": {"description": "anything; not looked at"},
            **known,
        },
        "required": ["hook", "orders"] if hook == "thp" else ["hook"],
        "additionalProperties": False,
    }


def schema() -> dict[str, Any]:
    """The JSON schema of a line of a trace."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of a trace that policyc simulate replays",
        "oneOf": [_line(hook) for hook in ("thp", "numa")],
    }


def main() -> int:
    """Write the files, or with --check say whether they are up to date."""
    texts = {
        TRACE: "\n".join(Machine().lines()) + "\n",
        SCHEMA: json.dumps(schema(), indent=1) + "\n",
    }
    if "--check" in sys.argv[1:]:
        return 0 if all(path.read_text("utf-8") == text for path, text in texts.items()) else 1
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
