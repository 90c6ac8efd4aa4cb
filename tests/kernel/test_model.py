"""Workloads run natively: what the kernel does is kept for the host, which asks the model."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from policyc.simulate.workload.reader import read_workload
from policyc.simulate.workload.runner import Outcome, run
from tests.kernel.guest.attached import attached
from tests.kernel.guest.cgroups import ROOT, Cgroups
from tests.kernel.guest.thp import PMD_ORDER
from tests.kernel.modelled import CASES, Case
from tests.kernel.policies import Program, policy, thp_policy

#: Whether a case has a policy that is compiled for each signature of thp_get_order.
PLAIN = [case for case in CASES if case.profile != "thp"]
BY_SIGNATURE = [case for case in CASES if case.profile == "thp"]

PROGRAMS = {case.name: policy(case.policy, case.profile) for case in PLAIN if case.policy}
THP_PROGRAMS = {case.name: thp_policy(case.policy) for case in BY_SIGNATURE}


def outcome_of(case: Case, cgroups: Cgroups, program: Program | None) -> Outcome:
    """Run a case with its policy, where the kernel wants that: for a cgroup of processes."""
    workload = read_workload(case.file, case.overrides)
    with contextlib.ExitStack() as stack:
        if program is not None and program.profile.startswith("thp"):
            for path in {process.cgroup for process in workload.processes}:
                cgroups.make(path)
            stack.enter_context(attached(program))
        elif program is not None:
            for path in {process.cgroup for process in workload.processes}:
                place = cgroups.make(path)
                mask = program.profile.startswith("mthp")
                data = None if mask else {"cgroup_id": place.id}
                stack.enter_context(attached(program, cgroup=place if mask else None, data=data))
        return run(workload, cgroup_root=ROOT, apply=True, patience=100)


def check_and_keep(case: Case, name: str, profile: str, outcome: Outcome) -> None:
    """It ran as it should, and the host gets what the kernel told."""
    assert outcome.differences == ()
    assert outcome.run.total.touches > 0
    for area in outcome.areas:
        assert area.exact
        # what page frames say is what the kernel says in smaps
        huge = area.smaps["AnonHugePages"] + area.smaps["ShmemPmdMapped"]
        assert huge <= area.by_order.get(PMD_ORDER, 0) + area.zero_page
    directory = Path(os.environ["POLICYC_OUTPUT"], "model")
    directory.mkdir(exist_ok=True)
    about = {"case": case.name, "profile": profile, "outcome": outcome.document()}
    (directory / f"{name}.json").write_text(json.dumps(about), "utf-8")
    ended = outcome.run.process_seconds
    assert all(seconds < 0 for seconds in ended.values()) == case.killed, ended
    assert not case.killed or outcome.run.total.counters["oom_kill"] >= 1


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_the_kernel_runs_it(case: Case, cgroups: Cgroups) -> None:
    program = PROGRAMS.get(case.name)
    outcome = outcome_of(case, cgroups, program)
    check_and_keep(case, case.name, case.profile, outcome)


@pytest.mark.parametrize("case", BY_SIGNATURE, ids=lambda case: case.name)
def test_the_kernel_runs_it_with_a_policy(case: Case, cgroups: Cgroups, signature: str) -> None:
    program = THP_PROGRAMS[case.name][signature]
    outcome = outcome_of(case, cgroups, program)
    check_and_keep(case, f"{case.name}-{signature}", program.profile, outcome)
