"""The LALR tables that lark makes of the grammar, in a form that loads in a millisecond.

Lark takes longer to import than a policy takes to check, so its tables are kept as JSON
in the user's cache, and lark itself is needed only to make them and to explain syntax
errors.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from policyc.resources import resource_path

__all__ = ["ParserRule", "Tables", "cache_directory", "grammar_text", "load_tables"]

_FORMAT = 1
_SYMBOLS = [
    "..",
    "==",
    "!=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    ";",
    ":",
    ",",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "|",
    "+",
    "-",
    "*",
    "/",
    "%",
]
#: Terminals that are recognised by their pattern; all others are words and signs.
_PATTERNED = ("STRING", "PERCENT", "SIZE", "DURATION", "INTEGER", "NAME")


@dataclass(frozen=True, slots=True)
class ParserRule:
    """What a reduction does.

    It takes `length` values and keeps those at the places of `kept`, each after a number
    of None; a value whose `splice` is set is a list of values. `callback` is the method
    of the tree builder, empty for a rule that only collects; with `single` one value
    stands for itself.
    """

    origin: str
    length: int
    kept: tuple[tuple[int, bool, int], ...]
    trailing: int
    callback: str
    single: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """A parser: `states` maps symbols to a state to go to, or to -1 - N for rule N."""

    start: int
    end: int
    states: tuple[dict[str, int], ...]
    rules: tuple[ParserRule, ...]
    patterns: dict[str, str]
    words: dict[str, tuple[str, ...]]


def grammar_text() -> str:
    """The text of the grammar."""
    return (resource_path("grammar") / "policy.lark").read_text("utf-8")


def cache_directory() -> Path | None:
    """The directory of this user for what can be made again, None where there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    directory = Path(base) / "policyc"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except (OSError, RuntimeError):
        return None
    safe = status.st_uid == os.getuid() and not status.st_mode & 0o022
    return directory if safe and os.access(directory, os.W_OK) else None


def load_tables() -> Tables:
    """The tables of the grammar, from the cache if it has them."""
    grammar = grammar_text()
    directory = cache_directory()
    file = directory and directory / f"tables-{_FORMAT}-{zlib.crc32(grammar.encode()):08x}.json"
    if file is not None:
        try:
            return _from_json(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not there, or not ours: made anew below
    data = _make(grammar)
    if file is not None:
        _keep(file, json.dumps(data))
    return _from_json(data)


def _keep(file: Path, text: str) -> None:
    """Write the cache whole or not at all; without it everything works, only slower."""
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)


def _from_json(data: dict[str, Any]) -> Tables:
    return Tables(
        data["start"],
        data["end"],
        tuple(data["states"]),
        tuple(
            ParserRule(origin, length, tuple((p, s, n) for p, s, n in kept), trailing, name, single)
            for origin, length, kept, trailing, name, single in data["rules"]
        ),
        data["patterns"],
        {word: tuple(terminals) for word, terminals in data["words"].items()},
    )


def _make(grammar: str) -> dict[str, Any]:
    """The tables from lark, by way of what it saves for its stand-alone parsers."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    parser = Lark(grammar, parser="lalr", lexer="contextual")
    saved, memo = cast(
        "tuple[dict[str, Any], dict[int, dict[str, Any]]]",
        parser.memo_serialize([TerminalDef, Rule]),  # pyright: ignore[reportUnknownMemberType]
    )
    table = saved["parser"]["parser"]
    numbers = {key: number for number, key in enumerate(_rule_keys(memo))}
    terminals = {entry["name"]: entry for entry in memo.values() if "pattern" in entry}
    order = {state: number for number, state in enumerate(table["states"])}
    return {
        "start": order[table["start_states"]["start"]],
        "end": order[table["end_states"]["start"]],
        "states": [
            {
                table["tokens"][symbol]: order[target] if kind == 0 else -1 - numbers[target["@"]]
                for symbol, (kind, target) in row.items()
            }
            for row in table["states"].values()
        ],
        "rules": [_rule(memo[key]) for key in _rule_keys(memo)],
        "patterns": {name: terminals[name]["pattern"]["value"] for name in _PATTERNED},
        "words": _words(terminals),
    }


def _rule_keys(memo: dict[int, dict[str, Any]]) -> list[int]:
    return [key for key, entry in memo.items() if "origin" in entry]


def _rule(entry: dict[str, Any]) -> list[Any]:
    """A rule as lark's parse_tree_builder would treat it (maybe_create_child_filter)."""
    origin, expansion, options = entry["origin"]["name"], entry["expansion"], entry["options"]
    empty = options.get("empty_indices") or ()
    gaps = [len(run) for run in "".join(str(int(e)) for e in empty).split("0")]
    gaps = gaps if empty else [0] * (len(expansion) + 1)
    kept: list[tuple[int, bool, int]] = []
    nones = 0
    for place, symbol in enumerate(expansion):
        nones += gaps[place]
        is_terminal = "filter_out" in symbol
        if not (is_terminal and symbol["filter_out"]):
            kept.append((place, not is_terminal and symbol["name"].startswith("_"), nones))
            nones = 0
    nones += gaps[len(expansion)]
    callback = entry["alias"] or ("" if origin.startswith("_") else origin)
    single = bool(options.get("expand1")) and not entry["alias"]
    return [origin, len(expansion), kept, nones, callback, single]


def _words(terminals: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Which terminals each word and sign of the grammar can be, keywords before names."""
    patterns = {
        name: re.compile(
            re.escape(entry["pattern"]["value"])
            if entry["pattern"]["__type__"] == "PatternStr"
            else entry["pattern"]["value"]
        )
        for name, entry in terminals.items()
        if name not in _PATTERNED
    }
    written = "|".join(entry["pattern"]["value"] for entry in terminals.values())
    candidates = {*re.findall(r"[a-z_]{2,}", written), *_SYMBOLS}
    words: dict[str, list[str]] = {}
    for word in sorted(candidates):
        found = [name for name, pattern in patterns.items() if pattern.fullmatch(word)]
        if found:
            words[word] = found + (["NAME"] if word[0].isalpha() else [])
    return words
