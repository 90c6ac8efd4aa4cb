"""Programs that record: what they add to the text, and how their records are read."""

from __future__ import annotations

import struct
from random import Random

import pytest

from policyc.emit.bpf import emit_bpf
from policyc.emit.layout import is_pressure, pack_request
from policyc.emit.records import RecordLayout, record_layout, unpack_record
from policyc.hooks.loader import profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.evaluate import Values, ancestors
from tests.emit.bpf_plans import PATHS, cgroup_id, random_plan, random_values
from tests.emit.test_bpf_kernel_readers import plan_with_everything

HOOK_PROFILES = [p for p in profiles().values() if p.attachment != "test-run"]


def lines_between(text: str, first: str, last: str) -> str:
    """The part of a text from one line to the next that is another, both included."""
    start = text.index(first)
    return text[start : text.index(last, start) + len(last)]


@pytest.mark.parametrize("profile", HOOK_PROFILES, ids=lambda p: p.name)
def test_deciding_is_the_same_code(profile: Profile) -> None:
    """What is recorded is the code that an ordinary program runs."""
    plan = plan_with_everything(profile)
    plain, recording = emit_bpf(plan, profile), emit_bpf(plan, profile, record=True)
    for first, last in (
        ("what each block says */", "\treturn decision;\n}"),
        (f"struct {plan.hooks[0].hook}_request {{", f"/* {plan.hooks[0].hook}: what each"),
        ("static __always_inline u64 percent_of_average", "\n}"),
    ):
        assert lines_between(plain, first, last) in recording
    assert "ringbuf" not in plain
    assert "ringbuf" in recording


def test_a_test_run_does_not_record() -> None:
    with pytest.raises(ValueError, match="test run"):
        emit_bpf(random_plan(1), profiles()["testrun"], record=True)


def packed(layout: RecordLayout, values: Values) -> bytes:
    """A request as a recording program writes it."""
    data = bytearray(pack_request(layout.request, values, cgroup_id))
    for item in layout.request.fields:
        value = values.get(item.name)
        if is_pressure(item.name) and value is not None:
            struct.pack_into("=Q", data, item.offset, int(value))
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_records_read_back(seed: int) -> None:
    random, plan = Random(seed), random_plan(seed)
    (hook,) = plan.hooks
    layout = record_layout(plan, hook)
    before, after = (random_values(random, hook.hook, PATHS) for _ in range(2))
    fired = [random.randrange(100) for _ in hook.blocks]
    rules = struct.pack(f"={len(fired)}H", *fired).ljust((2 * len(fired) + 7) // 8 * 8, b"\0")
    header = tuple(random.getrandbits(63) for _ in range(7))
    data = struct.pack("=7Q", *header) + packed(layout, before) + packed(layout, after)
    data += struct.pack("=q3Q", -1, 512, 1, (1 << 64) - 1) + rules
    record = unpack_record(layout, data)
    assert (record.sequence, record.time, record.cpu, record.current) == header[:4]
    assert (record.owner, record.start, record.end) == header[4:]
    assert (record.raw, record.value, record.opinion, record.hot_threshold) == (-1, 512, True, None)
    assert record.fired == tuple(number - 1 if number else None for number in fired)
    names = {item.name for item in layout.request.fields} - {"cgroup", "cgroup.levels"}
    for values, request in ((before, record.before), (after, record.after)):
        told = {name: v for name, v in values.items() if name in names and v is not None}
        assert request.values == told
        path = values["cgroup"] if "cgroup" in {f.name for f in layout.request.fields} else None
        expected = () if path is None else tuple(cgroup_id(p) for p in ancestors(str(path)))
        assert request.lineage == expected


def test_unknown_enumerators_and_sizes_are_refused() -> None:
    plan = plan_with_everything(profiles()["thp-v12"])
    layout = record_layout(plan, plan.hooks[0])
    data = bytearray(layout.size)
    event = layout.request.field("event")
    struct.pack_into("=Q", data, 56, 1 << event.present)
    struct.pack_into("=Q", data, 56 + event.offset, 9)
    with pytest.raises(ValueError, match="9 is no number of event"):
        unpack_record(layout, bytes(data))
    with pytest.raises(ValueError, match="bytes"):
        unpack_record(layout, bytes(data[:-8]))


def test_hook_of_everything_is_recorded_whole() -> None:
    """The layout has a place for each attribute that the profile has."""
    plan = plan_with_everything(profiles()["thp-v12"])
    names = {item.name for item in record_layout(plan, plan.hooks[0]).request.fields}
    used = {e.name for rule in plan.rules for e in walk(rule.condition)}
    assert used <= names


def walk(expr: n.Expr | None) -> list[n.Attribute]:
    """The attributes that a condition names at its top."""
    match expr:
        case n.Attribute():
            return [expr]
        case n.Compare(_, n.Attribute() as left, _):
            return [left]
        case _:
            return []
