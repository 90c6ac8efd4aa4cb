"""Policies in memory: what an embedding program loads and asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, overload

from policyc.check import check_text
from policyc.diagnostics.model import Diagnostic, PolicyError
from policyc.emit.python import emit_python, loaded_module
from policyc.hooks.loader import profiles as all_profiles
from policyc.plan.nodes import Plan, Target
from policyc.runtime.decisions import Decision, NumaDecision, ThpDecision
from policyc.runtime.request import Request
from policyc.runtime.state import State

if TYPE_CHECKING:
    from policyc.runtime.requests import NumaRequest, ThpRequest

__all__ = ["Policy", "load", "loads"]


class Policy:
    """A policy that answers requests; made by `load` and `loads`.

    `plan` is what it means, `diagnostics` are the warnings of the compiler, `state` holds
    its sets and parameters. `thp_orders` gives the allowed orders of a request as a mask
    and nothing else; it is the fastest way to ask.
    """

    __slots__ = ("_decide", "diagnostics", "plan", "state", "thp_orders")

    plan: Plan
    diagnostics: tuple[Diagnostic, ...]
    state: State
    thp_orders: Callable[[ThpRequest], int]

    def __init__(self, plan: Plan, diagnostics: Sequence[Diagnostic] = ()) -> None:
        module = loaded_module(plan, tuple(all_profiles().values()))
        self.plan = plan
        self.diagnostics = tuple(diagnostics)
        self.state = module["state"]
        self.thp_orders = module["thp_orders"]
        self._decide: Callable[[Request], Decision] = module["decide"]

    @property
    def name(self) -> str:
        """The name that the policy gives itself."""
        return self.plan.name

    @overload
    def decide(self, request: ThpRequest) -> ThpDecision: ...
    @overload
    def decide(self, request: NumaRequest) -> NumaDecision: ...
    @overload
    def decide(self, request: Request) -> Decision: ...
    def decide(self, request: Request) -> Decision:
        """The decision on a request, with the rules that made it."""
        return self._decide(request)

    def python_source(self, profiles: Sequence[str] | None = None) -> str:
        """The policy as a Python module of its own, which does not need policyc.

        `profiles` are the kernel interfaces whose raw and effective answers the module
        knows, all of them if nothing is given.
        """
        known = all_profiles()
        chosen = known if profiles is None else profiles
        return emit_python(self.plan, [known[name] for name in chosen])

    def __repr__(self) -> str:
        return f"<policy {self.name} of {self.plan.file}>"


def load(
    path: str | PathLike[str],
    *,
    profiles: Sequence[str] | None = None,
    target: Target | None = None,
) -> Policy:
    """The policy of a file; PolicyError with every finding if it cannot be used.

    `profiles` are kernel interfaces that the policy must be fit for, `target` is the memory
    geometry, 4 KiB pages and 2 MiB huge pages if nothing is given.
    """
    return loads(Path(path).read_bytes(), str(path), profiles=profiles, target=target)


def loads(
    text: str | bytes,
    name: str = "<string>",
    *,
    profiles: Sequence[str] | None = None,
    target: Target | None = None,
) -> Policy:
    """The policy of a text; `name` is what diagnostics and rules call it. See `load`.

    What it imports is read from the disk, from the directory of `name`.
    """
    result = check_text(text, name, profiles=profiles, target=target or Target())
    if result.plan is None:
        raise PolicyError(result.diagnostics)
    return Policy(result.plan, result.diagnostics)
