"""Syntax errors: what was found, what could stand there, and what was probably meant."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import cast

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from policyc.diagnostics.model import Diagnostics, Fix
from policyc.source import Source, Span

__all__ = ["Failure", "failure_of", "report", "without_statement"]

_LOOK_ALIKES = {
    "\u037e": ";",
    "\uff1b": ";",
    "\u2026": "..",
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u00d7": "*",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u2223": "|",
    "\uff5c": "|",
    "\uff1a": ":",
    "\uff1d": "=",
    "\u00a0": " ",
    "&&": "and",
    "&": "and",
    "!": "not",
}
_QUOTES = "'\u2018\u2019\u201c\u201d\u201e`"
_SIGNS = {
    "CLOSE": "`}`",
    "CLOSE_PARENTHESIS": "`)`",
    "COLON": "`:`",
    "COMMA": "`,`",
    "DOTS": "`..`",
    "END": "`;`",
    "EQUAL": "`=`",
    "FACTOR": "`*`",
    "BRACE": "`{`",
    "LSQB": "`[`",
    "OPEN": "`(`",
    "PLUS": "`+`",
    "RSQB": "`]`",
    "SIGN": "`+`",
    "VBAR": "`|`",
    "NAME": "a name",
    "STRING": "a string",
    "INTEGER": "a number",
    "SIZE": "a size",
    "DURATION": "a duration",
    "PERCENT": "a percent",
    "COMPARE": "a comparison",
    "HOOK": "`thp` or `numa`",
    "$END": "the end of the file",
}
_UNIT = re.compile(r"([0-9][0-9_]*)([kKmMgGtTpP])(?:i?[bB])?\Z")
_WORD = re.compile(r"[0-9A-Za-z_]+")
_LIST_OPENING = re.compile(r"(\bin|\bunder|=)\s*\Z")
_KEYWORDS = (
    "policy import as set param let combine by host thp numa for cgroup rollout when otherwise"
    " allow deny pass balance off not and or implies in is under overlaps has highest order"
    " test given expect property"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Where the parser could not go on: at a token, a character, or the end of the file.

    `terminal` is empty for a character that starts no token. `accepted` are the names of
    the terminals that could have stood there.
    """

    start: int
    end: int
    terminal: str
    text: str
    accepted: frozenset[str]


def failure_of(source: Source, error: UnexpectedInput) -> Failure:
    """The failure that lark's exception stands for."""
    length = len(source.text)
    if isinstance(error, UnexpectedCharacters):
        start = min(cast(int, error.pos_in_stream), length)  # pyright: ignore[reportUnknownMemberType]
        return Failure(start, start + 1, "", source.text[start : start + 1], frozenset())
    assert isinstance(error, UnexpectedToken)
    token = cast(Token, error.token)  # pyright: ignore[reportUnknownMemberType]
    accepted = frozenset(error.accepts or error.expected)
    if token.type == "$END":
        return Failure(length, length, "$END", "", accepted)
    start = token.start_pos or 0
    return Failure(start, token.end_pos or start, token.type, str(token), accepted)


# -- recovery


def without_statement(text: str, offset: int) -> str:
    """The text with the statement around an offset blanked out, every position kept.

    A statement ends with `;` or with the `}` of its block; the braces of a list belong to
    the statement that they are in.
    """
    start, in_list = _statement_start(text, offset)
    ends = [end for end in (text.find(sign, offset) for sign in ";{}") if end != -1]
    end = min(ends, default=len(text))
    if in_list:
        end = text.find(";", offset) + 1 or len(text)
    elif text[end : end + 1] == "{":
        end = _closing_brace(text, end)
        rest = text[end:]
        if rest.lstrip()[:1] == ";":
            end += rest.index(";") + 1
    elif text[end : end + 1] == ";" or not text[start:end].strip():
        end = min(end + 1, len(text))
    blank = "".join(character if character == "\n" else " " for character in text[start:end])
    return text[:start] + blank + text[end:]


def _statement_start(text: str, offset: int) -> tuple[int, bool]:
    start = max(text.rfind(sign, 0, offset) for sign in ";{}")
    if start >= 0 and text[start] == "{" and _LIST_OPENING.search(text, 0, start):
        return max(text.rfind(sign, 0, start) for sign in ";{}") + 1, True
    return start + 1, False


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


# -- reports


def report(source: Source, failure: Failure, diagnostics: Diagnostics) -> None:
    """Report a failure with what was found, expected and probably meant."""
    span = Span(source, failure.start, failure.end)
    if not failure.terminal:
        _report_character(source, failure.start, diagnostics)
        return
    found = f"`{failure.text}`" if failure.text else "the end of the file"
    expected = _expected(failure.accepted)
    diagnostics.add(
        "PC0102",
        f"found {found} where {expected} should be",
        span,
        f"expected {expected}",
        help=_advice(source, failure),
    )


def _expected(accepted: frozenset[str]) -> str:
    """What could have stood there, in words."""
    if {"HAS", "HIGHEST"} <= accepted:
        return "an expression"
    if {"SIGN", "FACTOR"} <= accepted:
        ends = sorted(accepted & {"END", "CLOSE_PARENTHESIS", "_WHEN"})
        return _joined(["an operator", *[_sign(name) for name in ends]])
    if {"ALLOW", "DENY", "OTHERWISE"} <= accepted:
        return "a rule or `}`"
    if {"SET", "LET", "POLICY"} <= accepted:
        return "`policy NAME;`"
    if {"SET", "LET"} <= accepted:
        return "a declaration or a block"
    if {"GIVEN", "EXPECT"} <= accepted:
        return "`given`, `expect`, `set`, `param` or `}`"
    return _joined(sorted({_sign(name) for name in accepted}))


def _joined(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _sign(terminal: str) -> str:
    return _SIGNS.get(terminal, f"`{terminal.lower().lstrip('_')}`")


def _advice(source: Source, failure: Failure) -> str:
    before = source.text[: failure.start].rstrip()
    new_line = source.position(len(before)).line < source.position(failure.start).line
    return (
        _advice_on_word(failure, before)
        or _advice_on_value(failure, before)
        or _advice_on_place(failure, before, new_line)
        or "docs/language.md has the grammar"
    )


def _advice_on_word(failure: Failure, before: str) -> str:
    """For words of other languages, and words in the wrong place."""
    accepted, text = failure.accepted, failure.text
    match text:
        case "=" if "COMPARE" in accepted:
            return "comparisons are written `==` or `is`"
        case "not" if "COMPARE" in accepted:
            return "write `not (a in b)`: `not` stands in front of the whole comparison"
        case "|" if before.endswith("|"):
            return "write `or` between conditions, and one `|` between order sets"
        case "/":
            return "comments begin with `#`, and paths stand in quotes"
        case "if" if "_WHEN" in accepted:
            return "conditions start with `when`"
        case "when" if "END" in accepted:
            return "`otherwise` has no condition; write `deny when ...;` above it"
        case ";" if before.endswith("}"):
            return "a block ends with `}` alone"
        case "}" if {"SET", "LET"} <= accepted:
            return "no block is open here"
        case _:
            pass
    if re.search(r"\b(is|==)\s*not\Z", before):
        return "write `!=`"
    return _advice_on_rule(accepted, before)


def _advice_on_rule(accepted: frozenset[str], before: str) -> str:
    word = re.search(r"([A-Za-z_]+)\Z", before)
    if accepted != frozenset({"COLON"}) or word is None:
        return ""
    if declaration := re.search(r"\b(set|param)\s+\w+\Z", before):
        return f"the type comes after the name: `{declaration[1]} NAME : TYPE = ...`"
    match word[1].lower():
        case "else" | "default":
            return "the last rule is `otherwise ANSWER;`"
        case "on" | "enable":
            return "the answers of a numa block are `balance`, `off` and `pass`"
        case lower if lower != word[1] and lower in _KEYWORDS.split():
            return f"words of the language are in lower case: `{lower}`"
        case _:
            return "a rule starts with its answer: `allow ORDERS when CONDITION;`"


def _advice_on_value(failure: Failure, before: str) -> str:
    accepted, text = failure.accepted, failure.text
    after_number = re.search(r"[0-9]\Z", before) is not None
    if text == "-" and {"HAS", "NAME"} <= accepted:
        return "numbers are never negative"
    if after_number and (text == "%" or _UNIT.match("1" + text)):
        return "no space stands between a number and its unit"
    if before.endswith("%") and {"HAS", "HIGHEST"} <= accepted:
        return "a percent is written without a space, as in `10%`"
    if failure.terminal == "COMPARE" and "END" in accepted:
        return "comparisons do not chain: write `a < b and b < c`"
    if before.endswith(("<", ">", "=")) and text in ("<", ">", "=", "=="):
        return "the comparisons are `==` `!=` `<` `<=` `>` `>=`"
    if "PERCENT" in accepted and "SIZE" not in accepted:
        return "write a percent such as `5%`, or the name of a parameter"
    if "DURATION" in accepted and "SIZE" not in accepted:
        return "write a duration such as `200ms`, or the name of a parameter"
    if accepted == frozenset({"_BY"}):
        return "write `rollout 5% by cgroup;`"
    return ""


def _advice_on_place(failure: Failure, before: str, new_line: bool) -> str:
    accepted = failure.accepted
    if accepted in (frozenset({"NAME"}), frozenset({"END"})) and re.search(
        r"\bpolicy(\s+[\w.]+)?\Z", before
    ):
        return "a name is letters, digits and `_`, without quotes"
    if accepted <= {"STRING", "_CGROUP", "BRACE"} and re.search(r"\bfor\b[^;{}]*\Z", before):
        return (
            'a block has one scope, written `for cgroup "/a"`; for several cgroups write a '
            "block each, or `cgroup under SET` in its rules"
        )
    if failure.terminal == "$END" and "CLOSE" in accepted:
        return "a `}` is missing"
    if failure.terminal == "COMMA":
        return "order sets are joined with `|`, conditions with `and`"
    if failure.text == "}" and before.endswith("{"):
        return "a list has at least one member"
    if "END" in accepted and (new_line or failure.text in ("}", "otherwise")):
        return "each statement ends with `;`"
    if {"SET", "LET", "POLICY"} <= accepted:
        return "a policy begins with `policy NAME;`"
    if {"SET", "LET"} <= accepted and "COMBINE" not in accepted:
        return "a file without `policy NAME;` in front has import, set, param and let only"
    if {"SET", "LET"} <= accepted:
        return "a policy has import, set, param, let, combine, host, thp, numa, test and property"
    if {"GIVEN", "EXPECT"} <= accepted:
        return "a test has `given ATTRIBUTE = VALUE;`, `expect ANSWER;`, and `set` and `param`"
    if {"ALLOW", "DENY"} <= accepted:
        return "rules are `allow ORDERS when CONDITION;`, `deny when ...;`, `otherwise ...;`"
    return ""


# -- characters


def _report_character(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    character = source.text[offset : offset + 1]
    if character == '"':
        _report_open_string(source, offset, diagnostics)
    elif character in _QUOTES:
        _report_quote(source, offset, diagnostics)
    elif re.compile(r"[0-9]|(?<=[0-9])\.").match(source.text, offset):
        _report_number(source, offset, diagnostics)
    else:
        _report_stranger(source, offset, diagnostics)


def _rest_of_line(source: Source, offset: int) -> str:
    position = source.position(offset)
    return source.line_text(position.line)[position.column - 1 :]


def _report_open_string(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    diagnostics.add(
        "PC0103",
        "this string is not closed on its line",
        Span(source, offset, offset + max(len(_rest_of_line(source, offset)), 1)),
        help='close it with `"`; a quote inside a string is written `\\"`',
    )


def _report_quote(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    whole = re.match(rf'[{_QUOTES}]([^{_QUOTES}"]*)[{_QUOTES}"]', _rest_of_line(source, offset))
    span = Span(source, offset, offset + (len(whole[0]) if whole else 1))
    diagnostics.add(
        "PC0101",
        'strings stand in straight double quotes `"`',
        span,
        f"this quote is U+{ord(source.text[offset]):04X}",
        help=f'write `"{whole[1]}"`' if whole else 'write `"`',
        fix=Fix(span, f'"{whole[1]}"') if whole else None,
    )


def _report_number(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    start = offset
    while start and re.match(r"[0-9_.]", source.text[start - 1]):
        start -= 1
    rest = source.text[start : start + 60]
    word = cast("re.Match[str]", re.match(r"[0-9A-Za-z_.]+", rest))[0].rstrip(".")
    span = Span(source, start, start + len(word))
    unit = _UNIT.match(word)
    if "." in word:
        advice = "numbers are whole; only percents have decimals. Use a smaller unit"
    elif unit:
        advice = f"write `{unit[1]}{unit[2].upper()}`; K is 1024 bytes"
    else:
        advice = (
            "sizes end in B, K, M, G, T or P, durations in ns, us, ms, s, min or h, percents in %"
        )
    diagnostics.add(
        "PC0101",
        f"`{word}` is not a number with a unit",
        span,
        help=advice,
        fix=Fix(span, unit[1] + unit[2].upper()) if unit else None,
    )


def _report_stranger(source: Source, offset: int, diagnostics: Diagnostics) -> None:
    text = source.text[offset : offset + 2]
    found = text if text in _LOOK_ALIKES else text[:1]
    name = unicodedata.name(found[:1], "")
    described = f"U+{ord(found[:1]):04X}" + (f" {name}" if name else "")
    meant = _LOOK_ALIKES.get(found)
    span = Span(source, offset, offset + len(found))
    diagnostics.add(
        "PC0101",
        f"the character {described} is not part of the language",
        span,
        help=f"write `{meant}`" if meant else "names are ASCII letters, digits and `_`",
        fix=Fix(span, meant) if meant else None,
    )
