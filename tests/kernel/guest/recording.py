"""Policies that record their decisions: read at once, or kept for the host to replay."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from policyc.emit.records import Record
from policyc.hooks.loader import profiles
from policyc.kernel.cgroups import cgroup_id
from policyc.kernel.links import Link
from policyc.kernel.objects import Loaded
from policyc.kernel.session import initial_state
from policyc.kernel.state import fill
from policyc.plan.evaluate import State
from tests.kernel.guest.attached import loaded
from tests.kernel.guest.cgroups import ROOT, Cgroup
from tests.kernel.policies import Program
from tests.records.replay import Replay
from tests.records.ring import counts, recorded, records_of

__all__ = ["Recording", "cgroup_paths", "recording"]


def cgroup_paths() -> dict[int, str]:
    """The path of each cgroup that there is, by id."""
    found = {ROOT.stat().st_ino: "/"}
    for directory, names, _ in os.walk(ROOT):
        for name in names:
            path = Path(directory, name)
            found[path.stat().st_ino] = f"/{path.relative_to(ROOT)}"
    return found


class Recording:
    """A recording policy at work; `paths` are those of cgroups that there were meanwhile."""

    def __init__(self, program: Program, found: Loaded, link: Link | None) -> None:
        self.program = program
        self.loaded = found
        self.link = link
        self.plan = program.plan()
        self.paths = cgroup_paths()
        self.state = initial_state(program.plan())

    def change(self, state: State) -> None:
        """Have other members and values from now on, and forget the decisions up to now.

        This process faults too, while the maps are filled one after the other.
        """
        self.state = state
        fill(self.loaded, self.plan, state, cgroup_id)
        self.discard()

    def replay(self) -> Replay:
        """The policy as the evaluator has it."""
        self.paths |= cgroup_paths()
        profile = profiles()[self.program.profile]
        hook = next(item for item in self.plan.hooks if profile.answers(item.hook))
        return Replay(self.plan, hook, profile, self.state, self.paths)

    def asked(self) -> int:
        """How many decisions it has made."""
        return counts(self.loaded)[0]

    def stop(self) -> None:
        """Detach the policy; its records stay."""
        if self.link is not None:
            self.link.detach()
        self.link = None

    def discard(self) -> None:
        """Forget the decisions up to now."""
        recorded(self.loaded)

    def take(self, every: int = 1) -> list[Record]:
        """The decisions since the last call, or one of `every`; for few, since the VM is slow."""
        data, _, dropped = recorded(self.loaded)
        assert dropped == 0
        return list(self.replay().records(islice(records_of(data), None, None, every)))

    def keep(self, name: str) -> int:
        """Detach, and leave the decisions to the host, which replays them; how many there are."""
        self.stop()
        data, asked, dropped = recorded(self.loaded)
        program = self.program
        self.paths |= cgroup_paths()
        about = {
            "name": program.name,
            "text": program.text,
            "profile": program.profile,
            "sets": {key: _texts(members) for key, members in self.state.sets.items()},
            "params": dict(self.state.params),
            "cgroups": self.paths,
            "asked": asked,
            "dropped": dropped,
        }
        directory = Path(os.environ["POLICYC_OUTPUT"], "decisions")
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.records").write_bytes(data)
        (directory / f"{name}.json").write_text(json.dumps(about), "utf-8")
        return asked


def _texts(members: frozenset[bytes | str]) -> list[list[str]]:
    """The members of a set with their types, as JSON can hold them."""
    return [["bytes", m.decode("latin-1")] if isinstance(m, bytes) else ["str", m] for m in members]


@contextmanager
def recording(
    program: Program,
    *,
    cgroup: Cgroup | None = None,
    data: Mapping[str, int] | None = None,
    attach: bool = True,
) -> Generator[Recording]:
    """Load a recording policy, and attach it at most as long as the block lasts."""
    with loaded(program, data) as found:
        link = found.attach(cgroup.directory if cgroup else None) if attach else None
        recording = Recording(program, found, link)
        try:
            yield recording
        finally:
            recording.stop()
