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
from tests.kernel.guest.settings import Settings
from tests.kernel.guest.thp import PMD_ORDER, Thp
from tests.kernel.modelled import CASES, Case
from tests.kernel.policies import Program, policy, thp_policy

PROGRAMS: dict[str, dict[str, Program]] = {
    case.name: thp_policy(case.policy)
    if case.profile == "thp"
    else {"": policy(case.policy, case.profile)}
    for case in CASES
    if case.policy
}


def outcome_of(case: Case, cgroups: Cgroups, signature: str) -> tuple[Outcome, str]:
    """Run a case, with its policy; and the profile that it was attached by."""
    workload = read_workload(case.file, case.overrides)
    if not case.policy:
        return run(workload, cgroup_root=ROOT, apply=True, patience=120), ""
    programs = PROGRAMS[case.name]
    program = programs.get(signature) or programs[""]
    numa = program.profile.startswith("numab")
    places = {process.cgroup: cgroups.make(process.cgroup) for process in workload.processes}
    with contextlib.ExitStack() as stack:
        if numa:
            for place in places.values():
                stack.enter_context(attached(program, data={"cgroup_id": place.id}))
        elif program.profile == "mthp-v2":
            for place in places.values():
                stack.enter_context(attached(program, cgroup=place))
        else:
            stack.enter_context(attached(program))
        return run(workload, cgroup_root=ROOT, apply=True, patience=120), program.profile


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_runs_it(
    case: Case, cgroups: Cgroups, thp: Thp, settings: Settings, signature: str
) -> None:
    if signature != "v12" and case.profile != "thp":
        pytest.skip("this does not depend on the signature of thp_get_order")
    outcome, profile = outcome_of(case, cgroups, signature)
    ended = outcome.run.process_seconds.values()
    assert all(seconds < 0 for seconds in ended) == case.killed
    assert not case.killed or outcome.run.total.counters["oom_kill"] >= 1
    assert outcome.run.total.touches > 0
    assert all(area.exact for area in outcome.areas)
    for area in outcome.areas:
        # what page frames say is what the kernel says in smaps
        huge = area.smaps["AnonHugePages"] + area.smaps["ShmemPmdMapped"]
        assert huge <= area.by_order.get(PMD_ORDER, 0) + area.zero_page
    _keep(case, signature, profile, outcome)


def _keep(case: Case, signature: str, profile: str, outcome: Outcome) -> None:
    directory = Path(os.environ["POLICYC_OUTPUT"], "model")
    directory.mkdir(exist_ok=True)
    about = {
        "case": case.name,
        "signature": signature,
        "profile": profile,
        "outcome": outcome.document(),
    }
    name = f"{case.name}-{signature}.json" if case.profile == "thp" else f"{case.name}.json"
    (directory / name).write_text(json.dumps(about), "utf-8")
