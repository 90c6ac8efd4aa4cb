"""What `check --btf` does: reads the types of kernels, and says what they offer to policies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policyc.cli.common import USAGE, Failure, Terminal, echo, reason, terminal, visible_lines
from policyc.hooks.btf.errors import BtfError
from policyc.hooks.btf.match import Match, match
from policyc.hooks.btf.reader import Btf, read_btf
from policyc.hooks.loader import attributes, profiles

if TYPE_CHECKING:
    from policyc.check.kernels import Verdict
    from policyc.hooks.btf.match import EnumerationMatch

__all__ = ["document", "print_kernels", "print_verdicts", "read_kernels", "verdict_documents"]

_STATE = re.compile(r"PSI_[A-Z_]+")
_STATUS = {"absent": "always absent", "refused": "cannot be read"}


@dataclass(slots=True)
class _Kernel:
    """The files of a kernel."""

    name: str
    btf: Btf
    modules: list[Btf] = field(default_factory=list[Btf])


def read_kernels(places: Sequence[str]) -> dict[str, Match]:
    """The kernels of some files and directories, by what to call them.

    A file of a module belongs to the kernel before it. A directory with a file `vmlinux` is
    that kernel with the modules beside it, as in /sys/kernel/btf; any other directory has a
    kernel in each file and each directory of the first kind. Raises Failure, exit code 2,
    for what is no type information.
    """
    kernels: list[_Kernel] = []
    for place in places:
        try:
            _add(kernels, Path(place))
        except OSError as error:
            named = error.filename or place
            raise Failure(f"cannot read {named}: {reason(error)}", USAGE) from None
        except BtfError as error:
            raise Failure(f"cannot read {error}", USAGE) from None
    found: dict[str, Match] = {}
    for kernel in kernels:
        try:
            found[kernel.name] = match(kernel.btf, kernel.modules)
        except BtfError as error:
            raise Failure(f"{kernel.name} is damaged: {error}", USAGE) from None
    return found


def _add(kernels: list[_Kernel], place: Path) -> None:
    if not place.is_dir():
        _add_file(kernels, place)
    elif (place / "vmlinux").is_file():
        _add_tree(kernels, place)
    else:
        before = len(kernels)
        for item in sorted(place.iterdir()):
            if not item.is_dir():
                _add_file(kernels, item, strays=True)
            elif (item / "vmlinux").is_file():
                _add_tree(kernels, item)
        if len(kernels) == before:
            raise Failure(f"there is no kernel's type information in {place}", USAGE)


def _add_tree(kernels: list[_Kernel], place: Path) -> None:
    """A kernel, and the modules beside it that were built for it."""
    kernel = _Kernel(str(place), read_btf(place / "vmlinux"))
    for item in sorted(place.iterdir()):
        if item.name == "vmlinux" or item.is_dir():
            continue
        try:
            kernel.modules.append(read_btf(item, kernel.btf))
        except BtfError as error:
            if error.fault != "not-btf":
                raise
    kernels.append(kernel)


def _add_file(kernels: list[_Kernel], file: Path, *, strays: bool = False) -> None:
    """A kernel, or a module of the one before; `strays` are files of other kinds."""
    try:
        btf = read_btf(file)
    except BtfError as error:
        if error.fault == "not-btf" and strays:
            return
        if error.fault != "base-needed":
            raise
        if not kernels:
            raise Failure(
                f"{file} has the types of a module",
                USAGE,
                "name the file of its kernel first, or keep both in a directory, the kernel's "
                "as `vmlinux`",
            ) from None
        btf = read_btf(file, kernels[-1].btf)
    if btf.base is None:
        kernels.append(_Kernel(str(file), btf))
    elif kernels:
        kernels[-1].modules.append(btf)
    else:
        raise Failure(f"{file} is a module", USAGE, "name the file of its kernel first")


# -- for people


def print_kernels(kernels: dict[str, Match], *, after: bool) -> None:
    """A table of profiles for each kernel, and what else is missing there.

    `after` says whether something was printed before.
    """
    from policyc.cli.tables import Column, mark, table

    place = terminal()
    for number, (name, found) in enumerate(kernels.items()):
        if number or after:
            echo()
        echo(place.paint("1", f"kernel {visible_lines(name)}"))
        rows = [
            [item.profile, mark(item.offered, place), _why(found, item.profile)]
            for item in found.profiles.values()
        ]
        columns = [Column("profile"), Column("offered"), Column("by, or why not")]
        echo(table(columns, rows, place, "  "))
        for line in _lines(found, place):
            echo(line)


def _why(found: Match, profile: str) -> str:
    item = found.profiles[profile]
    if item.offered:
        return item.where
    pointers = f" (that is {' or '.join(item.pointers)})" if item.pointers else ""
    return "; ".join(item.reasons) + pointers


def _lines(found: Match, place: Terminal) -> list[str]:
    """Enumerations that differ, and attributes that are missing."""
    from policyc.cli.tables import Column, table

    rows = [[item.c, _difference(item)] for item in _differing(found)]
    rows += map(list, _missing(found))
    if not rows:
        return []
    return ["", table([Column("differs"), Column("")], rows, place, "  ")]


def _differing(found: Match) -> list[EnumerationMatch]:
    """The enumerations that differ, of the profiles that are offered if there are any."""
    names = found.offered
    handed = {item.name for name in names for item in found.enumerations_of(profiles()[name])}
    return [
        item
        for item in found.enumerations.values()
        if item.differs and (item.name in handed or (not names and item.present))
    ]


def _difference(item: EnumerationMatch) -> str:
    parts: list[str] = []
    if not item.present:
        parts.append("does not exist")
    if item.missing:
        parts.append(f"has no {', '.join(item.missing)}")
    parts += [f"{name} is {number} (programs follow it)" for name, number in item.renumbered]
    if item.unknown:
        names = ", ".join(f"{name} ({number})" for name, number in item.unknown)
        parts.append(f"policies have no name for {names}")
    return "; ".join(parts)


def _missing(found: Match) -> list[tuple[str, str]]:
    """Attributes that cannot be read or are never there, by what is the matter with them.

    Where it is not so for all profiles that have them, the profiles are named.
    """
    shown = found.offered or tuple(found.profiles)
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for name in dict.fromkeys(item.attribute for item in found.attributes.values()):
        items = [found.attributes[p, name] for p in shown if (p, name) in found.attributes]
        causes = {item: (item.status, _STATE.sub("PSI_*", item.why)) for item in items}
        for status, why in dict.fromkeys(causes.values()):
            concerned = [item.profile for item in items if causes[item] == (status, why)]
            only = tuple(concerned) if len(set(causes.values())) > 1 else ()
            if status != "readable":
                groups.setdefault((status, why, only), []).append(name)
    return [
        (_STATUS[status], f"{_names(names)}\n{why}" + (f" ({', '.join(only)})" if only else ""))
        for (status, why, only), names in groups.items()
    ]


def _names(names: list[str]) -> str:
    """Names of attributes; those of pressure as `psi.*` where they are all there."""
    for prefix in ("cgroup.psi.", "psi."):
        family = [name for name in attributes() if name.startswith(prefix)]
        if set(family) <= set(names):
            names = [*(name for name in names if name not in family), f"{prefix}*"]
    return ", ".join(names)


def print_verdicts(verdicts: dict[str, list[Verdict]]) -> None:
    """A table of policies and kernels: what each hook is compiled for."""
    from policyc.cli.tables import Column, table

    rows = [
        [policy, hook.value, ", ".join(names) or "cannot run", verdict.kernel]
        for policy, items in verdicts.items()
        for verdict in items
        for hook, names in verdict.hooks.items()
    ]
    if not rows:
        return
    headings = ("policy", "blocks", "run with", "on the kernel")
    echo()
    echo(table([Column(heading) for heading in headings], rows, terminal()))


# -- for programs


def document(kernels: dict[str, Match]) -> list[dict[str, Any]]:
    """What the kernels offer, for JSON."""
    return [
        {
            "kernel": name,
            "profiles": [
                {
                    "name": item.profile,
                    "offered": item.offered,
                    "where": item.where or None,
                    "reasons": list(item.reasons),
                    "instead": list(item.pointers),
                }
                for item in found.profiles.values()
            ],
            "struct_ops": list(found.struct_ops),
            "enumerations": [
                {
                    "name": item.name,
                    "c": item.c,
                    "present": item.present,
                    "missing": list(item.missing),
                    "renumbered": dict(item.renumbered),
                    "unknown": dict(item.unknown),
                }
                for item in found.enumerations.values()
            ],
            "attributes": [
                {
                    "name": item.attribute,
                    "profile": item.profile,
                    "status": item.status,
                    "why": item.why,
                }
                for item in found.attributes.values()
                if item.status != "readable"
            ],
        }
        for name, found in kernels.items()
    ]


def verdict_documents(verdicts: dict[str, list[Verdict]]) -> list[dict[str, Any]]:
    """What becomes of the policies, for JSON."""
    return [
        {
            "file": policy,
            "kernel": verdict.kernel,
            "runs": verdict.runs,
            "profiles": {hook.value: list(names) for hook, names in verdict.hooks.items()},
        }
        for policy, items in verdicts.items()
        for verdict in items
    ]
