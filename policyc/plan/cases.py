"""Tests and properties of a policy: what it promises, kept apart from what it does.

A property is an expression of the plan in which two more attributes stand for the answer:
`RESULT`, the allowed orders (thp) or whether the task is balanced (numa), and
`RESULT_HOT_THRESHOLD` (numa), absent where the threshold is the system's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from policyc.plan.nodes import ConstValue, Expr, HookName, Node

__all__ = [
    "RESULT",
    "RESULT_HOT_THRESHOLD",
    "ExpectBalance",
    "ExpectNoOpinion",
    "ExpectOrders",
    "Expectation",
    "Expected",
    "Given",
    "Property",
    "SetMembers",
    "SetParam",
    "Step",
    "TestCase",
]

#: The attribute that is the answer: an order set (thp) or a bool (numa); never absent.
RESULT = "result"

#: The attribute that is the hot threshold of a numa answer, a duration that may be absent.
RESULT_HOT_THRESHOLD = "result.hot_threshold"


@dataclass(frozen=True, slots=True, repr=False)
class Property(Node):
    """What must hold for every request of a hook, whatever is in the sets and parameters.

    `text` is the condition as written, whitespace folded.
    """

    name: str
    hook: HookName
    condition: Expr
    line: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Given(Node):
    """A request of a test.

    `values` has every attribute that the request has: None for what is absent, the default
    for what the test leaves out. `stated` are the names that the test gives.
    """

    values: tuple[tuple[str, ConstValue | None], ...]
    stated: tuple[str, ...]
    line: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class SetMembers(Node):
    """From here on a set has these members and no others."""

    set: str
    members: tuple[bytes | str, ...]
    line: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class SetParam(Node):
    """From here on a parameter has this value."""

    param: str
    value: int
    line: int
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class ExpectOrders(Node):
    """thp: what is allowed are exactly the requested orders that are in `orders`."""

    orders: int


@dataclass(frozen=True, slots=True, repr=False)
class ExpectBalance(Node):
    """numa: balanced or not; `hot_threshold` (nanoseconds) is not looked at if it is None."""

    on: bool
    hot_threshold: int | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ExpectNoOpinion(Node):
    """No block has an opinion."""


Expected: TypeAlias = ExpectOrders | ExpectBalance | ExpectNoOpinion


@dataclass(frozen=True, slots=True, repr=False)
class Expectation(Node):
    """What the answer is to the last request before it, with the state as it is here."""

    expected: Expected
    line: int
    text: str


Step: TypeAlias = Given | SetMembers | SetParam | Expectation


@dataclass(frozen=True, slots=True, repr=False)
class TestCase(Node):
    """Steps in order; sets and parameters begin with what the policy says.

    There is a request before the first expectation.
    """

    __test__ = False  # pytest would take it for one of its own

    name: str
    hook: HookName
    steps: tuple[Step, ...]
    line: int
