"""The emitted C, built by the host's compiler and run in this process."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from policyc.emit.bpf import emit_bpf
from policyc.emit.layout import answer_layout, params_layout, request_layout
from policyc.hooks.loader import profiles
from policyc.kernel.closing import Closing
from policyc.kernel.state import path_elements, set_keys
from policyc.plan import nodes as n
from policyc.plan.evaluate import State

__all__ = ["HostLane", "available"]

_SHIM = Path(__file__).parent / "host_shim"
_FLAGS = (
    "-std=gnu11",
    "-O1",
    "-fPIC",
    "-shared",
    "-w",
    "-fsanitize=undefined",
    "-fsanitize-undefined-trap-on-error",
    "-fno-sanitize-recover=all",
    "-DPOLICYC_HOST",
)


def _compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def available() -> str:
    """Why the lane cannot run here, empty if it can."""
    return "" if _compiler() else "no C compiler (gcc or cc) on the PATH"


class HostLane(Closing):
    """A plan as a shared library; `ids` numbers cgroup paths as the requests do."""

    def __init__(self, plan: n.Plan, ids: Callable[[str], int]) -> None:
        self._plan = plan
        self._ids = ids
        self._kept: list[object] = []
        self._directory = tempfile.TemporaryDirectory(prefix="policyc-host-")
        self._library = self._build(emit_bpf(plan, profiles()["testrun"]))
        self._counters = self._table(
            "rule_counters", [struct.pack("=I", r.index) for r in plan.rules], 8
        )
        for name, elements in path_elements(plan, ids).items():
            values = list(elements.values())
            self._table(name, list(elements), len(values[0]), b"".join(values))

    def _build(self, text: str) -> ctypes.CDLL:
        compiler = _compiler()
        assert compiler is not None
        hooks = "".join(f"LANE({hook.hook.value})\n" for hook in self._plan.hooks)
        library = Path(self._directory.name) / "policy.so"
        subprocess.run(
            [compiler, *_FLAGS, "-I", str(_SHIM), "-x", "c", "-", "-o", str(library)],
            input=f'{text}\n#include "lane.h"\n{hooks}',
            text=True,
            check=True,
        )
        return ctypes.CDLL(str(library))

    def _table(
        self, name: str, keys: list[bytes], value_size: int, values: bytes = b""
    ) -> ctypes.Array[ctypes.c_char] | None:
        try:
            address = ctypes.addressof(ctypes.c_char.in_dll(self._library, name))
        except ValueError:
            return None
        key_bytes = ctypes.create_string_buffer(b"".join(keys), max(1, sum(map(len, keys))))
        value_bytes = ctypes.create_string_buffer(values, max(1, len(keys) * value_size))
        self._kept += [key_bytes, value_bytes]
        key_size = len(keys[0]) if keys else 8
        self._library.lane_table(
            ctypes.c_void_p(address),
            ctypes.c_uint(key_size),
            ctypes.c_uint(value_size),
            ctypes.c_ulong(len(keys)),
            key_bytes,
            value_bytes,
        )
        return value_bytes

    def set_state(self, state: State) -> None:
        """Give sets and parameters their values."""
        for name, keys in set_keys(self._plan, state, self._ids).items():
            self._table(f"set_{name}", keys, 1)
        layout = params_layout(self._plan)
        try:
            params = (ctypes.c_uint64 * len(layout)).in_dll(self._library, "params")
        except ValueError:
            return
        for item in layout:
            params[item.offset // 8] = int(state.params[item.name])

    def decide(self, hook: n.HookPlan, requests: Sequence[bytes]) -> list[bytes]:
        """The answers to some requests, in one call."""
        size = answer_layout(self._plan, hook).size
        assert all(len(item) == request_layout(self._plan, hook).size for item in requests[:1])
        answers = ctypes.create_string_buffer(max(1, size * len(requests)))
        function = self._library[f"lane_{hook.hook.value}"]
        function(b"".join(requests), answers, ctypes.c_ulong(len(requests)))
        data = answers.raw
        return [data[i * size : (i + 1) * size] for i in range(len(requests))]

    def counters(self) -> dict[int, int]:
        """How often each rule decided."""
        if self._counters is None:
            return {}
        counts = struct.unpack(f"={len(self._plan.rules)}Q", self._counters.raw)
        return {rule.index: count for rule, count in zip(self._plan.rules, counts, strict=True)}

    def close(self) -> None:
        """Unload the library and remove it."""
        unload = ctypes.CDLL(None).dlclose
        unload(ctypes.c_void_p(self._library._handle))
        self._directory.cleanup()
