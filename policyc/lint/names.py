"""Rules about names: what is declared, cgroups and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policyc.diagnostics.model import Label
from policyc.lint.expressions import expressions_of, written_parts
from policyc.lint.fixes import remove_import, remove_statement
from policyc.lint.model import Finding, Subject, Text
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["cut_off_name", "near_name", "unused", "unused_import"]

_DECLARING = (t.SetItem, t.ParamItem, t.LetItem)
#: What to do with what nothing uses, and with what only tests change.
_REMOVE = {False: "remove it", True: "remove it, and what tests say of it"}
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
        if item is not None and not subject.outside.unknown:
            if item.name.text in subject.outside.names:
                continue  # a file that imports this one uses it
            is_tested = item.name.text in subject.tested
            yield Finding(
                said.span,
                said.message,
                "never used",
                help=_REMOVE[is_tested],
                fix=None if is_tested else remove_statement(item.span),
            )


def unused_import(subject: Text) -> Iterator[Finding]:
    """PL023: an import, or a name that an import lists, that nothing refers to."""
    said = [item.span for item in subject.diagnostics if item.code == "PC0217"]
    for item in subject.file.items:
        if not isinstance(item, t.ImportItem):
            continue
        idle = [span for span in said if item.span.start <= span.start < item.span.end]
        tested = {span.start for span in idle if _is_tested(subject, item, span)}
        for span in idle:
            yield Finding(
                span,
                f"nothing that {span.text} stands for is ever used",
                "never used",
                help=_REMOVE[span.start in tested],
                fix=None
                if span.start in tested
                else remove_import(item, {other.start for other in idle} - tested),
            )


def _is_tested(subject: Text, item: t.ImportItem, span: Span) -> bool:
    """Whether tests change something that an import, or a name that it lists, brings."""
    if item.names is not None:
        return span.text in subject.tested
    if item.alias is not None:
        return any(name.startswith(f"{item.alias.text}.") for name in subject.tested)
    own = {known.name.text for known in subject.file.items if isinstance(known, _DECLARING)}
    return any("." not in name and name not in own for name in subject.tested)


def near_name(subject: Text) -> Iterator[Finding]:
    """PL012: two names that differ in case, or a path that looks like the end of another.

    Of two that stand in different files the one in this file is reported; two that stand in
    another file are the matter of that file.
    """
    literals = [*_literals_of(subject.others), *_literals_of(subject.file.items)]
    paths = _first(literal for literal, is_path in literals if is_path)
    tasks = _first(literal for literal, is_path in literals if not is_path)
    for what, spans in (("cgroup", paths), ("task", tasks), ("name", _declared(subject))):
        yield from _same_but_for_case(subject, what, spans)
    ends = {
        path[index:]: path
        for path in sorted(paths, reverse=True)
        for index, character in enumerate(path)
        if index and character == "/"
    }
    for path, span in paths.items():
        longer = ends.get(path)
        if longer is None:
            continue
        places = (span, paths[longer])
        here = next((place for place in places if place.source is subject.source), None)
        if here is not None:
            yield Finding(
                here,
                f"{path} is the end of {longer}, which is another cgroup",
                related=(Label(paths[longer], "the longer path"),)
                if here is span
                else (Label(span, "the shorter path"),),
                help="a path starts at the root of the cgroup tree; write all of it if the same "
                "cgroup is meant",
            )


def _same_but_for_case(subject: Text, what: str, spans: dict[str, Span]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, span in spans.items():
        other = first.setdefault(name.casefold(), name)
        if other != name and span.source is subject.source:
            yield Finding(
                span,
                f"{name} and {other} differ in upper and lower case only",
                f"another {what}" if what != "name" else "another name",
                (Label(spans[other], "here it is written differently"),),
                "names are compared as they are; write both alike if the same is meant",
            )


def _declared(subject: Text) -> dict[str, Span]:
    """The names that a file sees or declares, labels included, with where that is."""
    # Those that it cannot write as they are have another name in the plan.
    names = [item.name for item in subject.others if item.name.text == item.name.span.text]
    for item in subject.file.items:
        match item:
            case t.SetItem(name) | t.ParamItem(name) | t.LetItem(name):
                names.append(name)
            case t.BlockItem(_, _, entries):
                names += [e.label for e in entries if isinstance(e, t.RuleEntry) and e.label]
            case _:
                pass
    found: dict[str, Span] = {}
    for name in names:
        found.setdefault(name.text, name.span)
    return found


def _first(literals: Iterable[t.StringLiteral]) -> dict[str, Span]:
    """Strings with where each stands first."""
    found: dict[str, Span] = {}
    for literal in literals:
        found.setdefault(literal.value.decode("utf-8", "surrogateescape"), literal.span)
    return found


def _literals_of(items: Iterable[t.Item]) -> list[tuple[t.StringLiteral, bool]]:
    """Every string of some items in the order of the text, and whether it is a cgroup path."""
    found: list[tuple[t.StringLiteral, bool]] = []
    for item in items:
        match item:
            case t.SetItem(_, kind, members):
                found += [(member, kind.text == "cgroup") for member in members]
            case t.BlockItem(_, scope) if scope is not None:
                found.append((scope, True))
            case _:
                pass
        for expr in expressions_of(item):
            found += _literals_in(expr)
    return sorted(found, key=lambda pair: (pair[0].span.source.name, pair[0].span.start))


def _literals_in(expr: t.Expr) -> Iterator[tuple[t.StringLiteral, bool]]:
    for part in written_parts(expr):
        if not isinstance(part, t.ComparisonExpr):
            continue
        is_path = any(
            isinstance(side, t.NameExpr) and side.text == "cgroup"
            for side in (part.left, part.right)
        )
        for side in (part.left, part.right):
            members = side.items if isinstance(side, t.ListExpr) else (side,)
            yield from ((m, is_path) for m in members if isinstance(m, t.StringLiteral))


def cut_off_name(subject: Text) -> Iterator[Finding]:
    """PL017: a task name of exactly the bytes that the kernel keeps is often only a beginning."""
    for literal, is_path in _literals_of(subject.file.items):
        if not is_path and len(literal.value) == _LONGEST_COMM:
            yield Finding(
                literal.span,
                f"this name has {_LONGEST_COMM} bytes, which is all that the kernel keeps: every "
                "longer name that begins like it is the same",
                help="if the program's name is longer, other programs may match too; compare the "
                "cgroup as well",
            )
