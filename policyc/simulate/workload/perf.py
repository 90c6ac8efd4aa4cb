"""Reads what `perf script` prints, and the text of tracefs: page faults, mappings, tasks.

A line is a line of `perf script` whatever its fields (-F), as long as a time, an event and,
for software page faults, the address are among them; or a line of `trace` in tracefs or of
`trace-cmd report`. How perf lays them out: tools/perf/builtin-script.c
(perf_sample__fprintf_start, print_sample_addr), tools/perf/util/event.c
(perf_event__fprintf_mmap2, _comm, _task).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from policyc.simulate.workload.lines import RecordError, nanoseconds, shown

__all__ = [
    "PRINT",
    "Advice",
    "Allocation",
    "Collapse",
    "Event",
    "Exec",
    "Exit",
    "Fault",
    "Fork",
    "Kind",
    "Mapping",
    "PerfReader",
    "Scan",
    "Unmapping",
]

#: The command whose output is read, for messages.
PRINT = "perf script --show-task-events --show-mmap-events -F comm,pid,tid,time,event,addr,trace"


class Kind(Enum):
    """What a mapping is of."""

    ANON = "anon"
    SHMEM = "shmem"
    FILE = "file"
    NONE = "none"  # no access, or memory of the kernel such as the vDSO
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Fault:
    """A page fault at `address`; `write` is None where the event does not tell."""

    time: int
    pid: int
    tid: int
    comm: str
    cpu: int | None
    address: int
    write: bool | None


@dataclass(frozen=True, slots=True)
class Mapping:
    """The mapping `start` to `end` is there from now on, in place of what was there."""

    time: int
    pid: int
    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Unmapping:
    """The memory of a range is given back; `gone` if the mapping is, too."""

    time: int
    pid: int
    start: int
    end: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """madvise(MADV_HUGEPAGE or MADV_NOHUGEPAGE): `advice` as a VMA of a workload has it."""

    time: int
    pid: int
    start: int
    end: int
    advice: str


@dataclass(frozen=True, slots=True)
class Collapse:
    """madvise(MADV_COLLAPSE)."""

    time: int
    pid: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Exec:
    """The process is another program from now on."""

    time: int
    pid: int
    comm: str


@dataclass(frozen=True, slots=True)
class Fork:
    """A new task: a thread where `pid` and `parent` are the same process."""

    time: int
    pid: int
    tid: int
    parent: int


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a task."""

    time: int
    pid: int
    tid: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """kmem:mm_page_alloc of a folio of some order above 0 for a user."""

    time: int
    pid: int
    order: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What khugepaged found: `collapsed` for mm_collapse_huge_page that succeeded.

    `none` is the number of PTEs without a page of their own, where it is told.
    """

    time: int
    collapsed: bool
    none: int | None


Event = Fault | Mapping | Unmapping | Advice | Collapse | Exec | Fork | Exit | Allocation | Scan

_STAMP = re.compile(r"(?:^|\s)(\d{1,9})\.(\d{1,9}):\s")
_HEX = re.compile(r"(?:^|\s)(?:0x)?([0-9a-f]{1,16})(?=\s|$)")
_FAULTS = frozenset({"page-faults", "faults", "minor-faults", "major-faults"})
_TRACED = frozenset({"page_fault_user", "page_fault_kernel"})
_MAPPED = re.compile(
    r"PERF_RECORD_MMAP2? (-?\d+)/-?\d+: \[(0x[0-9a-f]+)\((0x[0-9a-f]+)\) @ [^\]]*\]: (\S+) ?(.*)"
)
_COMM = re.compile(r"PERF_RECORD_COMM( exec)?: (.*):(\d+)/(\d+)")
_TASK = re.compile(r"PERF_RECORD_(FORK|EXIT)\((\d+):(\d+)\):\((\d+):(\d+)\)")
_FIELD = re.compile(r"(\w+)(?:=|: )(0x[0-9a-fA-F]+|-?\w+)")
#: Most lines are of this kind: no space in the name, an address and nothing behind it.
_PLAIN = re.compile(
    r"\s*(\S+) +(\d+)(?:/(\d+))? +(?:\[(\d+)\] +)?(\d{1,9})\.(\d{1,9}): +(?:\d+ +)?"
    r"(?:page-faults|minor-faults|major-faults|faults)(?::\w+)?: +([0-9a-f]{1,16})\s*"
)
_MAP_SHARED, _MAP_ANONYMOUS, _PROT_NONE = 0x1, 0x20, 0x0
#: Error code of a page fault on x86: bit 1 is set for a write.
_WRITE = 0x2
_USER_TOP = 1 << 56
#: Lines without an event before it is clear that this is something else.
_PATIENCE = 2_000


@dataclass(slots=True)
class PerfReader:
    """Reads lines one by one; counts what it does not use.

    `lines` are those read, `strange` those that are nothing perf prints, and `first_strange`
    the first such; `others` are events that say nothing about memory, by name.
    """

    lines: int = 0
    found: int = 0
    strange: int = 0
    first_strange: tuple[int, str] | None = None
    others: dict[str, int] = field(default_factory=dict[str, int])
    _mapping: dict[int, tuple[int, int, int]] = field(
        default_factory=dict[int, tuple[int, int, int]]
    )

    def read(self, lines: Iterable[str]) -> Iterator[Event]:
        """The events of the lines, in their order; raises RecordError for another format."""
        for line in lines:
            self.lines += 1
            event = self._line(line)
            if event is not None:
                self.found += 1
                yield event
            elif self.found == 0 and self.strange > _PATIENCE:
                break
        if self.found == 0:
            raise RecordError(self._nothing())

    def _nothing(self) -> str:
        if self.lines == 0:
            return f"there is nothing in it; expected the output of `{PRINT}`"
        if self.others:
            names = ", ".join(sorted(self.others)[:8])
            return (
                f"{self.lines:,} lines have no page faults, only {names}; record them with "
                "`perf record -e page-faults -c 1 -d COMMAND`"
            )
        where, text = self.first_strange or (1, "")
        return (
            f"line {where}: expected a line of `{PRINT}`, such as "
            f"'redis-server  812/812  5103.201344: page-faults:  7f2d53c00000', found {shown(text)}"
        )

    def _line(self, line: str) -> Event | None:
        if (plain := _PLAIN.fullmatch(line)) is not None:
            comm, first, second, cpu, seconds, fraction, address = plain.groups()
            place, number = int(address, 16), None if cpu is None else int(cpu)
            pid, time = int(first), nanoseconds(seconds, fraction)
            if place >= _USER_TOP:
                return None
            return Fault(time, pid, int(second or first), comm, number, place, None)
        stamp = _STAMP.search(line)
        if stamp is None:
            self._odd(line)
            return None
        time = nanoseconds(stamp[1], stamp[2])
        rest = line[stamp.end() :].strip()
        if rest.startswith("PERF_RECORD_"):
            return self._record(time, rest)
        name, rest = _event(rest)
        if name in _FAULTS:
            address = self._address(rest)
            write = None
        elif name in _TRACED:
            fields = _fields(rest)
            address = fields.get("address", -1)
            code = fields.get("error_code")
            write = None if code is None else bool(code & _WRITE)
        else:
            return self._traced(time, name, rest, line[: stamp.start()])
        if not 0 <= address < _USER_TOP:
            return None
        comm, pid, tid, cpu = self._task(line[: stamp.start()], line)
        return Fault(time, pid, tid, comm, cpu, address, write)

    def _odd(self, line: str) -> None:
        """A line without a time: a header, a call chain, or something else altogether."""
        text = line.strip()
        if text and not text.startswith("#") and not _is_frame(line):
            self.strange += 1
            if self.first_strange is None:
                self.first_strange = (self.lines, text)

    def _address(self, rest: str) -> int:
        """The address of a software page fault, which comes before an instruction pointer."""
        numbers = _HEX.findall(rest)
        if len(numbers) == 1 and len(rest.split()) > 1:
            raise RecordError(
                f"line {self.lines}: it has no address of the fault, only that of an "
                f"instruction: {shown(rest)}; record with `perf record -d`, print with `{PRINT}`"
            )
        if not numbers:
            raise RecordError(
                f"line {self.lines}: expected an address after the event, found {shown(rest)}; "
                f"record with `perf record -d`, print with `{PRINT}`"
            )
        return int(numbers[0], 16)

    def _task(self, prefix: str, line: str) -> tuple[str, int, int, int | None]:
        """What stands before the time: comm, process, thread, CPU."""
        words = prefix.split()
        cpu = None
        # The flags of tracefs (irqs off, need resched, ...) follow the CPU, and say nothing.
        for back in (1, 2):
            if len(words) >= back and words[-back].startswith("["):
                number = words[-back].strip("[]")
                cpu = int(number) if number.isdecimal() else None
                del words[-back:]
                break
        group = ""
        if words and words[-1].endswith(")"):  # tracefs with the option record-tgid
            group = words.pop().strip("()")
            if words and words[-1] == "(":
                words.pop()
        last = words[-1] if words else ""
        first, slash, second = last.partition("/")
        if first.isdecimal() and (not slash or second.isdecimal()):
            comm = " ".join(words[:-1])
            return comm, int(first), int(second or first), cpu
        comm, dash, number = last.rpartition("-")
        if dash and number.isdecimal():
            tid = int(number)
            pid = int(group) if group.isdecimal() else tid
            return " ".join([*words[:-1], comm]), pid, tid, cpu
        raise RecordError(
            f"line {self.lines}: expected a process before the time, such as "
            f"'redis-server  812/812', found {shown(line)}; print with `{PRINT}`"
        )

    def _record(self, time: int, rest: str) -> Event | None:
        """Records of the tasks and mappings themselves."""
        if (mapped := _MAPPED.match(rest)) is not None:
            pid, start = int(mapped[1]), int(mapped[2], 16)
            if pid < 0 or start >= _USER_TOP:
                return None
            kind = _kind(mapped[4], mapped[5].strip())
            return Mapping(time, pid, start, start + int(mapped[3], 16), kind)
        if (comm := _COMM.match(rest)) is not None:
            return Exec(time, int(comm[3]), comm[2]) if comm[1] else None
        if (task := _TASK.match(rest)) is not None:
            pid, tid, parent = int(task[2]), int(task[3]), int(task[4])
            return Fork(time, pid, tid, parent) if task[1] == "FORK" else Exit(time, pid, tid)
        return None

    def _traced(self, time: int, name: str, rest: str, prefix: str) -> Event | None:
        """Tracepoints of memory and of system calls."""
        handler = self._handler(name)
        if handler is None:
            if len(self.others) < 100 or name in self.others:
                self.others[name] = self.others.get(name, 0) + 1
            return None
        _, pid, tid, _ = self._task(prefix, prefix + rest)
        return handler(time, pid, tid, rest)

    def _handler(self, name: str) -> Callable[[int, int, int, str], Event | None] | None:
        match name:
            case "mm_page_alloc":
                return self._page_alloc
            case "mm_khugepaged_scan_pmd":
                return self._scan
            case "mm_collapse_huge_page":
                return self._collapsed
            case "sys_enter_mmap":
                return self._enter_mmap
            case "sys_exit_mmap":
                return self._exit_mmap
            case "sys_enter_munmap":
                return self._munmap
            case "sys_enter_madvise":
                return self._madvise
            case _:
                return None

    def _page_alloc(self, time: int, pid: int, _tid: int, rest: str) -> Event | None:
        order = _fields(rest).get("order", 0)
        user = "MOVABLE" in rest or "TRANSHUGE" in rest
        return Allocation(time, pid, order) if order and user else None

    def _scan(self, time: int, _pid: int, _tid: int, rest: str) -> Event | None:
        return Scan(time, False, _fields(rest).get("none_or_zero"))

    def _collapsed(self, time: int, _pid: int, _tid: int, rest: str) -> Event | None:
        return Scan(time, True, None) if "status=succeeded" in rest else None

    def _enter_mmap(self, _time: int, _pid: int, tid: int, rest: str) -> Event | None:
        call = _arguments(rest)
        self._mapping[tid] = (call.get("len", 0), call.get("prot", 3), call.get("flags", 0))
        return None

    def _exit_mmap(self, time: int, pid: int, tid: int, rest: str) -> Event | None:
        length, prot, flags = self._mapping.pop(tid, (0, 0, 0))
        numbers = _HEX.findall(rest)
        start = int(numbers[-1], 16) if numbers else _USER_TOP
        if not length or start >= _USER_TOP:
            return None
        kind = Kind.FILE
        if prot == _PROT_NONE:
            kind = Kind.NONE
        elif flags & _MAP_ANONYMOUS:
            kind = Kind.SHMEM if flags & _MAP_SHARED else Kind.ANON
        return Mapping(time, pid, start, start + length, kind)

    def _munmap(self, time: int, pid: int, _tid: int, rest: str) -> Event | None:
        call = _arguments(rest)
        start = call.get("addr", 0)
        return Unmapping(time, pid, start, start + call.get("len", 0), True)

    def _madvise(self, time: int, pid: int, _tid: int, rest: str) -> Event | None:
        call = _arguments(rest)
        start = call.get("start", 0)
        end = start + call.get("len_in", call.get("len", 0))
        match call.get("behavior"):  # include/uapi/asm-generic/mman-common.h
            case 4 | 8 | 9:  # MADV_DONTNEED, MADV_FREE, MADV_REMOVE
                return Unmapping(time, pid, start, end, False)
            case 14:  # MADV_HUGEPAGE
                return Advice(time, pid, start, end, "hugepage")
            case 15:  # MADV_NOHUGEPAGE
                return Advice(time, pid, start, end, "nohugepage")
            case 25:  # MADV_COLLAPSE
                return Collapse(time, pid, start, end)
            case _:
                return None


def _event(rest: str) -> tuple[str, str]:
    """The name of the event, without its group and modifiers, and what follows it."""
    words = rest.split(None, 1)
    if len(words) == 2 and words[0].isdecimal():
        words = words[1].split(None, 1)  # the first was the period
    if not words:
        return "", ""
    name = words[0].rstrip(":")
    # page-faults:u has a modifier, exceptions:page_fault_user a group.
    first, colon, second = name.partition(":")
    if colon:
        name = first if first in _FAULTS else second.partition(":")[0]
    return name, words[1] if len(words) == 2 else ""


def _is_frame(line: str) -> bool:
    """Whether this is a line of a call chain: an address, and a symbol."""
    words = line.split(None, 1)
    return line[0].isspace() and len(words) == 2 and _HEX.fullmatch(words[0]) is not None


def _fields(rest: str) -> dict[str, int]:
    """The numbers of `name=value` fields; hexadecimal ones begin with 0x."""
    return _numbers(rest, "=")


def _arguments(rest: str) -> dict[str, int]:
    """The numbers of `name: value` arguments of a system call."""
    return _numbers(rest, ": ")


def _numbers(rest: str, sign: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in _FIELD.findall(rest):
        try:
            number = int(value, 16 if value.startswith("0x") else 10)
        except ValueError:
            continue
        if f"{name}{sign}" in rest:
            found[name] = number
    return found


def _kind(access: str, name: str) -> Kind:
    """What a mapping is of, by its access (rw-p) and the name that perf gives it."""
    if name.startswith(("[vdso", "[vvar", "[vsyscall", "[kernel", "[guest")):
        return Kind.NONE
    if access.startswith("---"):
        return Kind.NONE
    if name.startswith(("/dev/zero", "/SYSV", "/memfd:", "/dev/shm/")):
        return Kind.SHMEM
    if not name or name.startswith(("//anon", "[heap]", "[stack", "[anon")):
        return Kind.SHMEM if access.endswith("s") else Kind.ANON
    return Kind.FILE
