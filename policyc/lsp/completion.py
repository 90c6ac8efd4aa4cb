"""What may stand where the cursor is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lsprotocol import types

from policyc.hooks.loader import attributes, enumerations, host_rows
from policyc.hooks.model import AttributeRow
from policyc.lsp.analysis import Analysis
from policyc.lsp.hover import WORDS
from policyc.lsp.outline import Area, Declaration, Statement, Walker, walk
from policyc.lsp.scan import Token, TokenKind
from policyc.plan.types import BOOL, CGROUP, STRING, Kind, format_size
from policyc.vocabulary import vocabulary

__all__ = ["complete"]

# A name, or one with its last dot; the end of `16K..pmd` is `pmd`.
_PREFIX = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\.?\Z")
_Kind = types.CompletionItemKind

_ANSWERS = {Area.THP: ("allow", "deny", "pass"), Area.NUMA: ("balance", "off", "pass")}
_COMPARISONS = frozenset({"is", "==", "!="})
_MEMBERSHIPS = frozenset({"in", "under"})

#: Signs and words after which an operand is wanted; after anything else, an operator.
_BEFORE_OPERAND = frozenset(
    {"when", "and", "or", "not", "implies", "(", ",", "=", "|", "+", "-", "*", "/", "%", ":"}
) | frozenset({"<", ">", "<=", ">=", "overlaps", "allow"})

_ITEMS = {
    "set": "set ${1:name} : ${2|cgroup,string|} = { $0 };",
    "param": "param ${1:name} : ${2|percent,size,int,duration,bool|} = $0;",
    "let": "let ${1:name} = $0;",
    "combine": "combine ${1|thp,numa|} by ${2|meet,nearest,outermost|};",
    "host": "host {\n    $0\n}",
    "thp": "thp {\n    $0\n    otherwise pass;\n}",
    "numa": "numa {\n    $0\n    otherwise pass;\n}",
    "policy": "policy ${1:name};",
    "import": 'import "$0";',
    "test": 'test "${1:what it shows}" for ${2|thp,numa|} {\n    given $0;\n    expect ;\n}',
    "property": 'property "${1:what always holds}" for ${2|thp,numa|}:\n    $0;',
}


def complete(
    document: Analysis, offset: int, imported: Mapping[str, Declaration] | None = None
) -> list[types.CompletionItem]:
    """The words that fit at a place; whatever has been typed of one is replaced.

    `imported` are names that other files declare.
    """
    found = _PREFIX.search(document.text, max(0, offset - 200), offset)
    start = found.start() if found else offset
    before = document.tokens_before(start)
    if before and _inside(before[-1], start):
        return []
    walker = walk(before)
    items = list(_Completion(document, walker, imported or {}).items())
    if "." in document.text[start:offset]:
        # Where the word begins that is being typed, editors do not agree on dots.
        for item in items:
            new = item.insert_text or item.label
            item.text_edit = types.TextEdit(document.lines.range(start, offset), new)
    return items


def _inside(token: Token, offset: int) -> bool:
    """Whether a place is in a comment, in a string, or in the middle of a number."""
    match token.kind:
        case TokenKind.COMMENT:
            return offset <= token.end
        case TokenKind.STRING:
            closed = len(token.text) > 1 and token.text.endswith('"')
            return offset < token.end if closed else offset <= token.end
        case _:
            return offset < token.end


class _Completion:
    """One question: the document and how far its reading has come."""

    def __init__(
        self, document: Analysis, walker: Walker, imported: Mapping[str, Declaration]
    ) -> None:
        self.declarations = {
            **imported,
            **{d.name.text: d for d in document.outline.declarations if d.kind != "rule"},
        }
        self.document = document
        self.walker = walker
        self.statement: Statement = walker.statement
        self.words = [token.text for token in self.statement.tokens]

    def items(self) -> Iterator[types.CompletionItem]:
        match self.walker.area:
            case Area.TOP:
                yield from self._top()
            case Area.HOST:
                yield from self._host()
            case Area.THP | Area.NUMA as area:
                yield from self._rule(area)
            case Area.TEST:
                yield from self._test()

    def _top(self) -> Iterator[types.CompletionItem]:  # noqa: C901 - a case for each declaration
        match self.words:
            case []:
                known = vocabulary().grammar
                yield from (_snippet(w, text) for w, text in _ITEMS.items() if w in known)
            case ["set", _, ":"]:
                yield from _words(("cgroup", "string"), _Kind.TypeParameter)
            case ["param", _, ":"]:
                types_ = [name for name in vocabulary().types if name not in ("cgroup", "string")]
                yield from _words(types_, _Kind.TypeParameter)
            case ["combine"]:
                yield from _words(vocabulary().hooks)
            case ["combine", _]:
                yield from _words(("by",))
            case ["combine", _, "by"]:
                yield from _words(vocabulary().combinations)
            case ["thp" | "numa"]:
                yield _snippet("for", 'for cgroup "$1" {\n    $0\n    otherwise pass;\n}')
            case ["thp" | "numa", "for"]:
                yield from _words(("cgroup",))
            case ["test" | "property", _]:
                yield from _words(("for",))
            case ["test" | "property", _, "for"]:
                yield from _words(vocabulary().hooks)
            case ["let", _, "=", *rest]:
                yield from self._expression(rest, "")
            case ["property", _, "for", hook, ":", *rest]:
                yield from self._expression(rest, hook)
                if not rest or rest[-1] in _BEFORE_OPERAND:
                    yield from _words(word for word in ("result",) if "property" in _grammar())
            case ["param", _, ":", "bool", "="]:
                yield from _words(("true", "false"), _Kind.Constant)
            case _:
                return

    def _host(self) -> Iterator[types.CompletionItem]:
        match self.words:
            case []:
                for row in host_rows().values():
                    name = row.name.removesuffix("[]")
                    text = f"{name}[${{1:64K}}] = $0;" if row.per_size else f"{name} = $0;"
                    label = f"{name}[SIZE]" if row.per_size else name
                    item = _item(label, _Kind.Property, row.meaning)
                    item.insert_text, item.filter_text = text, name
                    item.insert_text_format = types.InsertTextFormat.Snippet
                    yield item
            case [name, *argument, "="]:
                row = host_rows().get(name + ("[]" if argument else ""))
                if row is not None:
                    yield from _words(row.values, _Kind.EnumMember)
                    if row.type == BOOL:
                        yield from _words(("on", "off"), _Kind.EnumMember)
            case _:
                return

    def _rule(self, area: Area) -> Iterator[types.CompletionItem]:  # noqa: C901 - one case each
        words = self.words
        if len(words) >= 2 and words[1] == ":":
            words = words[2:]
        match words:
            case []:
                yield from _words((*_ANSWERS[area], "otherwise", "rollout"))
                if area is Area.NUMA:
                    yield from _words(("hot_threshold",))
            case ["otherwise"]:
                yield from _words(_ANSWERS[area])
            case ["rollout"]:
                yield from self._declared("param")
            case ["rollout", _]:
                yield from _words(("by",))
            case ["rollout", _, "by"]:
                yield from _words(("cgroup",))
            case ["hot_threshold", "="]:
                yield from self._declared("param")
            case [*_, "when"]:
                yield from self._expression([], area.value)
            case [*answer] if "when" in answer:
                last = len(answer) - 1 - answer[::-1].index("when")
                yield from self._expression(answer[last + 1 :], area.value)
            case ["otherwise", "allow", *rest] | ["allow", *rest]:
                if not rest or rest[-1] in ("|", "-", "..", "("):
                    yield from self._orders()
                elif words[0] == "allow":
                    yield from _words(("when",))
            case ["deny" | "pass" | "balance" | "off"]:
                yield from _words(("when",))
            case _:
                return

    def _test(self) -> Iterator[types.CompletionItem]:
        hook = self._test_hook()
        match self.words:
            case []:
                yield from _words(word for word in ("given", "expect", "set", "param"))
            case ["set" | "param" as kind]:
                yield from self._declared(kind)
            case ["given"] | ["given", *_, ","]:
                rows = (row for row in attributes().values() if not hook or hook in row.hooks)
                yield from map(_attribute, rows)
            case ["given", *_, name, "="]:
                yield from self._values(name)
            case ["expect"]:
                yield from _words(_ANSWERS[Area.NUMA if hook == "numa" else Area.THP])
            case ["expect", "allow"] | ["expect", "allow", *_, "|" | "-" | ".."]:
                yield from self._orders()
            case _:
                return

    def _test_hook(self) -> str:
        blocks = self.walker.outline.blocks
        header = [token.text for token in blocks[-1].header] if blocks else []
        return header[header.index("for") + 1] if "for" in header[:-1] else ""

    # -- expressions

    def _expression(self, words: list[str], hook: str) -> Iterator[types.CompletionItem]:
        match words:
            case [*_, "has"]:
                rows = (row for row in attributes().values() if row.absent)
                yield from (_attribute(row) for row in rows if not hook or hook in row.hooks)
            case [*_, name, "is" | "==" | "!="]:
                yield from self._values(name)
            case [*_, name, "in" | "under"]:
                yield from self._sets(name)
            case _ if "{" in words and "}" not in words[words.index("{") :]:
                place = words.index("{")
                yield from self._values(words[place - 2] if place >= 2 else "")
            case [] | [*_, _] if not words or words[-1] in _BEFORE_OPERAND:
                yield from self._operands(hook)
            case [*_, "highest"]:
                yield _item("(", _Kind.Operator)
            case _:
                yield from self._operators(words)

    def _operands(self, hook: str) -> Iterator[types.CompletionItem]:
        for row in attributes().values():
            if not hook or hook in row.hooks:
                yield _attribute(row)
        yield from self._declared("let", "param")
        yield from _words(("not", "has", "highest"), _Kind.Operator)
        yield from _words(vocabulary().constants, _Kind.Constant)

    def _operators(self, words: list[str]) -> Iterator[types.CompletionItem]:
        row = attributes().get(words[-1])
        kind = row.type.kind if row is not None else None
        if kind is Kind.CGROUP:
            yield from _words(("under", "in"), _Kind.Operator)
        elif kind in (Kind.ENUM, Kind.STRING):
            yield from _words(("is", "in"), _Kind.Operator)
        else:
            yield from _words(("in", "overlaps"), _Kind.Operator)
        yield from _words(("and", "or"), _Kind.Operator)
        if self.words[:1] == ["property"]:
            yield from _words(("implies",), _Kind.Operator)

    def _values(self, name: str) -> Iterator[types.CompletionItem]:
        """What the value of an attribute can be compared with."""
        row = attributes().get(name)
        if row is None:
            yield from self._declared("let", "param")
            return
        match row.type.kind:
            case Kind.ENUM:
                members = enumerations()[row.type.enum].members
                yield from (_item(m.name, _Kind.EnumMember, m.c) for m in members)
            case Kind.BOOL:
                yield from _words(("true", "false"), _Kind.Constant)
            case Kind.ORDERS:
                yield from self._orders()
            case Kind.CGROUP | Kind.STRING:
                return
            case _:
                yield from self._declared("let", "param")

    def _sets(self, name: str) -> Iterator[types.CompletionItem]:
        row = attributes().get(name)
        wanted = {CGROUP: "cgroup", STRING: "string"}.get(row.type) if row else None
        if row is not None and row.type.kind is Kind.ENUM:
            yield _snippet("{ }", "{ $0 }")
        elif row is None or wanted is None:
            yield _item("orders", _Kind.Variable)
            yield from self._declared("let", "set")
        for declared, declaration in self.declarations.items():
            words = [token.text for token in declaration.statement.tokens[:4]]
            if declaration.kind == "set" and wanted and words[3:] == [wanted]:
                yield self._name(declared, declaration)

    def _orders(self) -> Iterator[types.CompletionItem]:
        target = self.document.target
        yield from _words(("all", "pmd", "none"), _Kind.Constant)
        for order in (0, *range(2, target.pmd_order + 1)):
            yield _item(format_size(target.page_size << order), _Kind.Value, f"order {order}")
        yield from self._declared("let")

    def _declared(self, *kinds: str) -> Iterator[types.CompletionItem]:
        for name, declaration in self.declarations.items():
            if declaration.kind in kinds:
                yield self._name(name, declaration)

    def _name(self, name: str, declaration: Declaration) -> types.CompletionItem:
        text = " ".join(token.text for token in declaration.statement.tokens)
        kind = {"let": _Kind.Variable, "param": _Kind.Constant}.get(declaration.kind, _Kind.Field)
        return _item(name, kind, text[:100])


def _grammar() -> frozenset[str]:
    return vocabulary().grammar


def _item(label: str, kind: types.CompletionItemKind, detail: str = "") -> types.CompletionItem:
    return types.CompletionItem(label, kind=kind, detail=detail or None)


def _words(
    words: Iterable[str], kind: types.CompletionItemKind = _Kind.Keyword
) -> Iterator[types.CompletionItem]:
    return (_item(word, kind, WORDS.get(word, "")) for word in words)


def _snippet(word: str, text: str) -> types.CompletionItem:
    item = _item(word, _Kind.Keyword, WORDS.get(word, ""))
    item.insert_text, item.insert_text_format = text, types.InsertTextFormat.Snippet
    return item


def _attribute(row: AttributeRow) -> types.CompletionItem:
    return _item(row.name, _Kind.Property, f"{row.type}: {row.meaning}")
