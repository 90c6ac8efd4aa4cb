"""A native run beside a simulated one, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policyc.simulate.results import COUNTERS

__all__ = ["SAME", "Row", "compare", "figures_of", "table"]

#: Figures whose difference is this much are the same, whatever the share: a few pages.
_FEW_PAGES, _FEW_BYTES = 2, 64 << 10

#: Of the memory of a cgroup: what two CPUs have charged and not yet used (mm/memcontrol.c,
#: MEMCG_CHARGE_BATCH, 64 pages each).
_CHARGED = 512 << 10

#: How far apart figures may be that are called the same.
SAME = 0.03

#: Counters that only tell how the kernel went about it, such as how often it looked, and the
#: allocations of the huge zero page, which depend on who used it before.
_MEANS = frozenset(
    {
        "thp_zero_page_alloc",
        *("pgscan", "pgsteal", "memory_max", "memory_high", "thp_deferred_split_page"),
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a cgroup, or of all ("total")."""

    where: str
    name: str
    kernel: float
    model: float

    @property
    def error(self) -> float:
        """How far the model is from the kernel, as a share of the kernel's figure."""
        if self.kernel == self.model:
            return 0.0
        return (self.model - self.kernel) / self.kernel if self.kernel else float("inf")

    def within(self, share: float) -> bool:
        """Whether they differ by no more than a share, or by a few pages."""
        match self.name.partition(" ")[0]:
            case "memory":
                few = _CHARGED
            case "huge" | "bloat" | "node":
                few = _FEW_BYTES
            case _:
                few = _FEW_PAGES
        allowed = max(share * abs(self.kernel), few)
        return abs(self.model - self.kernel) <= allowed


def figures_of(document: Mapping[str, Any]) -> dict[str, float]:
    """The figures that can be compared, of a cgroup or the total of a document's run.

    `huge N` are bytes in folios of order N, `faults N` such folios allocated by faults,
    `node N` bytes on a node.
    """
    found: dict[str, float] = {"memory": document["memory_bytes"], "bloat": document["bloat_bytes"]}
    found |= {f"huge {o}": v for o, v in document["huge_bytes_by_order"].items()}
    faults = document.get("faults_by_order", {}).items()
    found |= {f"faults {order}": number for order, number in faults if order != "0"}
    found |= {f"node {index}": v for index, v in enumerate(document["bytes_by_node"])}
    found["touches"] = document["touches"]
    return found | {name: document[name] for name in COUNTERS if name in document}


def compare(kernel: Mapping[str, Any], model: Mapping[str, Any]) -> list[Row]:
    """The rows of two runs, as documents have them; rows of zeros are left out.

    A figure that the kernel does not tell, such as per-size counters of a cgroup, has none.
    """
    rows = _rows("total", kernel["total"], model["total"])
    paths = [path for path in sorted(kernel["cgroups"]) if path != "/"]
    # the only one has what the total has
    for path in paths if len(paths) > 1 else ():
        if path in model["cgroups"]:
            rows += _rows(path, kernel["cgroups"][path], model["cgroups"][path])
    return rows


def _rows(where: str, kernel: Mapping[str, Any], model: Mapping[str, Any]) -> list[Row]:
    seen, made = figures_of(kernel), figures_of(model)
    told = where == "total" and "faults_by_order" in kernel
    per_order = [n for n in made if n.startswith("faults ")] if told else []
    names = dict.fromkeys([*seen, *(n for n in made if n.startswith("huge ")), *per_order])
    found = [Row(where, name, seen.get(name, 0), made.get(name, 0)) for name in names]
    return [row for row in found if (row.kernel or row.model) and row.name not in _MEANS]


def table(rows: Iterable[Row]) -> list[tuple[str, str, str, str, str]]:
    """The rows as text: where, figure, kernel, model, difference."""
    found: list[tuple[str, str, str, str, str]] = []
    for row in rows:
        error = "" if row.error == 0 else f"{row.error:+.1%}" if row.kernel else "only here"
        found.append((row.where, row.name, f"{row.kernel:,.0f}", f"{row.model:,.0f}", error))
    return found
