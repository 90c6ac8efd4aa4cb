"""Whether a policy keeps its tests and properties, and requests to test it with.

    from hypothesis import given
    from policyc.testing import requests

    policy = policyc.load("fleet.thp")

    @given(requests(policy.plan, "thp"))
    def test_stays_within_the_request(request):
        assert policy.decide(request).orders & ~request.orders == 0

`requests`, `states` and `situations` are strategies of hypothesis (`policyc[test]`), whose
values stand at the boundaries of the conditions of the policy. What is named here is public;
everything is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyc.testing.coverage import Coverage
    from policyc.testing.report import Failure, Report, Result
    from policyc.testing.runner import run
    from policyc.testing.strategies import requests, situations, states

__all__ = [
    "Coverage",
    "Failure",
    "Report",
    "Result",
    "requests",
    "run",
    "situations",
    "states",
]

_HOMES = {
    "Coverage": "policyc.testing.coverage",
    "Failure": "policyc.testing.report",
    "Report": "policyc.testing.report",
    "Result": "policyc.testing.report",
    "requests": "policyc.testing.strategies",
    "run": "policyc.testing.runner",
    "situations": "policyc.testing.strategies",
    "states": "policyc.testing.strategies",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        message = f"{__name__}.{name} needs hypothesis: pip install 'policyc[test]'"
        raise ModuleNotFoundError(message, name=error.name) from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
