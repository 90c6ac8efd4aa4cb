"""Rules about names: what is declared, cgroups and tasks."""

from __future__ import annotations

from collections.abc import Iterator

from policyc.diagnostics.model import Label
from policyc.lint.expressions import expressions, written_parts
from policyc.lint.fixes import remove_statement
from policyc.lint.model import Finding, Subject
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["cut_off_name", "near_name", "unused"]

_UNUSED = {"PC0210", "PC0211", "PC0212"}
_LONGEST_COMM = 15


def unused(subject: Subject) -> Iterator[Finding]:
    """PL011: a set, parameter or let that nothing refers to."""
    items = {
        item.name.span.start: item
        for item in subject.file.items
        if isinstance(item, t.SetItem | t.ParamItem | t.LetItem)
    }
    for said in subject.diagnostics:
        item = items.get(said.span.start) if said.code in _UNUSED else None
        if item is not None:
            yield Finding(
                said.span,
                said.message,
                "never used",
                help="remove it",
                fix=remove_statement(item.span),
            )


def near_name(subject: Subject) -> Iterator[Finding]:
    """PL012: two names that differ in case, or a path that looks like the end of another."""
    paths = _paths(subject)
    tasks = {text: span for text, span in _strings(subject) if text not in paths}
    for what, spans in (("cgroup", paths), ("task", tasks), ("name", _declared(subject))):
        yield from _same_but_for_case(what, spans)
    ends = {
        path[index:]: path
        for path in sorted(paths, reverse=True)
        for index, character in enumerate(path)
        if index and character == "/"
    }
    for path, span in paths.items():
        longer = ends.get(path)
        if longer is not None:
            yield Finding(
                span,
                f"{path} is the end of {longer}, which is another cgroup",
                related=(Label(paths[longer], "the longer path"),),
                help="a path starts at the root of the cgroup tree; write all of it if the same "
                "cgroup is meant",
            )


def _same_but_for_case(what: str, spans: dict[str, Span]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, span in spans.items():
        other = first.setdefault(name.casefold(), name)
        if other != name:
            yield Finding(
                span,
                f"{name} and {other} differ in upper and lower case only",
                f"another {what}" if what != "name" else "another name",
                (Label(spans[other], "here it is written differently"),),
                "names are compared as they are; write both alike if the same is meant",
            )


def _declared(subject: Subject) -> dict[str, Span]:
    """The names that the policy declares, labels included, with where it does."""
    names: list[t.Name] = []
    for item in subject.file.items:
        match item:
            case t.SetItem(name) | t.ParamItem(name) | t.LetItem(name):
                names.append(name)
            case t.BlockItem(_, _, entries):
                names += [e.label for e in entries if isinstance(e, t.RuleEntry) and e.label]
            case _:
                pass
    return {name.text: name.span for name in reversed(names)}


def _paths(subject: Subject) -> dict[str, Span]:
    """The cgroups that the policy names, with where it does so first."""
    known = set(subject.plan.paths) | {
        member
        for definition in subject.plan.sets
        for member in definition.members
        if isinstance(member, str)
    }
    found: dict[str, Span] = {}
    for text, span in _strings(subject):
        if text in known:
            found.setdefault(text, span)
    return found


def _strings(subject: Subject) -> Iterator[tuple[str, Span]]:
    """Every string of the policy, in the order of the text."""
    literals: list[t.StringLiteral] = []
    for item in subject.file.items:
        match item:
            case t.SetItem(_, _, members):
                literals += members
            case t.BlockItem(_, scope) if scope is not None:
                literals.append(scope)
            case _:
                pass
    for expr in expressions(subject.file):
        literals += [part for part in written_parts(expr) if isinstance(part, t.StringLiteral)]
    for literal in sorted(literals, key=lambda node: node.span.start):
        yield literal.value.decode("utf-8", "surrogateescape"), literal.span


def cut_off_name(subject: Subject) -> Iterator[Finding]:
    """PL017: a task name of exactly the bytes that the kernel keeps is often only a beginning."""
    paths = _paths(subject)
    for text, span in _strings(subject):
        if text not in paths and len(text.encode("utf-8", "surrogateescape")) == _LONGEST_COMM:
            yield Finding(
                span,
                f"this name has {_LONGEST_COMM} bytes, which is all that the kernel keeps: every "
                "longer name that begins like it is the same",
                help="if the program's name is longer, other programs may match too; compare the "
                "cgroup as well",
            )
