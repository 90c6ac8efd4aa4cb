from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, environment, invoke

FIXTURES = ROOT / "tests" / "fixtures" / "btf"
SHAPES = FIXTURES / "shapes"
REAL = FIXTURES / "real"

SWAP = """policy swap;
let squeezed = psi.memory.full.avg10 > 5%;
thp {
    deny when event is swap_pagefault;
    deny when squeezed;
    otherwise pass;
}
thp for cgroup "/batch" {
    otherwise deny;
}
"""
BOTH = """policy both;
thp {
    deny when mm.rss < 8M;
    otherwise pass;
}
numa {
    balance when cgroup under "/db";
    otherwise off;
}
"""


def btf(*names: str) -> list[str]:
    return [word for name in names for word in ("--btf", str(SHAPES / f"{name}.btf"))]


@pytest.fixture
def swap(tmp_path: Path) -> str:
    path = tmp_path / "swap.thp"
    path.write_text(SWAP)
    return str(path)


def test_a_kernel_without_a_policy() -> None:
    result = invoke("check", *btf("v12"), COLUMNS="300")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"kernel {SHAPES / 'v12.btf'}"
    offered = {line.split()[0]: line.split()[1] for line in lines[2:7]}
    assert offered == {
        "thp-v7": "·",
        "thp-v9": "·",
        "thp-v12": "✓",
        "mthp-v2": "✓",
        "numab-rfc1": "✓",
    }
    assert "bpf_thp_ops has pid too (that is thp-v12)" in result.stdout
    assert "differs" not in result.stdout


def test_what_differs_is_named_once() -> None:
    result = invoke("check", *btf("moved", "no-psi", "no-swap-event"))
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "always absent cgroup.psi.*, psi.* enum psi_states has no PSI_*" in text
    assert "enum tva_type has no swap_pagefault" in text
    assert "mm.rss struct mm_struct.rss_stat is struct mm_rss_stat, not an array" in text
    # The hooks reach the task in ways of their own.
    assert "struct mm_struct has no member owner (thp-v12)" in text
    assert text.count("struct kernfs_node.id is struct") == 2


def test_a_policy_on_kernels_that_run_it(swap: str) -> None:
    result = invoke("check", swap, *btf("v7", "v12"), COLUMNS="300")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines() if line.startswith(swap)]
    assert rows[-2:] == [
        [swap, "thp", "thp-v7", str(SHAPES / "v7.btf")],
        [swap, "thp", "thp-v12", str(SHAPES / "v12.btf")],
    ]


def test_what_means_nothing_there_is_a_warning(swap: str) -> None:
    result = invoke("check", swap, "--format", "concise", *btf("no-swap-event", "no-psi"))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    psi, swap_in = lines[0], lines[1]
    assert psi.startswith(f"{swap}:2:16: warning[PC0703] `psi.memory.full.avg10` is always absent")
    assert psi.count(str(SHAPES / "no-psi.btf")) == 1
    assert swap_in.startswith(f"{swap}:4:15: warning[PC0704] `swap_pagefault` never occurs")
    assert str(SHAPES / "no-swap-event.btf") in swap_in
    assert lines[2] == f"{swap}: 2 warnings"


def test_what_cannot_be_read_is_an_error_where_the_policy_asks(tmp_path: Path) -> None:
    path = tmp_path / "both.thp"
    path.write_text(BOTH)
    names = btf("v12", "moved")
    result = invoke("check", str(path), "--format", "concise", *names, COLUMNS="300")
    assert result.exit_code == 1
    errors = [line for line in result.stdout.splitlines() if "error[" in line]
    assert [line.split()[0] for line in errors] == [f"{path}:3:15:", f"{path}:7:18:"]
    assert "PC0702" in errors[0]
    assert "thp-v12 cannot read `mm.rss`" in errors[0]
    assert "numab-rfc1 cannot read `cgroup`" in errors[1]
    assert "v12.btf" not in errors[0].partition(" in ")[2]
    rows = [line.split() for line in result.stdout.splitlines()[-4:]]
    assert [row[1:4] for row in rows[2:]] == [["thp", "cannot", "run"], ["numa", "cannot", "run"]]


def test_a_scope_needs_the_cgroup(tmp_path: Path) -> None:
    path = tmp_path / "scoped.thp"
    path.write_text('policy p; thp for cgroup "/x" { otherwise deny; }')
    result = invoke("check", str(path), *btf("narrow"), "--format", "concise")
    assert result.exit_code == 1
    assert f"{path}:1:11: error[PC0702] thp-v12 cannot read `cgroup`" in result.stdout


def test_a_kernel_whose_only_hook_lacks_an_attribute(swap: str) -> None:
    result = invoke("check", swap, *btf("mthp-only"), "--format", "concise")
    assert result.exit_code == 1
    assert "4:15: error[PC0601] mthp-v2 cannot supply `event` in " in result.stdout


def test_a_kernel_without_the_hook(swap: str) -> None:
    result = invoke("check", swap, *btf("stock-6.12"))
    assert result.exit_code == 1
    assert "error[PC0701]: nothing can run thp blocks in" in result.stdout
    assert "thp-v12: no struct bpf_thp_ops" in result.stdout
    assert result.stdout.count("PC0701") == 1


def test_only_the_profiles_that_are_named_count(swap: str) -> None:
    assert invoke("check", swap, *btf("v9"), "--profile", "thp-v9").exit_code == 0
    result = invoke("check", swap, *btf("v9"), "--profile", "thp-v7")
    assert result.exit_code == 1
    assert "thp-v7: the function is int thp_get_order(" in result.stdout
    assert "numab" not in result.stdout.partition("kernel ")[0]


def test_the_ordinary_check_is_for_what_the_kernel_offers(tmp_path: Path) -> None:
    path = tmp_path / "leave.thp"
    path.write_text("policy p; thp { deny when vma.size < 8M; otherwise pass; }")
    note = "thp-v9 has no way to leave a request alone"
    assert note in invoke("check", str(path), *btf("v9")).stdout
    assert note not in invoke("check", str(path), *btf("v12")).stdout


def test_a_policy_with_errors_is_not_compared() -> None:
    broken = "policy p; thp { deny when vma.size > 200ms; otherwise pass; }"
    result = invoke("check", "-", *btf("v12"), "--format", "concise", stdin=broken)
    assert result.exit_code == 1
    assert "PC0301" in result.stdout
    assert "on the kernel" not in result.stdout


def test_json_has_kernels_and_verdicts(swap: str) -> None:
    result = invoke("check", swap, *btf("v7", "no-psi", "renumbered"), "--format", "json")
    document = json.loads(result.stdout)
    assert [k["kernel"] for k in document["kernels"]] == [
        str(SHAPES / f"{name}.btf") for name in ("v7", "no-psi", "renumbered")
    ]
    v7, no_psi, renumbered = document["kernels"]
    assert [p["name"] for p in v7["profiles"] if p["offered"]] == [
        "thp-v7",
        "mthp-v2",
        "numab-rfc1",
    ]
    (v12,) = (p for p in v7["profiles"] if p["name"] == "thp-v12")
    assert v12["instead"] == ["thp-v7"]
    assert v7["attributes"] == []
    absent = {a["name"] for a in no_psi["attributes"] if a["status"] == "absent"}
    assert "psi.io.some.avg300" in absent
    (event,) = (e for e in renumbered["enumerations"] if e["name"] == "event")
    assert event["renumbered"]["smaps"] == 2
    assert document["verdicts"][0] == {
        "file": swap,
        "kernel": str(SHAPES / "v7.btf"),
        "runs": True,
        "profiles": {"thp": ["thp-v7"]},
    }
    assert {d["code"] for d in document["diagnostics"]} == {"PC0703"}
    assert document["files"][0]["warnings"] == 1


def test_json_without_kernels_is_as_it_was(swap: str) -> None:
    document = json.loads(invoke("check", swap, "--format", "json").stdout)
    assert set(document) == {"files", "diagnostics", "errors", "warnings"}


def test_a_module_belongs_to_the_kernel_before_it(swap: str) -> None:
    kernel, module = REAL / "debian-6.12.btf.xz", REAL / "policyc_hooks_v7.btf.xz"
    result = invoke("check", swap, "--btf", str(kernel), "--btf", str(module))
    assert result.exit_code == 0
    assert result.stdout.count("\nkernel ") == 1
    assert "policyc_hooks_v7.btf.xz" in result.stdout
    result = invoke("check", "--btf", str(module))
    assert result.exit_code == 2
    assert "name the file of its kernel first" in result.stderr
    other = REAL / "vanilla-6.18.btf.xz"
    result = invoke("check", "--btf", str(other), "--btf", str(module))
    assert result.exit_code == 2
    assert "do not continue those of" in result.stderr


def test_a_directory_is_a_kernel_or_has_kernels(tmp_path: Path) -> None:
    tree = tmp_path / "debian"
    tree.mkdir()
    shutil.copy(REAL / "debian-6.12.btf.xz", tree / "vmlinux")
    shutil.copy(REAL / "policyc_hooks.btf.xz", tree / "policyc_hooks")
    (tree / "README").write_text("not a module")
    shutil.copy(SHAPES / "v9.btf", tmp_path / "patched")
    (tmp_path / "notes.txt").write_text("not a kernel")
    (tmp_path / "empty").mkdir()
    one = json.loads(invoke("check", "--btf", str(tree), "--format", "json").stdout)
    (kernel,) = one["kernels"]
    assert kernel["kernel"] == str(tree)
    assert "bpf_mthp_ops" in kernel["struct_ops"]
    both = json.loads(invoke("check", "--btf", str(tmp_path), "--format", "json").stdout)
    assert [k["kernel"] for k in both["kernels"]] == [str(tree), str(tmp_path / "patched")]
    result = invoke("check", "--btf", str(tmp_path / "empty"))
    assert result.exit_code == 2
    assert "no kernel's type information" in result.stderr


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "the ELF header"),
        (SHAPES.joinpath("v12.btf").read_bytes()[:200], "behind the end|within the 200 bytes"),
        (b"\x9f\xeb\x02" + bytes(40), "version 2 at byte 2; expected 1"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "kernel.btf"
    path.write_bytes(data)
    result = invoke("check", "--btf", str(path))
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert re.search(said, result.stderr)
    assert invoke("check", "--btf", str(tmp_path / "nowhere")).exit_code == 2


def test_without_a_policy_and_a_kernel_it_is_wrong_usage() -> None:
    result = invoke("check")
    assert result.exit_code == 2
    assert "Missing argument '[FILE|DIR]...'" in result.stderr


def test_a_plain_check_does_not_load_the_reader(swap: str) -> None:
    program = (
        "import sys; from policyc.cli.application import policyc; "
        f"policyc.main(['check', {swap!r}], standalone_mode=False); "
        "print([name for name in sys.modules if 'btf' in name or 'kernels' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment(), check=True
    )
    assert done.stdout.splitlines()[-1] == b"[]"
