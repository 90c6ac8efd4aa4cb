from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

from policyc.hooks.btf import types as t
from policyc.hooks.btf.match import Match, Status, match
from policyc.hooks.btf.reader import parse_btf, read_btf
from policyc.hooks.loader import attributes, profiles
from tests.unit.btf_bytes import FIXTURES, Builder
from tests.unit.btf_policies import needs_clang

SHAPES = FIXTURES / "shapes"
REAL = FIXTURES / "real"


@cache
def shape(name: str) -> Match:
    return match(read_btf(SHAPES / f"{name}.btf"))


def missing(found: Match, profile: str) -> dict[str, Status]:
    """The attributes that a profile's programs do not get, pressure without its window."""
    return {
        name.removesuffix(".avg10"): item.status
        for (which, name), item in found.attributes.items()
        if which == profile and item.status != "readable" and ".avg60" not in name
        if ".avg300" not in name
    }


V7_FUNCTION = (
    "the function is int thp_get_order(struct vm_area_struct *, enum bpf_thp_vma_type, "
    "enum tva_type, unsigned long)"
)

OFFERED = {
    "stock-6.12": (),
    "vanilla-6.18": (),
    "v6": (),
    "v7": ("thp-v7", "mthp-v2", "numab-rfc1"),
    "v9": ("thp-v9", "mthp-v2", "numab-rfc1"),
    "v12": ("thp-v12", "mthp-v2", "numab-rfc1"),
    "mthp-only": ("mthp-v2",),
    "unregistered": (),
    "numab-renamed": ("thp-v9",),
    "numab-enabled": ("thp-v9",),
    "numab-wide": ("thp-v9",),
    "no-swap-event": ("thp-v12",),
    "renumbered": ("thp-v12",),
    "no-psi": ("thp-v12", "mthp-v2", "numab-rfc1"),
    "no-memcg": ("thp-v12", "mthp-v2", "numab-rfc1"),
    "narrow": ("thp-v12",),
    "wide": ("thp-v12",),
    "moved": ("thp-v12", "numab-rfc1"),
}


@pytest.mark.parametrize("name", OFFERED)
def test_what_each_kernel_offers(name: str) -> None:
    assert shape(name).offered == OFFERED[name]


def test_every_shape_is_expected_somewhere() -> None:
    assert {path.stem for path in SHAPES.glob("*.btf")} == set(OFFERED)


@pytest.mark.parametrize(
    ("name", "profile", "reasons", "instead"),
    [
        ("stock-6.12", "thp-v12", ("no struct bpf_thp_ops",), ()),
        (
            "v7",
            "thp-v9",
            (V7_FUNCTION,),
            ("thp-v7",),
        ),
        ("v9", "thp-v12", ("bpf_thp_ops has no pid",), ("thp-v9",)),
        ("v12", "thp-v9", ("bpf_thp_ops has pid too",), ("thp-v12",)),
        (
            "unregistered",
            "thp-v12",
            ("bpf_thp_ops is no hook here: no struct bpf_struct_ops_bpf_thp_ops",),
            (),
        ),
        ("numab-renamed", "numab-rfc1", ("no struct bpf_numab_ops; it has bpf_numa_ops",), ()),
        ("numab-enabled", "numab-rfc1", ("bpf_numab_ops has no hot_thresh",), ()),
        ("numab-wide", "numab-rfc1", ("cgroup_id is u64, not int",), ()),
    ],
)
def test_why_a_profile_is_not_offered(
    name: str, profile: str, reasons: tuple[str, ...], instead: tuple[str, ...]
) -> None:
    found = shape(name).profiles[profile]
    assert not found.offered
    assert (found.reasons, found.pointers) == (reasons, instead)


def test_an_older_function_is_named() -> None:
    (reason,) = shape("v6").profiles["thp-v7"].reasons
    assert reason.startswith("bpf_thp_ops has no function thp_get_order, but int get_suggested")


def test_testrun_needs_no_kernel() -> None:
    assert set(shape("v12").profiles) == set(profiles()) - {"testrun"}


def test_enumerations() -> None:
    assert not shape("stock-6.12").enumerations["event"].present
    assert shape("vanilla-6.18").enumerations["event"].missing == ("swap_pagefault",)
    whole = shape("v12")
    assert not whole.enumerations["event"].differs
    # Only the hook of v7 hands advice over.
    assert [e.name for e in whole.enumerations_of(profiles()["thp-v12"])] == ["event"]
    assert [e.name for e in shape("v7").enumerations_of(profiles()["thp-v7"])] == [
        "event",
        "advice",
    ]
    other = shape("renumbered").enumerations["event"]
    assert other.missing == ()
    assert dict(other.renumbered) == {
        "smaps": 2,
        "khugepaged": 3,
        "forced_collapse": 4,
        "swap_pagefault": 5,
    }
    assert other.unknown == (("TVA_NOTHING", 0),)


def test_everything_is_readable_in_a_whole_kernel() -> None:
    for name in ("v7", "v9", "v12"):
        for profile in shape(name).offered:
            assert missing(shape(name), profile) == {}


def test_attributes_without_pressure_or_memory_cgroups() -> None:
    pressure: dict[str, Status] = {
        name.removesuffix(".avg10"): "absent" for name in attributes() if name.endswith(".avg10")
    }
    assert len(pressure) == 12
    for profile in ("thp-v12", "mthp-v2", "numab-rfc1"):
        assert missing(shape("no-psi"), profile) == pressure
        assert missing(shape("no-memcg"), profile) == {
            "memory.usage": "absent",
            "memory.max": "absent",
            "memory.free": "absent",
        }


def test_attributes_of_other_widths() -> None:
    # Unsigned numbers are read in any width, as are vm_flags and user ids here.
    assert missing(shape("narrow"), "thp-v12") == {
        "task.comm": "refused",
        "cgroup": "refused",
        "cgroup.depth": "refused",
    }
    assert missing(shape("wide"), "thp-v12") == {"task.comm": "refused", "task.pid": "refused"}
    why = shape("wide").attributes["thp-v12", "task.comm"].why
    assert why == "struct task_struct.comm is char[32], not char[16]"
    why = shape("narrow").attributes["thp-v12", "cgroup.depth"].why
    assert why == "struct cgroup.level is short, not int"


def test_attributes_that_moved() -> None:
    found = shape("moved")
    refused = missing(found, "thp-v12")
    assert set(refused.values()) == {"refused"}
    # Without an owner, nothing of the task is found from an area; the area itself is.
    assert {"task.comm", "task.pid", "cgroup", "cgroup.depth", "memory.max"} <= set(refused)
    assert {"vma.size", "vma.advice", "mm.size", "psi.cpu.some"}.isdisjoint(refused)
    # The numa hook is handed the task, and the cgroup's id is a struct here.
    assert missing(found, "numab-rfc1") == {"mm.rss": "refused", "cgroup": "refused"}
    why = found.attributes["thp-v12", "vma.kind"].why
    assert why == "struct file has no member f_inode (it has f_node)"
    why = found.attributes["numab-rfc1", "mm.rss"].why
    assert why == "struct mm_struct.rss_stat is struct mm_rss_stat, not an array"


@pytest.mark.parametrize(
    ("module", "offered"),
    [("policyc_hooks", "thp-v12"), ("policyc_hooks_v7", "thp-v7"), ("policyc_hooks_v9", "thp-v9")],
)
def test_a_real_kernel_with_each_module(module: str, offered: str) -> None:
    kernel = read_btf(REAL / "debian-6.12.btf.xz")
    found = match(kernel, [read_btf(REAL / f"{module}.btf.xz", kernel)])
    assert found.offered == (offered, "mthp-v2", "numab-rfc1")
    assert found.profiles[offered].where == f"{module}.btf.xz"
    assert [item for item in found.attributes.values() if item.status != "readable"] == []
    assert set(found.struct_ops) == {"bpf_thp_ops", "bpf_mthp_ops", "bpf_numab_ops"}


def test_a_real_kernel_without_hooks() -> None:
    found = match(read_btf(REAL / "vanilla-6.18.btf.xz"))
    assert found.offered == ()
    assert found.enumerations["event"].missing == ("swap_pagefault",)
    assert [item for item in found.attributes.values() if item.status != "readable"] == []


def kernel_with_a_hook(*parameters: str, returns: str = "unsigned long") -> Match:
    """What a kernel with nothing but bpf_mthp_ops offers; its integers are named as gcc does."""
    builder = Builder()
    known = {
        "unsigned long": builder.integer("long unsigned int", 8, 0),
        "int": builder.integer(),
        "struct cgroup *": builder.add(t.Kind.PTR, "", builder.add(t.Kind.FWD, "cgroup")),
    }
    known["ulong"] = builder.add(t.Kind.TYPEDEF, "ulong", known["unsigned long"])
    tail = tuple(word for text in parameters for word in (0, known[text]))
    number = builder.add(t.Kind.FUNC_PROTO, "", known[returns], tail, count=len(parameters))
    function = builder.add(t.Kind.PTR, "", number)
    name = builder.string("mthp_choose")
    ops = builder.add(t.Kind.STRUCT, "bpf_mthp_ops", 8, (name, function, 0), count=1)
    name = builder.string("data")
    value = "bpf_struct_ops_bpf_mthp_ops"
    builder.add(t.Kind.STRUCT, value, 128, (name, ops, 512), count=1)
    return match(parse_btf(builder.data()))


@pytest.mark.parametrize(
    ("parameters", "returns", "offered"),
    [
        (("struct cgroup *", "unsigned long"), "unsigned long", True),
        (("struct cgroup *", "ulong"), "ulong", True),
        (("struct cgroup *", "int"), "unsigned long", False),
        (("unsigned long", "struct cgroup *"), "unsigned long", False),
        (("struct cgroup *",), "unsigned long", False),
        (("struct cgroup *", "unsigned long", "int"), "unsigned long", False),
        (("struct cgroup *", "unsigned long"), "int", False),
    ],
)
def test_the_whole_signature_counts(
    parameters: tuple[str, ...], returns: str, offered: bool
) -> None:
    found = kernel_with_a_hook(*parameters, returns=returns)
    assert (found.offered == ("mthp-v2",)) is offered


@pytest.mark.slow
def test_the_shapes_are_those_of_their_source(tmp_path: Path) -> None:
    needs_clang()
    if subprocess.run(
        ["llvm-objcopy-19", "--version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("llvm-objcopy-19 is missing: install llvm-19")
    command = [str(FIXTURES / "build.sh"), str(tmp_path)]
    subprocess.run(command, check=True, env={**os.environ, "CLANG": "clang-19"})
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SHAPES.iterdir()}
    for path in tmp_path.iterdir():
        assert match(read_btf(path)) == match(read_btf(SHAPES / path.name)), path.name
