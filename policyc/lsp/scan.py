"""Text to tokens, whatever the text: an editor asks about policies that are being written."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from policyc.vocabulary import ANY_NUMBER

__all__ = ["Token", "TokenKind", "scan"]


class TokenKind(StrEnum):
    """What sort of token it is; the text is that of the group of the pattern."""

    COMMENT = "comment"
    STRING = "string"
    NUMBER = "number"
    NAME = "name"
    SIGN = "sign"


class Token(NamedTuple):
    """A piece of the text from `start` to `end`, in characters."""

    kind: TokenKind
    start: int
    end: int
    text: str


# As in grammar/policy.lark, but a string may lack its end and a number may have any unit.
_TOKEN = re.compile(
    rf"""(?P<comment>\#[^\r\n]*(?:\r+[^\r\n]+)*)
    |(?P<string>"(?:[^"\\\n]|\\.)*\\?"?)
    |(?P<number>{ANY_NUMBER})
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<sign>\.\.|[=!<>]=|[^\s])""",
    re.VERBOSE,
)
_KINDS = {kind.value: kind for kind in TokenKind}


def scan(text: str, start: int = 0) -> list[Token]:
    """Every token of a text from a place on, comments included; nothing is an error."""
    return [
        Token(_KINDS[match.lastgroup or "sign"], *match.span(), match.group())
        for match in _TOKEN.finditer(text, start)
    ]
