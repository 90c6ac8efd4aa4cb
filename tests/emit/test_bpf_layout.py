"""Requests and answers as bytes."""

from __future__ import annotations

import struct

import pytest

from policyc.emit.layout import RequestLayout, average_of_percent, pack_request, request_layout
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.evaluate import percent_of_average
from policyc.plan.types import ORDERS


def layout_of(*names: str) -> RequestLayout:
    rules = [
        n.Rule(i, n.Has(n.Attribute(attributes()[name].type, name)), n.Pass(), "", 1, "")
        for i, name in enumerate(names)
    ]
    rules.append(n.Rule(len(rules), None, n.Allow(n.Const(ORDERS, 0)), "", 1, ""))
    hook = n.HookPlan(
        n.HookName.THP, n.Combine.MEET, (n.Block(0, None, 0, None, tuple(rules), None, 1),)
    )
    plan = n.Plan("p", "p.thp", n.Target(), (), (), (), (), hook, None, ())
    return request_layout(plan, hook)


def test_fields_follow_the_table_and_are_present_one_by_one() -> None:
    layout = layout_of("task.pid", "cgroup", "task.comm", "event")
    names = [item.name for item in layout.fields]
    assert names == ["orders", "event", "task.comm", "task.pid", "cgroup.levels", "cgroup"]
    ids = {"/a/b": 1 << 60, "/a": 7, "/": 1}
    values: dict[str, n.ConstValue | None] = {
        "orders": 0x200,
        "event": "khugepaged",
        "task.comm": b"x",
        "task.pid": None,
        "cgroup": "/a/b",
    }
    data = pack_request(layout, values, ids.__getitem__)
    words = struct.unpack(f"={layout.size // 8}Q", data)
    assert words[0] == 0b10111
    assert words[1:3] == (0x200, 2)
    assert data[24:40] == b"x".ljust(16, b"\0")
    assert words[5] == 0
    assert words[6:11] == (3, 1 << 60, 7, 1, 0)
    assert layout.size == 8 * (1 + 2 + 2 + 1 + 1 + 32)


def test_packed_pressure_reads_as_the_same_percent() -> None:
    for percent in [*range(10_001), 1 << 40]:
        assert percent_of_average(average_of_percent(percent)) == percent


def test_pressure_that_no_kernel_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        average_of_percent((1 << 64) - 1)
