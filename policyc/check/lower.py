"""Checked pieces to plan: blocks outermost first, rules numbered, names that nothing uses gone."""

from __future__ import annotations

from policyc.check.blocks import CheckedBlock
from policyc.check.host import CheckedSetting
from policyc.check.model import Declarations
from policyc.plan import nodes as n
from policyc.syntax import tree as t

__all__ = ["lower"]


def lower(  # noqa: PLR0917 - the parts of a policy, each from a stage of its own
    file: t.PolicyFile,
    declarations: Declarations,
    sets: tuple[n.SetDefinition, ...],
    blocks: list[CheckedBlock],
    combine: dict[n.HookName, n.Combine],
    host: list[CheckedSetting],
) -> n.Plan:
    """The plan of a policy without errors."""
    hooks: dict[n.HookName, n.HookPlan] = {}
    rule_index = 0
    for hook in n.HookName:
        mine = sorted((block for block in blocks if block.hook is hook), key=_depth)
        lowered: list[n.Block] = []
        for block in mine:
            lowered.append(_block(block, len(lowered), rule_index, declarations))
            rule_index += len(block.rules)
        if lowered:
            hooks[hook] = n.HookPlan(hook, combine[hook], tuple(lowered))
    return n.Plan(
        name=file.name.text if file.name is not None else "",
        file=file.source.name,
        target=declarations.target,
        paths=tuple(declarations.path_names),
        sets=tuple(item for item in sets if declarations.is_needed(item.name)),
        params=tuple(
            p
            for p in declarations.checked_params.values()
            if p is not None and declarations.is_needed(p.name)
        ),
        locals=_locals(declarations),
        thp=hooks.get(n.HookName.THP),
        numa=hooks.get(n.HookName.NUMA),
        host=tuple(setting for setting, _ in host),
    )


def _depth(block: CheckedBlock) -> tuple[int, int]:
    """Outermost first: no scope, then "/", then by the number of path components."""
    scope = block.scope
    return (0, 0) if scope is None else (1, 0 if scope == "/" else scope.count("/"))


def _block(block: CheckedBlock, index: int, first_rule: int, declarations: Declarations) -> n.Block:
    return n.Block(
        index=index,
        scope=None if block.scope is None else declarations.path(block.scope),
        depth=_depth(block)[1],
        rollout=block.rollout,
        rules=tuple(
            n.Rule(
                first_rule + offset,
                rule.condition,
                rule.action,
                rule.label,
                rule.span.line if rule.condition is None else rule.answer_span.line,
                rule.text,
            )
            for offset, rule in enumerate(block.rules)
        ),
        hot_threshold=block.hot_threshold,
        line=block.item.span.line,
    )


def _locals(declarations: Declarations) -> tuple[n.LocalDefinition, ...]:
    definitions: list[n.LocalDefinition] = []
    for name, checked in declarations.checked_lets.items():
        if checked is not None and name in declarations.used:
            written = declarations.lets[name].name
            span = written.span
            origin = (span.source.name, span.line) if name in declarations.imported else None
            line = declarations.line(written)
            definitions.append(n.LocalDefinition(name, checked.expr, line, origin))
    return tuple(definitions)
