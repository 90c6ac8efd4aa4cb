"""Colours policies in documents: a lexer for Pygments, which finds it by its entry point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from pygments.lexer import (
    RegexLexer,
    bygroups,  # pyright: ignore[reportUnknownVariableType]
    words,
)
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
)

from policyc.vocabulary import ANY_NUMBER, NUMBERS, vocabulary

__all__ = ["PolicyLexer"]

_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
_WORDS = vocabulary()


def _any_of(names: Iterable[str]) -> words:
    """One of some words, and not a part of a longer one; `pmd..64K` begins with a word."""
    return words(tuple(names), prefix=r"(?<![A-Za-z0-9_.])", suffix=r"(?![A-Za-z0-9_]|\.[A-Za-z_])")


class PolicyLexer(RegexLexer):
    """For *.thp files."""

    name = "Memory policy"
    aliases: ClassVar[Sequence[str]] = ["policyc", "thp"]
    filenames: ClassVar[Sequence[str]] = ["*.thp"]

    tokens: ClassVar = {
        "root": [
            (r"\s+", Text),
            (r"#[^\n]*", Comment.Single),
            (r'"', String, "string"),
            *((number, Number) for number in NUMBERS),
            (ANY_NUMBER, Error),
            (rf"(policy)(\s+)({_NAME})", bygroups(Keyword.Declaration, Text, Name.Namespace)),
            (
                rf"(set|param)(\s+)({_NAME})(\s*)(:)(\s*)({_NAME})",
                bygroups(
                    Keyword.Declaration, Text, Name.Variable, Text, Punctuation, Text, Keyword.Type
                ),
            ),
            (rf"(let)(\s+)({_NAME})", bygroups(Keyword.Declaration, Text, Name.Variable)),
            (_any_of(_WORDS.attributes), Name.Builtin),
            (_any_of(_WORDS.settings), Name.Property),
            (_any_of(_WORDS.operators), Operator.Word),
            (_any_of(_WORDS.declarations), Keyword.Declaration),
            (_any_of((*_WORDS.keywords, *_WORDS.actions, *_WORDS.hooks)), Keyword),
            (_any_of((*_WORDS.constants, *_WORDS.enumerators)), Name.Constant),
            (_any_of((*_WORDS.setting_values, *_WORDS.combinations)), Name.Constant),
            (rf"({_NAME})(\s*)(:)", bygroups(Name.Label, Text, Punctuation)),
            (_NAME, Name),
            (r"\.\.|[=!<>]=|[-=<>|+*/%]", Operator),
            (r"[;:,{}()\[\].]", Punctuation),
        ],
        "string": [
            (r"\\.", String.Escape),
            (r'[^"\\\n]+|\\', String),
            (r'"', String, "#pop"),
            (r"\n", Text, "#pop"),
        ],
    }
