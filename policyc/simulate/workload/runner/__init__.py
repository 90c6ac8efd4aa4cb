"""Runs a workload on the running kernel, to compare what the model says with what happens."""

from __future__ import annotations

from policyc.simulate.workload.runner.errors import Missing
from policyc.simulate.workload.runner.native import run
from policyc.simulate.workload.runner.outcome import AreaFigures, Outcome

__all__ = ["AreaFigures", "Missing", "Outcome", "run"]
