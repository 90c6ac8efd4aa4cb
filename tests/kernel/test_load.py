"""Every example and many random policies: the verifier takes them as what they are compiled for,
and they can be attached and detached, one after the other.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from multiprocessing.synchronize import Lock
from pathlib import Path

import pytest

from policyc.kernel import state
from policyc.kernel.cgroups import cgroup_id
from policyc.kernel.errors import KernelError
from policyc.kernel.objects import load
from tests.kernel.guest.attached import initial_state
from tests.kernel.guest.cgroups import Cgroups
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.policies import Program, declared_list, policy

EXAMPLES = Path(__file__).parents[2] / "examples"

#: Seeds of random policies; each is compiled for every interface that can supply it.
SEEDS = range(3_000_000, 3_000_100)

#: Where a kernel has several signatures of thp_get_order, one at a time, those but the first
#: get each third policy: an emulated CPU needs half a minute to verify a hundred.
SHARE = 3

#: Few policies ask for no more than mthp_choose is told; so many of further seeds do.
FOR_MASKS = 20

SCOPED = ("mthp-v2", "numab-rfc1")
SIGNATURES = [f"thp-{signature}" for signature in offered_signatures()]

#: The machine has two CPUs.
WORKERS = 2

_attaching: Lock


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a program; `failure` is empty if all went well."""

    name: str
    failure: str
    verified: int = 0


def _supplied(text: str, profiles: Iterable[str]) -> Iterator[Program]:
    """A policy for each of some interfaces that can supply it; on the host."""
    from policyc.check import check_text

    for profile in profiles:
        if check_text(text, "load.thp", profiles=[profile]).plan is not None:
            yield policy(text, profile)


def _examples() -> Iterator[Program]:
    for path in sorted(EXAMPLES.glob("*.thp")):
        yield from _supplied(path.read_text("utf-8"), (*SIGNATURES, *SCOPED))


def _text_of_seed(seed: int) -> str:
    from policyc.syntax.printer import format_policy
    from tests.strategies.policies import policy_of_seed

    return format_policy(policy_of_seed(seed).file)


def _random() -> Iterator[Program]:
    for place, seed in enumerate(SEEDS):
        signatures = SIGNATURES[:1] if place % SHARE else SIGNATURES
        yield from _supplied(_text_of_seed(seed), (*signatures, "numab-rfc1"))
    texts = map(_text_of_seed, count(SEEDS.stop))
    masks = (program for text in texts for program in _supplied(text, ["mthp-v2"]))
    yield from islice(masks, FOR_MASKS)


WRITTEN = declared_list("examples", _examples)
RANDOM = declared_list("random", _random)


def _try(program: Program, cgroup: Path) -> Outcome:
    """Load a program, fill its maps, attach it, detach it."""
    verified = 0
    try:
        with ExitStack() as stack:
            loaded = stack.enter_context(load(program.object(), data=_data(program, cgroup)))
            state.fill(loaded, program.plan(), initial_state(program), cgroup_id)
            (used,) = loaded.programs
            verified = used.verified_instructions
            with _attaching:  # one can be the global instance
                loaded.attach(_target(program, cgroup)).detach()
    except KernelError as error:
        return Outcome(f"{program.name} for {program.profile}", str(error)[-2000:], verified)
    return Outcome(f"{program.name} for {program.profile}", "", verified)


def _begin(lock: Lock) -> None:
    global _attaching  # noqa: PLW0603 - how a worker gets a lock
    _attaching = lock


def outcomes(programs: Sequence[Program], cgroups: Cgroups) -> list[Outcome]:
    """What becomes of some programs; each worker has a cgroup of its own."""
    context = multiprocessing.get_context("fork")
    directories = [cgroups.make(f"/load-{number}").directory for number in range(WORKERS)]
    pairs = [(program, directories[i % WORKERS]) for i, program in enumerate(programs)]
    with ExitStack() as stack:
        if programs[0].profile in SCOPED:
            stack.enter_context(_first(programs[0], cgroups.make("/load-first").directory))
        pool = stack.enter_context(context.Pool(WORKERS, _begin, (context.Lock(),)))
        return pool.starmap(_try, pairs, chunksize=1)


@contextmanager
def _first(program: Program, cgroup: Path) -> Generator[None]:
    """Keep an instance attached elsewhere.

    The first and the last instance have the kernel change its own code (static keys). With that
    a hundred times over, an emulated kernel once died of a breakpoint of its own (int3).
    """
    with (
        load(program.object(), data=_data(program, cgroup)) as loaded,
        loaded.attach(_target(program, cgroup)),
    ):
        yield


def _data(program: Program, cgroup: Path) -> dict[str, int]:
    return {"cgroup_id": cgroup.stat().st_ino} if program.profile == "numab-rfc1" else {}


def _target(program: Program, cgroup: Path) -> Path | None:
    return cgroup if program.profile == "mthp-v2" else None


def _of(programs: Sequence[Program], profile: str) -> list[Program]:
    return [program for program in programs if program.profile == profile]


def check(programs: Sequence[Program], cgroups: Cgroups, least: int) -> None:
    """All of them load, and there are enough that this says something."""
    found = outcomes(programs, cgroups)
    failures = [f"{item.name}: {item.failure}" for item in found if item.failure]
    assert not failures, "\n".join(failures)
    assert len(found) >= least
    assert all(item.verified for item in found)
    most = max(found, key=lambda item: item.verified)
    output = Path(os.environ["POLICYC_OUTPUT"], "verified.txt")
    with output.open("a", encoding="utf-8") as file:
        file.write(f"{len(found)} programs, at most {most.verified} instructions: {most.name}\n")


def test_every_example_for_thp(signature: str, cgroups: Cgroups) -> None:
    check(_of(WRITTEN, f"thp-{signature}"), cgroups, 10)


def test_random_policies_for_thp(signature: str, cgroups: Cgroups) -> None:
    first = f"thp-{signature}" == SIGNATURES[0]
    check(_of(RANDOM, f"thp-{signature}"), cgroups, 60 if first else 60 // SHARE)


@pytest.mark.parametrize("profile", SCOPED)
def test_every_example_for_a_cgroup(profile: str, cgroups: Cgroups) -> None:
    check(_of(WRITTEN, profile), cgroups, 2)


@pytest.mark.parametrize("profile", SCOPED)
def test_random_policies_for_a_cgroup(profile: str, cgroups: Cgroups) -> None:
    check(_of(RANDOM, profile), cgroups, 20)
