"""An estimate of what it costs the kernel's verifier to accept the BPF program of a hook.

The unit is an instruction that the verifier looks at (`processed N insns` in its log); it
looks at one again for each state that it cannot tell from an earlier one. The estimate is a
sum over the parts of a policy, with constants measured on Linux 6.18 with clang 19. It is
within a factor of two for the examples and for chains of rules; expressions that are full of
saturating arithmetic, of which each branches, can cost many times more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from policyc.plan import nodes as n
from policyc.plan.operands import operands, reachable
from policyc.plan.types import Kind

if TYPE_CHECKING:
    from policyc.plan.passes.tables import TablePlan

__all__ = [
    "branches_cost",
    "expression_cost",
    "has_own_function",
    "hook_cost",
    "is_large",
    "table_cost",
]

#: Up to so many rules of a hook, all is one function; a table counts as one rule.
_SMALL_HOOK = 64
#: In a larger hook, blocks with more rules than this are functions of their own.
_SMALL_BLOCK = 4

#: Entry, bounds, and the answer.
_FRAME = 50
#: A block: its scope, its counter, and its opinion joined to the others. A numa opinion has
#: more parts, of which each makes states of its own.
_BLOCKS = {n.HookName.THP: 30, n.HookName.NUMA: 60}
_ROLLOUT = 20
#: The test of a rule and its answer.
_RULE = 3
#: Each answer of a function of its own is followed to the end of the program.
_EXIT = 18
#: A way up the tree: about three rounds of the loop, and what follows once more.
_WALK = 70
#: Index, bounds and answer of a table.
_TABLE = 15
#: A path's bit of the mask.
_PATH = 4
_ATTRIBUTE = 3
_LOOKUP = 15
_NAME_LOOKUP = 60
#: Saturation and absence are branches.
_ARITHMETIC = 25
#: Sixteen bytes are compared in steps.
_NAME = 15
_OPERATION = 2


def is_large(steps: Iterable[int]) -> bool:
    """Whether a hook whose blocks have so many rules is more than one function."""
    return sum(steps) > _SMALL_HOOK


def has_own_function(steps: int, all_steps: Iterable[int]) -> bool:
    """Whether a block with so many rules is a function in a hook with these blocks."""
    return steps > _SMALL_BLOCK and is_large(all_steps)


def branches_cost(conditions: Iterable[n.Expr]) -> int:
    """What rules cost that are asked one after the other; paths are bits of a known mask."""
    return sum(_RULE + expression_cost(condition) for condition in conditions)


def table_cost(rest: Iterable[n.Expr]) -> int:
    """What any number of rules costs as a table, with the conditions that all of them share."""
    return _WALK + _TABLE + sum(map(expression_cost, rest))


def expression_cost(expr: n.Expr) -> int:
    """What an expression costs, without the definitions of lets."""
    return _node_cost(expr) + sum(map(expression_cost, operands(expr)))


def _node_cost(expr: n.Expr) -> int:
    match expr:
        case n.UnderSet():
            return _WALK
        case n.UnderPath() | n.IsPath():
            # The cgroup is an operand, but only its absence is tested, and that once.
            return _PATH - _ATTRIBUTE
        case n.InSet(value, _):
            return _NAME_LOOKUP if _is_name(value) else _LOOKUP
        case n.Arithmetic() | n.Highest():
            return _ARITHMETIC
        case n.Attribute() | n.Param() | n.Local():
            return _ATTRIBUTE
        case n.Const() | n.And() | n.Or() | n.Not() | n.Has():
            return 0
        case n.InList(_, members):
            return _OPERATION * len(members)
        case n.Compare(_, left, _) if _is_name(left):
            return _NAME
        case n.Compare() | n.Union() | n.Difference() | n.Contains() | n.Overlaps():
            return _OPERATION


def _is_name(expr: n.Expr) -> bool:
    return isinstance(expr, (n.Attribute, n.Local)) and expr.type.kind is Kind.STRING


def hook_cost(plan: n.Plan, hook: n.HookPlan, tables: TablePlan) -> int:
    """What the program of a hook costs with these tables.

    Blocks after the first with a condition are looked at twice: an opinion so far makes
    another state than none.
    """
    conditions: list[n.Expr] = []
    again: list[n.Expr] = []
    anywhere: list[n.Expr] = []
    total, steps = _FRAME, list[int]()
    for block in hook.blocks:
        of_block = tables.of_block(hook.hook, block.index).values()
        covered = {rule.index for table in of_block for rule in table.run.rules}
        left = [rule for rule in block.rules if rule.index not in covered]
        steps.append(len(left) + len(of_block))
        total += _BLOCKS[hook.hook] + (0 if block.rollout is None else _ROLLOUT)
        total += _RULE * len(left) + (_WALK + _TABLE) * len(of_block)
        asked = [rule.condition for rule in left if rule.condition is not None]
        asked += [condition for table in of_block for condition in table.run.rest]
        anywhere += asked if block.scope is None else []
        again += asked if conditions else []
        conditions += asked
    parts = list(reachable(plan, conditions))
    total += sum(map(_node_cost, [*parts, *reachable(plan, again)]))
    # Paths are found for the first scope, and once in the block without one, which is before it.
    scoped = any(block.scope is not None for block in hook.blocks)
    asked_before = any(
        isinstance(part, (n.UnderPath, n.IsPath)) for part in reachable(plan, anywhere)
    )
    total += _WALK * (scoped + asked_before)
    return total + _EXIT * sum(count for count in steps if has_own_function(count, steps))
