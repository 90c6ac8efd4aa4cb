"""Rules about kernel interfaces: what one of them cannot carry of a policy.

They speak of the interfaces that the user named; without any, of what all interfaces of
the hook have in common.
"""

from __future__ import annotations

from collections.abc import Iterator

from policyc.lint.model import Finding, Subject
from policyc.plan import nodes as n
from policyc.plan.paths import is_under

__all__ = ["inner_cgroup", "one_order"]


def one_order(subject: Subject) -> Iterator[Finding]:
    """PL005: an interface that takes one order loses the others of an answer."""
    profiles, named = subject.profiles(n.HookName.THP)
    single = [profile.name for profile in profiles if profile.answer == "order"]
    if not single or not (named or len(single) == len(profiles)):
        return
    names = " and ".join(single)
    for statement in subject.of_hook(n.HookName.THP):
        action = statement.rule.action
        if not isinstance(action, n.Allow):
            continue
        mask = subject.most(action.orders)
        if mask == n.ALL_ORDERS or mask.bit_count() < 2:
            continue
        yield Finding(
            statement.rule.answer_span,
            f"{names} take{'s' if len(single) == 1 else ''} one order, and this allows several: "
            "the kernel hears of the highest that was requested",
            help="allow the one size that matters most, or compile for an interface that takes "
            "a mask: mthp-v2",
        )


def inner_cgroup(subject: Subject) -> Iterator[Finding]:
    """PL007: an interface that asks the task's own memory cgroup only, and a scope above others."""
    profiles, named = subject.profiles(n.HookName.NUMA)
    leaf_only = [profile.name for profile in profiles if profile.attachment == "memory-cgroup"]
    if not leaf_only or not (named or len(leaf_only) == len(profiles)):
        return
    paths = {*subject.plan.paths, *_members(subject)}
    for block in subject.blocks:
        if block.hook is not n.HookName.NUMA:
            continue
        scope = block.scope or "/"
        below = sorted(path for path in paths if path != scope and is_under(path, scope))
        if scope != "/" and not below:
            continue
        where = "every cgroup" if scope == "/" else f"{scope}, and {below[0]} is below it"
        yield Finding(
            block.item.header,
            f"{leaf_only[0]} asks only the program of the task's own memory cgroup, and this block "
            f"is for {where}",
            help="attach an instance to each cgroup of the manifest's attach plan (`policyc run` "
            "does), or write a block for each cgroup that has tasks",
        )


def _members(subject: Subject) -> Iterator[str]:
    for definition in subject.plan.sets:
        yield from (member for member in definition.members if isinstance(member, str))
