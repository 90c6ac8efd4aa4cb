"""Types as C writes them, in one spelling, so that they can be compared and shown."""

from __future__ import annotations

import re

from policyc.hooks.btf import types as t
from policyc.hooks.btf.reader import Btf

__all__ = ["canonical", "declared_type", "spelling", "spellings"]

_WORDS = ("signed", "unsigned", "char", "short", "int", "long")
_DEEPEST = 16


def canonical(text: str) -> str:
    """A type in the spelling of this module: `long unsigned int` is `unsigned long`.

    >>> canonical("struct file*")
    'struct file *'
    """
    words = re.findall(r"\w+|[^\w\s]", text)
    numbers = [word for word in words if word in _WORDS]
    others = [word for word in words if word not in _WORDS]
    base = [_integer(numbers)] if numbers else []
    marks = "".join(word for word in others if not word[0].isalpha() and word[0] != "_")
    names = [word for word in others if word[0].isalpha() or word[0] == "_"]
    return " ".join([*names, *base] + ([marks] if marks else []))


def _integer(words: list[str]) -> str:
    """An integer by its words, which C takes in any order."""
    if "char" in words:
        sign = [word for word in words if word in ("signed", "unsigned")]
        return " ".join([*sign[:1], "char"])
    parts = ["unsigned"] if "unsigned" in words else []
    parts += ["short"] if "short" in words else ["long"] * words.count("long")
    if parts in ([], ["unsigned"]):
        parts.append("int")
    return " ".join(parts)


def declared_type(declaration: str) -> str:
    """The type of `TYPE NAME`, as `canonical` writes it."""
    return canonical(re.sub(r"\w+\s*$", "", declaration))


def spelling(btf: Btf, number: int, depth: int = 0) -> str:
    """A type as C writes it, without restrict, volatile and tags.

    Raises BtfError if the type information is damaged.
    """
    if depth > _DEEPEST:
        return "..."
    item = btf.type(number)
    match item:
        case t.Void():
            return "void"
        case t.Integer(name=name) | t.Float(name=name):
            return canonical(name)
        case t.Record(name=name):
            return f"{item.word} {name}".strip()
        case t.Forward(name=name, union=union):
            return f"{'union' if union else 'struct'} {name}"
        case t.Enumeration(name=name):
            return f"enum {name}".strip()
        case t.Modifier() | t.Pointer() | t.Array() | t.Prototype():
            return _derived(btf, item, depth + 1)
        case _:
            return item.name


def _derived(btf: Btf, item: t.Modifier | t.Pointer | t.Array | t.Prototype, depth: int) -> str:
    """A type that C writes around another one."""
    match item:
        case t.Modifier(kind=kind, target=target):
            inner = spelling(btf, target, depth)
            if kind is not t.Kind.CONST:
                return inner
            return f"{inner} const" if inner.endswith("*") else f"const {inner}"
        case t.Pointer(target=target):
            inner = spelling(btf, target, depth)
            if inner.endswith(")"):
                return inner.replace("(", "(*)(", 1)
            return f"{inner}*" if inner.endswith("*") else f"{inner} *"
        case t.Array(element=element, length=length):
            return f"{spelling(btf, element, depth)}[{length}]"
        case t.Prototype(returns=returns, parameters=parameters):
            given = [spelling(btf, p.type, depth) if p.type else "..." for p in parameters]
            return f"{spelling(btf, returns, depth)} ({', '.join(given) or 'void'})"


def spellings(btf: Btf, number: int) -> list[str]:
    """A type as it is declared, and as each of its typedefs is, without const."""
    found: list[str] = []
    item = btf.stripped(number, typedefs=False)
    found.append(spelling(btf, item.id))
    while isinstance(item, t.Typedef) and len(found) < _DEEPEST:
        item = btf.stripped(item.target, typedefs=False)
        found.append(spelling(btf, item.id))
    return found
