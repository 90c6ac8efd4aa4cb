"""The programs of `bpf/answers.h`: they answer what a test sets, and tell what they were asked."""

from __future__ import annotations

import struct
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from policyc.kernel.links import Link
from policyc.kernel.objects import Loaded, load
from tests.kernel.guest.cgroups import Cgroup
from tests.kernel.policies import Program

__all__ = ["Answering", "Event", "Question", "answering"]

_EVENTS = 8


class Event(IntEnum):
    """The enum tva_type."""

    SMAPS = 0
    PAGEFAULT = 1
    KHUGEPAGED = 2
    FORCED_COLLAPSE = 3
    SWAP_PAGEFAULT = 4


@dataclass(frozen=True, slots=True)
class Question:
    """What a program was asked: `who` is a tgid, or for mthp the id of a cgroup."""

    orders: int
    who: int
    event: int
    advice: int


class Answering:
    """An instance of such a program, attached."""

    def __init__(self, loaded: Loaded, link: Link) -> None:
        self.loaded = loaded
        self.link = link

    def answer(self, value: int, events: Mapping[Event, int] | None = None) -> None:
        """Answer a value from now on, to some events others."""
        set_answer(self.loaded, value, events)

    def asked(self, who: int) -> set[Question]:
        """What it was asked about a process, or a cgroup."""
        items = self.loaded.map("asked").items()
        questions = (Question(*struct.unpack("=QQII", key)) for key, _ in items)
        return {question for question in questions if question.who == who}

    def requests(self, who: int) -> set[tuple[Event, int]]:
        """The events and the masks of orders among it."""
        return {(Event(question.event), question.orders) for question in self.asked(who)}

    def forget(self) -> None:
        """Forget what it was asked."""
        self.loaded.map("asked").replace({})


def set_answer(loaded: Loaded, value: int, events: Mapping[Event, int] | None = None) -> None:
    """Have a loaded program answer a value, to some events others."""
    mine = events or {}
    for event in range(_EVENTS):
        known = Event(event) if event in Event._value2member_map_ else None
        answer = mine.get(known, value) if known is not None else value
        # a mask of mthp is unsigned, an order may be negative
        packed = struct.pack("=Q", answer & (1 << 64) - 1)
        loaded.map("answers").update(struct.pack("=I", event), packed)


@contextmanager
def answering(
    program: Program,
    value: int,
    events: Mapping[Event, int] | None = None,
    *,
    cgroup: Cgroup | None = None,
    data: Mapping[str, int] | None = None,
) -> Generator[Answering]:
    """Attach a program that answers a value while the block lasts."""
    with load(program.object(), data=data) as loaded:
        set_answer(loaded, value, events)
        link = loaded.attach(cgroup.directory if cgroup else None)
        try:
            yield Answering(loaded, link)
        finally:
            link.detach()
