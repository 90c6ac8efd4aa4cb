"""Values of attributes as people and traces write them, turned into those of requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeAlias, cast

from policyc.plan.nodes import Target
from policyc.runtime.checks import (
    PERCENT_MAX,
    U64_MAX,
    checked_cgroup,
    checked_comm,
    checked_number,
    did_you_mean,
)
from policyc.runtime.completion import Value, completed
from policyc.runtime.request import AttributeField
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.runtime.units import parse_value

__all__ = [
    "REQUESTS",
    "Reader",
    "Value",
    "attribute_fields",
    "completed",
    "every_order",
    "json_reader",
    "parse_orders",
    "parse_text",
]

Reader: TypeAlias = Callable[[object], Value]

#: The request of each hook.
REQUESTS: dict[str, type[ThpRequest | NumaRequest]] = {"thp": ThpRequest, "numa": NumaRequest}

_FREE = AttributeField("memory.free", "memory_free", "size", True)
_ESCAPE = re.compile(r"\\(?:([\\\"ntr])|x([0-9A-Fa-f]{2}))")
_ESCAPES = {"\\": "\\", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F_]{1,40}")
_NOT_ORDERS = re.compile(r'[;{}"#\n]')
_NAME = re.compile(r"(?<![0-9A-Za-z_])[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)

#: The words of constant order sets; there is nothing else to refer to.
_ORDER_WORDS = frozenset({"all", "none", "pmd", "order"})

#: An order-set expression that is longer was not written by anyone.
_LONGEST_ORDERS = 1000


def attribute_fields(hook: str) -> dict[str, AttributeField]:
    """The attributes that requests of a hook can have, by their names in the language."""
    return {field.name: field for field in (*REQUESTS[hook].attributes, _FREE)}


def every_order(target: Target) -> int:
    """The orders that a request for `all` asks for: those of large anonymous folios."""
    return target.large_orders


def parse_text(field: AttributeField, text: str, target: Target) -> Value:
    """The value that a literal of the language stands for; ValueError if it is none."""
    what = field.name
    match field.kind:
        case "orders":
            return _named(what, parse_orders, text, target)
        case "bool":
            if text not in ("true", "false"):
                raise ValueError(f"{what}: expected true or false, got {text!r}")
            return text == "true"
        case "string":
            return checked_comm(what, _unquoted(text))
        case "cgroup":
            return checked_cgroup(what, _decoded(_unquoted(text)))
        case "enum":
            return _member(field, text)
        case kind:
            return _number(what, kind, text)


def json_reader(field: AttributeField, target: Target) -> Reader:
    """What turns a value of a trace into that of the attribute, or raises ValueError.

    Numbers are in the units of the language: bytes, and hundredths of a percent.
    """
    match field.kind:
        case "orders":
            read: Reader = partial(_json_orders, field.name, target)
        case "bool":
            read = partial(_json_bool, field.name)
        case "string":
            read = partial(checked_comm, field.name)
        case "cgroup":
            read = partial(_json_cgroup, field.name)
        case "enum":
            read = partial(_json_member, field)
        case kind:
            high = PERCENT_MAX if kind == "percent" else U64_MAX
            read = partial(_json_number, field.name, kind, high)
    return _optional(read) if field.optional else _always(field, read)


@lru_cache(maxsize=1024)
def parse_orders(text: str, target: Target) -> int:
    """The mask of an order-set expression such as `16K..64K | pmd`; ValueError if it is none.

    A hexadecimal number is a mask itself, with orders that the language has no words for.
    A request for `all` is one for every order of large anonymous folios of the target.
    """
    text = text.strip()
    if text == "all":
        return every_order(target)
    if _HEXADECIMAL.fullmatch(text):
        return checked_number("orders", int(text.replace("_", ""), 16))
    mask = _evaluated(text, target)
    return mask & every_order(target) if mask >> (target.pmd_order + 1) else mask


def _evaluated(text: str, target: Target) -> int:
    """The mask that the checker and the reference evaluator make of an expression."""
    from policyc.check import check_text
    from policyc.diagnostics.model import Severity
    from policyc.plan.evaluate import State, evaluate
    from policyc.plan.nodes import ALL_ORDERS

    wanted = "expected an order set such as all, pmd, 64K or 16K..64K | pmd"
    foreign = _NOT_ORDERS.search(text) or not _ORDER_WORDS.issuperset(_NAME.findall(text))
    if not text or len(text) > _LONGEST_ORDERS or foreign or text.isdecimal():
        raise ValueError(f"{wanted}, got {text[:60]!r}")
    policy = f"policy request; thp {{ otherwise allow {text}; }}"
    result = check_text(policy, "request", profiles=["testrun"], target=target)
    if result.plan is None or result.plan.thp is None:
        error = next(d for d in result.diagnostics if d.severity is Severity.ERROR)
        raise ValueError(f"{wanted}, got {text!r}: {error.message}")
    values = {"orders": ALL_ORDERS}
    return evaluate(result.plan, result.plan.thp, values, State({}, {})).orders


def _named(what: str, parse: Callable[[str, Target], int], text: str, target: Target) -> int:
    try:
        return parse(text, target)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _unquoted(text: str) -> str:
    """The text without the quotes that a policy would have around it."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    return _ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return _ESCAPES[match[1]]
    return bytes([int(match[2], 16)]).decode("utf-8", "surrogateescape")


def _decoded(text: str) -> str:
    """The text with bytes that were written one by one put together to characters."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _member(field: AttributeField, text: str) -> str:
    if text not in field.members:
        raise ValueError(
            f"{field.name}: expected one of {', '.join(field.members)}, "
            f"got {text!r}{did_you_mean(text, field.members)}"
        )
    return text


# Traces hold the same numbers again and again.
@lru_cache(maxsize=65536)
def _number(what: str, kind: str, text: str) -> int:
    if kind == "percent" and not text.strip().endswith("%"):
        raise ValueError(f"{what}: expected a percentage such as 12.5%, got {text!r}")
    if kind == "int" and _HEXADECIMAL.fullmatch(text):
        return checked_number(what, int(text.replace("_", ""), 16))
    try:
        number = parse_value(kind, text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    return _in_range(what, kind, number)


def _in_range(what: str, kind: str, number: object) -> int:
    checked = checked_number(what, number)
    if kind == "percent" and checked > PERCENT_MAX:
        raise ValueError(f"{what}: expected at most 100%, got {checked / 100:g}%")
    return checked


def _optional(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _always(field: AttributeField, read: Reader) -> Reader:
    def present(value: object) -> Value:
        if value is None:
            raise ValueError(f"{field.name}: this attribute is never absent, got null")
        return read(value)

    return present


def _json_bool(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what}: expected true or false, got {value!r}")
    return value


def _json_number(what: str, kind: str, high: int, value: object) -> int:
    if type(value) is int and 0 <= value <= high:
        return value
    if isinstance(value, str):
        return _number(what, kind, value)
    if isinstance(value, float):
        unit = {"percent": 'hundredths of a percent, or a string such as "12.5%"'}.get(kind)
        raise ValueError(f"{what}: expected {unit or 'a whole number'}, got {value!r}")
    return _in_range(what, kind, value)


def _json_cgroup(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{what}: expected a path such as "/system.slice", got {value!r}')
    return _cgroup(what, value)


# Traces ask about the same cgroups again and again.
_cgroup = lru_cache(maxsize=4096)(checked_cgroup)


def _json_member(field: AttributeField, value: object) -> str:
    if value in field.members:
        return cast("str", value)
    return _member(field, str(value))


def _json_orders(what: str, target: Target, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return checked_number(what, value)
    if isinstance(value, str):
        return _named(what, parse_orders, value, target)
    if isinstance(value, list):
        mask = 0
        for item in cast("list[object]", value):
            if isinstance(item, int) and not isinstance(item, bool):
                mask |= 1 << checked_number(what, item, 63)
            else:
                mask |= _json_orders(what, target, item) if isinstance(item, str) else _bad(what)
        return mask
    return _bad(what)


def _bad(what: str) -> int:
    raise ValueError(
        f'{what}: expected a mask, a list of orders, or a string such as "all" or "16K..64K"'
    )
