"""bpf_thp_ops: what the program is asked, and what the kernel makes of each answer."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from policyc.kernel.errors import KernelError
from policyc.kernel.objects import load
from tests.kernel.guest.answers import Event, answering, set_answer
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.guest.thp import PMD_ORDER, Thp
from tests.kernel.guest.workload import MIB, Workload, WorkloadError
from tests.kernel.policies import c_program

ANSWER = {s: c_program("answer_thp.bpf.c", THP=int(s[1:])) for s in offered_signatures()}
EMPTY = {s: c_program("answer_thp.bpf.c", THP=int(s[1:]), EMPTY=1) for s in offered_signatures()}

SIZE = 4 * MIB
PMD, SMALL = 1 << PMD_ORDER, (1 << PMD_ORDER) - 1

#: What is allocated for SIZE bytes.
HUGE, FOLIOS_64K, PAGES = {9: 2}, {4: 64}, {}

#: By answer to every request, with 2 MiB and 64 KiB enabled.
EFFECTS: dict[str, dict[int, dict[int, int]]] = {
    # 4 to the request for the PMD order is taken, and means "a PMD" to who asked
    "v7": {-1: HUGE, 0: PAGES, 3: PAGES, 4: HUGE, 9: HUGE, 10: HUGE, 64: HUGE},
    "v9": {-1: PAGES, 0: PAGES, 3: PAGES, 4: FOLIOS_64K, 9: HUGE, 10: PAGES, 64: PAGES},
    "v12": {-1: HUGE, 0: PAGES, 3: PAGES, 4: FOLIOS_64K, 9: HUGE, 10: PAGES, 64: PAGES},
}

#: The same with 64 KiB enabled only. A patched v7 kernel asks about the PMD order, too, and
#: takes 4; a stock one asks only about what sysfs allows.
EFFECTS_64K: dict[str, dict[int, dict[int, int]]] = {
    "v7": {-1: FOLIOS_64K, 0: PAGES, 3: PAGES, 9: FOLIOS_64K, 64: FOLIOS_64K},
    "v9": {-1: PAGES, 0: PAGES, 3: PAGES, 4: FOLIOS_64K, 9: PAGES, 64: PAGES},
    "v12": {-1: FOLIOS_64K, 0: PAGES, 3: PAGES, 4: FOLIOS_64K, 9: PAGES, 64: PAGES},
}

#: Tests of what only v7 does.
v7 = pytest.mark.parametrize(
    "signature",
    [
        pytest.param(
            "v7",
            marks=pytest.mark.skipif(
                "v7" not in offered_signatures(), reason="this kernel does not offer v7"
            ),
        )
    ],
    indirect=True,
)

Faulted = Callable[[Workload], dict[int, int]]


@pytest.fixture
def faulted(thp: Thp) -> Faulted:
    """By order, how many folios SIZE bytes of anonymous memory take."""
    thp.size(4, "always")

    def touch(workload: Workload) -> dict[int, int]:
        before = thp.counts("anon_fault_alloc")
        workload.unmap(workload.touched(SIZE))
        after = thp.counts("anon_fault_alloc")
        return {o: after[o] - before[o] for o in after if after[o] > before[o]}

    return touch


def test_each_answer_has_the_published_effect(faulted: Faulted, signature: str) -> None:
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        effects = {}
        for answer in EFFECTS[signature]:
            hook.answer(answer)
            effects[answer] = faulted(workload)
    assert effects == EFFECTS[signature]


def test_each_answer_only_narrows_what_sysfs_allows(
    thp: Thp, faulted: Faulted, signature: str
) -> None:
    thp.size(PMD_ORDER, "never")
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        effects = {}
        for answer in EFFECTS_64K[signature]:
            hook.answer(answer)
            effects[answer] = faulted(workload)
    assert effects == EFFECTS_64K[signature]


@v7
def test_v7_takes_an_order_that_was_not_asked_for(
    thp: Thp, faulted: Faulted, signature: str, lane: str
) -> None:
    thp.size(PMD_ORDER, "never")
    with Workload() as workload, answering(ANSWER[signature], 4):
        assert faulted(workload) == (FOLIOS_64K if lane == "stock" else HUGE)


def test_a_fault_asks_for_what_it_could_use_not_for_what_sysfs_allows(
    faulted: Faulted, signature: str
) -> None:
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        faulted(workload)
        requests = hook.requests(workload.pid)
    assert {(Event.PAGEFAULT, PMD), (Event.PAGEFAULT, SMALL), (Event.KHUGEPAGED, PMD)} <= requests
    assert {event for event, _ in requests} == {Event.PAGEFAULT, Event.KHUGEPAGED}


def test_smaps_asks_for_all_orders(signature: str) -> None:
    with Workload() as workload, answering(ANSWER[signature], PMD_ORDER) as hook:
        region = workload.touched(SIZE)
        hook.forget()
        assert workload.smaps(region)["THPeligible"] == 1
        requests = {orders for event, orders in hook.requests(workload.pid) if event == Event.SMAPS}
        # include/linux/huge_mm.h: THP_ORDERS_ALL, with 1 GiB of DAX mappings
        assert requests == {1 << 18 | 0x3FE}
        hook.answer(PMD_ORDER, {Event.SMAPS: 0})
        assert workload.smaps(region)["THPeligible"] == 0
        # nothing else has changed
        assert workload.huge(workload.touched(SIZE)) == SIZE


def test_collapsing_by_madvise_asks_on_its_own(signature: str) -> None:
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        region = workload.touched(SIZE)
        assert workload.huge(region) == 0
        with pytest.raises(WorkloadError, match="EINVAL"):
            workload.advise(region, "collapse")
        hook.answer(0, {Event.FORCED_COLLAPSE: PMD_ORDER})
        workload.advise(region, "collapse")
        assert workload.huge(region) == SIZE
        assert (Event.FORCED_COLLAPSE, PMD) in hook.requests(workload.pid)


@pytest.mark.usefixtures("swapping")
def test_swap_in_is_told_from_other_faults(thp: Thp, signature: str) -> None:
    thp.size(PMD_ORDER, "never")
    thp.size(4, "always")
    with Workload() as workload, answering(ANSWER[signature], 4) as hook:
        region = workload.touched(SIZE)
        assert (Event.SWAP_PAGEFAULT, SMALL) not in hook.requests(workload.pid)
        hook.forget()
        workload.advise(region, "pageout")
        workload.read(region)
        requests = hook.requests(workload.pid)
    assert (Event.SWAP_PAGEFAULT, SMALL) in requests
    assert (Event.PAGEFAULT, SMALL) not in requests


@v7
def test_v7_is_told_what_was_advised(signature: str) -> None:
    advised = {None: 0, "hugepage": 1, "nohugepage": 2}
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        for advice, number in advised.items():
            hook.forget()
            workload.touched(SIZE, advice=advice)
            questions = hook.asked(workload.pid)
            mine = {q.advice for q in questions if (q.event, q.orders) == (Event.PAGEFAULT, PMD)}
            # other memory of the process, its stack for one, is without advice
            assert mine - {0} == {number} - {0}


@pytest.mark.parametrize("mode", ["always", "madvise", "never"])
def test_nobody_is_asked_in_never_mode(
    thp: Thp, faulted: Faulted, signature: str, mode: str
) -> None:
    thp.mode(mode)
    with Workload() as workload, answering(ANSWER[signature], 0) as hook:
        # 64 KiB are enabled on their own, in whatever mode
        assert faulted(workload) == (FOLIOS_64K if mode == "never" else PAGES)
        assert bool(hook.requests(workload.pid)) == (mode != "never")


def test_one_instance_in_the_system(signature: str) -> None:
    with answering(ANSWER[signature], 0):
        with pytest.raises(KernelError) as refused, answering(ANSWER[signature], 0):
            pass
        assert refused.value.number == errno.EBUSY


def test_the_program_is_mandatory(signature: str) -> None:
    with load(EMPTY[signature].object()) as loaded:
        with pytest.raises(KernelError) as refused:
            loaded.attach()
        assert refused.value.number == errno.EINVAL


def test_the_link_keeps_the_program(faulted: Faulted, signature: str) -> None:
    with Workload() as workload:
        with load(ANSWER[signature].object()) as loaded:
            set_answer(loaded, 0)
            link = loaded.attach()
        assert faulted(workload) == PAGES
        link.detach()
        assert faulted(workload) == HUGE


def test_an_update_leaves_no_moment_without_a_policy(thp: Thp, signature: str) -> None:
    before = thp.count(PMD_ORDER, "anon_fault_alloc")
    with (
        Workload() as workload,
        answering(ANSWER[signature], 0) as first,
        load(ANSWER[signature].object()) as second,
    ):
        set_answer(second, 0)
        workload.send("churn", 2, 8 * MIB, 2.0)
        for turn in range(40):
            first.link.update(first.loaded if turn % 2 else second)
        assert workload.receive()["pages"] > 0
    assert thp.count(PMD_ORDER, "anon_fault_alloc") == before
