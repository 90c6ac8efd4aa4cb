"""A process whose memory is known: it maps what it is told to and reports what it mapped.

    python -I -S workload.py CONFIGURATION

The configuration is JSON: `comm`, `uid`, and `areas`, a list of descriptions as in `Area`.
The process prints one line of JSON with what it is and has, and then answers each line of
its input, a JSON list of a command and its arguments, with a line of JSON. It ends with its
input. It needs nothing but the interpreter, so that an emulated one starts quickly.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

#: Where the areas begin, and how far they are apart: what does not touch is not merged.
_BASE, _DISTANCE = 0x10_0000_0000, 0x1_0000_0000

_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_SHARED, _MAP_PRIVATE, _MAP_ANONYMOUS = 0x01, 0x02, 0x20
_MAP_GROWSDOWN, _MAP_FIXED_NOREPLACE = 0x100, 0x100000
_PR_SET_NAME = 15

#: The numbers of madvise(2).
ADVICE = {
    "hugepage": 14,
    "nohugepage": 15,
    "dontneed": 4,
    "pageout": 21,
    "populate_read": 22,
    "populate_write": 23,
    "collapse": 25,
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
_libc.madvise.argtypes = _libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.mlock.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_void_p] * 4


def _checked(result: int, what: str) -> int:
    if result == -1 or result == (1 << 64) - 1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _file_of(kind: str, size: int, path: str) -> tuple[int, int]:
    """A descriptor and the flags of mmap(2) for a kind of memory."""
    if kind == "anon":
        return -1, _MAP_PRIVATE | _MAP_ANONYMOUS
    if kind == "shared":
        return -1, _MAP_SHARED | _MAP_ANONYMOUS
    if kind == "memfd":
        file = os.memfd_create("workload")
    else:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if os.fstat(file).st_size < size:
        os.ftruncate(file, size)
    return file, _MAP_PRIVATE if kind == "private" else _MAP_SHARED


class Workload:
    """The areas by their names, as (start, size)."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.areas: dict[str, tuple[int, int]] = {}
        for place, area in enumerate(configuration.get("areas", [])):
            self._map(place, area)
        if "comm" in configuration:
            self.name(configuration["comm"])
        if "uid" in configuration:
            os.setuid(configuration["uid"])

    def _map(self, place: int, area: dict[str, Any]) -> None:
        size = area["size"]
        file, flags = _file_of(area.get("kind", "anon"), size, area.get("path", ""))
        prot = _PROT_READ | _PROT_WRITE | (_PROT_EXEC if area.get("exec") else 0)
        flags |= _MAP_FIXED_NOREPLACE | (_MAP_GROWSDOWN if area.get("stack") else 0)
        start = _BASE + place * _DISTANCE + area.get("shift", 0)
        _checked(_libc.mmap(start, size, prot, flags, file, 0) or 0, "mmap")
        if file >= 0:
            os.close(file)
        self.areas[area["name"]] = (start, size)
        if area.get("advice", "none") != "none":
            self.advise(area["name"], area["advice"])
        if area.get("locked"):
            _checked(_libc.mlock(start, size), "mlock")
        if area.get("touch"):
            self.touch(area["name"])

    def report(self) -> dict[str, Any]:
        """What this process is and has."""
        with open("/proc/self/cgroup", encoding="utf-8") as file:  # noqa: PTH123 - starts quickly
            cgroups = file.read()
        return {
            "pid": os.getpid(),
            "uid": os.getuid(),
            "cgroup": next(x[3:] for x in cgroups.splitlines() if x.startswith("0::")),
            "areas": {name: [start, start + size] for name, (start, size) in self.areas.items()},
        }

    def name(self, comm: str) -> None:
        """Take another name."""
        _checked(_libc.prctl(_PR_SET_NAME, comm.encode("latin-1"), None, None, None), "prctl")

    def advise(self, area: str, advice: str) -> int:
        """madvise(2) for an area; the error's number, 0 if it worked."""
        start, size = self.areas[area]
        return ctypes.get_errno() if _libc.madvise(start, size, ADVICE[advice]) else 0

    def touch(self, area: str, value: int = 1, first: int = 0, count: int = 0) -> int:
        """Write to an area, or to `count` bytes of it from `first`."""
        start, size = self.areas[area]
        ctypes.memset(start + first, value, count or size - first)
        return count or size - first

    def read(self, area: str) -> int:
        """Read a byte of each page of an area; their sum."""
        start, size = self.areas[area]
        page = os.sysconf("SC_PAGESIZE")
        return sum(ctypes.c_ubyte.from_address(start + at).value for at in range(0, size, page))

    def refault(self, area: str, times: int) -> int:
        """Throw an area away and write to it anew, again and again."""
        for number in range(times):
            self.advise(area, "dontneed")
            self.touch(area, number & 0xFF)
        return times

    def spin(self, milliseconds: int) -> int:
        """Use the processor for some time, writing to every area."""
        import time

        end, rounds = time.monotonic() + milliseconds / 1000, 0
        while time.monotonic() < end:
            for area in self.areas:
                self.touch(area, rounds & 0xFF)
            rounds += 1
        return rounds

    def smaps(self) -> int:
        """Read smaps; the number of areas in it."""
        with open("/proc/self/smaps", "rb") as file:  # noqa: PTH123
            return sum(line.startswith(b"VmFlags") for line in file)


def main() -> None:
    """Map, report, and do what the input says."""
    workload = Workload(json.loads(sys.argv[1]))
    _say(workload.report())
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        act: Callable[..., Any] = getattr(workload, command)
        try:
            answer = {"result": act(*arguments)}
        except OSError as error:
            answer = {"error": str(error)}
        _say(answer)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
