"""What each word of a text is for, without a grammar: it works while half a rule is typed.

A statement ends at `;`, a block is in braces, and the first word of a statement says what
may follow. That is enough to tell a declaration from a use, a label from a name, and a
setting from an attribute; whether it all is right is for the checker to say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from policyc.lsp.scan import Token, TokenKind
from policyc.vocabulary import vocabulary

__all__ = ["Area", "Block", "Declaration", "Outline", "Role", "Statement", "Walker", "outline"]


class Role(StrEnum):
    """What a word is for."""

    KEYWORD = "keyword"
    POLICY = "policy"
    DECLARATION = "declaration"
    LABEL = "label"
    TYPE = "type"
    HOOK = "hook"
    COMBINATION = "combination"
    SETTING = "setting"
    VALUE = "value"
    USE = "use"
    OTHER = "other"


class Area(StrEnum):
    """What a pair of braces holds."""

    TOP = "top"
    HOST = "host"
    THP = "thp"
    NUMA = "numa"
    TEST = "test"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Declaration:
    """A set, param, let or rule label: its name, and the statement that declares it."""

    kind: str
    name: Token
    statement: Statement


@dataclass(slots=True)
class Statement:
    """The tokens of a statement so far; `end` is after its last sign, once it is there."""

    area: Area
    tokens: list[Token] = field(default_factory=list[Token])
    end: int = 0

    @property
    def head(self) -> str:
        """The first word, which says what it is."""
        return self.tokens[0].text if self.tokens else ""


@dataclass(slots=True)
class Block:
    """A pair of braces with a header; `body` is where it opens, `end` is after it."""

    area: Area
    header: list[Token]
    body: int
    end: int
    statements: list[Statement] = field(default_factory=list[Statement])


@dataclass(slots=True)
class Outline:
    """The words of a text with their roles, and what it declares."""

    roles: list[tuple[Token, Role]] = field(default_factory=list[tuple[Token, Role]])
    declarations: list[Declaration] = field(default_factory=list[Declaration])
    blocks: list[Block] = field(default_factory=list[Block])
    statements: list[Statement] = field(default_factory=list[Statement])

    def declared(self, name: str) -> Declaration | None:
        """What declares a name that expressions use."""
        return next(
            (d for d in self.declarations if d.name.text == name and d.kind != "rule"), None
        )


_DECLARING = {"set": "set", "param": "param", "let": "let"}
_BLOCKS = {"host": Area.HOST, "thp": Area.THP, "numa": Area.NUMA, "test": Area.TEST}
#: Words that are attributes too; the word before says that they are not.
_BEFORE_CGROUP = frozenset({"for", "by"})


class Walker:
    """Reads tokens one by one; `areas` and `statement` are where it stands."""

    def __init__(self) -> None:
        self.outline = Outline()
        self.areas: list[Area] = [Area.TOP]
        self.statement = Statement(Area.TOP)
        self._words = vocabulary().grammar
        self._hooks = frozenset(vocabulary().hooks)

    @property
    def area(self) -> Area:
        """The innermost braces that are not a list."""
        return next(area for area in reversed(self.areas) if area is not Area.LIST)

    def read(self, token: Token, following: str) -> None:
        """Go on by a token that is no comment; `following` is the text of the next one."""
        match token.text:
            case "{":
                self._open(token)
            case "}":
                self._close(token)
            case ";":
                self._end(token)
            case _:
                if token.kind is TokenKind.NAME:
                    self._word(token, following)
                self._append(token)

    def _append(self, token: Token) -> None:
        self.statement.tokens.append(token)
        self.statement.end = token.end

    def _open(self, token: Token) -> None:
        area = _BLOCKS.get(self.statement.head) if self.area is Area.TOP else None
        if area is None:
            self.areas.append(Area.LIST)
            self._append(token)
            return
        self.areas.append(area)
        block = Block(area, self.statement.tokens, token.start, token.end)
        self.outline.blocks.append(block)
        self.statement = Statement(area)

    def _close(self, token: Token) -> None:
        if self.areas[-1] is Area.LIST:
            self.areas.pop()
            self._append(token)
            return
        if self.area is not Area.TOP:
            self._keep()
            self.areas.pop()
            self.outline.blocks[-1].end = token.end
        self.statement = Statement(self.area)

    def _end(self, token: Token) -> None:
        while self.areas[-1] is Area.LIST:
            self.areas.pop()  # a list that is still being typed
        self._append(token)
        self._keep()
        self.statement = Statement(self.area)

    def _keep(self) -> None:
        if self.statement.tokens:
            inside = self.area is not Area.TOP
            owner = self.outline.blocks[-1] if inside and self.outline.blocks else self.outline
            owner.statements.append(self.statement)

    def _word(self, token: Token, following: str) -> None:
        role = self._role(token, following)
        self.outline.roles.append((token, role))
        kind = _DECLARING.get(self.statement.head, "rule")
        if role in (Role.DECLARATION, Role.LABEL):
            self.outline.declarations.append(Declaration(kind, token, self.statement))

    def _role(self, token: Token, following: str) -> Role:
        if Area.LIST in self.areas[1:]:
            return Role.USE
        match self.area:
            case Area.TOP:
                return self._role_at_top(token)
            case Area.HOST:
                return self._role_in_host(token)
            case Area.THP | Area.NUMA if not self.statement.tokens and following == ":":
                return Role.LABEL
            case _:
                return self._role_of_word(token)

    def _role_in_host(self, token: Token) -> Role:
        if not self.statement.tokens:
            return Role.SETTING
        values = any(t.text == "=" for t in self.statement.tokens)
        return Role.VALUE if values else Role.OTHER

    def _role_at_top(self, token: Token) -> Role:
        place, head = len(self.statement.tokens), self.statement.head
        if place and head in ("policy", *_DECLARING) and place == 1:
            return Role.POLICY if head == "policy" else Role.DECLARATION
        if head in ("set", "param") and place == 3:
            return Role.TYPE
        if head == "combine" and place in (1, 3):
            return Role.HOOK if place == 1 else Role.COMBINATION
        if place == 0 and token.text in self._hooks:
            return Role.HOOK
        if head in ("test", "property") and self.statement.tokens[-1].text == "for":
            return Role.HOOK
        return self._role_of_word(token)

    def _role_of_word(self, token: Token) -> Role:
        before = self.statement.tokens[-1].text if self.statement.tokens else ""
        if token.text == "cgroup":
            return Role.KEYWORD if before in _BEFORE_CGROUP else Role.USE
        return Role.KEYWORD if token.text in self._words else Role.USE


def outline(tokens: list[Token]) -> Outline:
    """The outline of a whole text."""
    walker = Walker()
    significant = [token for token in tokens if token.kind is not TokenKind.COMMENT]
    for place, token in enumerate(significant):
        following = significant[place + 1].text if place + 1 < len(significant) else ""
        walker.read(token, following)
    return walker.outline
