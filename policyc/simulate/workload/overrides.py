"""`--set KEY=VALUE`: changes to the document of a workload before it is checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from policyc.runtime.checks import did_you_mean
from policyc.simulate.workload.conversions import Given, UnfitError
from policyc.simulate.workload.positions import Path
from policyc.simulate.workload.schema import TABLES, Field, Kind, Table

__all__ = ["Override", "apply_override", "parse_override"]

_GROUPS = (Kind.TABLE, Kind.TABLES, Kind.BY_PATH, Kind.VALUES, Kind.MODES)


@dataclass(frozen=True, slots=True)
class Override:
    """A key of the command line and its value, not yet looked up."""

    key: str
    value: str


def parse_override(text: str) -> Override:
    """`KEY=VALUE` in two; raises UnfitError."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UnfitError(f"found {text!r}, expected KEY=VALUE such as machine.swap=4G")
    return Override(key, value.strip())


def apply_override(document: dict[str, Any], override: Override) -> Path:
    """Put the value into the document; the place where it went. Raises UnfitError.

    The key is a dotted path; processes, VMAs and other arrays of tables are gone into by
    name or number, cgroups by path, and a name of `[values]` needs no `values.` in front.
    """
    parts = override.key.split(".")
    top = TABLES["workload"]
    values = document.get("values")
    if top.field(parts[0]) is None and isinstance(values, dict) and override.key in values:
        parts = ["values", override.key]
    return _enter(document, top, parts, (), override)


def _enter(
    table: dict[str, Any], schema: Table, parts: Sequence[str], path: Path, override: Override
) -> Path:
    """Set what the parts say in a table of the document."""
    key, *rest = parts
    field = schema.field(key)
    if field is None:
        known = [found.key for found in schema.fields]
        if not path and isinstance(table.get("values"), dict):
            known += [str(name) for name in table["values"]]
        raise UnfitError(_unknown(override, path, key, known))
    if field.kind not in _GROUPS:
        if rest:
            raise UnfitError(
                f"--set {override.key}: {'.'.join((*map(str, path), key))} has no keys"
            )
        table[key] = _value(field, override)
        return (*path, key)
    if not rest:
        raise UnfitError(f"--set {override.key}: this is {field.kind.value}; set a key of it")
    return _group(table, field, rest, (*path, key), override)


def _group(
    table: dict[str, Any], field: Field, rest: Sequence[str], path: Path, override: Override
) -> Path:
    """Set what is in a table, or in one of several, below a key."""
    match field.kind:
        case Kind.TABLE:
            below = _dictionary(table, field.key)
            return _enter(below, TABLES[field.table], rest, path, override)
        case Kind.MODES:
            _dictionary(table, field.key)[".".join(rest)] = Given(override.value)
            return (*path, ".".join(rest))
        case Kind.VALUES:
            known = _dictionary(table, field.key)
            name = ".".join(rest)
            if name not in known:
                raise UnfitError(_unknown(override, path, name, map(str, known)))
            known[name] = Given(override.value)
            return (*path, name)
        case Kind.BY_PATH:
            return _cgroup(table, field, rest, path, override)
        case _:
            number, below = _element(table.get(field.key), rest[0], path, override)
            if len(rest) == 1:
                raise UnfitError(f"--set {override.key}: this is a table; set a key of it")
            return _enter(below, TABLES[field.table], rest[1:], (*path, number), override)


def _cgroup(
    document: dict[str, Any], field: Field, rest: Sequence[str], path: Path, override: Override
) -> Path:
    """Set a limit of a cgroup that is declared or has processes; its path may have dots."""
    name, key = ".".join(rest[:-1]), rest[-1]
    declared = _dictionary(document, field.key)
    used = [table.get("cgroup") for table in _tables(document.get("processes"))]
    paths = [path for path in used if isinstance(path, str)]
    known = sorted({*map(str, declared), *(above for each in paths for above in _upwards(each))})
    if name not in known:
        raise UnfitError(_unknown(override, path, name, known))
    below = _dictionary(declared, name)
    return _enter(below, TABLES[field.table], [key], (*path, name), override)


def _tables(array: object) -> list[dict[str, Any]]:
    """The tables of an array; what is none of either is left to the reader to complain of."""
    elements = cast(list[object], array) if isinstance(array, list) else []
    if not all(isinstance(element, dict) for element in elements):
        return []
    return cast(list[dict[str, Any]], elements)


def _upwards(cgroup: str) -> Iterable[str]:
    while cgroup.strip("/"):
        yield cgroup
        cgroup = cgroup.rpartition("/")[0]


def _element(
    array: object, part: str, path: Path, override: Override
) -> tuple[int, dict[str, Any]]:
    """The table of an array that has a name or a number."""
    tables = _tables(array)
    names: dict[str, int] = {}
    for number, table in enumerate(tables):
        name: object = table.get("name")
        if isinstance(name, str):
            names.setdefault(name, number)
    number = names.get(part, int(part) if part.isdecimal() and len(part) < 7 else -1)
    if not 0 <= number < len(tables):
        last = len(tables) - 1
        there = f"; the numbers are 0 to {last}" if tables else "; there are none"
        raise UnfitError(_unknown(override, path, part, names) + there)
    return number, tables[number]


def _dictionary(table: dict[str, Any], key: str) -> dict[str, Any]:
    """The table below a key, made if it is not there; its place if it is something else."""
    below = table.setdefault(key, {})
    if not isinstance(below, dict):
        raise UnfitError(f"{key} is not a table in the file")
    return cast(dict[str, Any], below)


def _value(field: Field, override: Override) -> Any:
    if field.kind is Kind.ACTIONS:
        return [Given(part.strip()) for part in override.value.split(";") if part.strip()]
    return Given(override.value)


def _unknown(override: Override, path: Path, key: str, known: Iterable[str]) -> str:
    where = ".".join(map(str, path))
    place = f" in {where}" if where else ""
    return f"--set {override.key}: there is no {key!r}{place}{did_you_mean(key, known)}"
