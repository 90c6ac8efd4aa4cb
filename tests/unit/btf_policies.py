"""Policies that ask for one attribute each, and the objects they are compiled to."""

from __future__ import annotations

from functools import cache

import pytest

from policyc.check import check_text
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import ToolMissing, compile_object, find_clang
from policyc.hooks.loader import attributes, profiles
from policyc.hooks.model import AttributeRow
from policyc.plan.types import Kind

__all__ = ["CASES", "attribute_c", "attribute_object", "needs_clang"]

_ENUMERATORS = {"event": "khugepaged", "advice": "hugepage", "vma_kind": "shmem"}


def _is_case(profile: str, name: str) -> bool:
    """Whether a profile has an attribute; the windows of pressure are all read alike."""
    row, known = attributes()[name], profiles()[profile]
    window = name.rpartition(".")[2]
    return known.has(row) and known.hook in row.hooks and window not in ("avg60", "avg300")


#: Profile and attribute. The other versions of thp read as thp-v12 does.
CASES = [
    (profile, name)
    for profile in ("thp-v12", "mthp-v2", "numab-rfc1")
    for name in attributes()
    if _is_case(profile, name)
] + [("thp-v7", "vma.advice"), ("thp-v9", "vma.advice")]


def needs_clang() -> None:
    """Skip the test that asks where there is no clang."""
    try:
        find_clang()
    except ToolMissing as missing:
        pytest.skip(str(missing))


def _condition(row: AttributeRow) -> str:
    """A condition that no compiler can decide without the value."""
    match row.type.kind:
        case Kind.BOOL:
            return row.name
        case Kind.SIZE:
            return f"{row.name} > 8M"
        case Kind.PERCENT:
            return f"{row.name} > 5%"
        case Kind.STRING:
            return f'{row.name} == "redis-server"'
        case Kind.CGROUP:
            return f'{row.name} under "/kubepods"'
        case Kind.ENUM:
            return f"{row.name} is {_ENUMERATORS[row.type.enum]}"
        case Kind.ORDERS:
            return f"64K in {row.name}"
        case _:
            return f"{row.name} == 77"


def attribute_c(profile: str, name: str) -> str:
    """The C of a policy whose only rule asks for the attribute."""
    condition = _condition(attributes()[name])
    answers = ("off", "balance") if profiles()[profile].hook == "numa" else ("deny", "pass")
    block = f"{answers[0]} when {condition}; otherwise {answers[1]};"
    text = f"policy one; {profiles()[profile].hook} {{ {block} }}"
    result = check_text(text, "one.thp", profiles=[profile])
    assert result.plan is not None, result.diagnostics
    return emit_bpf(result.plan, profiles()[profile], counters=False)


@cache
def attribute_object(profile: str, name: str) -> bytes:
    """The object of that C."""
    return compile_object(attribute_c(profile, name))
