"""DAMON's records in all their layouts, and what is made of them."""

from __future__ import annotations

import io
import json
import random
import zlib

import pytest

from policyc.simulate.workload import damon
from policyc.simulate.workload.damon import Region, Snapshot, read_snapshots
from policyc.simulate.workload.lines import RecordError
from policyc.simulate.workload.reader import parse_workload
from policyc.simulate.workload.recorded import Recorded
from policyc.simulate.workload.recorded_regions import workload_from_regions
from policyc.simulate.workload.specification import MIB, MILLISECOND, SECOND, Pattern, Phase
from tests.simulate.recordings import GIVEN, regions, snapshots

#: What tests/fixtures/recorded/hot.c printed while it was recorded, with 64 MiB of which the
#: hot part is touched at random: (mapping, hot, hot's end, touches a second).
HOT = (0x7F2561A00000, 0x7F2562A00000, 0x7F2563200000, 3042600 / 22.001)
SPARSE = (0x7F8B34000000, 0x7F8B36800000, 0x7F8B37800000, 467360 / 20.006)


def read(text: str | bytes) -> list[Snapshot]:
    return list(read_snapshots(io.BytesIO(text if isinstance(text, bytes) else text.encode())))


REGION = Region(140731667070976, 140731668037632, 3, 7)


@pytest.mark.parametrize(
    "line",
    [
        (
            "kdamond.0  4452 [000] 82877.315633: damon:damon_aggregated: target_id=0 nr_regions=1 "
            "140731667070976-140731668037632: 3 7\n"
        ),
        (
            "       kdamond.0-164     [001] .....  82877.315633: damon_aggregated: target_id=0 "
            "nr_regions=1 140731667070976-140731668037632: 3 7\n"
        ),
        (
            "kdamond.0 47293 [000] 82877.315633: damon:damos_before_apply: ctx_idx=0 scheme_idx=0 "
            "target_idx=0 nr_regions=1 140731667070976-140731668037632: 3 7\n"
        ),
        (
            "kdamond.x xxxx xxxx 82877.315633: damon:damon_aggregated: target_id=0 nr_regions=1 "
            "140731667070976-140731668037632: 3 7\n"
        ),
    ],
)
def test_the_tracepoint_is_read_as_every_tool_prints_it(line: str) -> None:
    assert read(line) == [Snapshot("0", None, 82877_315633000, (REGION,))]


def test_before_5_16_the_tracepoint_has_no_age() -> None:
    line = "kdamond.0 1 [0] 1.5: damon:damon_aggregated: target_id=9 nr_regions=1 4096-8192: 2\n"
    assert read(line)[0].regions == (Region(4096, 8192, 2, None),)


def test_a_snapshot_has_all_its_regions_or_is_left_out() -> None:
    def line(time: str, start: int, count: int = 2) -> str:
        return (
            f"kdamond.0 1 [0] {time}: damon:damon_aggregated: target_id=0 nr_regions={count} "
            f"{start}-{start + 4096}: 1 1\n"
        )

    # The second region of the first snapshot was lost.
    found = read(line("1.0", 4096) + line("1.1", 4096) + line("1.1", 8192))
    assert [(each.end, len(each.regions)) for each in found] == [(1_100_000_000, 2)]


RAW = """base_time_absolute: 32.431 s
data source: unknown

monitoring_start:                0 ns
monitoring_end:            119.883 ms
monitoring_duration:       119.883 ms
target_id: 3
nr_regions: 2
# start_addr     end_addr        length  nr_accesses   age
000000400000-0000060b8000 (  92.719 MiB)           0     9
7f8b34cf4000-7f8b35374000 (   6.500 MiB)          11    -1

monitoring_start:         1 m 2.5 s
monitoring_end:           1 m 2.6 s
target_id: 3
nr_regions: 1
000000000000-000000000000 (         0 B)          -1    -1

"""


def test_the_raw_form_has_times_with_units() -> None:
    (snapshot,) = read(RAW)
    assert (snapshot.target, snapshot.start, snapshot.end) == ("3", 32_431_000_000, 32_550_883_000)
    assert snapshot.regions == (
        Region(0x400000, 0x60B8000, 0, 9),
        Region(0x7F8B34CF4000, 0x7F8B35374000, 11, None),
    )


def document(**more: object) -> list[dict[str, object]]:
    region = {"start": "4,096", "end": "8,192", "nr_accesses": {"samples": 5}, "age": None}
    old = {"start": 8192, "end": 12288, "nr_accesses": 6, "age": 2}
    snapshot = {"start_time": "1 s 5 ms", "end_time": 1_105_000_000, "regions": [region, old]}
    return [{"target_id": 4, "intervals": None, "snapshots": [snapshot], **more}]


def test_json_of_old_and_new_versions() -> None:
    expected = (Region(4096, 8192, 5, None), Region(8192, 12288, 6, 2))
    records = document()
    for text in (
        json.dumps(records),
        json.dumps({"kdamonds": [], "record_list": records}),
        json.dumps({"damon_records": {"kdamonds": [], "record_list": records}}, indent=4),
        zlib.compress(json.dumps(records).encode()),
    ):
        (snapshot,) = read(text)
        assert (snapshot.start, snapshot.end) == (1_005_000_000, 1_105_000_000)
        assert (snapshot.target, snapshot.regions) == ("4", expected)


def test_json_tells_the_intervals() -> None:
    intervals = {"sample_us": "10 ms", "aggr_us": "200000", "ops_update_us": 1}
    (snapshot,) = read(json.dumps(document(intervals=intervals)))
    assert (snapshot.sample, snapshot.aggregation) == (10 * MILLISECOND, 200 * MILLISECOND)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is nothing in it"),
        ("\n\n", "there is nothing in it"),
        ("hello\n", "line 1: expected the output of .* found 'hello'"),
        ("a 1/1 [0] 1.5: page-faults: 7f00\n", "there are no regions of DAMON"),
        (RAW.replace("7f8b34cf4000-", "x"), "line 11: expected a region"),
        (RAW.replace("119.883 ms", "soon"), "line 5: expected a time such as '100 ms', found"),
        ("[1, 2", "it begins like JSON, but is not"),
        ("[]", "there are no snapshots"),
        ("[{}]", "a record has 'target_id', which is not there"),
        ('{"a": 1}', "which is not there"),
        ("[[[]]]", "something is of another kind"),
        ("[" * 100_000, "it begins like JSON, but is not"),
        (zlib.compress(b"[]" * 10)[:-9], "it begins like the file of `damo record`, but ends"),
        (b"x\x9cjunk", "it begins like the file of `damo record`, but"),
        (
            "kdamond.0 1 [0] 1.5: damon:damon_aggregated: target_id=9 nr_regions=2 4096-8192: 2\n",
            "no snapshot of DAMON is complete",
        ),
    ],
)
def test_what_is_not_usable_is_said(text: str | bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read(text)


def test_json_beyond_all_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damon, "MOST_JSON", 1 << 20)
    bomb = zlib.compress(b"[" + b" " * (8 << 20))
    for data in (bomb, b"[" + b" " * (2 << 20)):
        with pytest.raises(RecordError, match=r"more than 1 MiB.*--raw_form"):
            read(data)


def test_versions_of_damo_and_perf_say_the_same_of_a_recording() -> None:
    raw, packed = snapshots("sparse.damo-3.4.3.txt.gz"), snapshots("sparse.damo-3.4.3.data")
    old = snapshots("sparse.damo-1.8.0.txt.gz")
    assert len(raw) == len(packed) == 84
    assert [each.regions for each in raw] == [each.regions for each in packed]
    # The older sample is the start of the recording; its last snapshot is cut off.
    assert [each.regions for each in old[:-1]] == [each.regions for each in raw[: len(old) - 1]]
    assert len(old) == 11


def hot_phases(recorded: Recorded, mapping: int) -> tuple[int, list[Phase]]:
    """The start of the area that has the mapping, and what happens in it after the fill."""
    (process,) = recorded.workload.processes
    for index, vma in enumerate(process.vmas):
        low = int(recorded.comments["processes", 0, "vmas", index][0].split("-")[0], 16)
        if low <= mapping < low + vma.size:
            found = [phase for phase in process.phases if phase.vma == vma.name and phase.duration]
            return low, found
    raise AssertionError("no area has the mapping")


def test_a_hot_range_is_found_with_its_place_size_and_rate() -> None:
    mapping, hot, end, rate = HOT
    low, (phase,) = hot_phases(regions("hot.damon.tracefs.txt.gz"), mapping)
    assert phase.pattern is Pattern.UNIFORM
    length = phase.length or 0
    assert low + phase.offset == pytest.approx(hot, abs=MIB // 2)
    assert length == pytest.approx(end - hot, abs=MIB // 2)
    assert phase.rate == pytest.approx(rate, rel=0.2)


def test_a_range_touched_now_and_then_is_found() -> None:
    mapping, hot, end, rate = SPARSE
    low, phases = hot_phases(regions("sparse.damo-3.4.3.txt.gz"), mapping)
    # Few samples: the range is found, the rate within a factor of two.
    starts = [low + phase.offset for phase in phases]
    assert min(starts) == pytest.approx(hot, abs=2 * MIB)
    for phase in phases:
        assert 0.5 < (phase.rate or 0) / rate < 2
        covered = phase.hot_size if phase.pattern is Pattern.HOTSET else 1.0
        assert low + phase.offset + (phase.length or 0) * covered < end + 4 * MIB


def synthetic(
    heat: list[float], *, seconds: float = 10, seed: int = 1, sample: int = 5 * MILLISECOND
) -> list[Snapshot]:
    """Snapshots as DAMON would make them, by hand: regions of 1 MiB whose pages are touched
    `heat` times a second; each sample finds one with 1 - exp(-heat * interval).
    """
    import math

    rng = random.Random(seed)
    start = 0x7F0000000000
    found: list[Snapshot] = []
    for number in range(round(seconds * 10)):
        rows = tuple(
            Region(
                start + index * MIB,
                start + (index + 1) * MIB,
                sum(rng.random() < 1 - math.exp(-rate * sample / SECOND) for _ in range(20)),
            )
            for index, rate in enumerate(heat)
        )
        end = (number + 1) * 20 * sample
        found.append(Snapshot("0", end - 20 * sample, end, rows, sample, 20 * sample))
    return found


def worked(rows: list[Snapshot]) -> list[Phase]:
    recorded = workload_from_regions(rows, GIVEN)
    (process,) = recorded.workload.processes
    assert parse_workload(recorded.toml().encode(), "x") == recorded.workload
    return [phase for phase in process.phases if phase.duration]


def test_rates_are_those_of_the_samples() -> None:
    (phase,) = worked(synthetic([20.0] * 32))
    assert phase.pattern is Pattern.UNIFORM
    assert phase.rate == pytest.approx(20 * 32 * 256, rel=0.05)
    assert phase.duration == pytest.approx(10 * SECOND, rel=0.01)


def test_a_hot_set_has_its_share() -> None:
    (phase,) = worked(synthetic([50.0] * 8 + [2.0] * 56))
    assert phase.pattern is Pattern.HOTSET
    assert phase.hot_size == pytest.approx(8 / 64, rel=0.1)
    # 400 of 512 parts of the touches go to the hot eighth; each page gets 2, hot ones 48 more.
    assert phase.hot_share == pytest.approx(8 * 48 / 512, rel=0.05)


def test_heat_that_moves_gives_a_phase_for_each_place() -> None:
    first = synthetic([50.0] * 8 + [0.0] * 24)
    second = [
        Snapshot(s.target, 10 * SECOND + (s.start or 0), 10 * SECOND + s.end, s.regions, s.sample)
        for s in synthetic([0.0] * 24 + [50.0] * 8)
    ]
    phases = worked(first + second)
    assert [(p.offset, p.length) for p in phases] == [(0, 8 * MIB), (24 * MIB, 8 * MIB)]
    assert [round((p.duration or 0) / SECOND) for p in phases] == [10, 10]


def test_scattered_heat_is_zipf() -> None:
    heat = [0.5] * 64
    for index in (3, 17, 22, 40, 41, 55, 60):
        heat[index] = 100.0
    (phase,) = worked(synthetic(heat))
    assert phase.pattern is Pattern.ZIPF
    assert 0.5 < phase.exponent < 1


def test_a_long_recording_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from policyc.simulate.workload import recorded_regions

    monkeypatch.setattr(recorded_regions, "MOST_REGIONS", 500)
    rows = synthetic([20.0] * 32, seconds=30)
    (phase,) = worked(rows)
    assert phase.rate == pytest.approx(20 * 32 * 256, rel=0.1)


def test_snapshots_out_of_order_are_refused() -> None:
    rows = synthetic([20.0] * 4, seconds=1)
    with pytest.raises(RecordError, match="target 0 are not in the order of time"):
        workload_from_regions([*rows, rows[2]], GIVEN)


def test_memory_that_is_never_accessed_gives_no_workload() -> None:
    with pytest.raises(RecordError, match="no region was accessed"):
        workload_from_regions(synthetic([0.0] * 4), GIVEN)


def test_redis_under_load_reads_back() -> None:
    recorded = regions("redis.damon.perf.txt.gz")
    assert parse_workload(recorded.toml().encode(), "x") == recorded.workload
    (process,) = recorded.workload.processes
    lengths = sum(phase.duration or 0 for phase in process.phases)
    # The recording is of 12 seconds, in snapshots of a tenth of a second or more.
    assert lengths == pytest.approx(12 * SECOND, rel=0.05)
