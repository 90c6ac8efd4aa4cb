"""The reference evaluator as logic: the answer of a hook to every request at once.

Each function follows the one of policyc/plan/evaluate.py that does the same for one request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policyc.hooks.loader import enumerations
from policyc.plan import nodes as n
from policyc.plan.promises import hook_of
from policyc.plan.types import U64_MAX, Kind, Type
from policyc.prove import terms as t
from policyc.prove.inputs import Inputs, Term

__all__ = ["Answer", "BlockTerms", "Encoding", "Says"]


@dataclass(frozen=True, slots=True)
class Says:
    """What a block says, if it applies: `orders` for thp, `on` for numa."""

    opinion: t.Bool
    orders: t.Number
    on: t.Bool


@dataclass(frozen=True, slots=True)
class BlockTerms:
    """A block: whether it applies, which rules hold, which one is the first that does.

    `says[i]` is what the block would say if its rules began with rule i.
    """

    block: n.Block
    applies: t.Bool
    holds: tuple[t.Bool, ...]
    fires: tuple[t.Bool, ...]
    says: tuple[Says, ...]
    threshold: t.Number | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision of a hook: the fields of `Outcome`, as terms."""

    opinion: t.Bool
    orders: t.Number
    on: t.Bool
    has_threshold: t.Bool
    threshold: t.Number

    def differs(self, other: Answer) -> t.Bool:
        """Whether the two answers are not the same, whoever gave them."""
        threshold = t.any_of(
            (
                t.negation(t.same(self.has_threshold, other.has_threshold)),
                t.all_of(
                    (self.has_threshold, t.negation(t.equal(self.threshold, other.threshold)))
                ),
            )
        )
        return t.any_of(
            (
                t.negation(t.equal(self.orders, other.orders)),
                t.negation(t.same(self.on, other.on)),
                threshold,
            )
        )


class Encoding:
    """One policy as logic over some inputs."""

    def __init__(self, plan: n.Plan, inputs: Inputs) -> None:
        self.plan = plan
        self.inputs = inputs
        self.hook = hook_of(plan, inputs.hook)
        self._definitions = {item.name: item.expr for item in plan.locals}
        self._locals: dict[str, Term] = {}
        self.blocks = tuple(self._block(block) for block in self.hook.blocks)

    # -- blocks

    def _block(self, block: n.Block) -> BlockTerms:
        holds = tuple(
            True if rule.condition is None else self.holds(rule.condition) for rule in block.rules
        )
        applies = left = self._applies(block)
        fires: list[t.Bool] = []
        for condition in holds:
            fires.append(t.all_of((left, condition)))
            left = t.all_of((left, t.negation(condition)))
        says: list[Says] = []
        for rule, condition in zip(reversed(block.rules), reversed(holds), strict=True):
            action = self.says(rule.action)
            rest = says[-1] if says else action
            says.append(_chosen(condition, action, rest))
        threshold = None if block.hot_threshold is None else self.value(block.hot_threshold).value
        return BlockTerms(block, applies, holds, tuple(fires), tuple(reversed(says)), threshold)

    def _applies(self, block: n.Block) -> t.Bool:
        inside = True if block.scope is None else self.inputs.under(self.plan.paths[block.scope])
        if block.rollout is None:
            return inside
        share = self.value(block.rollout)
        return t.all_of((inside, self.inputs.cgroup, t.below(self.inputs.place, share.value)))

    def says(self, action: n.Action) -> Says:
        """What a block says if a rule with this action fires."""
        match action:
            case n.Pass():
                return Says(opinion=False, orders=U64_MAX, on=False)
            case n.Allow(orders):
                return Says(opinion=True, orders=self.value(orders).value, on=False)
            case n.Balance(on):
                return Says(opinion=True, orders=U64_MAX, on=on)

    def answer(self, replaced: Mapping[int, Says] | None = None) -> Answer:
        """The answer; some blocks, by their index, may say something else than they do."""
        said = [(replaced or {}).get(block.block.index, block.says[0]) for block in self.blocks]
        opinions, counts = self._counts(said)
        if self.hook.hook is n.HookName.THP:
            return Answer(t.any_of(opinions), self._orders(said, counts), False, False, 0)
        on = _on(said, counts)
        has, threshold = self._threshold(counts)
        return Answer(t.any_of(opinions), 0, on, t.all_of((on, has)), threshold)

    def decided_by(self) -> t.Number:
        """The index of the rule that the decision is attributed to, plus one; 0 for none."""
        said = [block.says[0] for block in self.blocks]
        _, counts = self._counts(said)
        if self.hook.hook is n.HookName.NUMA:
            on = _on(said, counts)
            return self._rule(
                [_and(c, t.same(s.on, on)) for s, c in zip(said, counts, strict=True)]
            )
        requested, orders = self.inputs.requested, self._orders(said, counts)
        exact = [
            _and(counted, t.equal(t.both(item.orders, requested), orders))
            for item, counted in zip(said, counts, strict=True)
        ]
        return t.choose_number(t.any_of(exact), self._rule(exact), self._rule(counts))

    def _counts(self, said: Sequence[Says]) -> tuple[list[t.Bool], list[t.Bool]]:
        """For each block whether it has an opinion, and whether that counts."""
        opinions = [_and(b.applies, s.opinion) for b, s in zip(self.blocks, said, strict=True)]
        return opinions, _counting(self.hook.combine, opinions)

    def _orders(self, said: Sequence[Says], counts: Sequence[t.Bool]) -> t.Number:
        orders = self.inputs.requested
        for item, counted in zip(said, counts, strict=True):
            orders = t.both(orders, t.choose_number(counted, item.orders, U64_MAX))
        return orders

    def _threshold(self, counts: Sequence[t.Bool]) -> tuple[t.Bool, t.Number]:
        """Whether a block that counts states a threshold, and the lowest one."""
        has: t.Bool = False
        lowest: t.Number = 0
        for block, counted in zip(self.blocks, counts, strict=True):
            if block.threshold is None:
                continue
            better = t.any_of((t.negation(has), t.below(block.threshold, lowest)))
            lowest = t.choose_number(_and(counted, better), block.threshold, lowest)
            has = t.any_of((has, counted))
        return has, lowest

    def _rule(self, blocks: Sequence[t.Bool]) -> t.Number:
        """The rule that fired in the innermost of some blocks, plus one; 0 without one."""
        found: t.Number = 0
        for block, chosen in zip(self.blocks, blocks, strict=True):
            fired: t.Number = 0
            for rule, fires in zip(block.block.rules, block.fires, strict=True):
                fired = t.choose_number(fires, rule.index + 1, fired)
            found = t.choose_number(chosen, fired, found)
        return found

    # -- expressions

    def holds(self, condition: n.Expr, known: Mapping[str, Term] | None = None) -> t.Bool:
        """Whether a condition is true; `known` are attributes besides those of the request."""
        value = self.value(condition, known)
        return t.all_of((value.present, value.value))

    def value(self, expr: n.Expr, known: Mapping[str, Term] | None = None) -> Term:
        """The value of an expression."""
        match expr:
            case n.Const(type, value):
                return Term(present=True, value=self._constant(type, value))
            case n.Attribute(_, name):
                return known[name] if known and name in known else self.inputs.attribute(name)
            case n.Param(_, name):
                return Term(present=True, value=self.inputs.param(self.plan, name))
            case n.Local(_, name):
                if name not in self._locals:
                    self._locals[name] = self.value(self._definitions[name])
                return self._locals[name]
            case n.Arithmetic(_, operator, left, right):
                a, b = self.value(left, known), self.value(right, known)
                return _lifted(a, b, t.saturated(operator, a.value, b.value))
            case n.Union(left, right):
                a, b = self.value(left, known), self.value(right, known)
                return _lifted(a, b, t.either(a.value, b.value))
            case n.Difference(left, right):
                a, b = self.value(left, known), self.value(right, known)
                return _lifted(a, b, t.except_for(a.value, b.value))
            case n.Highest(orders):
                mask = self.value(orders, known)
                some = t.negation(t.equal(mask.value, 0))
                size = t.highest_size(mask.value, self.plan.target.page_size)
                return Term(t.all_of((mask.present, some)), size)
            case _:
                return Term(present=True, value=self._test(expr, known))

    def _test(self, expr: n.Expr, known: Mapping[str, Term] | None) -> t.Bool:
        """A condition, which is never absent."""
        match expr:
            case n.Compare(operator, left, right):
                a, b = self.value(left, known), self.value(right, known)
                return t.all_of((a.present, b.present, _compared(operator, a.value, b.value)))
            case n.Contains(inner, outer):
                a, b = self.value(inner, known), self.value(outer, known)
                return t.all_of((a.present, b.present, t.equal(t.except_for(a.value, b.value), 0)))
            case n.Overlaps(left, right):
                a, b = self.value(left, known), self.value(right, known)
                common = t.negation(t.equal(t.both(a.value, b.value), 0))
                return t.all_of((a.present, b.present, common))
            case n.InList(value, members):
                a = self.value(value, known)
                codes = (self._constant(member.type, member.value) for member in members)
                return t.all_of((a.present, t.any_of(t.alike(a.value, code) for code in codes)))
            case n.Has(value):
                return self.value(value, known).present
            case n.And(items):
                return t.all_of([self.holds(item, known) for item in items])
            case n.Or(items):
                return t.any_of([self.holds(item, known) for item in items])
            case n.Not(item):
                return t.negation(self.holds(item, known))
            case n.InSet() | n.UnderSet() | n.UnderPath() | n.IsPath():
                return self._place_test(expr, known)
            case _:
                raise TypeError(f"not a condition: {expr!r}")

    def _place_test(
        self,
        expr: n.InSet | n.UnderSet | n.UnderPath | n.IsPath,
        known: Mapping[str, Term] | None,
    ) -> t.Bool:
        """Membership, and where the cgroup is in the tree; there is one cgroup to ask about."""
        value = self.value(expr.value, known)
        match expr:
            case n.InSet(_, name):
                definition = next(item for item in self.plan.sets if item.name == name)
                if definition.type.kind is Kind.STRING:
                    fact = self.inputs.has_string(self.plan, name, value.value)
                else:
                    fact = self.inputs.membership(self.plan, name).itself
            case n.UnderSet(_, name):
                fact = self.inputs.membership(self.plan, name).under
            case n.UnderPath(_, path):
                fact = self.inputs.under(self.plan.paths[path])
            case n.IsPath(_, path):
                fact = self.inputs.is_path(self.plan.paths[path])
        return t.all_of((value.present, fact))

    def _constant(self, type: Type, value: n.ConstValue) -> bool | int:
        if isinstance(value, bytes):
            return self.inputs.string_code(value)
        if type.kind is Kind.ENUM:
            return [m.name for m in enumerations()[type.enum].members].index(str(value))
        return value if isinstance(value, bool) else int(value)


def _and(left: t.Bool, right: t.Bool) -> t.Bool:
    return t.all_of((left, right))


def _on(said: Sequence[Says], counts: Sequence[t.Bool]) -> t.Bool:
    """Whether some opinion counts, and every one that does is for balancing."""
    every = [t.implies(counted, item.on) for item, counted in zip(said, counts, strict=True)]
    return t.all_of((t.any_of(counts), *every))


def _chosen(condition: t.Bool, yes: Says, no: Says) -> Says:
    return Says(
        t.choose_bool(condition, yes.opinion, no.opinion),
        t.choose_number(condition, yes.orders, no.orders),
        t.choose_bool(condition, yes.on, no.on),
    )


def _lifted(left: Term, right: Term, value: t.Number) -> Term:
    return Term(t.all_of((left.present, right.present)), value)


def _counting(combine: n.Combine, opinions: Sequence[t.Bool]) -> list[t.Bool]:
    """For each block whether it has an opinion that counts."""
    if combine is n.Combine.MEET:
        return list(opinions)
    ordered = list(opinions) if combine is n.Combine.OUTERMOST else list(reversed(opinions))
    counts: list[t.Bool] = []
    taken: t.Bool = False
    for opinion in ordered:
        counts.append(t.all_of((opinion, t.negation(taken))))
        taken = t.any_of((taken, opinion))
    return counts if combine is n.Combine.OUTERMOST else list(reversed(counts))


def _compared(operator: n.CompareOperator, left: t.Number, right: t.Number) -> t.Bool:
    match operator:
        case n.CompareOperator.EQUAL:
            return t.alike(left, right)
        case n.CompareOperator.NOT_EQUAL:
            return t.negation(t.alike(left, right))
        case n.CompareOperator.LESS:
            return t.below(left, right)
        case n.CompareOperator.LESS_EQUAL:
            return t.at_most(left, right)
        case n.CompareOperator.GREATER:
            return t.below(right, left)
        case n.CompareOperator.GREATER_EQUAL:
            return t.at_most(right, left)
