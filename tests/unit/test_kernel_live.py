"""The room policyc/kernel/, as far as any kernel can show it; the hooks are in tests/kernel."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import ToolMissing, compile_object, find_clang
from policyc.hooks.btf import running
from policyc.hooks.btf.match import match
from policyc.hooks.loader import profiles
from policyc.kernel import cgroups, state
from policyc.kernel.errors import KernelError, KernelToolMissing, NotOffered, Rejected, error_name
from policyc.kernel.library import unavailable
from policyc.kernel.objects import Loaded, load
from policyc.kernel.ring_buffer import RingBuffer
from policyc.kernel.testrun import TestRun
from policyc.kernel.verifier_log import reason_of, statistics_of, tail_of
from policyc.plan.evaluate import State


def no_clang() -> str:
    try:
        find_clang()
    except ToolMissing as missing:
        return str(missing)
    return ""


loads = [
    pytest.mark.kernel,
    pytest.mark.skipif(bool(unavailable()), reason=unavailable() or "-"),
    pytest.mark.skipif(bool(no_clang()), reason=no_clang() or "-"),
]

HEAD = """
#pragma clang diagnostic ignored "-Wunused-parameter"
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
"""

RING = f"""{HEAD}
struct {{ __uint(type, 27); __uint(max_entries, 4096); }} ring SEC(".maps");
struct {{ __uint(type, 1); __uint(max_entries, 3); __type(key, __u32); __type(value, __u64); }}
	table SEC(".maps");
SEC("xdp")
int say(void *context)
{{
	__u64 number = 42;

	bpf_ringbuf_output(&ring, &number, sizeof(number), 0);
	return 2;
}}
"""

REFUSED = f"""{HEAD}
SEC("xdp")
int follow(void *context)
{{
	return *(volatile int *)0xdead;
}}
"""


@pytest.fixture
def ring() -> Iterator[Loaded]:
    with load(compile_object(RING)) as loaded:
        yield loaded


class TestLoaded:
    pytestmark = loads

    def test_programs_and_maps(self, ring: Loaded) -> None:
        (program,) = ring.programs
        assert program.name == "say"
        assert 0 < program.verified_instructions <= 20
        # A load of 64 bits has the room of two instructions and is one.
        assert program.verified_instructions == program.instructions - 1
        assert program.stack == (8,)
        assert program.verification_ns > 0
        assert ring.map_names == {"ring", "table"}
        assert ring.struct_ops == ()
        with pytest.raises(KeyError):
            ring.map("nothing")
        with pytest.raises(ValueError, match="0 instances"):
            ring.attach()

    def test_what_a_map_holds(self, ring: Loaded) -> None:
        table = ring.map("table")
        assert table.lookup(bytes(4)) is None
        assert table.delete(bytes(4)) is False
        elements = {struct.pack("=I", n): struct.pack("=Q", n * n) for n in (1, 2, 3)}
        table.replace(elements)
        assert dict(table.items()) == elements
        # The room of those that go is needed for those that come.
        others = {struct.pack("=I", n): struct.pack("=Q", n) for n in (3, 4, 5)}
        table.replace(others)
        assert dict(table.items()) == others
        assert sorted(table.keys()) == sorted(others)
        with pytest.raises(KernelError, match="E2BIG") as full:
            table.update(struct.pack("=I", 9), bytes(8))
        assert full.value.number == errno.E2BIG
        for key, value in ((bytes(3), bytes(8)), (bytes(4), bytes(7))):
            with pytest.raises(ValueError, match="bytes, not"):
                table.update(key, value)

    def test_a_ring_buffer_is_read_once(self, ring: Loaded) -> None:
        run = TestRun(ring.program_descriptor("say"), 14)
        with RingBuffer(ring.map("ring")) as buffer:
            assert buffer.read() == []
            run.run(b"")
            run.run(b"")
            assert buffer.read(1000) == [struct.pack("=Q", 42)] * 2
            assert buffer.read() == []
        with pytest.raises(KernelError, match="is no ring buffer"):
            RingBuffer(ring.map("table"))

    def test_a_refusal_has_the_log(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(Rejected) as refused:
            load(compile_object(REFUSED))
        assert refused.value.program == "follow"
        assert refused.value.number == errno.EACCES
        assert reason_of(refused.value.log).startswith("R1 invalid mem access 'scalar'")
        assert "; return *(volatile int *)0xdead" in refused.value.log
        # Nothing of libbpf's reaches the terminal.
        assert capfd.readouterr() == ("", "")

    def test_no_object(self) -> None:
        with pytest.raises(KernelError, match="cannot be opened"):
            load(b"\x7fELF and nothing more")

    def test_data_members(self) -> None:
        text = "policy p; thp { otherwise deny; }"
        plan = check_text(text, "p.thp", profiles=["thp-v12"]).plan
        assert plan is not None
        data = compile_object(emit_bpf(plan, profiles()["thp-v12"]))
        try:
            for wrong in ({"pid": 1 << 40}, {"hot_thresh": 1}, {"thp_get_order": 1}):
                with pytest.raises(ValueError, match=r"does not fit|no data member"):
                    load(data, data=wrong)
        except KernelToolMissing as missing:
            pytest.skip(str(missing))
        kernel, *modules = running()
        if "thp-v12" in match(kernel, modules).offered:
            pytest.skip("this kernel has the hook, which tests/kernel are for")
        with pytest.raises(NotOffered, match="bpf_thp_ops"):
            load(data, data={"pid": 0})

    def test_a_state_replaces_another(self) -> None:
        text = """policy p; set names : string = { "a" }; set groups : cgroup = { "/x" };
        param limit : size = 1M in 0B..1G;
        thp { deny when task.comm in names or cgroup under groups or mm.rss > limit;
              deny when cgroup under "/a"; otherwise pass; }"""
        plan = check_text(text, "p.thp", profiles=["testrun"]).plan
        assert plan is not None
        ids = {"/x": 7, "/a": 8}
        with load(compile_object(emit_bpf(plan, profiles()["testrun"]))) as loaded:
            first = State(
                {"names": frozenset([b"a", b"b"]), "groups": frozenset(["/x"])}, {"limit": 5}
            )
            state.fill(loaded, plan, first, ids.get)
            assert sorted(loaded.map("set_names").keys()) == [
                b"a".ljust(16, b"\0"),
                b"b".ljust(16, b"\0"),
            ]
            assert loaded.map("set_groups").keys() == [struct.pack("=Q", 7)]
            assert dict(loaded.map("policy_paths").items()) == {
                struct.pack("=Q", 8): struct.pack("=Q", 1)
            }
            assert loaded.map(".data.params").lookup(bytes(4)) == struct.pack("=Q", 5)
            # Names that no task can have, and cgroups that are not there, have no key.
            long = State(
                {"names": frozenset([b"x" * 16]), "groups": frozenset(["/y"])}, {"limit": 6}
            )
            state.fill(loaded, plan, long, {"/y": None}.get)
            for name in ("set_names", "set_groups", "policy_paths"):
                assert loaded.map(name).keys() == [], name
            assert state.counters(loaded, plan) == {0: 0, 1: 0, 2: 0}


@pytest.mark.skipif(not Path("/sys/fs/cgroup").exists(), reason="no cgroups here")
def test_cgroups_by_path_and_id() -> None:
    try:
        mount = cgroups.mount_point()
    except KernelToolMissing as missing:
        pytest.skip(str(missing))
    root = cgroups.cgroup_id("/")
    assert root is not None
    assert root == mount.stat().st_ino
    assert cgroups.cgroup_id("/there/is/none") is None
    assert cgroups.cgroup_id("/cgroup.procs") is None
    assert cgroups.directory_of("/a/b") == mount / "a/b"
    try:
        assert cgroups.cgroup_path(root) == "/"
        assert cgroups.cgroup_path(1 << 60) is None
    except KernelError as error:
        assert error.number == errno.EPERM  # noqa: PT017 - without CAP_DAC_READ_SEARCH


def test_statistics_of_a_log() -> None:
    log = """0: (b7) r0 = 0
verification time 321 usec
stack depth 104+0+16
processed 4242 insns (limit 1000000) max_states_per_insn 4 total_states 77 peak_states 66
"""
    found = statistics_of(log)
    assert (found.processed, found.limit) == (4242, 1_000_000)
    assert (found.total_states, found.peak_states) == (77, 66)
    assert (found.stack, found.microseconds) == ((104, 0, 16), 321)
    assert tail_of(log, 5) == ["0: (b7) r0 = 0"]
    assert statistics_of("").stack == ()
    assert reason_of("") == ""


def test_errors_have_names() -> None:
    assert error_name(-errno.EBUSY) == "EBUSY (Device or resource busy)"
    assert "524" in error_name(524)
