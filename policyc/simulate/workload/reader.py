"""Reads workloads: TOML text to a `specification.Workload`, or everything that is wrong."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from policyc.runtime.checks import did_you_mean
from policyc.simulate.workload import positions
from policyc.simulate.workload import specification as spec
from policyc.simulate.workload.actions import parse_action
from policyc.simulate.workload.conversions import UnfitError, convert, describe
from policyc.simulate.workload.findings import Finding, Findings, WorkloadError
from policyc.simulate.workload.meaning import check_meaning
from policyc.simulate.workload.overrides import apply_override, parse_override
from policyc.simulate.workload.positions import Path
from policyc.simulate.workload.schema import PATTERN_KEYS, TABLES, Field, Kind, Table
from policyc.simulate.workload.sizes import order_of

__all__ = [
    "Examined",
    "Finding",
    "WorkloadError",
    "examine_workload",
    "parse_workload",
    "read_workload",
]

#: Bytes. A recorded workload of a day has less.
MOST = 16 << 20

#: More parts in a key are nothing but an attempt to keep the parser busy.
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""")
_WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_-]*)")
_TOO_DEEP = "it is nested too deeply for a workload"

#: What stands in for a value that is wrong, so that the rest can be checked.
_STAND_INS: Mapping[Kind, Any] = {
    Kind.NAME: "",
    Kind.SIZE: spec.GIB,
    Kind.CHOICE: spec.Pattern.SLEEP.value,
}


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of a file: the workload, None if there are errors, and all findings."""

    workload: spec.Workload | None
    findings: tuple[Finding, ...]


def read_workload(path: pathlib.Path | str, overrides: Sequence[str] = ()) -> spec.Workload:
    """The workload of a file; raises WorkloadError, and OSError if it cannot be read."""
    path = pathlib.Path(path)
    with path.open("rb") as stream:
        text = stream.read(MOST + 1)
    return parse_workload(text, str(path), overrides)


def parse_workload(text: bytes, name: str, overrides: Sequence[str] = ()) -> spec.Workload:
    """The workload that a text of TOML says, with `KEY=VALUE` changes; raises WorkloadError.

    `name` is what errors call the file; its stem is the name of a workload without one.
    """
    examined = examine_workload(text, name, overrides)
    if examined.workload is None:
        raise WorkloadError(name, examined.findings)
    return examined.workload


def examine_workload(text: bytes, name: str, overrides: Sequence[str] = ()) -> Examined:
    """The same without an exception, and with the warnings of a workload that is fine."""
    findings = Findings()
    try:
        document = _document(text, findings)
        if document is None:
            return Examined(None, findings.ordered())
        findings.given = _override(document, overrides, findings)
        workload = _Reader(document, findings).workload(name)
        check_meaning(workload, findings)
    except RecursionError:
        findings.error((), _TOO_DEEP)
        return Examined(None, findings.ordered())
    return Examined(None if findings.errors else workload, findings.ordered())


def _document(text: bytes, findings: Findings) -> dict[str, Any] | None:
    """The document of a text, with the lines of its keys; None if it is not TOML."""
    if len(text) > MOST:
        findings.error((), f"it has more than {MOST >> 20} MiB; a workload is far smaller")
        return None
    try:
        decoded = text.decode("utf-8").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        message = f"byte {text[error.start]:#04x} is not UTF-8: is this a workload?"
        findings.found.append(Finding("", line, message))
        return None
    if not decoded.strip():
        findings.error((), "it is empty; a workload has at least [machine] and [[processes]]")
        return None
    if (long := _LONG_KEY.search(decoded)) is not None:
        line = decoded.count("\n", 0, long.start()) + 1
        findings.found.append(Finding("", line, "a key of more than 64 parts"))
        return None
    try:
        document = tomllib.loads(decoded)
    except ValueError as error:
        findings.found.append(_not_toml(str(error), decoded))
        return None
    findings.lines = positions.lines(decoded)
    return document


def _not_toml(message: str, text: str) -> Finding:
    """What the parser says, with the line apart; long numbers have no line."""
    where = _WHERE.search(message)
    plain = _WHERE.sub("", message)
    line = None
    if where is not None:
        line = int(where[1]) if where[1] else text.count("\n") + 1
    column = f", column {where[2]}" if where is not None and where[2] else ""
    return Finding("", line, f"not TOML{column}: {plain[:1].lower()}{plain[1:]}")


def _override(
    document: dict[str, Any], overrides: Sequence[str], findings: Findings
) -> frozenset[Path]:
    given: set[Path] = set()
    for text in overrides:
        try:
            given.add(apply_override(document, parse_override(text)))
        except UnfitError as error:
            findings.found.append(Finding("", None, str(error)))
    return frozenset(given)


class _Reader:
    """Goes through a document by the tables of the schema."""

    def __init__(self, document: dict[str, Any], findings: Findings) -> None:
        self._document = document
        self._findings = findings
        self._used: set[str] = set()
        values = document.get("values", {})
        self._values: dict[str, Any] = (
            cast(dict[str, Any], values) if isinstance(values, dict) else {}
        )

    def workload(self, name: str) -> spec.Workload:
        """All of it; whatever is wrong has a stand-in, and a finding."""
        self._check_values()
        top = self._table(TABLES["workload"], self._document, ())
        top.pop("values", None)
        machine: spec.Machine = top.pop("machine", None) or _ANY_MACHINE
        cgroups: dict[str, spec.Cgroup] = top.pop("cgroups", {})
        processes: list[spec.Process] = top.pop("processes", [])
        actions: list[spec.Action] = top.pop("at", [])
        if not top.get("name"):
            top["name"] = pathlib.PurePath(name).stem or "workload"
        for unused in sorted(set(self._values) - self._used):
            self._findings.warn(("values", unused), "nothing uses this value")
        return spec.Workload(
            **top,
            machine=machine,
            cgroups=_with_ancestors(cgroups, processes),
            processes=tuple(processes),
            actions=tuple(sorted(actions, key=lambda action: action.at)),
        )

    def _check_values(self) -> None:
        top = TABLES["workload"]
        for name, value in self._values.items():
            path = ("values", name)
            if isinstance(value, dict | list):
                what = describe(cast(object, value))
                self._findings.error(path, f"found {what}, expected a text or a number")
            elif top.field(name) is not None:
                message = f"{name!r} is a key of the file itself; choose another name"
                self._findings.error(path, message)
            elif _REFERENCE.fullmatch(f"${name}") is None:
                message = "a name of a value has letters, digits, _ and -, and no digit first"
                self._findings.error(path, message)

    def _table(self, schema: Table, table: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """The values of the keys of a table that are there."""
        known = [field.key for field in schema.fields]
        for key in table:
            if key not in known:
                hint = did_you_mean(key, known)
                where = f"in {schema.header}" if schema.header else "at the top"
                self._findings.error((*path, key), f"there is no such key {where}{hint}")
        found: dict[str, Any] = {}
        for field in schema.fields:
            if field.key in table:
                value = self._value(field, table[field.key], (*path, field.key))
                if value is not None:
                    found[field.key] = value
            elif field.required:
                self._findings.error(path, f"{field.key} is missing: {_wanted(field)}")
                self._findings.wrong.add((*path, field.key))
            if field.required and field.key not in found and field.kind in _STAND_INS:
                found[field.key] = _STAND_INS[field.kind]
        return found

    def _value(self, field: Field, value: Any, path: Path) -> Any:
        """The value of any key, None if it is wrong."""
        match field.kind:
            case Kind.VALUES:
                return self._entries(value, path)
            case Kind.TABLE:
                return self._make(field.table, value, path)
            case Kind.TABLES:
                return self._array(field, value, path)
            case Kind.BY_PATH:
                return self._by_path(field, value, path)
            case Kind.MODES:
                return self._modes(field, value, path)
            case Kind.ACTIONS:
                return self._actions(value, path)
            case _:
                return self._single(field, value, path)

    def _single(self, field: Field, value: Any, path: Path) -> Any:
        """The value of a key that takes a single one; `"$name"` is that of `[values]`."""
        origin = ""
        if isinstance(value, str) and (name := _REFERENCE.fullmatch(value)) is not None:
            if name[1] not in self._values:
                hint = did_you_mean(name[1], self._values)
                self._findings.error(path, f"there is no {name[1]!r} in [values]{hint}")
                return None
            self._used.add(name[1])
            value, origin = self._values[name[1]], f" (from {value!r})"
        try:
            return convert(field, value)
        except UnfitError as error:
            self._findings.error(path, f"{error}{origin}")
            return None

    def _entries(self, value: Any, path: Path) -> dict[str, Any] | None:
        if isinstance(value, dict):
            return cast(dict[str, Any], value)
        self._findings.error(path, f"found {describe(value)}, expected a table")
        return None

    def _array(self, field: Field, value: Any, path: Path) -> list[Any] | None:
        if not isinstance(value, list):
            header = TABLES[field.table].header
            message = f"found {describe(value)}, expected tables: write {header}"
            self._findings.error(path, message)
            return None
        tables = cast(list[Any], value)
        made = [self._make(field.table, table, (*path, i)) for i, table in enumerate(tables)]
        if not made and field.required:
            self._findings.error(path, f"there is none: {_wanted(field)}")
        return made

    def _make(self, name: str, value: Any, path: Path) -> Any:
        """The object that a table becomes, of stand-ins where it is not even a table."""
        table = self._entries(value, path)
        schema = TABLES[name]
        found = self._table(schema, table or {}, path) if table is not None else {}
        match name:
            case "machine":
                return self._machine(found, path)
            case "process":
                return self._process(found, table or {}, path)
            case "phase":
                return self._phase(found, table or {}, path)
            case _:
                for field in schema.fields:
                    if field.required:
                        found.setdefault(field.key, _STAND_INS[field.kind])
                assert schema.makes is not None
                return schema.makes(**found)

    def _by_path(self, field: Field, value: Any, path: Path) -> dict[str, spec.Cgroup] | None:
        table = self._entries(value, path)
        if table is None:
            return None
        made: dict[str, spec.Cgroup] = {}
        for key, below in table.items():
            place = (*path, key)
            try:
                convert(_CGROUP_PATH, key)
            except UnfitError as error:
                self._findings.error(place, f"the name of the table: {error}")
                continue
            limits = self._entries(below, place)
            found = self._table(TABLES[field.table], limits or {}, place)
            made[key] = spec.Cgroup(path=key, **found)
        return made

    def _modes(self, field: Field, value: Any, path: Path) -> dict[str, str] | None:
        """The modes by the sizes as they are written; the machine turns them into orders."""
        table = self._entries(value, path)
        if table is None:
            return None
        choice = Field(key="", kind=Kind.CHOICE, choices=field.choices, meaning="")
        found = {key: self._single(choice, mode, (*path, key)) for key, mode in table.items()}
        return {key: mode for key, mode in found.items() if mode is not None}

    def _actions(self, value: Any, path: Path) -> list[spec.Action] | None:
        if not isinstance(value, list):
            message = f'found {describe(value)}, expected an array such as ["60s detach"]'
            self._findings.error(path, message)
            return None
        made: list[spec.Action] = []
        for number, text in enumerate(cast(list[Any], value)):
            try:
                made.append(parse_action(text))
            except UnfitError as error:
                self._findings.error((*path, number), str(error))
        return made

    def _machine(self, found: dict[str, Any], path: Path) -> spec.Machine:
        found["nodes"] = tuple(found.get("nodes") or _ANY_MACHINE.nodes)
        page_size = found.get("page_size", 4096)
        if page_size not in (4096, 16384, 65536):
            message = f"found {page_size} bytes, expected 4K, 16K or 64K"
            self._findings.error((*path, "page_size"), message)
            page_size = found["page_size"] = 4096
        found.setdefault("pmd_order", (page_size // 8).bit_length() - 1)
        thp: spec.Thp = found.get("thp", spec.Thp())
        sizes: dict[str, dict[int, str]] = {}
        for key in ("sizes", "shmem_sizes"):
            field = TABLES["thp"].field(key)
            assert field is not None
            written = cast(dict[str, str], getattr(thp, key))
            place = (*path, "thp", key)
            sizes[key] = self._by_order(written, page_size, found["pmd_order"], field, place)
        found["thp"] = dataclasses.replace(thp, **sizes)
        return spec.Machine(**found)

    def _by_order(
        self, written: Mapping[str, str], page_size: int, pmd_order: int, field: Field, path: Path
    ) -> dict[int, str]:
        found: dict[int, str] = {}
        for size, mode in written.items():
            try:
                order = order_of(size, page_size, int(field.low), pmd_order)
                if order in found:
                    raise UnfitError("this size is there twice")
                found[order] = mode
            except UnfitError as error:
                self._findings.error((*path, size), str(error))
        return dict(sorted(found.items()))

    def _process(self, found: dict[str, Any], table: Mapping[str, Any], path: Path) -> spec.Process:
        threads: int = found.pop("threads", 1)
        vmas: list[spec.Vma] = found.pop("vmas", [])
        phases: list[spec.Phase] = found.pop("phases", [])
        written = cast(list[object], table.get("phases") or [])
        complete: list[spec.Phase] = []
        for phase, below in zip(phases, written, strict=False):
            keys = cast(dict[str, Any], below) if isinstance(below, dict) else {}
            changes: dict[str, Any] = {}
            usable = PATTERN_KEYS[phase.pattern]
            if "threads" in usable and "threads" not in keys:
                changes["threads"] = threads
            if "vma" in usable and not phase.vma and len(vmas) == 1:
                changes["vma"] = vmas[0].name
            complete.append(_changed(phase, changes))
        found.setdefault("name", "")
        return spec.Process(**found, vmas=tuple(vmas), phases=tuple(complete))

    def _phase(self, found: dict[str, Any], table: Mapping[str, Any], path: Path) -> spec.Phase:
        pattern = spec.Pattern(found.pop("pattern", spec.Pattern.SLEEP.value))
        usable = {"pattern", *PATTERN_KEYS[pattern]}
        known = {field.key for field in TABLES["phase"].fields}
        for key in table:
            if key in known and key not in usable and self._findings.sound((*path, "pattern")):
                having = [each.value for each, keys in PATTERN_KEYS.items() if key in keys]
                some = ", ".join(having) if len(having) < 4 else "other patterns"
                message = f"a phase of pattern {pattern.value!r} has no {key}; this is for {some}"
                self._findings.error((*path, key), message)
        return spec.Phase(
            pattern=pattern, **{key: value for key, value in found.items() if key in usable}
        )


_ANY_MACHINE = spec.Machine(nodes=(spec.Node(memory=1 << 40, cpus=1),))
_CGROUP_PATH = Field(key="", kind=Kind.CGROUP, meaning="")


def _changed(phase: spec.Phase, changes: Mapping[str, Any]) -> spec.Phase:
    return dataclasses.replace(phase, **changes) if changes else phase


def _wanted(field: Field) -> str:
    header = TABLES[field.table].header if field.table else ""
    return f"write {header}" if header else f"{field.meaning}, {field.kind.value}"


def _with_ancestors(
    declared: Mapping[str, spec.Cgroup], processes: Sequence[spec.Process]
) -> tuple[spec.Cgroup, ...]:
    """The declared cgroups and those of processes, each after its ancestors; without the root."""
    found: dict[str, spec.Cgroup] = {}
    for path in [*declared, *(process.cgroup for process in processes)]:
        parts = path.strip("/").split("/")
        for end in range(1, len(parts) + 1):
            above = "/" + "/".join(parts[:end])
            if above != "/":
                found.setdefault(above, declared.get(above, spec.Cgroup(path=above)))
    return tuple(found.values())
