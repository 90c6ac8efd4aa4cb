"""Builds the tree while the parser runs, so that no parse tree is ever made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self, cast

from policyc.diagnostics.model import Diagnostics
from policyc.plan.types import U64_MAX
from policyc.source import Source, Span
from policyc.syntax import tree as t

__all__ = ["ESCAPE", "MAX_NESTING", "Lexeme", "TreeBuilder", "escaped"]

#: How deep expressions may nest; the code after the parser walks them recursively.
MAX_NESTING = 100

_SIZE_UNITS = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50}
_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_NUMBER = re.compile(r"([0-9_]+)([A-Za-z]*)")
#: An escape sequence in a string, and in its group what `escaped` takes.
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def escaped(letter: str) -> bytes | None:
    """What stands for a byte after a backslash, as this byte; None for anything else."""
    if letter in _ESCAPES:
        return _ESCAPES[letter].encode()
    return bytes([int(letter[1:], 16)]) if len(letter) == 3 else None


class Lexeme(str):
    """A word of the text and where it stands, by the names that lark's tokens have for it."""

    __slots__ = ("end_pos", "start_pos")

    start_pos: int
    end_pos: int

    @classmethod
    def at(cls, text: str, start: int, end: int) -> Self:
        """The word at a place."""
        lexeme = cls(text)
        lexeme.start_pos = start
        lexeme.end_pos = end
        return lexeme


class TreeBuilder:
    """The callbacks of the parser, one method per rule of grammar/policy.lark."""

    def __init__(self, source: Source, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics

    # -- helpers

    def _span(self, token: Lexeme) -> Span:
        return Span(self.source, token.start_pos, token.end_pos)

    def _between(self, first: Lexeme, last: Lexeme) -> Span:
        return Span(self.source, first.start_pos, last.end_pos)

    def _name(self, token: Lexeme) -> t.Name:
        return t.Name(str(token), self._span(token))

    def _deeper(self, span: Span, *items: t.Expr) -> int:
        """The nesting depth of a node over these; reports the first that is too deep."""
        depth = 1 + max([item.depth for item in items])
        if depth == MAX_NESTING + 1:
            self.diagnostics.add(
                "PC0106",
                f"expression is nested more than {MAX_NESTING} levels deep",
                span,
                "this is too deep",
                help="give a part of it a name with `let`, or write a chain of `and` or `or` "
                "without parentheses",
            )
        return depth

    def _number(self, text: str, scale: int, span: Span) -> int:
        digits = text.replace("_", "")
        value = (int(digits) if digits and len(digits) < 40 else 1 << 64) * scale
        if value > U64_MAX:
            self.diagnostics.add(
                "PC0108",
                "number does not fit in 64 bits",
                span,
                help=f"the largest is {U64_MAX}",
            )
            return U64_MAX
        return value

    # -- literals

    def integer(self, children: Sequence[Any]) -> t.IntegerLiteral:
        token: Lexeme = children[0]
        span = self._span(token)
        if token.startswith("0x"):
            digits = token[2:].replace("_", "")
            return t.IntegerLiteral(
                self._number(str(int(digits or "0", 16)) if len(digits) < 40 else "", 1, span), span
            )
        return t.IntegerLiteral(self._number(token, 1, span), span)

    def size(self, children: Sequence[Any]) -> t.SizeLiteral:
        token: Lexeme = children[0]
        span = self._span(token)
        match = cast("re.Match[str]", _NUMBER.match(token))
        return t.SizeLiteral(self._number(match[1], 1 << _SIZE_UNITS[match[2][0]], span), span)

    def duration(self, children: Sequence[Any]) -> t.DurationLiteral:
        token: Lexeme = children[0]
        span = self._span(token)
        match = cast("re.Match[str]", _NUMBER.match(token))
        return t.DurationLiteral(self._number(match[1], _DURATION_UNITS[match[2]], span), span)

    def percent(self, children: Sequence[Any]) -> t.PercentLiteral:
        token: Lexeme = children[0]
        span = self._span(token)
        whole, _, decimals = token[:-1].replace("_", "").partition(".")
        value = 100 * int(whole[:20]) + int((decimals + "00")[:2])
        if value > 10_000 or len(decimals) > 2:
            self.diagnostics.add(
                "PC0406",
                "a percent is between 0% and 100%, in steps of 0.01%",
                span,
                help="write at most two decimals and at most 100%",
            )
        return t.PercentLiteral(min(value, 10_000), span)

    def string(self, children: Sequence[Any]) -> t.StringLiteral:
        return self._string(children[0])

    def _string(self, token: Lexeme) -> t.StringLiteral:
        span = self._span(token)
        body = token[1:-1]
        if control := _CONTROL.search(body):
            self._bad_string(span, control.start() + 1, 1, "a control character")
        if "\\" not in body:
            return t.StringLiteral(body.encode("utf-8", "surrogatepass"), span)
        parts: list[bytes] = []
        end = 0
        for match in ESCAPE.finditer(body):
            parts.append(body[end : match.start()].encode("utf-8", "surrogatepass"))
            parts.append(self._escape(match, span))
            end = match.end()
        parts.append(body[end:].encode("utf-8", "surrogatepass"))
        return t.StringLiteral(b"".join(parts), span)

    def _escape(self, match: re.Match[str], span: Span) -> bytes:
        byte = escaped(match[1])
        if byte is not None:
            return byte
        self._bad_string(span, match.start() + 1, 2, "an unknown escape sequence")
        return b""

    def _bad_string(self, span: Span, offset: int, length: int, what: str) -> None:
        start = span.start + offset
        self.diagnostics.add(
            "PC0104",
            f"a string cannot hold {what}",
            Span(self.source, start, start + length),
            help=r"the escapes are \\ \" \n \t \r and \xHH for one byte",
        )

    # -- expressions

    def name(self, children: Sequence[Any]) -> t.NameExpr:
        [token] = children
        return t.NameExpr(str(token), Span(self.source, token.start_pos, token.end_pos))

    def order(self, children: Sequence[Any]) -> t.OrderLiteral:
        span = self._between(children[0], children[1])
        return t.OrderLiteral(self.integer(children[1:]).value, span)

    def range_both(self, children: Sequence[Any]) -> t.RangeExpr:
        low, _, high = children
        return t.RangeExpr(low, high, low.span.to(high.span))

    def range_from(self, children: Sequence[Any]) -> t.RangeExpr:
        low, dots = children
        return t.RangeExpr(low, None, low.span.to(self._span(dots)))

    def range_to(self, children: Sequence[Any]) -> t.RangeExpr:
        dots, high = children
        return t.RangeExpr(None, high, self._span(dots).to(high.span))

    def list(self, children: Sequence[Any]) -> t.ListExpr:
        opening, *items, close = children
        return t.ListExpr(tuple(items), self._between(opening, close))

    def parenthesised(self, children: Sequence[Any]) -> t.Expr:
        return children[1]

    def highest(self, children: Sequence[Any]) -> t.HighestExpr:
        word, _, item, close = children
        span = self._between(word, close)
        return t.HighestExpr(item, span, self._deeper(span, item))

    def has(self, children: Sequence[Any]) -> t.HasExpr:
        word, item = children
        span = self._span(word).to(item.span)
        return t.HasExpr(item, span, 1)

    def _binary(self, left: t.Expr, token: Lexeme, right: t.Expr) -> t.BinaryExpr:
        span = left.span.to(right.span)
        depth = self._deeper(span, left, right)
        return t.BinaryExpr(str(token), left, right, self._span(token), span, depth)

    def arithmetic(self, children: Sequence[Any]) -> t.BinaryExpr:
        return self._binary(*children)

    def union(self, children: Sequence[Any]) -> t.BinaryExpr:
        left, right = children
        span = left.span.to(right.span)
        between = Span(self.source, left.span.end, right.span.start)
        return t.BinaryExpr("|", left, right, between, span, self._deeper(span, left, right))

    def comparison(self, children: Sequence[Any]) -> t.ComparisonExpr:
        left, token, right = children
        span = left.span.to(right.span)
        depth = self._deeper(span, left, right)
        return t.ComparisonExpr(str(token), left, right, self._span(token), span, depth)

    def negation(self, children: Sequence[Any]) -> t.NotExpr:
        word, item = children
        span = self._span(word).to(item.span)
        return t.NotExpr(item, span, self._deeper(span, item))

    def _logical(self, operator: str, items: Sequence[t.Expr]) -> t.LogicalExpr:
        span = items[0].span.to(items[-1].span)
        return t.LogicalExpr(operator, tuple(items), span, self._deeper(span, *items))

    def conjunction(self, children: Sequence[Any]) -> t.LogicalExpr:
        return self._logical("and", children)

    def disjunction(self, children: Sequence[Any]) -> t.LogicalExpr:
        return self._logical("or", children)

    def implication(self, children: Sequence[Any]) -> t.LogicalExpr:
        return self._logical("implies", children)

    # -- items

    def import_all(self, children: Sequence[Any]) -> t.ImportItem:
        word, path, alias, end = children
        name = self._name(alias) if alias is not None else None
        return t.ImportItem(self._string(path), name, None, self._between(word, end))

    def import_names(self, children: Sequence[Any]) -> t.ImportItem:
        word, path, _, *names, _, end = children
        listed = tuple(map(self._name, names))
        return t.ImportItem(self._string(path), None, listed, self._between(word, end))

    def set(self, children: Sequence[Any]) -> t.SetItem:
        word, name, type_name, *members = children
        strings = tuple(self._string(member) for member in members)
        last = strings[-1].span if strings else self._span(type_name)
        return t.SetItem(
            self._name(name), self._name(type_name), strings, self._span(word).to(last)
        )

    def param(self, children: Sequence[Any]) -> t.ParamItem:
        word, name, type_name, default, _, low, _, high = children
        bounds = (low, high) if low is not None else None
        last: Span = high.span if bounds else default.span
        return t.ParamItem(
            self._name(name), self._name(type_name), default, bounds, self._span(word).to(last)
        )

    def let(self, children: Sequence[Any]) -> t.LetItem:
        word, name, expr = children
        return t.LetItem(self._name(name), expr, self._span(word).to(expr.span))

    def combine(self, children: Sequence[Any]) -> t.CombineItem:
        word, hook, mode = children
        return t.CombineItem(self._name(hook), self._name(mode), self._between(word, mode))

    def word(self, children: Sequence[Any]) -> t.Word:
        return t.Word("+".join(children), self._between(children[0], children[-1]))

    def setting(self, children: Sequence[Any]) -> t.Setting:
        name, argument, value = children
        return t.Setting(self._name(name), argument, value, self._span(name).to(value.span))

    def host(self, children: Sequence[Any]) -> t.HostItem:
        word, *settings = children
        return t.HostItem(tuple(settings), self._span(word))

    def action(self, children: Sequence[Any]) -> t.Action:
        word: Lexeme = children[0]
        orders = children[1] if len(children) > 1 else None
        span = self._span(word)
        return t.Action(str(word), orders, span.to(orders.span) if orders else span)

    def guarded(self, children: Sequence[Any]) -> t.RuleEntry:
        label, action, condition, end = children
        first: Span = self._span(label) if label is not None else action.span
        return t.RuleEntry(
            self._name(label) if label is not None else None,
            action,
            condition,
            False,
            first.to(self._span(end)),
        )

    def otherwise(self, children: Sequence[Any]) -> t.RuleEntry:
        label, word, action, end = children
        return t.RuleEntry(
            self._name(label) if label is not None else None,
            action,
            None,
            True,
            self._between(label if label is not None else word, end),
        )

    def rollout(self, children: Sequence[Any]) -> t.RolloutEntry:
        word, share = children
        return t.RolloutEntry(share, self._span(word).to(share.span))

    def hot_threshold(self, children: Sequence[Any]) -> t.HotThresholdEntry:
        word, value = children
        return t.HotThresholdEntry(value, self._span(word).to(value.span))

    def block(self, children: Sequence[Any]) -> t.BlockItem:
        hook, scope, *entries, close = children
        path = self._string(scope) if scope is not None else None
        header = self._span(hook)
        return t.BlockItem(
            self._name(hook),
            path,
            tuple(entries),
            header.to(path.span) if path else header,
            self._span(close),
            self._between(hook, close),
        )

    # -- tests and properties

    def assignment(self, children: Sequence[Any]) -> t.Assignment:
        name, value = children
        return t.Assignment(self._name(name), value, self._span(name).to(value.span))

    def given(self, children: Sequence[Any]) -> t.GivenStep:
        word, *assignments, end = children
        return t.GivenStep(tuple(assignments), self._between(word, end))

    def expectation(self, children: Sequence[Any]) -> t.ExpectStep:
        word, action, _, hot_threshold, end = children
        return t.ExpectStep(action, hot_threshold, self._between(word, end))

    def set_step(self, children: Sequence[Any]) -> t.SetStep:
        word, name, *members, end = children
        strings = tuple(self._string(member) for member in members)
        return t.SetStep(self._name(name), strings, self._between(word, end))

    def param_step(self, children: Sequence[Any]) -> t.ParamStep:
        word, name, value, end = children
        return t.ParamStep(self._name(name), value, self._between(word, end))

    def test(self, children: Sequence[Any]) -> t.TestItem:
        word, name, hook, *steps, close = children
        return t.TestItem(
            self._string(name),
            self._name(hook),
            tuple(steps),
            self._between(word, hook),
            self._span(close),
            self._between(word, close),
        )

    def property(self, children: Sequence[Any]) -> t.PropertyItem:
        word, name, hook, condition, end = children
        return t.PropertyItem(
            self._string(name), self._name(hook), condition, self._between(word, end)
        )

    # -- the file

    def header(self, children: Sequence[Any]) -> t.Name:
        return self._name(children[1])

    def start(self, children: Sequence[Any]) -> t.PolicyFile:
        name, *items = children
        return t.PolicyFile(name, tuple(items), self.source)

    def definitions(self, children: Sequence[Any]) -> t.PolicyFile:
        return t.PolicyFile(None, tuple(children), self.source)
