"""What a document holds: its symbols, the lines above its blocks, and the colours of words."""

from __future__ import annotations

from functools import cache

from lsprotocol import types

from policyc.hooks.loader import attributes, enumerations
from policyc.lsp.analysis import Analysis
from policyc.lsp.outline import Area, Block, Role, Statement
from policyc.lsp.scan import Token, TokenKind
from policyc.vocabulary import vocabulary

__all__ = ["TOKEN_TYPES", "code_lenses", "document_symbols", "semantic_tokens"]

_SYMBOLS = {
    "set": types.SymbolKind.Array,
    "param": types.SymbolKind.Constant,
    "let": types.SymbolKind.Variable,
}
_LONGEST_NAME = 80


def document_symbols(document: Analysis) -> list[types.DocumentSymbol]:
    """Declarations, and blocks with their rules, in the order of the text."""
    symbols = [
        _symbol(document, d.name.text, _SYMBOLS[d.kind], d.statement.tokens, d.statement.end)
        for d in document.outline.declarations
        if d.kind in _SYMBOLS
    ]
    symbols += [_block(document, block) for block in document.outline.blocks if block.header]
    for statement in document.outline.statements:
        if statement.head in ("import", "property"):
            name = " ".join(token.text for token in statement.tokens[:2])
            kind = types.SymbolKind.Event
            symbols.append(_symbol(document, name, kind, statement.tokens, statement.end))
    return sorted(
        symbols, key=lambda symbol: (symbol.range.start.line, symbol.range.start.character)
    )


def _block(document: Analysis, block: Block) -> types.DocumentSymbol:
    name = " ".join(token.text for token in block.header)
    symbol = _symbol(document, name, types.SymbolKind.Namespace, block.header, block.end)
    if block.area in (Area.THP, Area.NUMA, Area.HOST):
        symbol.children = [_entry(document, entry) for entry in block.statements]
    return symbol


def _entry(document: Analysis, statement: Statement) -> types.DocumentSymbol:
    tokens = statement.tokens
    labelled = len(tokens) > 1 and tokens[1].text == ":"
    last = tokens[-1].start if tokens[-1].text == ";" else statement.end
    text = document.text[tokens[0].start : last]
    name = tokens[0].text if labelled else " ".join(text.split())
    return _symbol(document, name, types.SymbolKind.Field, tokens, statement.end)


def _symbol(
    document: Analysis, name: str, kind: types.SymbolKind, tokens: list[Token], end: int
) -> types.DocumentSymbol:
    chosen = whole = document.lines.range(tokens[0].start, tokens[-1].end)
    if end > tokens[-1].end:
        whole = types.Range(chosen.start, document.lines.position(end))
    return types.DocumentSymbol(name[:_LONGEST_NAME], kind, whole, chosen)


def code_lenses(document: Analysis) -> list[types.CodeLens]:
    """The number of rules above each block; above tests and properties what became of them."""
    lenses: list[types.CodeLens] = []
    for block in document.outline.blocks:
        place = document.lines.range(block.header[0].start, block.header[-1].end)
        if block.area in (Area.THP, Area.NUMA):
            settings = ("rollout", "hot_threshold")
            count = sum(entry.head not in settings for entry in block.statements)
            title = f"{count} rule{'' if count == 1 else 's'}"
        elif block.area is Area.TEST:
            title = _outcome(document, place)
        else:
            continue
        lenses.append(types.CodeLens(place, types.Command(title, "")))
    for statement in document.outline.statements:
        if statement.head == "property":
            place = document.lines.range(statement.tokens[0].start, statement.tokens[0].end)
            command = types.Command(_outcome(document, place), "")
            lenses.append(types.CodeLens(place, command))
    return lenses


def _outcome(document: Analysis, place: types.Range) -> str:
    """What became of the test or property at a place."""
    line = place.start.line + 1
    return document.outcomes.get(line, "not run: the policy has errors, or has changed")


# -- semantic tokens

#: The legend: what the numbers of `semantic_tokens` stand for.
TOKEN_TYPES = (
    "keyword",
    "variable",
    "property",
    "enumMember",
    "type",
    "namespace",
    "comment",
    "string",
    "number",
    "operator",
)
_NUMBERS = {name: number for number, name in enumerate(TOKEN_TYPES)}
_OF_KIND = {
    TokenKind.COMMENT: "comment",
    TokenKind.STRING: "string",
    TokenKind.NUMBER: "number",
}
_OF_ROLE = {
    Role.KEYWORD: "keyword",
    Role.POLICY: "namespace",
    Role.DECLARATION: "variable",
    Role.LABEL: "namespace",
    Role.TYPE: "type",
    Role.HOOK: "keyword",
    Role.COMBINATION: "enumMember",
    Role.SETTING: "property",
    Role.VALUE: "enumMember",
}


def semantic_tokens(document: Analysis) -> list[int]:
    """Five numbers for each token: lines and characters from the last one, length, type, none."""
    data: list[int] = []
    line = character = 0
    names = _known_names()
    places = document.lines.places(token.start for token in document.tokens)
    plain = document.text.isascii()
    for token, (on_line, at) in zip(document.tokens, places, strict=True):
        if token.kind is TokenKind.NAME:
            kind = _kind_of_word(document, token, names)
        else:
            kind = _OF_KIND.get(token.kind)
        if kind is None:
            continue
        step = at - character if on_line == line else at
        length = token.end - token.start
        if not plain:
            length = document.lines.length(token.start, token.end)
        data += (on_line - line, step, length, _NUMBERS[kind], 0)
        line, character = on_line, at
    return data


def _kind_of_word(document: Analysis, token: Token, names: dict[str, str]) -> str | None:
    role = document.role_of(token)
    if role is Role.USE and token.text not in document.declared_names:
        return names.get(token.text)
    return "variable" if role is Role.USE else _OF_ROLE.get(role)


@cache
def _known_names() -> dict[str, str]:
    members = {m.name for table in enumerations().values() for m in table.members}
    return {
        **dict.fromkeys(members, "enumMember"),
        **dict.fromkeys(vocabulary().constants, "enumMember"),
        **dict.fromkeys(attributes(), "property"),
    }
