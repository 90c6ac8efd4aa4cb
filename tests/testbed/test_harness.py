"""A test run in a VM may hang, die or leave damage: none of that may pass for success."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from testbed.vm import machine
from testbed.vm.machine import Boot, Ended
from testbed.vm.results import Counts, counts_of
from testbed.vm.run import run_machine
from tests.kernel.guest.kernel_log import complaints

PASSING = '<testsuite tests="3" failures="0" errors="0" skipped="1"/>'


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    unused = tmp_path / "unused"
    return Boot(
        unused,
        unused,
        "two-nodes",
        "tcg",
        console=tmp_path / "console",
        output=tmp_path / "files.tar",
        timeout=20,
        silence=10,
    )


def run_script(monkeypatch: pytest.MonkeyPatch, boot: Boot, script: str) -> tuple[Ended, list[str]]:
    """A run of which the machine is a script for sh(1)."""
    monkeypatch.setattr(machine, "command_of", lambda _: ["sh", "-c", script])
    lines: list[str] = []
    return machine.run(boot, lines.append), lines


def shortened(boot: Boot, **times: float) -> Boot:
    values = {name: getattr(boot, name) for name in Boot.__slots__}
    return Boot(**{**values, **times})


def test_every_line_is_handed_on(monkeypatch: pytest.MonkeyPatch, boot: Boot) -> None:
    ended, lines = run_script(monkeypatch, boot, r"printf 'one\r\ntwo\n\377\n'")
    assert (ended.why, lines) == ("", ["one", "two", "�"])


def test_a_silent_machine_is_ended(monkeypatch: pytest.MonkeyPatch, boot: Boot) -> None:
    quick = shortened(boot, silence=0.3)
    ended, lines = run_script(monkeypatch, quick, "echo last; exec sleep 60")
    assert (ended.why, lines) == ("no line for 0 s", ["last"])
    assert ended.seconds < 10


def test_a_machine_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, boot: Boot) -> None:
    quick = shortened(boot, timeout=0.5)
    ended, lines = run_script(monkeypatch, quick, "while echo again; do sleep 0.05; done")
    assert ended.why == "not over after 0 s"
    assert lines
    assert ended.seconds < 10


def test_a_machine_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, boot: Boot) -> None:
    ended, lines = run_script(monkeypatch, boot, "echo qemu: no such device >&2; exit 1")
    assert ended.why.endswith("ended with status 1")
    assert lines == ["qemu: no such device"]


def leave(files: dict[str, str], console: str, directory: Path) -> str:
    """A script that leaves what a VM leaves."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    kept = directory / "kept.tar"
    kept.write_bytes(archive.getvalue())
    (directory / "kept.console").write_text(console, "utf-8")
    return f"cp {kept} {directory}/files.tar; cp {directory}/kept.console {directory}/console"


NO_END, NOT_RUN = "the tests did not come to their end", "pytest could not run the tests"


def failed(passed: int, skipped: int, why: str) -> Counts:
    """One failure, with its reason."""
    return Counts(passed, 1, skipped, (f"two-nodes: {why}",))


@pytest.mark.parametrize(
    ("files", "console", "counts"),
    [
        ({"junit.xml": PASSING, "exit-status": "0\n"}, "[1.0] booted\n", Counts(2, 0, 1)),
        ({"junit.xml": PASSING}, "[1.0] booted\n", failed(2, 1, NO_END)),
        ({"junit.xml": PASSING, "exit-status": "4\n"}, "", failed(2, 1, NOT_RUN)),
        ({}, "[1.0] Kernel panic - not syncing: Attempted to kill init!\n", failed(0, 0, NO_END)),
        (
            {"junit.xml": PASSING, "exit-status": "0\n"},
            "[9.1] WARNING: CPU: 1 PID: 77 at mm/huge_memory.c:999\n",
            failed(2, 1, "the kernel complained:"),
        ),
    ],
    ids=["fine", "no-end", "pytest-failed", "panic", "warning"],
)
def test_what_the_machine_left_is_judged(
    *,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    boot: Boot,
    files: dict[str, str],
    console: str,
    counts: Counts,
) -> None:
    script = leave(files, console, tmp_path)
    monkeypatch.setattr(machine, "command_of", lambda _: ["sh", "-c", script])
    (tmp_path / "files").mkdir()
    assert run_machine("stock", boot, tmp_path) == counts


def test_counts_are_those_of_pytest(tmp_path: Path) -> None:
    tests = tmp_path / "test_all.py"
    tests.write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def broken(): raise ValueError\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "def test_broken(broken): pass\n"
        "@pytest.mark.skip(reason='why')\n"
        "def test_skipped(): pass\n",
        "utf-8",
    )
    report = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--junitxml={report}"]
    subprocess.run([*command, str(tests)], cwd=tmp_path, capture_output=True, check=False)
    found = counts_of(report)
    assert (found.passed, found.failed, found.skipped) == (1, 2, 1)
    assert [reason.split(": ")[0] for reason in found.reasons] == [
        "test_all::test_bad",
        "test_all::test_broken",
    ]
    assert not found.good


def test_a_run_without_a_passing_test_is_not_good() -> None:
    assert not Counts(0, 0, 7).good
    assert Counts(1, 0, 7).good


@pytest.mark.parametrize(
    "line",
    [
        "WARNING: CPU: 0 PID: 1 at kernel/bpf/bpf_struct_ops.c:12 bpf_struct_ops_put+0x1/0x2",
        "BUG: kernel NULL pointer dereference, address: 0000000000000008",
        "BUG: sleeping function called from invalid context at mm/slab.h:1",
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        "Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
        "refcount_t: underflow; use-after-free.",
        "list_del corruption. prev->next should be ffff, but was 0000",
        "Kernel panic - not syncing: Fatal exception",
    ],
)
def test_complaints_of_the_kernel_are_found(line: str) -> None:
    log = f"[    0.1] Linux version 6.12\n[    9.9] {line}\n[   10.0] policyc_hooks: loaded\n"
    assert complaints(log) == [f"[    9.9] {line}"]


def test_other_messages_are_no_complaints() -> None:
    assert not complaints(
        "policyc_hooks: loading out-of-tree module taints kernel.\n"
        "debugfs: Directory 'BUGS' with parent '/' already present!\n"
        "Warning: unable to open an initial console.\n"
    )
