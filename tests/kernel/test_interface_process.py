"""bpf_thp_ops v12: instances of single processes beside a global one."""

from __future__ import annotations

import errno
import os

import pytest

from policyc.kernel.errors import KernelError
from policyc.kernel.objects import load
from tests.kernel.guest.answers import answering, set_answer
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.guest.workload import MIB, Workload
from tests.kernel.policies import c_program

ANSWER = c_program("answer_thp.bpf.c", THP=12)
SIZE = 4 * MIB

pytestmark = [
    pytest.mark.skipif(
        "v12" not in offered_signatures(), reason="only v12 has instances of processes"
    ),
    pytest.mark.parametrize("signature", ["v12"], indirect=True),
    pytest.mark.usefixtures("signature"),
]


def huge(workload: Workload) -> int:
    """How many of SIZE fresh bytes are PMD-mapped."""
    region = workload.touched(SIZE)
    found = workload.huge(region)
    workload.unmap(region)
    return found


def of(workload: Workload) -> dict[str, int]:
    return {"pid": workload.pid}


def attach_error(pid: int) -> int:
    """The error number of attaching to a process."""
    with pytest.raises(KernelError) as refused, answering(ANSWER, 0, data={"pid": pid}):
        pass
    return refused.value.number


def test_an_instance_is_for_its_process_alone() -> None:
    with Workload() as mine, Workload() as other:
        with answering(ANSWER, 0, data=of(mine)) as hook:
            assert (huge(mine), huge(other)) == (0, SIZE)
            assert hook.requests(mine.pid)
            assert not hook.requests(other.pid)
        assert huge(mine) == SIZE


def test_processes_that_cannot_have_one() -> None:
    with Workload() as ended:
        pass
    assert attach_error(ended.pid) == errno.ESRCH
    assert attach_error(-1) == errno.ESRCH
    assert attach_error(2) == errno.EINVAL  # kthreadd has no memory
    with Workload() as mine, answering(ANSWER, 0, data=of(mine)):
        assert attach_error(mine.pid) == errno.EBUSY


def test_a_process_that_is_a_zombie_has_ended() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert attach_error(pid) == errno.ESRCH
    os.waitpid(pid, 0)


def test_fork_inherits() -> None:
    with Workload() as mine, answering(ANSWER, 0, data=of(mine)) as hook:
        child = mine.fork()
        assert huge(child) == 0
        assert hook.requests(child.pid)
        child.close()
        assert huge(mine) == 0


def test_children_from_before_are_left_alone() -> None:
    with Workload() as mine:
        child = mine.fork()
        with answering(ANSWER, 0, data=of(mine)):
            assert (huge(mine), huge(child)) == (0, SIZE)
        child.close()


def test_exec_keeps() -> None:
    with Workload() as mine, answering(ANSWER, 0, data=of(mine)) as hook:
        mine.exec()
        hook.forget()
        assert huge(mine) == 0
        assert hook.requests(mine.pid)


def test_an_instance_outlives_its_processes() -> None:
    with Workload() as mine:
        link = answering(ANSWER, 0, data=of(mine))
        hook = link.__enter__()
    with load(ANSWER.object(), data={"pid": 1}) as other:
        hook.link.update(other)
    link.__exit__(None, None, None)


def test_an_update_moves_all_processes() -> None:
    with Workload() as mine, answering(ANSWER, 0, data=of(mine)) as hook:
        child = mine.fork()
        with load(ANSWER.object(), data=of(mine)) as other:
            set_answer(other, -1)
            hook.link.update(other)
            assert (huge(mine), huge(child)) == (SIZE, SIZE)
            grandchild = child.fork()
            set_answer(other, 0)
            assert huge(grandchild) == 0
            grandchild.close()
        child.close()


@pytest.mark.parametrize("to_global", [True, False])
def test_an_update_cannot_change_the_scope(to_global: bool) -> None:
    with Workload() as mine, Workload() as other:
        before, after = ({}, of(mine)) if not to_global else (of(mine), {})
        with answering(ANSWER, 0, data=before) as hook, load(ANSWER.object(), data=after) as wrong:
            with pytest.raises(KernelError) as refused:
                hook.link.update(wrong)
            assert refused.value.number == errno.EINVAL
            assert (huge(mine), huge(other)) == (0, SIZE if to_global else 0)


def test_a_global_instance_comes_first_and_blocks_new_ones() -> None:
    with Workload() as mine, Workload() as other, answering(ANSWER, 0, data=of(mine)):
        with answering(ANSWER, -1):
            assert (huge(mine), huge(other)) == (SIZE, SIZE)
            assert attach_error(other.pid) == errno.EBUSY
        # the one from before acts again
        assert (huge(mine), huge(other)) == (0, SIZE)
        with answering(ANSWER, -1, data=of(other)):
            assert (huge(mine), huge(other)) == (0, SIZE)


def test_detaching_frees_all_processes() -> None:
    with Workload() as mine:
        with answering(ANSWER, 0, data=of(mine)):
            children = [mine.fork() for _ in range(5)]
        assert [huge(child) for child in (mine, *children)] == [SIZE] * 6
        with answering(ANSWER, 0, data=of(children[0])):
            assert [huge(child) for child in children[:2]] == [0, SIZE]
        for child in children:
            child.close()


def test_no_process_is_lost_or_kept_in_a_crowd() -> None:
    """Memory of processes that ended is used again by others, which must not inherit."""
    with Workload() as mine, answering(ANSWER, 0, data=of(mine)):
        for _ in range(8):
            child = mine.fork()
            assert huge(child) == 0
            child.close()
            with Workload() as stranger:
                assert huge(stranger) == SIZE
