"""`policyc run`: attached while it runs, in step with the cgroups, and gone with the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from policyc.hooks.loader import profiles
from policyc.kernel.errors import KernelError
from policyc.kernel.session import Session
from tests.kernel.guest.attached import attached
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.guest.thp import Thp
from tests.kernel.guest.waiting import wait_for
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import Program, policy, thp_policy

SIZE = 8 * MIB

LATE_TEXT = """
policy late;
thp {
    allow pmd when cgroup under "/late";
    otherwise deny;
}
"""
LATE = thp_policy(LATE_TEXT)

MASK = policy('policy mask; thp for cgroup "/in" { otherwise deny; }', "mthp-v2")

NUMA = policy(
    'policy trees; numa for cgroup "/in" { hot_threshold = 20ms; otherwise balance; }', "numab-rfc1"
)

#: clang is not in the VM: the object that the host compiled from the same text.
COMMAND = """
import sys
from pathlib import Path
from policyc.emit import clang
made = Path(sys.argv.pop(1))
clang.compile_object = lambda text: made.read_bytes()
from policyc.cli.main import main
main()
"""


#: A Python of its own takes seconds on an emulated CPU, so one signature must do for these.
one_signature = pytest.mark.parametrize("signature", offered_signatures()[:1], indirect=True)


def session(program: Program) -> Session:
    """A policy attached by its attach plan."""
    plan = program.plan()
    return Session(plan, [(plan.hooks[0], profiles()[program.profile])], lambda _: program.object())


def huge_in(cgroup: Cgroup) -> int:
    with Workload(cgroup) as workload:
        return workload.huge(workload.touched(SIZE))


@contextmanager
def running(directory: Path, program: Program) -> Generator[subprocess.Popen[str]]:
    """`policyc run` at work; killed at the end of the block if it still is."""
    file, made = directory / "late.thp", directory / "late.bpf.o"
    file.write_text(LATE_TEXT, "utf-8")
    made.write_bytes(program.object())
    command = [sys.executable, "-c", COMMAND, str(made), "run", str(file)]
    command += ["--profile", program.profile]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said_until(process: subprocess.Popen[str], end: str) -> str:
    """What it prints, up to a line."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(end):
            return said
    _, errors = process.communicate()
    pytest.fail(f"it ended with {process.returncode}: {said}{errors}")


@one_signature
def test_attached_while_it_runs(thp: Thp, cgroups: Cgroups, signature: str, tmp_path: Path) -> None:
    outside = cgroups.make("/out")
    with running(tmp_path, LATE[signature]) as process:
        said = said_until(process, "Ctrl-C")
        assert f"thp attached as thp-{signature} to the whole system" in said
        assert huge_in(outside) == 0
        late = cgroups.make("/late")  # the policy names it; it is found when it comes
        wait_for(lambda: huge_in(late) == SIZE, "the new cgroup to be found")
        assert huge_in(outside) == 0
        with pytest.raises(KernelError) as refused, attached(LATE[signature]):
            pass
        assert refused.value.number == errno.EBUSY
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert output.startswith("detached\n")
    rows = [line.split() for line in output.splitlines() if "late.thp:" in line]
    assert all(int(row[0].replace(",", "")) > 0 for row in rows), output
    assert len(rows) == 2
    assert huge_in(outside) == SIZE


@one_signature
def test_a_second_one_is_refused(cgroups: Cgroups, signature: str, tmp_path: Path) -> None:
    with attached(LATE[signature]), running(tmp_path, LATE[signature]) as process:
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert "EBUSY" in errors
    assert "Traceback" not in errors


@one_signature
def test_a_killed_one_leaves_nothing(
    thp: Thp, cgroups: Cgroups, signature: str, tmp_path: Path
) -> None:
    outside = cgroups.make("/out")
    with running(tmp_path, LATE[signature]) as process:
        said_until(process, "Ctrl-C")
        assert huge_in(outside) == 0
        process.kill()
    wait_for(lambda: huge_in(outside) == SIZE, "the stock behaviour")


def test_an_instance_for_each_cgroup_of_a_tree(cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    cgroups.make("/in/first")
    with session(NUMA) as live:
        assert [item.cgroup for item in live.attachments] == ["/in", "/in/first"]
        second = cgroups.make("/in/second")
        live.refresh()
        assert [item.cgroup for item in live.attachments] == ["/in", "/in/first", "/in/second"]
        second.remove()
        live.refresh()
        assert [item.cgroup for item in live.attachments] == ["/in", "/in/first"]
        data = {"cgroup_id": inside.id}
        with pytest.raises(KernelError) as refused, attached(NUMA, data=data):
            pass
        assert refused.value.number == errno.EBUSY
    with attached(NUMA, data={"cgroup_id": inside.id}):
        pass  # all of them are detached


def test_a_subtree_that_comes_later(thp: Thp, cgroups: Cgroups) -> None:
    outside = cgroups.make("/out")
    with session(MASK) as live:
        assert live.attachments == ()
        inside = cgroups.make("/in")
        live.refresh()
        assert [item.cgroup for item in live.attachments] == ["/in"]
        assert (huge_in(inside), huge_in(outside)) == (0, SIZE)
        assert sum(live.counters().values()) > 0
    assert huge_in(inside) == SIZE
