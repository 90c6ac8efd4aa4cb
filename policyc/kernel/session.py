"""A policy attached to the running kernel for as long as a program wants it."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from policyc.emit.bpf import emit_bpf
from policyc.hooks.model import Profile
from policyc.kernel import state as live
from policyc.kernel.cgroups import cgroup_id, directory_of, mount_point
from policyc.kernel.closing import Closing
from policyc.kernel.errors import KernelError
from policyc.kernel.links import Link
from policyc.kernel.objects import Loaded, load
from policyc.plan import nodes as n
from policyc.plan.attach import Instance, attach_plan
from policyc.plan.evaluate import State
from policyc.plan.paths import is_under

__all__ = ["Attachment", "Session", "initial_state"]

#: The bytes of an object from its C.
Build = Callable[[str], bytes]


def initial_state(plan: n.Plan) -> State:
    """The members of the sets and the parameters as the policy's text has them."""
    return State(
        {item.name: frozenset(item.members) for item in plan.sets},
        {item.name: item.default for item in plan.params},
    )


@dataclass(frozen=True, slots=True)
class Attachment:
    """One instance in the kernel; `cgroup` is its path, None if it is not bound to one."""

    hook: n.HookPlan
    profile: Profile
    cgroup: str | None
    loaded: Loaded
    link: Link

    def close(self) -> None:
        """Detach and unload."""
        self.link.close()
        self.loaded.close()


@dataclass(slots=True)
class _Region:
    """The cgroups that one entry of the attach plan is about, with what is attached to them."""

    hook: n.HookPlan
    profile: Profile
    instance: Instance
    object: bytes
    attached: dict[int, Attachment] = field(default_factory=dict[int, Attachment])


class Session(Closing):
    """Attaches every hook of a plan; a context manager that detaches them again.

    `chosen` pairs hooks with the profiles they are loaded for, `build` compiles C. Either all
    is attached or, with an exception, nothing. Raises what `load` and `Loaded.attach` of
    policyc.kernel.objects raise, and what `build` does.
    """

    def __init__(
        self, plan: n.Plan, chosen: Sequence[tuple[n.HookPlan, Profile]], build: Build
    ) -> None:
        self.state = initial_state(plan)
        self._plan = plan
        self._regions: list[_Region] = []
        self._gone: Counter[int] = Counter()
        with ExitStack() as stack:
            stack.callback(self.close)
            for hook, profile in chosen:
                data = build(emit_bpf(plan, profile, hook=hook))
                for instance in attach_plan(plan, hook, profile):
                    self._regions.append(_Region(hook, profile, instance, data))
            self.refresh()
            stack.pop_all()

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is attached now."""
        return tuple(item for region in self._regions for item in region.attached.values())

    def refresh(self) -> None:
        """Follow the cgroups: those that have come or gone since the last time.

        Paths and sets are looked up anew; where an instance belongs to each cgroup of a
        subtree, new ones get theirs.
        """
        for region in self._regions:
            self._follow(region)
        for item in self.attachments:
            live.fill(item.loaded, self._plan, self.state, cgroup_id)

    def counters(self) -> dict[int, int]:
        """How often each rule has decided, by its index, in all instances since the start."""
        total = Counter(self._gone)
        for item in self.attachments:
            total.update(live.counters(item.loaded, self._plan))
        return dict(total)

    def close(self) -> None:
        """Detach and unload everything."""
        for region in self._regions:
            for item in region.attached.values():
                item.close()
            region.attached.clear()

    def _follow(self, region: _Region) -> None:
        wanted = dict(_cgroups(region.instance))
        for number in [each for each in region.attached if each not in wanted]:
            gone = region.attached.pop(number)
            self._gone.update(live.counters(gone.loaded, self._plan))
            gone.close()
        for number, path in wanted.items():
            if number not in region.attached:
                item = self._attach(region, number, path)
                if item is not None:
                    region.attached[number] = item

    def _attach(self, region: _Region, number: int, path: str | None) -> Attachment | None:
        """An instance; None if the kernel counts the cgroup to one above that has ours."""
        profile, data = region.profile, dict[str, int]()
        if profile.attachment == "memory-cgroup":
            data = {"cgroup_id": number, "hot_thresh": self._threshold(region)}
        loaded = load(region.object, data=data)
        try:
            live.fill(loaded, self._plan, self.state, cgroup_id)
            directory = None
            if profile.attachment == "cgroup-subtree":
                directory = directory_of(path or "/")
            return Attachment(region.hook, profile, path, loaded, loaded.attach(directory))
        except KernelError as error:
            loaded.close()
            if error.number == errno.EBUSY and self._has_above(path):
                return None
            if error.number == errno.ENOENT and path is not None and cgroup_id(path) is None:
                return None  # it went away in between
            raise

    def _threshold(self, region: _Region) -> int:
        return region.instance.hot_threshold_ms(dict(self.state.params))

    def _has_above(self, path: str | None) -> bool:
        return path is not None and any(
            item.cgroup is not None and item.cgroup != path and is_under(path, item.cgroup)
            for item in self.attachments
        )


def _cgroups(instance: Instance) -> Iterator[tuple[int, str | None]]:
    """The cgroups that an instance is for, by id, outermost first; (0, None) for none."""
    if instance.cgroup is None:
        yield 0, None
        return
    top = directory_of(instance.cgroup)
    for directory in _tree(top) if instance.descendants else [top]:
        path = "/" + str(directory.relative_to(mount_point()))
        path = "/" if path == "/." else path
        number = cgroup_id(directory)
        if number is not None and not any(is_under(path, each) for each in instance.except_below):
            yield number, path


def _tree(top: Path) -> Iterator[Path]:
    for directory, below, _ in os.walk(top):
        below.sort()
        yield Path(directory)
