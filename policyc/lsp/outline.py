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

__all__ = [
    "Area",
    "Block",
    "Declaration",
    "Outline",
    "Role",
    "Statement",
    "Walker",
    "outline",
    "walk",
]


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
    """Reads tokens one by one; `area`, `lists` and `statement` are where it stands.

    `lists` is how many lists it is inside of: braces that are part of a statement.
    """

    def __init__(self) -> None:
        self.outline = Outline()
        self.area = Area.TOP
        self.lists = 0
        self.statement = Statement(Area.TOP)
        self._words = vocabulary().grammar
        self._hooks = frozenset(vocabulary().hooks)

    def read(self, token: Token, following: str) -> None:
        """Go on by a token that is no comment; `following` is the text of the next one."""
        if token.kind is TokenKind.NAME:
            self._word(token, following)
        elif token.text in "{};" and token.kind is TokenKind.SIGN:
            if token.text == "{":
                self._open(token)
            elif token.text == "}":
                self._close(token)
            else:
                self._end(token)
            return
        self._append(token)

    def _append(self, token: Token) -> None:
        self.statement.tokens.append(token)
        self.statement.end = token.end

    def _open(self, token: Token) -> None:
        area = _BLOCKS.get(self.statement.head) if self.area is Area.TOP else None
        if area is None:
            self.lists += 1
            self._append(token)
            return
        self.area = area
        block = Block(area, self.statement.tokens, token.start, token.end)
        self.outline.blocks.append(block)
        self.statement = Statement(area)

    def _close(self, token: Token) -> None:
        if self.lists:
            self.lists -= 1
            self._append(token)
            return
        if self.area is not Area.TOP:
            self._keep()
            self.area = Area.TOP
            self.outline.blocks[-1].end = token.end
        self.statement = Statement(self.area)

    def _end(self, token: Token) -> None:
        self.lists = 0  # a list that is still being typed
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
        if role is Role.DECLARATION or role is Role.LABEL:
            kind = _DECLARING.get(self.statement.head, "rule")
            self.outline.declarations.append(Declaration(kind, token, self.statement))

    def _role(self, token: Token, following: str) -> Role:
        if self.lists:
            return Role.USE
        match self.area:
            case Area.TOP:
                return self._role_at_top(token)
            case Area.HOST:
                return self._role_in_host(token)
            case Area.THP | Area.NUMA | Area.TEST:
                if following == ":" and not self.statement.tokens:
                    return Role.LABEL
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


def walk(tokens: list[Token]) -> Walker:
    """A walker that has read some tokens; comments are left out."""
    walker = Walker()
    significant = [token for token in tokens if token.kind is not TokenKind.COMMENT]
    following = [token.text for token in significant[1:]]
    for token, next_text in zip(significant, [*following, ""], strict=False):
        walker.read(token, next_text)
    return walker


def outline(tokens: list[Token]) -> Outline:
    """The outline of a whole text."""
    return walk(tokens).outline
