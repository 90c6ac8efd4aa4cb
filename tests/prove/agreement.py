"""The logic, asked about one request at a time, next to the evaluator."""

from __future__ import annotations

from typing import Any

from policyc.hooks.loader import profiles
from policyc.hooks.model import Profile
from policyc.plan import encode, evaluate
from policyc.plan import nodes as n
from policyc.plan.evaluate import State
from policyc.prove import kernels
from policyc.prove import terms as t
from policyc.prove.encode import Encoding
from policyc.prove.inputs import Inputs

__all__ = ["Logic", "as_request", "meaning"]

PROFILES = ("thp-v7", "thp-v9", "thp-v12", "mthp-v2")


def as_request(values: dict[str, n.ConstValue | None]) -> dict[str, n.ConstValue | None]:
    """The values with what no kernel would ask taken out of them."""
    found = dict(values)
    cgroup = found.get("cgroup")
    if cgroup is None:
        found |= {name: None for name in found if name.startswith("cgroup.")}
    elif "cgroup.depth" in found:
        found["cgroup.depth"] = 0 if cgroup == "/" else str(cgroup).count("/")
    if "memory.free" in found:
        limit, usage = found.get("memory.max"), found.get("memory.usage")
        found["memory.free"] = None
        if isinstance(limit, int) and isinstance(usage, int):
            found["memory.free"] = max(limit - usage, 0)
    return found


def meaning(
    plan: n.Plan, hook: n.HookPlan, values: dict[str, n.ConstValue | None], state: State
) -> tuple[object, ...]:
    """What the evaluator says, in the order of `Logic.outputs`."""
    outcome = evaluate.evaluate(plan, hook, values, state)
    requested = int(values.get("orders") or 0)
    decided = 0 if outcome.decided_by is None else outcome.decided_by.index + 1
    fired = {rule.index for rule in outcome.fired if rule is not None}
    raws: list[int] = []
    for profile in _profiles(hook):
        raw = encode.raw_answer(profile, outcome, requested)
        raws += [raw & (1 << 64) - 1, encode.effective_orders(profile, raw, requested)]
    return (
        bool(outcome.opinions),
        outcome.orders,
        outcome.on,
        outcome.hot_threshold,
        decided,
        *raws,
        *(rule.index in fired for block in hook.blocks for rule in block.rules),
    )


def _profiles(hook: n.HookPlan) -> list[Profile]:
    names = PROFILES if hook.hook is n.HookName.THP else ("numab-rfc1",)
    return [profiles()[name] for name in names]


class Logic:
    """The encoding of a hook, which is evaluated for requests."""

    def __init__(self, plan: n.Plan, hook: n.HookPlan) -> None:
        self.asked = 0
        self.inputs = Inputs([plan], hook.hook)
        encoding = Encoding(plan, self.inputs)
        self.answer = answer = encoding.answer()
        requested = self.inputs.requested
        self.outputs: list[Any] = [
            answer.opinion, answer.orders, answer.on, answer.has_threshold, answer.threshold,
            encoding.decided_by(),
        ]  # fmt: skip
        for profile in _profiles(hook):
            raw = kernels.raw(profile, answer, requested)
            effective = kernels.effective(profile, raw, requested) if profile.hook == "thp" else raw
            self.outputs += [raw, effective]
        self.outputs += [fires for block in encoding.blocks for fires in block.fires]

    def meaning(self, values: dict[str, n.ConstValue | None], state: State) -> tuple[object, ...]:
        """What the logic says; the request has to keep to all constraints.

        Those are looked at for some requests only: they are most of the work.
        """
        model = t.z3.Model()
        for variable, value in self.inputs.assignment(values, state):
            model.update_value(variable, _literal(variable, value))
        self.asked += 1
        for constraint in self.inputs.constraints if self.asked % 8 == 1 else ():
            kept = _value(model, constraint)
            assert kept is True, (constraint, values, state)
        found = [_value(model, output) for output in self.outputs]
        has_threshold, threshold = found[3], found[4]
        return (*found[:3], threshold if has_threshold else None, *found[5:])


def _literal(variable: Any, value: int) -> Any:
    return t.z3.BoolVal(bool(value)) if t.z3.is_bool(variable) else t.z3.BitVecVal(value, 64)


def _value(model: Any, item: Any) -> object:
    if isinstance(item, (bool, int)):
        return item
    found = model.eval(item, model_completion=True)
    if t.z3.is_bool(found):
        assert t.z3.is_true(found) or t.z3.is_false(found), item
        return t.z3.is_true(found)
    return found.as_long()
