"""All that a generated module needs at run time.

These modules use the standard library only. A generated module carries their text; a
policy that is loaded in memory imports them from here.
"""

from policyc.runtime.decisions import (
    Decision,
    NumaBlock,
    NumaDecision,
    NumaOpinion,
    ProfileAnswer,
    Rule,
    Tables,
    ThpBlock,
    ThpDecision,
    ThpOpinion,
    numa_decision,
    thp_decision,
)
from policyc.runtime.lookup import RuleTable, cgroup_mix, lineage_of
from policyc.runtime.request import Request
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.runtime.state import ParamField, SetField, SetState, State, StateError

__all__ = [
    "Decision",
    "NumaBlock",
    "NumaDecision",
    "NumaOpinion",
    "NumaRequest",
    "ParamField",
    "ProfileAnswer",
    "Request",
    "Rule",
    "RuleTable",
    "SetField",
    "SetState",
    "State",
    "StateError",
    "Tables",
    "ThpBlock",
    "ThpDecision",
    "ThpOpinion",
    "ThpRequest",
    "cgroup_mix",
    "lineage_of",
    "numa_decision",
    "thp_decision",
]
