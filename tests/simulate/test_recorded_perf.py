"""What perf prints, in the layouts of its versions and of -F; lines are written by hand here
from the layouts of tools/perf/builtin-script.c, samples were recorded.
"""

from __future__ import annotations

import io
from collections import Counter

import pytest

from policyc.simulate.workload.lines import RecordError, text_lines
from policyc.simulate.workload.perf import (
    Advice,
    Allocation,
    Event,
    Exec,
    Exit,
    Fault,
    Fork,
    Kind,
    Mapping,
    PerfReader,
    Scan,
    Unmapping,
)
from tests.simulate.recordings import sample


def read(*lines: str) -> list[Event]:
    return list(PerfReader().read(lines))


@pytest.mark.parametrize(
    ("line", "pid", "tid", "cpu"),
    [
        ("known  5104/5104  23815.873812: page-faults:     7ffa65cf7000\n", 5104, 5104, None),
        ("known  5104 23815.873812:          1 page-faults:u:  7ffa65cf7000\n", 5104, 5104, None),
        ("known  5104/5107 [003] 23815.873812: minor-faults:  7ffa65cf7000 \n", 5104, 5107, 3),
        (
            "known  5104/5104 [001] 23815.873812: 1 faults: 7ffa65cf7000  55ad3a16338c\n",
            5104,
            5104,
            1,
        ),
        (
            (
                "known 5104 23815.873812: page-faults:  7ffa65cf7000 _nl_C (/lib/libc.so.6)  "
                "7ffa65d29dcc _dl_relocate (/lib/ld.so)\n"
            ),
            5104,
            5104,
            None,
        ),
        ("5104/5104 23815.873812: major-faults: 7ffa65cf7000\n", 5104, 5104, None),
        (
            (
                "known 5104/5104 [001] 23815.873812: exceptions:page_fault_user: "
                "address=0x7ffa65cf7000 ip=0x7ffa65d29dcc error_code=0x6\n"
            ),
            5104,
            5104,
            1,
        ),
        (
            (
                " known-5104  [001] d..1. 23815.873812: page_fault_user: address=0x7ffa65cf7000 "
                "ip=0x7 error_code=0x6\n"
            ),
            5104,
            5104,
            1,
        ),
        (
            (
                " known-5107 ( 5104) [001] .... 23815.873812: page_fault_user: "
                "address=0x7ffa65cf7000 ip=0x7 error_code=0x6\n"
            ),
            5104,
            5107,
            1,
        ),
    ],
)
def test_a_fault_is_read_from_every_layout(line: str, pid: int, tid: int, cpu: int | None) -> None:
    (fault,) = read(line)
    assert isinstance(fault, Fault)
    assert (fault.pid, fault.tid, fault.cpu) == (pid, tid, cpu)
    assert fault.address == 0x7FFA65CF7000
    assert fault.time == 23815_873812000


@pytest.mark.parametrize("comm", ["Web Content", "C2 CompilerThre", "kworker/0:1", "a [1] b", "9"])
def test_names_can_have_spaces_digits_and_signs(comm: str) -> None:
    (fault,) = read(f"{comm}  812/813 [000] 5.000001: page-faults: 7ffa65cf7000\n")
    assert isinstance(fault, Fault)
    assert (fault.comm, fault.pid, fault.tid) == (comm, 812, 813)


@pytest.mark.parametrize(("code", "write"), [("0x4", False), ("0x6", True), ("0x14", False)])
def test_the_error_code_tells_a_write(code: str, write: bool) -> None:
    # arch/x86/include/asm/trap_pf.h: X86_PF_WRITE is bit 1.
    line = f"a 1/1 1.5: exceptions:page_fault_user: address=0x7f0000001000 ip=0x1 error_code={code}"
    (fault,) = read(line)
    assert isinstance(fault, Fault)
    assert fault.write is write


def test_faults_of_the_kernel_itself_are_left_out() -> None:
    events = read(
        "a 1/1 1.5: page-faults: ffffffff817554ea\n", "a 1/1 1.5: page-faults: 7f0000001000\n"
    )
    assert [event.address for event in events if isinstance(event, Fault)] == [0x7F0000001000]


def test_mappings_tasks_and_programs() -> None:
    events = read(
        "known 5104/5104 2.000000: PERF_RECORD_COMM exec: known:5104/5104\n",
        "known 5104/5104 2.000001: PERF_RECORD_MMAP2 5104/5104: [0x7fff4df04000(0x21000) @ "
        "0x7ffffffde000 00:00 0 0]: rw-p [stack]\n",
        "known 5104/5104 2.000002: PERF_RECORD_MMAP2 5104/5104: [0x55ad3a163000(0x1000) @ 0x1000 "
        "<5d1e4cbcb0a1>]: r-xp /tmp/with space\n",
        "known 5104/5104 2.000003: PERF_RECORD_MMAP2 5104/5104: [0x7f0000000000(0x2000) @ 0 00:01 "
        "9 0]: rw-s /dev/zero (deleted)\n",
        "known 5104/5104 2.000004: PERF_RECORD_FORK(5104:5107):(5104:5104)\n",
        "known 5104/5104 2.000005: PERF_RECORD_FORK(5110:5110):(5104:5104)\n",
        "known 5104/5104 2.000006: PERF_RECORD_EXIT(5110:5110):(5104:5104)\n",
        "swapper 0/0 0.000000: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x120bb08) @ 0]: x k\n",
    )
    assert [type(event) for event in events] == [
        Exec,
        Mapping,
        Mapping,
        Mapping,
        Fork,
        Fork,
        Exit,
    ]
    kinds = [event.kind for event in events if isinstance(event, Mapping)]
    assert kinds == [Kind.ANON, Kind.FILE, Kind.SHMEM]
    stack = events[1]
    assert isinstance(stack, Mapping)
    assert (stack.start, stack.end - stack.start) == (0x7FFF4DF04000, 0x21000)


def test_system_calls_on_memory() -> None:
    events = read(
        "a 1/1 [0] 1.0: syscalls:sys_enter_mmap: addr: 0x00000000, len: 0x00600000, prot: "
        "0x00000003, flags: 0x00000021, fd: 0xffffffff, off: 0x00000000\n",
        "a 1/1 [0] 1.1: syscalls:sys_exit_mmap: 0x7f47ba400000\n",
        "a 1/1 [0] 1.2: syscalls:sys_enter_madvise: start: 0x7f47ba400000, len_in: 0x00200000, "
        "behavior: 0x0000000e\n",
        "a 1/1 [0] 1.3: syscalls:sys_enter_madvise: start: 0x7f47ba400000, len_in: 0x00100000, "
        "behavior: 0x00000004\n",
        "a 1/1 [0] 1.4: syscalls:sys_enter_munmap: addr: 0x7f47ba400000, len: 0x00600000\n",
    )
    start = 0x7F47BA400000
    assert events == [
        # MAP_SHARED | MAP_ANONYMOUS
        Mapping(1_100_000_000, 1, start, start + 0x600000, Kind.SHMEM),
        Advice(1_200_000_000, 1, start, start + 0x200000, "hugepage"),
        Unmapping(1_300_000_000, 1, start, start + 0x100000, False),
        Unmapping(1_400_000_000, 1, start, start + 0x600000, True),
    ]


def test_events_of_huge_pages() -> None:
    events = read(
        "khugepaged 38/38 [0] 1.0: huge_memory:mm_khugepaged_scan_pmd: mm=0xff, scan_pfn=0x1, "
        "writable=1, referenced=0, none_or_zero=511, status=pmd_none, unmapped=0\n",
        "khugepaged 38/38 [0] 1.1: huge_memory:mm_collapse_huge_page: mm=0xff, isolated=1, "
        "status=succeeded\n",
        "a 1/1 [0] 1.2: kmem:mm_page_alloc: page=0x1 pfn=0x28c order=9 migratetype=1 "
        "gfp_flags=GFP_TRANSHUGE\n",
        "a 1/1 [0] 1.2: kmem:mm_page_alloc: page=0x1 pfn=0x28c order=9 migratetype=1 "
        "gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_COMP\n",
    )
    assert events == [
        Scan(1_000_000_000, False, 511),
        Scan(1_100_000_000, True, None),
        Allocation(1_200_000_000, 1, 9),
        Allocation(1_200_000_000, 1, 9),
    ]


def test_call_chains_and_headers_are_skipped() -> None:
    reader = PerfReader()
    lines = [
        "# ========\n",
        "# captured on    : Sat Nov 21 10:05:00 2026\n",
        "\n",
        "true  5198/5198  23817.342203: page-faults:     55aba988d1e0\n",
        "\tffffffff817554ea elf_load\n",
        "\t    7f6fd32f2ad7 [unknown]\n",
        "\n",
    ]
    assert len(list(reader.read(lines))) == 1
    assert reader.strange == 0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "there is nothing in it"),
        (["hello\n"], "line 1: expected a line of `perf script .*found 'hello'"),
        (["\n", "# x\n", "a,b,c\n"], "line 3: expected"),
        (["a 1/1 1.5: cycles: 7f00 main\n"], "1 lines have no page faults, only cycles"),
        (["1.5: page-faults: 7ffa65cf7000\n"], "line 1: expected a process before the time"),
        (["a 1/1 1.5: page-faults:\n"], "line 1: expected an address after the event"),
        (
            ["a 1/1 1.5: 1 page-faults: 7ffa65d29dcc _dl_relocate+0x1ac (/lib/ld.so)\n"],
            "line 1: it has no address of the fault, only that of an instruction",
        ),
    ],
)
def test_what_is_not_usable_is_said_with_its_line(lines: list[str], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read(*lines)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PERFILE2\x68\0\0\0", "the file of `perf record` itself"),
        (b"\x1f\x8b\x08\0", "compressed with gzip"),
        (b"\x17\x08\x44tracing6", "the file of `trace-cmd record`"),
        (b"ab\0c", "it is not text"),
    ],
)
def test_binary_formats_are_recognised(data: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        list(text_lines(io.BytesIO(data)))


def test_a_line_without_end_takes_no_memory() -> None:
    lines = list(text_lines(io.BytesIO(b"x" * 10_000_000 + b"\nnext\n")))
    assert [len(line) < 10_000 for line in lines] == [True, True]
    assert lines[1] == "next\n"


def test_samples_have_the_events_that_were_recorded() -> None:
    def counts(name: str) -> Counter[str]:
        return Counter(
            type(event).__name__ for event in PerfReader().read(text_lines(sample(name)))
        )

    redis = counts("redis.perf.txt.gz")
    # The server forked once for BGSAVE and made its threads; the script forked six programs.
    assert redis["Exec"] >= 6
    assert redis["Fork"] > redis["Exec"]
    traced = counts("known.tracepoints.txt.gz")
    assert {"Fault", "Mapping", "Unmapping"} <= set(traced)
