"""Rules about the settings of the machine: what a policy needs of them and what defeats it."""

from __future__ import annotations

from collections.abc import Iterator

from policyc.check.blocks import CheckedBlock
from policyc.diagnostics.model import Label
from policyc.lint.expressions import written_parts
from policyc.lint.model import Finding, Statement, Subject
from policyc.plan import nodes as n
from policyc.plan.types import format_size
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = [
    "creeping_collapse",
    "open_range",
    "shrinker_without_work",
    "size_in_vain",
    "switched_off",
    "threshold_without_tiering",
]

_TIERING = 2
#: The highest limit of khugepaged, and the kernel's default: a collapse may fill any number.
_ANY_NUMBER = 511


def threshold_without_tiering(subject: Subject) -> Iterator[Finding]:
    """PL001: the kernel looks at hot thresholds only while it tiers memory."""
    setting = subject.setting("numa.balancing")
    if setting is not None and int(setting[0].value) & _TIERING:
        return
    for block in subject.blocks:
        if block.hot_threshold_span is not None:
            yield Finding(
                block.hot_threshold_span,
                "the kernel does not look at this hot threshold: it does so in memory tiering "
                "mode only",
                "without effect",
                (Label(setting[1].span, "this is not a tiering mode"),) if setting else (),
                "say `numa.balancing = 2;` (or 3) in the host block",
            )


def shrinker_without_work(subject: Subject) -> Iterator[Finding]:
    """PL002: with 511, the default, no huge page is ever underused."""
    shrinker = subject.setting("thp.shrink_underused")
    if shrinker is None or shrinker[0].value is not True:
        return
    limit = subject.setting("khugepaged.max_ptes_none")
    if limit is not None and limit[0].value != _ANY_NUMBER:
        return
    advice = "409 splits huge pages of which more than 80% is zero"
    if limit is None:
        yield Finding(
            shrinker[1].span,
            "the shrinker has nothing to do: khugepaged.max_ptes_none is not set, and with the "
            "kernel's 511 no huge page is underused",
            help=f"add `khugepaged.max_ptes_none = 409;`: {advice}",
        )
        return
    yield Finding(
        limit[1].span,
        "with a limit of 511 no huge page is underused",
        related=(Label(shrinker[1].span, "the shrinker is switched on here"),),
        help=advice,
    )


def creeping_collapse(subject: Subject) -> Iterator[Finding]:
    """PL003: for folios below the PMD order khugepaged takes the limits 0 and 511 only."""
    limit = subject.setting("khugepaged.max_ptes_none")
    if limit is None or not 0 < int(limit[0].value) < _ANY_NUMBER:
        return
    sizes = subject.sizes("thp.enabled[]")
    for statement in subject.of_hook(n.HookName.THP):
        found = _smaller_collapse(subject, statement, sizes)
        if found is not None:
            yield Finding(
                limit[1].span,
                f"with a limit of {limit[0].value} khugepaged makes no folios smaller than a PMD "
                "page",
                "neither 0 nor 511",
                (
                    Label(found, "this size is switched on"),
                    Label(statement.entry.span, "khugepaged may use it here"),
                ),
                "0 and 511 work for every size (511 leaves the shrinker idle); or let faults alone "
                "make smaller folios: `event != khugepaged` in the rule",
            )
            return


def _smaller_collapse(
    subject: Subject, statement: Statement, sizes: dict[int, tuple[n.HostSetting, t.Setting]]
) -> Span | None:
    """Where a size is switched on that this rule lets khugepaged collapse to."""
    if not isinstance(statement.rule.action, n.Allow):
        return None
    mask = subject.allowed(statement.rule) & subject.smaller
    wanted = [order for order in sorted(sizes) if mask >> order & 1]
    if not wanted or "khugepaged" not in subject.events(statement.rule):
        return None
    return sizes[wanted[0]][1].span


def open_range(subject: Subject) -> Iterator[Finding]:
    """PL008: `..64K` means 16K and 32K too, whatever the host block switches on."""
    on = subject.sizes("thp.enabled[]", "thp.shmem_enabled[]")
    if not on:
        return  # the policy leaves it to the machine
    mask = sum(1 << order for order in on)
    pmd = subject.plan.target.pmd_order
    if not any(setting.argument == pmd for setting, _ in subject.settings):
        mask |= subject.pmd  # it inherits unless the machine says otherwise
    for part, place in _ranges_of_answers(subject):
        admitted = _mask_of_range(subject, part)
        off = admitted & ~mask
        if not off:
            continue
        rest = subject.sizes_of(admitted & mask & ~subject.pmd)
        rest += ["pmd"] if admitted & mask & subject.pmd else []
        what = part.span.text if place is part.span else f"{place.text} is {part.span.text}, and"
        yield Finding(
            place,
            f"{what} admits {_listed(subject.sizes_of(off))}, which the host block "
            "does not switch on",
            related=(
                Label(next(iter(on.values()))[1].span, "what is switched on"),
                *((Label(part.span, "the range"),) if place is not part.span else ()),
            ),
            help=f"write `{' | '.join(rest)}`, or switch the others on: "
            f"`thp.enabled[{subject.sizes_of(off)[0]}] = inherit;`"
            if rest
            else "none of these sizes can come: switch one on, or remove the rule",
        )


def _ranges_of_answers(subject: Subject) -> list[tuple[t.RangeExpr, Span]]:
    """The ranges with an open end in answers and what they are made of, with where to say it.

    A range of another file may suit the policies that are not this one, so the place is
    where this one names it.
    """
    items = subject.linked.items
    lets = {item.name.text: item.expr for item in items if isinstance(item, t.LetItem)}
    pending: list[tuple[t.Expr | None, Span | None]] = [
        (s.entry.action.orders, None) for s in subject.of_hook(n.HookName.THP)
    ]
    found: list[tuple[t.RangeExpr, Span]] = []
    seen: set[tuple[str, Span | None]] = set()
    while pending:
        expr, place = pending.pop()
        for part in written_parts(expr) if expr is not None else ():
            if isinstance(part, t.NameExpr) and part.text in lets:
                used = lets[part.text]
                is_here = used.span.source is subject.source
                step = (part.text, None if is_here else place or part.span)
                if step not in seen:
                    seen.add(step)
                    pending.append((used, step[1]))
            elif isinstance(part, t.RangeExpr) and (part.low is None or part.high is None):
                found.append((part, place or part.span))
    return found


def _mask_of_range(subject: Subject, part: t.RangeExpr) -> int:
    """The orders of large folios in a range of an answer; none if an end is no constant."""
    low = _order(subject, part.low, 0)
    high = _order(subject, part.high, subject.plan.target.pmd_order)
    if low is None or high is None:
        return 0
    return ((1 << high + 1) - (1 << low)) & (subject.smaller | subject.pmd)


def _order(subject: Subject, end: t.Expr | None, otherwise: int) -> int | None:
    match end:
        case None:
            return otherwise
        case t.SizeLiteral(value):
            return (value >> subject.plan.target.page_shift).bit_length() - 1
        case t.OrderLiteral(value):
            return value
        case t.NameExpr("pmd"):
            return subject.plan.target.pmd_order
        case _:
            return None


def size_in_vain(subject: Subject) -> Iterator[Finding]:
    """PL009: the host block switches a size on, and no rule ever allows it."""
    mask = _ever_allowed(subject)
    for order, (_, written) in sorted(subject.sizes("thp.enabled[]").items()):
        if not mask >> order & 1:
            size = format_size(1 << order + subject.plan.target.page_shift)
            yield Finding(
                written.span,
                f"no rule ever allows {size}",
                "switched on in vain",
                help=f"allow {size} somewhere, or leave the setting out",
            )


def _ever_allowed(subject: Subject) -> int:
    """The orders that some request can be allowed."""
    plan = subject.plan.thp
    if plan is None:
        return n.ALL_ORDERS
    blocks = [block for block in subject.blocks if block.hook is n.HookName.THP]
    total = [block for block in blocks if _always_has_an_opinion(block)]
    if not total:
        return n.ALL_ORDERS  # a request about which nobody has an opinion is left alone
    if plan.combine is n.Combine.MEET:  # the other blocks can only take away
        together = n.ALL_ORDERS
        for block in total:
            together &= _any_of(subject, block)
        return together
    either = 0
    for block in blocks:
        either |= _any_of(subject, block)
    return either


def _any_of(subject: Subject, block: CheckedBlock) -> int:
    """The orders that some rule of a block allows."""
    mask = 0
    for rule in block.rules:
        mask |= subject.allowed(rule) if isinstance(rule.action, n.Allow) else 0
    return mask


def _always_has_an_opinion(block: CheckedBlock) -> bool:
    everywhere = block.scope is None and block.rollout is None
    return everywhere and not any(isinstance(rule.action, n.Pass) for rule in block.rules)


def switched_off(subject: Subject) -> Iterator[Finding]:
    """PL010: the mode `never` switches the hooks off."""
    mode = subject.setting("thp.enabled")
    if mode is not None and mode[0].value == "never" and subject.has(n.HookName.THP):
        first = next(b for b in subject.blocks if b.hook is n.HookName.THP)
        yield Finding(
            mode[1].span,
            "with this mode the kernel asks no thp rule",
            related=(Label(first.item.header, "these rules have no effect"),),
            help="rules only take away from what the mode allows: write `madvise` or `always`",
        )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
