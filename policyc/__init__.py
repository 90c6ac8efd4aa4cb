"""Declarative memory policies of Linux, compiled to BPF C and Python.

    policy = policyc.load("fleet.thp")
    decision = policy.decide(policyc.ThpRequest(orders=1 << 9, cgroup="/system.slice"))

What is named here is the public API; everything is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyc.api import Policy, load, loads
    from policyc.diagnostics.model import Diagnostic, PolicyError, Severity
    from policyc.plan.nodes import Target
    from policyc.runtime.decisions import Decision, NumaDecision, Rule, ThpDecision
    from policyc.runtime.requests import NumaRequest, ThpRequest
    from policyc.runtime.state import State, StateError

__version__ = "0.1.0"

__all__ = [
    "Decision",
    "Diagnostic",
    "NumaDecision",
    "NumaRequest",
    "Policy",
    "PolicyError",
    "Rule",
    "Severity",
    "State",
    "StateError",
    "Target",
    "ThpDecision",
    "ThpRequest",
    "__version__",
    "load",
    "loads",
]

_HOMES = {
    "Decision": "policyc.runtime.decisions",
    "Diagnostic": "policyc.diagnostics.model",
    "NumaDecision": "policyc.runtime.decisions",
    "NumaRequest": "policyc.runtime.requests",
    "Policy": "policyc.api",
    "PolicyError": "policyc.diagnostics.model",
    "Rule": "policyc.runtime.decisions",
    "Severity": "policyc.diagnostics.model",
    "State": "policyc.runtime.state",
    "StateError": "policyc.runtime.state",
    "Target": "policyc.plan.nodes",
    "ThpDecision": "policyc.runtime.decisions",
    "ThpRequest": "policyc.runtime.requests",
    "load": "policyc.api",
    "loads": "policyc.api",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
