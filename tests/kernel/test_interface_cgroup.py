"""bpf_mthp_ops and bpf_numab_ops: attaching to cgroups, and what the kernel makes of answers."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from policyc.kernel.errors import KernelError
from policyc.kernel.objects import load
from tests.kernel.guest.answers import answering, set_answer
from tests.kernel.guest.cgroups import Cgroup, Cgroups
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.guest.numa import Numa
from tests.kernel.guest.thp import PMD_ORDER, Thp
from tests.kernel.guest.workload import MIB, Workload, WorkloadError
from tests.kernel.policies import Program, c_program
from tests.kernel.test_effects_numa import follows

MTHP = c_program("answer_mthp.bpf.c")
NUMAB = c_program("answer_numab.bpf.c")
THP = {s: c_program("answer_thp.bpf.c", THP=int(s[1:])) for s in offered_signatures()}
EMPTY = {
    "mthp": c_program("answer_mthp.bpf.c", EMPTY=1),
    "numab": c_program("answer_numab.bpf.c", EMPTY=1),
}
WITHOUT_LINK = {
    "mthp": c_program("answer_mthp.bpf.c", WITHOUT_LINK=1),
    "numab": c_program("answer_numab.bpf.c", WITHOUT_LINK=1),
}

SIZE = 4 * MIB
PMD, SMALL, ALL = 1 << PMD_ORDER, (1 << PMD_ORDER) - 1, (1 << 64) - 1


def faulted(thp: Thp, cgroup: Cgroup) -> dict[int, int]:
    """By order, how many folios SIZE bytes of anonymous memory take in a cgroup."""
    with Workload(cgroup) as workload:
        before = thp.counts("anon_fault_alloc")
        workload.touched(SIZE)
        after = thp.counts("anon_fault_alloc")
    return {order: after[order] - before[order] for order in after if after[order] > before[order]}


def attach_error(
    program: Program, cgroup: Cgroup | None = None, data: dict[str, int] | None = None
) -> int:
    """The error number of attaching."""
    with pytest.raises(KernelError) as refused, answering(program, 0, cgroup=cgroup, data=data):
        pass
    return refused.value.number


def on(cgroup: Cgroup) -> dict[str, int]:
    return {"cgroup_id": cgroup.id}


# ---- bpf_mthp_ops ----


def test_mthp_each_mask_has_the_published_effect(thp: Thp, cgroups: Cgroups) -> None:
    thp.size(4, "always")
    inside = cgroups.make("/in")
    expected = {
        0: {},
        PMD: {9: 2},
        PMD | 1 << 4: {9: 2},
        1 << 4: {4: 64},
        1 << 3: {},  # not enabled
        ALL: {9: 2},
    }
    with answering(MTHP, 0, cgroup=inside) as hook:
        effects = {}
        for mask in expected:
            hook.answer(mask)
            effects[mask] = faulted(thp, inside)
        requests = {question.orders for question in hook.asked(inside.id)}
    assert effects == expected
    assert {PMD, SMALL} <= requests


def test_mthp_a_mask_only_narrows_the_request(thp: Thp, cgroups: Cgroups) -> None:
    thp.size(4, "always")
    inside = cgroups.make("/in")
    with answering(MTHP, 1 << 4, cgroup=inside) as hook:
        # not a PMD for the request of one, though the answer is not 0
        assert faulted(thp, inside) == {4: 64}
        # and no folio of the PMD's size for the request of smaller ones
        hook.answer(ALL & ~(1 << 4))
        thp.size(PMD_ORDER, "never")
        assert faulted(thp, inside) == {}


def test_mthp_is_asked_in_never_mode_too(thp: Thp, cgroups: Cgroups) -> None:
    thp.mode("never")
    thp.size(4, "always")
    inside = cgroups.make("/in")
    assert faulted(thp, inside) == {4: 64}
    with answering(MTHP, 0, cgroup=inside):
        assert faulted(thp, inside) == {}


def test_mthp_covers_the_subtree_and_new_cgroups(thp: Thp, cgroups: Cgroups) -> None:
    leaf, beside = cgroups.make("/in/child/leaf"), cgroups.make("/beside")
    with answering(MTHP, 0, cgroup=Cgroup(leaf.directory.parent)) as hook:
        new = cgroups.make("/in/child/new")
        assert (faulted(thp, leaf), faulted(thp, new)) == ({}, {})
        assert faulted(thp, beside) == {9: 2}
        # the cgroup argument is where the memory belongs, not where the instance does
        assert hook.asked(leaf.id)
        assert hook.asked(new.id)
        assert not hook.asked(beside.id)
    assert faulted(thp, leaf) == {9: 2}


def test_mthp_is_told_the_memory_cgroup(thp: Thp, cgroups: Cgroups) -> None:
    parent, plain = cgroups.make("/in"), cgroups.make("/in/plain", memory=False)
    with answering(MTHP, 0, cgroup=parent) as hook:
        assert faulted(thp, plain) == {}
        assert hook.asked(parent.id)
        assert not hook.asked(plain.id)


def test_mthp_one_instance_in_a_line(thp: Thp, cgroups: Cgroups) -> None:
    leaf = cgroups.make("/in/child/leaf")
    child = Cgroup(leaf.directory.parent)
    parent = Cgroup(child.directory.parent)
    with answering(MTHP, 0, cgroup=child):
        found = [attach_error(MTHP, cgroup) for cgroup in (parent, child, leaf)]
        assert found == [errno.EBUSY] * 3
        with answering(MTHP, PMD, cgroup=cgroups.make("/in/other")):
            assert faulted(thp, leaf) == {}
    with answering(MTHP, 0, cgroup=parent):
        assert faulted(thp, leaf) == {}


def test_mthp_a_removed_cgroup_is_no_obstacle(thp: Thp, cgroups: Cgroups) -> None:
    leaf = cgroups.make("/in/leaf")
    parent = Cgroup(leaf.directory.parent)
    with answering(MTHP, 0, cgroup=leaf):
        leaf.remove()
        with answering(MTHP, 0, cgroup=parent):
            assert faulted(thp, cgroups.make("/in/new")) == {}
        assert faulted(thp, cgroups.make("/in/newer")) == {9: 2}


def test_mthp_one_map_can_be_attached_to_several_cgroups(thp: Thp, cgroups: Cgroups) -> None:
    one, two = cgroups.make("/one"), cgroups.make("/two")
    with answering(MTHP, 0, cgroup=one) as hook:
        with hook.loaded.attach(two.directory):
            assert (faulted(thp, one), faulted(thp, two)) == ({}, {})
        assert (faulted(thp, one), faulted(thp, two)) == ({}, {9: 2})


def test_mthp_has_no_update(cgroups: Cgroups) -> None:
    with answering(MTHP, 0, cgroup=cgroups.make("/in")) as hook, load(MTHP.object()) as other:
        with pytest.raises(KernelError) as refused:
            hook.link.update(other)
        assert refused.value.number == errno.EOPNOTSUPP


def test_mthp_needs_a_cgroup() -> None:
    assert attach_error(MTHP) == errno.EINVAL
    with load(MTHP.object()) as loaded:
        with pytest.raises(KernelError) as refused:
            loaded.attach(Path("/tmp"))
        assert refused.value.number == errno.EBADF


def test_mthp_without_a_program_changes_nothing(thp: Thp, cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    with load(EMPTY["mthp"].object()) as loaded, loaded.attach(inside.directory):
        assert faulted(thp, inside) == {9: 2}


def test_both_hooks_must_agree(thp: Thp, cgroups: Cgroups, signature: str) -> None:
    inside, outside = cgroups.make("/in"), cgroups.make("/out")
    with (
        answering(THP[signature], PMD_ORDER) as order,
        answering(MTHP, 0, cgroup=inside) as mask,
    ):
        assert (faulted(thp, inside), faulted(thp, outside)) == ({}, {9: 2})
        mask.answer(ALL)
        assert faulted(thp, inside) == {9: 2}
        order.answer(0)
        mask.forget()
        assert faulted(thp, inside) == {}
        # nothing that could be a huge page is left to be asked about
        assert not {question.orders for question in mask.asked(inside.id)} - {1}


@pytest.mark.parametrize("hook", ["mthp", "numab"])
def test_instances_of_cgroups_are_attached_by_links(cgroups: Cgroups, hook: str) -> None:
    data = on(cgroups.make("/in")) if hook == "numab" else None
    assert attach_error(WITHOUT_LINK[hook], data=data) == errno.EOPNOTSUPP


# ---- bpf_numab_ops ----


@pytest.mark.parametrize("number", [0, -1, 987_654_321])
def test_numab_needs_a_cgroup(number: int) -> None:
    assert attach_error(NUMAB, data={"cgroup_id": number}) == errno.ENOENT


def test_numab_one_instance_for_a_memory_cgroup(cgroups: Cgroups) -> None:
    inside, plain = cgroups.make("/in"), cgroups.make("/in/plain", memory=False)
    with answering(NUMAB, 1, data=on(inside)):
        assert attach_error(NUMAB, data=on(inside)) == errno.EBUSY
        # without the memory controller it is its parent's
        assert attach_error(NUMAB, data=on(plain)) == errno.EBUSY


def test_numab_the_program_is_mandatory(cgroups: Cgroups) -> None:
    with load(EMPTY["numab"].object(), data=on(cgroups.make("/in"))) as loaded:
        with pytest.raises(KernelError) as refused:
            loaded.attach()
        assert refused.value.number == errno.EINVAL


def test_numab_an_update_stays_with_its_cgroup(cgroups: Cgroups) -> None:
    inside, other = cgroups.make("/in"), cgroups.make("/other")
    with answering(NUMAB, 1, data=on(inside)) as hook:
        with load(NUMAB.object(), data=on(other)) as wrong:
            with pytest.raises(KernelError) as refused:
                hook.link.update(wrong)
            assert refused.value.number == errno.EINVAL
        with answering(NUMAB, 1, data=on(other)):
            pass


@pytest.mark.parametrize("answer", [-3, 0, 7])
def test_numab_any_answer_but_zero_balances(
    thp: Thp, numa: Numa, cgroups: Cgroups, answer: int
) -> None:
    thp.mode("never")
    numa.scan()
    inside = cgroups.make("/in")
    with answering(NUMAB, answer, data=on(inside)):
        assert follows(inside) == (answer != 0)


def test_numab_outlives_its_cgroup(cgroups: Cgroups) -> None:
    leaf = cgroups.make("/in/leaf")
    with answering(NUMAB, 1, data=on(leaf)) as hook, load(NUMAB.object(), data=on(leaf)) as other:
        leaf.remove()
        set_answer(other, 0)
        hook.link.update(other)


def test_collapse_follows_the_mask(cgroups: Cgroups) -> None:
    inside = cgroups.make("/in")
    with answering(MTHP, 0, cgroup=inside) as hook, Workload(inside) as workload:
        region = workload.touched(SIZE)
        with pytest.raises(WorkloadError, match="EINVAL"):
            workload.advise(region, "collapse")
        hook.answer(PMD)
        workload.advise(region, "collapse")
        assert workload.huge(region) == SIZE
