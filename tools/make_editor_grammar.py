"""Writes the grammar that editors colour policies with, from the words of the language.

Run: python tools/make_editor_grammar.py [--check]
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from policyc.vocabulary import ANY_NUMBER, NUMBERS, vocabulary

__all__ = ["PATH", "grammar", "text"]

PATH = Path(__file__).parents[1] / "editors" / "vscode" / "syntaxes" / "policyc.tmLanguage.json"

_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"


# Not `\b`: a letter that no name can have ends a name.
_START = r"(?<![A-Za-z0-9_])"


def _any_of(names: Iterable[str]) -> str:
    """One of some words, the longest first, and not a part of a longer word."""
    listed = "|".join(re.escape(name) for name in sorted(names, key=lambda n: (-len(n), n)))
    return rf"(?<![A-Za-z0-9_.])(?:{listed})(?![A-Za-z0-9_]|\.[A-Za-z_])"


def _match(scope: str, pattern: str) -> dict[str, Any]:
    return {"name": f"{scope}.policyc", "match": pattern}


def _captured(pattern: str, *scopes: str) -> dict[str, Any]:
    captures = {str(number): {"name": f"{scope}.policyc"} for number, scope in enumerate(scopes, 1)}
    return {"match": pattern, "captures": captures}


def grammar() -> dict[str, Any]:
    """The TextMate grammar."""
    words = vocabulary()
    declaration = "keyword.other.declaration"
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "Memory policy",
        "scopeName": "source.policyc",
        "fileTypes": ["thp"],
        "patterns": [
            _match("comment.line.number-sign", r"#.*$"),
            {
                "name": "string.quoted.double.policyc",
                "begin": '"',
                "end": '"|$',
                "patterns": [_match("constant.character.escape", r"\\.")],
            },
            *(_match("constant.numeric", rf"{_START}(?:{number})") for number in NUMBERS),
            _match("invalid.illegal.number", _START + ANY_NUMBER),
            _captured(rf"{_START}(policy)\s+({_NAME})", declaration, "entity.name.namespace"),
            _captured(
                rf"{_START}(set|param)\s+({_NAME})\s*:\s*({_NAME})",
                declaration,
                "variable.other",
                "storage.type",
            ),
            _captured(rf"{_START}(let)\s+({_NAME})", declaration, "variable.other"),
            _captured(rf"(?:^|[{{;])\s*({_NAME})\s*:", "entity.name.label"),
            _match("support.variable.attribute", _any_of(words.attributes)),
            _match("support.constant.setting", _any_of(words.settings)),
            _match("keyword.operator.wordlike", _any_of(words.operators)),
            _match(declaration, _any_of(words.declarations)),
            _match("keyword.control", _any_of((*words.keywords, *words.actions, *words.hooks))),
            _match(
                "constant.language",
                _any_of(
                    {
                        *words.constants,
                        *words.enumerators,
                        *words.setting_values,
                        *words.combinations,
                    }
                ),
            ),
            _match("keyword.operator", r"\.\.|[=!<>]=|[-=<>|+*/%]"),
        ],
    }


def text() -> str:
    """What the file holds."""
    return json.dumps(grammar(), indent=2) + "\n"


def main() -> int:
    """Write the file, or with --check say whether it is up to date."""
    if sys.argv[1:] == ["--check"]:
        fresh = PATH.is_file() and PATH.read_text("utf-8") == text()
        print("up to date" if fresh else "run tools/make_editor_grammar.py")
        return 0 if fresh else 1
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
