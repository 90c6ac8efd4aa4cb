"""What the chosen kernel interfaces can supply, and what they lose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from policyc.check.blocks import CheckedBlock, CheckedRule
from policyc.check.host import CheckedSetting
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import profiles_with
from policyc.hooks.model import AttributeRow, Profile
from policyc.plan import nodes as n
from policyc.plan.paths import is_under
from policyc.plan.types import Kind
from policyc.source import Span

__all__ = ["check_attributes", "check_profiles"]

_MEMORY_TIERING = 2


def check_attributes(
    blocks: Iterable[CheckedBlock], profiles: Iterable[Profile], diagnostics: Diagnostics
) -> None:
    """Each attribute must exist for the hook, and in every chosen profile of that hook."""
    chosen = list(profiles)
    for block in blocks:
        hook = block.hook.value
        reported: set[tuple[str, str]] = set()
        for use in block.uses:
            related = (Label(use.through, "used here"),) if use.through else ()
            if hook not in use.row.hooks:
                if (use.row.name, "") not in reported:
                    _not_of_hook(use.row, use.span, hook, related, diagnostics)
                reported.add((use.row.name, ""))
                continue
            for profile in chosen:
                key = (use.row.name, profile.name)
                if not profile.answers(hook) or profile.has(use.row) or key in reported:
                    continue
                reported.add(key)
                able = profiles_with(use.row, hook)
                diagnostics.add(
                    "PC0601",
                    f"{profile.name} cannot supply `{use.row.name}`",
                    use.span,
                    f"not in {profile.name}",
                    related=related,
                    help=f"profiles that can: {', '.join(able)}",
                )


def _not_of_hook(
    row: AttributeRow, span: Span, hook: str, related: tuple[Label, ...], diagnostics: Diagnostics
) -> None:
    diagnostics.add(
        "PC0205",
        f"`{row.name}` does not exist in {hook} blocks",
        span,
        f"only in {', '.join(sorted(row.hooks))}",
        related=related,
        help=f"`policyc attributes` lists what {hook} blocks can ask for",
    )


def check_profiles(  # noqa: PLR0917 - what the stages before it found
    blocks: list[CheckedBlock],
    combine: dict[n.HookName, n.Combine],
    host: list[CheckedSetting],
    profiles: Iterable[Profile],
    lets: Mapping[str, n.Expr],
    diagnostics: Diagnostics,
) -> None:
    """Say what each chosen profile cannot express of this policy."""
    for profile in profiles:
        mine = [block for block in blocks if profile.answers(block.hook.value)]
        if not mine:
            continue
        if profile.answer == "order":
            _single_order(mine, profile, diagnostics)
        if profile.attachment == "memory-cgroup":
            _memory_cgroups(mine, combine, host, profile, diagnostics)
        if profile.attachment == "cgroup-subtree":
            _subtrees(mine, profile, diagnostics)
    _shared_memory(blocks, lets, diagnostics)


def _thp_rules(blocks: list[CheckedBlock]) -> list[tuple[CheckedRule, n.Allow | n.Pass]]:
    return [
        (rule, rule.action)
        for block in blocks
        for rule in block.rules
        if isinstance(rule.action, n.Allow | n.Pass)
    ]


def _single_order(blocks: list[CheckedBlock], profile: Profile, diagnostics: Diagnostics) -> None:
    for rule, action in _thp_rules(blocks):
        if isinstance(action, n.Allow) and _has_several_orders(action.orders):
            diagnostics.add(
                "PC0603",
                f"{profile.name} answers with one order: of several allowed ones the kernel "
                "is told the highest that was requested",
                rule.answer_span,
                help="the fault path asks again with the lower orders when a PMD page is "
                "not to be had; other requests lose the smaller orders",
            )
            break
    if profile.leave is not None:
        return
    for rule, action in _thp_rules(blocks):
        if isinstance(action, n.Pass) or _is_all(action.orders):
            diagnostics.add(
                "PC0604",
                f"{profile.name} has no way to leave a request alone: it is answered with "
                "the highest requested order",
                rule.answer_span,
                help="the lower orders of such a request are lost; thp-v7 and thp-v12 keep them",
            )
            break


def _has_several_orders(orders: n.Expr) -> bool:
    if isinstance(orders, n.Const):
        return int(orders.value).bit_count() > 1 and orders.value != n.ALL_ORDERS
    return True


def _is_all(orders: n.Expr) -> bool:
    return isinstance(orders, n.Const) and orders.value == n.ALL_ORDERS


def _memory_cgroups(
    blocks: list[CheckedBlock],
    combine: dict[n.HookName, n.Combine],
    host: list[CheckedSetting],
    profile: Profile,
    diagnostics: Diagnostics,
) -> None:
    first = blocks[0]
    diagnostics.add(
        "PC0605",
        f"{profile.name} asks only the program of the task's own memory cgroup, and does "
        "not look at the cgroups above it",
        first.item.header,
        help="attach an instance to every cgroup of the manifest's attach plan, and to each "
        "one that is created below them",
    )
    tiering = any(
        setting.name == "numa.balancing" and int(setting.value) & _MEMORY_TIERING
        for setting, _ in host
    )
    for block in blocks:
        span = block.hot_threshold_span
        if span is None:
            continue
        if not tiering:
            diagnostics.add(
                "PC0606",
                "a hot threshold is only looked at in memory tiering mode",
                span,
                help="add `numa.balancing = 2;` (or 3) to the host block; even then the "
                "kernel adapts one threshold per target node, shared by all workloads",
            )
        if isinstance(block.hot_threshold, n.Param):
            diagnostics.add(
                "PC0607",
                f"{profile.name} reads the hot threshold when it attaches, not when the "
                "parameter changes",
                span,
                help="attach again after a change",
            )
        _competing_thresholds(block, blocks, combine, profile, diagnostics)


def _competing_thresholds(
    block: CheckedBlock,
    blocks: list[CheckedBlock],
    combine: dict[n.HookName, n.Combine],
    profile: Profile,
    diagnostics: Diagnostics,
) -> None:
    for other in blocks:
        inside = block is not other and _contains(other.scope, block.scope)
        if not inside or other.hot_threshold == block.hot_threshold:
            continue
        nearest = combine[n.HookName.NUMA] is n.Combine.NEAREST
        if nearest and not _may_pass(block):
            continue
        assert block.hot_threshold_span is not None
        diagnostics.add(
            "PC0608",
            "which hot threshold counts depends on the request, and "
            f"{profile.name} has one per cgroup",
            block.hot_threshold_span,
            "the kernel is given this policy's combination for the case that all blocks "
            "have an opinion",
            related=(Label(other.item.header, "this block may decide instead"),),
            help="give both blocks the same threshold",
        )
        return


def _contains(outer: str | None, inner: str | None) -> bool:
    if outer is None:
        return True
    return inner is not None and is_under(inner, outer)


def _may_pass(block: CheckedBlock) -> bool:
    return block.rollout is not None or any(isinstance(r.action, n.Pass) for r in block.rules)


def _subtrees(blocks: list[CheckedBlock], profile: Profile, diagnostics: Diagnostics) -> None:
    scoped = [block for block in blocks if block.scope is not None]
    if len({block.scope for block in blocks}) > 1:
        diagnostics.add(
            "PC0609",
            f"{profile.name} allows one program per subtree, with none above or below it",
            scoped[0].item.header,
            help="the attach plan has one instance above all scopes; the program itself "
            "tells the scopes apart",
        )


def _shared_memory(
    blocks: list[CheckedBlock], lets: Mapping[str, n.Expr], diagnostics: Diagnostics
) -> None:
    for block in blocks:
        for rule in block.rules:
            if rule.condition is None or not _mentions(rule.condition, lets, _is_shmem):
                continue
            if block.scope is not None or _mentions(rule.condition, lets, _is_cgroup_test):
                diagnostics.add(
                    "PC0612",
                    "shared memory can be mapped from several cgroups, and the first to "
                    "fault decides for all",
                    rule.span,
                    help="keep such memory within one cgroup, or decide without the cgroup",
                )
                return


def _mentions(expr: n.Expr, lets: Mapping[str, n.Expr], wanted: Callable[[n.Expr], bool]) -> bool:
    """Whether a condition has a part of that kind, lets included."""
    seen: set[str] = set()
    stack = [expr]
    while stack:
        match stack.pop():
            case n.And(items) | n.Or(items):
                stack.extend(items)
            case n.Not(item):
                stack.append(item)
            case n.Local(_, name):
                if name not in seen:
                    stack.append(lets[name])
                seen.add(name)
            case part:
                if wanted(part):
                    return True
    return False


def _is_shmem(expr: n.Expr) -> bool:
    match expr:
        case n.Compare(n.CompareOperator.EQUAL, _, n.Const(type, "shmem")):
            return type.kind is Kind.ENUM
        case n.InList(_, members):
            return any(m.value == "shmem" and m.type.kind is Kind.ENUM for m in members)
        case _:
            return False


def _is_cgroup_test(expr: n.Expr) -> bool:
    match expr:
        case n.InSet(n.Attribute(_, "cgroup"), _):
            return True
        case n.UnderSet() | n.UnderPath() | n.IsPath():
            return True
        case _:
            return False
