"""Rules about what the rules of a policy answer, to which requests, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from policyc.diagnostics.model import Label
from policyc.hooks.loader import attributes
from policyc.lint.expressions import parts
from policyc.lint.model import Finding, Statement, Subject
from policyc.plan import nodes as n

__all__ = [
    "answers_like_otherwise",
    "collapse_denied",
    "late_pressure",
    "pmd_only",
    "shared_memory",
    "smaps_only",
]

_KIND = n.Attribute(attributes()["vma.kind"].type, "vma.kind")

_SMAPS = "smaps"
#: How many rules before one about pressure are compared with it; keeps long blocks linear.
_LOOK_BACK = 100


def shared_memory(subject: Subject) -> Iterator[Finding]:
    """PL004: a folio of shared memory has one size for the tasks of all cgroups."""
    for statement in subject.of_hook(n.HookName.THP):
        condition = statement.rule.condition
        if condition is None or not _names(subject, condition, "shmem"):
            continue
        scope = statement.block.item.scope
        if scope is None and not _asks_the_cgroup(subject, condition):
            continue
        yield Finding(
            statement.rule.span,
            "shared memory can be mapped from several cgroups, and whichever faults first decides "
            "for all",
            related=(Label(scope.span, "this block is for one cgroup"),) if scope else (),
            help="decide about shared memory without the cgroup, or make sure that nobody else "
            "maps it",
        )


def _names(subject: Subject, condition: n.Expr, enumerator: str) -> bool:
    """Whether a condition has an enumerator in it."""
    return any(
        isinstance(part, n.Const) and part.type.enum and part.value == enumerator
        for part in parts(condition, subject.lets)
    )


def _asks_the_cgroup(subject: Subject, condition: n.Expr) -> bool:
    return any(
        isinstance(part, n.Attribute)
        and (part.name == "cgroup" or attributes()[part.name].root in ("cgroup", "memory"))
        for part in parts(condition, subject.lets)
    )


def pmd_only(subject: Subject) -> Iterator[Finding]:
    """PL006: a fault asks for the PMD order, and then again for the smaller ones."""
    on = subject.sizes("thp.enabled[]")
    smaller_is_on = any(subject.smaller >> order & 1 for order in on)
    anonymous = (n.Compare(n.CompareOperator.EQUAL, _KIND, n.Const(_KIND.type, "anon")), True)
    for statements in subject.by_block(n.HookName.THP):
        below: Statement | None = None
        found: list[Finding] = []
        for statement in reversed(statements):
            rule = statement.rule
            if not isinstance(rule.action, n.Allow):
                continue
            mask = subject.allowed(rule)
            if mask & subject.smaller:
                below = statement
            elif mask == subject.pmd and rule.condition is not None:
                shuts_out = below is not None or smaller_is_on
                if shuts_out and subject.may_hold(rule, *subject.small_query, anonymous):
                    found.append(_shut_out(statement, below))
        yield from found


def _shut_out(statement: Statement, below: Statement | None) -> Finding:
    return Finding(
        statement.rule.answer_span,
        "if no PMD page is to be had, the fault asks again for smaller orders, and this rule "
        "denies them",
        "of the smaller orders nothing is left",
        (Label(below.entry.span, "this rule is not reached then"),) if below else (),
        "add `pmd in orders and` to the condition, so that the second request goes on to the "
        "rules below; or allow the smaller sizes here too",
    )


def smaps_only(subject: Subject) -> Iterator[Finding]:
    """PL014: an answer to smaps changes a line in /proc and no memory."""
    for statement in subject.of_hook(n.HookName.THP):
        if not subject.answers_only(statement.rule, _SMAPS):
            continue
        yield Finding(
            statement.rule.span,
            "this rule only changes what THPeligible in /proc/PID/smaps says",
            "holds for smaps only",
            help="answer smaps together with the event whose answer it is to show: "
            "`event in { khugepaged, smaps }`",
        )


def collapse_denied(subject: Subject) -> Iterator[Finding]:
    """PL016: a program that asks for a collapse gets an error, whatever madvise said."""
    for statement in subject.of_hook(n.HookName.THP):
        rule = statement.rule
        if rule.condition is None or not _denies(rule.action):
            continue
        if not _names(subject, rule.condition, "forced_collapse"):
            continue
        if "forced_collapse" in subject.events(rule):
            yield Finding(
                rule.span,
                "madvise(MADV_COLLAPSE) fails where this holds, even in memory for which the "
                "program asked for huge pages",
                help="leave such requests alone with `pass`, or say which memory is meant",
            )


def _denies(action: n.Action) -> bool:
    match action:
        case n.Allow(n.Const(_, 0)) | n.Balance(False):
            return True
        case _:
            return False


def late_pressure(subject: Subject) -> Iterator[Finding]:
    """PL018: what an earlier rule has allowed, a rule about pressure cannot take back."""
    for statements in subject.by_block():
        earlier: list[Statement] = []
        for statement in statements:
            rule = statement.rule
            if rule.condition is None or isinstance(rule.action, n.Pass):
                continue
            if not _asks_pressure(subject, rule.condition):
                if not _denies(rule.action):
                    earlier.append(statement)
                continue
            before = _first_overlap(subject, statement, earlier) if _denies(rule.action) else None
            if before is not None:
                yield Finding(
                    rule.span,
                    "under pressure this comes too late: an earlier rule answers first",
                    related=(Label(before.entry.span, "this does not look at the pressure"),),
                    help="move it above that rule",
                )


def _first_overlap(
    subject: Subject, statement: Statement, earlier: list[Statement]
) -> Statement | None:
    """The first of the rules before this one that can hold together with it."""
    for other in earlier[-_LOOK_BACK:]:
        condition = other.rule.condition
        if condition is not None and subject.may_hold(statement.rule, (condition, True)):
            return other
    return None


def _asks_pressure(subject: Subject, condition: n.Expr) -> bool:
    return any(
        isinstance(part, n.Attribute) and part.name.removeprefix("cgroup.").startswith("psi.")
        for part in parts(condition, subject.lets)
    )


def answers_like_otherwise(subject: Subject) -> Iterator[Finding]:
    """PL019: without the rule the answer would be the same, and it has no label to count by."""
    for statements in subject.by_block():
        if not statements or statements[-1].rule.condition is not None:
            continue
        last = statements.pop()
        while statements and statements[-1].rule.action == last.rule.action:
            same = statements.pop()
            if same.entry.label is not None:
                continue
            yield Finding(
                same.entry.span,
                "this rule answers what `otherwise` answers too",
                related=(Label(last.entry.span, "the same answer"),),
                help="remove it; if it is there to be counted, give it a label",
            )
