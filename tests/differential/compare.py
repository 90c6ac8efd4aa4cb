"""One question, every executor: their answers side by side, and the first that differs."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Protocol

from policyc.api import Policy
from policyc.check import check_text
from policyc.diagnostics.model import PolicyError
from policyc.emit import bpf, clang, layout, python
from policyc.hooks.loader import attributes, profiles
from policyc.plan import encode, evaluate
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from policyc.syntax.printer import format_policy
from tests.differential.lanes.host import HostLane
from tests.differential.lanes.kernel import MAY_GOTO, KernelLane, has_may_goto
from tests.strategies.policies import Generated
from tests.strategies.requests import Request, Requests, World, states

__all__ = [
    "THP_PROFILES",
    "CLane",
    "Lane",
    "LaneFactory",
    "Mismatch",
    "Question",
    "Verdict",
    "checked_plan",
    "host_lane",
    "kernel_lane",
    "memory_lane",
    "mismatches",
    "module_lane",
    "optional_attributes",
    "plan_of",
    "reference",
    "reference_lane",
    "verdicts_on",
]

THP_PROFILES = ("thp-v7", "thp-v9", "thp-v12", "mthp-v2")

#: Makes a lane of a plan in a world, which is closed with the stack.
LaneFactory = Callable[[n.Plan, World, ExitStack], "Lane"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a lane says; `details` are what only some of them know, in the order of `_details`."""

    value: int
    opinion: bool
    hot_threshold: int | None
    fired: tuple[int | None, ...]
    details: tuple[object, ...] | None = None

    def agrees(self, other: Verdict) -> bool:
        """Whether the two say the same, as far as both know."""
        if self.details is None or other.details is None:
            return replace(self, details=None) == replace(other, details=None)
        return self == other


class Lane(Protocol):
    """An executor of one plan."""

    name: str

    def decide(self, hook: n.HookPlan, requests: Sequence[Request], state: State) -> list[Verdict]:
        """The answers to some requests in one state."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A request to a hook of a plan in a state."""

    hook: n.HookPlan
    request: Request
    state: State


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A question that is not answered alike, with what each lane says."""

    question: Question
    verdicts: dict[str, Verdict]


def plan_of(generated: Generated) -> n.Plan | None:
    """The plan of a policy, None if it has errors."""
    text = format_policy(generated.file)
    return check_text(text, "generated.thp", target=generated.target).plan


def checked_plan(generated: Generated) -> tuple[str, n.Plan]:
    """The text and the plan of a generated policy; a policy with errors is a mistake here."""
    text = format_policy(generated.file)
    result = check_text(text, "generated.thp", target=generated.target)
    if result.plan is None:
        raise AssertionError(f"{PolicyError(result.diagnostics)}\n{text}")
    return text, result.plan


# -- the lanes


class _Reference:
    name = "reference"

    def __init__(self, plan: n.Plan) -> None:
        self._plan = plan

    def decide(self, hook: n.HookPlan, requests: Sequence[Request], state: State) -> list[Verdict]:
        return [reference(self._plan, hook, item, state) for item in requests]


def reference(plan: n.Plan, hook: n.HookPlan, request: Request, state: State) -> Verdict:
    """What the policy means, and that what kernels make of it keeps to it."""
    outcome = evaluate.evaluate(plan, hook, request.values, state)
    fired = tuple(None if rule is None else rule.index for rule in outcome.fired)
    decided = None if outcome.decided_by is None else outcome.decided_by.index
    if hook.hook is n.HookName.NUMA:
        raw = encode.raw_answer(profiles()["numab-rfc1"], outcome, 0)
        details = (decided, raw, bool(raw))
        assert bool(raw) is outcome.on
        return Verdict(
            int(outcome.on), bool(outcome.opinions), outcome.hot_threshold, fired, details
        )
    requested = int(request.values["orders"] or 0)
    answers: list[int] = []
    for name in THP_PROFILES:
        profile = profiles()[name]
        raw = encode.raw_answer(profile, outcome, requested)
        effective = encode.effective_orders(profile, raw, requested)
        _keeps_to(name, raw, effective, requested, outcome)
        answers += (raw, effective)
    return Verdict(outcome.orders, bool(outcome.opinions), None, fired, (decided, *answers))


def _keeps_to(
    profile: str, raw: int, effective: int, requested: int, outcome: evaluate.Outcome
) -> None:
    """What every interface must hold to, whatever it loses."""
    allowed, context = outcome.orders, (profile, raw, effective, requested, outcome.orders)
    assert allowed & ~requested == 0, context
    assert effective & ~allowed == 0, context
    if profile == "mthp-v2":
        assert raw == effective == allowed, context
        return
    assert raw in (-1, 0) or requested >> raw & 1, context
    if profile == "thp-v9":
        assert raw >= 0, context
    elif not outcome.opinions:
        assert effective == requested & ~1, context
    if outcome.opinions and not allowed:
        assert raw == 0, context
        assert effective == 0, context


class _Python:
    def __init__(self, name: str, module: dict[str, Any]) -> None:
        self.name = name
        self._module = module
        self._state: State | None = None

    def decide(self, hook: n.HookPlan, requests: Sequence[Request], state: State) -> list[Verdict]:
        self._set_state(state)
        if hook.hook is n.HookName.NUMA:
            return [self._numa(item) for item in requests]
        return [self._thp(item) for item in requests]

    def _set_state(self, state: State) -> None:
        if state is self._state:
            return
        live = self._module["state"]
        for name, members in state.sets.items():
            live.sets[name].replace(members)
        for name, value in state.params.items():
            live.params[name] = bool(value) if live.params[name] is True else value
        self._state = state

    def _request(self, kind: str, request: Request) -> Any:
        values = {name.replace(".", "_"): value for name, value in request.values.items()}
        return self._module[kind](**values)

    def _thp(self, request: Request) -> Verdict:
        question = self._request("ThpRequest", request)
        decision = self._module["decide"](question)
        orders = self._module["thp_orders"](question)
        assert orders == decision.orders, (orders, decision, question)
        answers = [
            answer
            for profile in THP_PROFILES
            for answer in (decision.raw(profile), decision.effective(profile))
        ]
        return _verdict(decision, decision.orders, None, tuple(answers))

    def _numa(self, request: Request) -> Verdict:
        decision = self._module["decide"](self._request("NumaRequest", request))
        answers = (decision.raw("numab-rfc1"), decision.effective("numab-rfc1"))
        return _verdict(decision, int(decision.on), decision.hot_threshold, answers)


def _verdict(
    decision: Any, value: int, threshold: int | None, answers: tuple[object, ...]
) -> Verdict:
    decided = None if decision.rule is None else decision.rule.index
    fired = tuple(None if rule is None else rule.index for rule in decision.fired)
    return Verdict(value, bool(decision.opinions), threshold, fired, (decided, *answers))


class CLane:
    """The emitted C, on the host or in the kernel; `inner` is what runs it."""

    def __init__(self, name: str, plan: n.Plan, world: World, inner: HostLane | KernelLane) -> None:
        self.name = name
        self.inner = inner
        self._plan = plan
        self._world = world
        self._state: State | None = None

    def decide(self, hook: n.HookPlan, requests: Sequence[Request], state: State) -> list[Verdict]:
        if state is not self._state:
            self.inner.set_state(state)
            self._state = state
        shape = layout.request_layout(self._plan, hook)
        answers = layout.answer_layout(self._plan, hook)
        packed = [_packed(shape, item, self._world) for item in requests]
        verdicts: list[Verdict] = []
        for data in self.inner.decide(hook, packed):
            answer = layout.unpack_answer(answers, data)
            verdicts.append(
                Verdict(answer.value, answer.opinion, answer.hot_threshold, answer.fired)
            )
        return verdicts


def _packed(shape: layout.RequestLayout, request: Request, world: World) -> bytes:
    """The request as bytes, with the averages and the rest of the name as a kernel has them."""
    data = layout.pack_request(shape, request.values, world.id)
    if not request.averages and not request.tail:
        return data
    patched = bytearray(data)
    for name, average in request.averages.items():
        struct.pack_into("=Q", patched, shape.field(name).offset, average)
    comm = request.values.get("task.comm")
    if request.tail and isinstance(comm, bytes):
        start = shape.field("task.comm").offset
        whole = (comm + b"\0" + request.tail)[:16]
        patched[start : start + len(whole)] = whole
    return bytes(patched)


def reference_lane(plan: n.Plan, _: World, __: ExitStack) -> Lane:
    """The reference evaluator."""
    return _Reference(plan)


def module_lane(plan: n.Plan, _: World, __: ExitStack) -> Lane:
    """The generated module that needs nothing else."""
    module: dict[str, Any] = {"__name__": "generated_policy"}
    text = python.emit_python(plan, list(profiles().values()))
    # The future of this file is not the generated one's.
    exec(compile(text, "<generated>", "exec", dont_inherit=True), module)
    return _Python("python module", module)


def memory_lane(plan: n.Plan, _: World, __: ExitStack) -> Lane:
    """The policy that a Python program loads."""
    from policyc.runtime.requests import NumaRequest, ThpRequest

    policy = Policy(plan)
    module = {
        "state": policy.state,
        "decide": policy.decide,
        "thp_orders": policy.thp_orders,
        "ThpRequest": ThpRequest,
        "NumaRequest": NumaRequest,
    }
    return _Python("python in memory", module)


def host_lane(plan: n.Plan, world: World, stack: ExitStack) -> CLane:
    """The C, built by the host's compiler."""
    return CLane("C on the host", plan, world, stack.enter_context(HostLane(plan, world.id)))


def kernel_lane(plan: n.Plan, world: World, stack: ExitStack) -> CLane:
    """The C, in the running kernel; every other policy walks the tree with may_goto if it can."""
    text = bpf.emit_bpf(plan, profiles()["testrun"])
    if len(plan.rules) % 2 and has_may_goto():
        text = MAY_GOTO + text
    data = clang.compile_object(text)
    lane = stack.enter_context(KernelLane(plan, data, world.id))
    return CLane("C in the kernel", plan, world, lane)


# -- comparison


def mismatches(
    plan: n.Plan, world: World, lanes: Sequence[Lane], seed: int, count: int
) -> Iterable[Mismatch]:
    """The questions that the lanes answer differently, of `count` to each hook of the plan."""
    random = Random(seed)
    for hook in plan.hooks:
        requests = Requests(plan, hook, world, random)
        situations = states(plan, random)
        for place, state in enumerate(situations):
            share = count * (place + 1) // len(situations) - count * place // len(situations)
            batch = requests.make(share)
            answers = [lane.decide(hook, batch, state) for lane in lanes]
            for request, *verdicts in zip(batch, *answers, strict=True):
                if not all(verdicts[0].agrees(other) for other in verdicts[1:]):
                    named = {lane.name: v for lane, v in zip(lanes, verdicts, strict=True)}
                    yield Mismatch(Question(hook, request, state), named)


def verdicts_on(question: Question, lanes: Sequence[Lane]) -> dict[str, Verdict]:
    """What each lane says to one question."""
    return {
        lane.name: lane.decide(question.hook, [question.request], question.state)[0]
        for lane in lanes
    }


def optional_attributes() -> frozenset[str]:
    """Attributes that can be absent."""
    return frozenset(row.name for row in attributes().values() if row.absent) | {"cgroup.id"}
