"""Compares the types of a kernel with the profiles: which it offers, and what differs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from policyc.hooks.btf import types as t
from policyc.hooks.btf.needs import Kernel, attribute_rows, needs_of, readable
from policyc.hooks.btf.reader import Btf
from policyc.hooks.btf.spelling import canonical, declared_type, spelling, spellings
from policyc.hooks.loader import enumerations, profiles
from policyc.hooks.model import DataMember, Enumeration, Profile

__all__ = [
    "AttributeMatch",
    "EnumerationMatch",
    "Match",
    "ProfileMatch",
    "Status",
    "match",
]

#: What the kernel's struct_ops types are found by: the struct that holds a loaded one.
_VALUE = "bpf_struct_ops_"

#: readable; always absent, where the reader itself finds out; or refused, where a program
#: that reads it does not load
Status = Literal["readable", "absent", "refused"]


@dataclass(frozen=True, slots=True)
class ProfileMatch:
    """Whether a kernel offers a profile; if not, why.

    `where` is the file that has the struct_ops type, the kernel's or a module's, empty if
    there is none. `pointers` are other profiles of the same type that the kernel does offer.
    """

    profile: str
    offered: bool
    where: str
    reasons: tuple[str, ...]
    pointers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnumerationMatch:
    """How an enumeration of the kernel differs from the one that policies name.

    `missing` are names of the language, `renumbered` those with another number (programs
    follow it), `unknown` the kernel's enumerators that the language has no name for.
    """

    name: str
    c: str
    present: bool
    missing: tuple[str, ...]
    renumbered: tuple[tuple[str, int], ...]
    unknown: tuple[tuple[str, int], ...]

    @property
    def differs(self) -> bool:
        """Whether anything is to be said about it."""
        return not self.present or bool(self.missing or self.renumbered or self.unknown)


@dataclass(frozen=True, slots=True)
class AttributeMatch:
    """What becomes of an attribute in programs for a profile; `why` if it is not readable."""

    attribute: str
    profile: str
    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class Match:
    """A kernel beside the profiles that have a hook (all but testrun, which needs none).

    `enumerations` are those that hooks hand over, by their names in the language;
    `attributes` are by profile and attribute, and have what the profile supplies.
    """

    name: str
    profiles: dict[str, ProfileMatch]
    enumerations: dict[str, EnumerationMatch]
    attributes: dict[tuple[str, str], AttributeMatch]
    struct_ops: tuple[str, ...]

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the profiles that programs can be loaded for."""
        return tuple(name for name, item in self.profiles.items() if item.offered)

    def enumerations_of(self, profile: Profile) -> list[EnumerationMatch]:
        """The enumerations that a profile's hook hands over."""
        types = {declared_type(argument) for argument in profile.arguments}
        return [item for item in self.enumerations.values() if item.c in types]


def match(btf: Btf, modules: Sequence[Btf] = ()) -> Match:
    """What a kernel with these types, and those of its modules, offers.

    Raises BtfError if the types that matter are damaged.
    """
    kernel = Kernel(btf, modules)
    hooks = [profile for profile in profiles().values() if profile.struct_ops]
    found = {profile.name: _profile(kernel, profile) for profile in hooks}
    struct_ops = _struct_ops(kernel)
    return Match(
        btf.name,
        {name: _with_hints(item, found, struct_ops) for name, item in found.items()},
        {item.name: _enumeration(kernel, item) for item in enumerations().values() if item.c},
        {
            (item.profile, item.attribute): item
            for profile in hooks
            for item in _attributes(kernel, profile)
        },
        struct_ops,
    )


def _struct_ops(kernel: Kernel) -> tuple[str, ...]:
    """The structs that programs can be loaded for."""
    values = {name for part in kernel.parts for name in part.strings(_VALUE)}
    names = {name.removeprefix(_VALUE) for name in values}
    return tuple(sorted(n for n in names if any(_is_hook(part, n) for part in kernel.parts)))


def _is_hook(btf: Btf, name: str) -> bool:
    """Whether programs can be loaded for a struct: the kernel wraps it in one for its maps."""
    for value in btf.records(_VALUE + name, own=True):
        for member in value.members:
            data = btf.stripped(member.type) if member.name == "data" else None
            if isinstance(data, t.Record) and data.name == name:
                return True
    return False


def _profile(kernel: Kernel, profile: Profile) -> ProfileMatch:
    """The best of the types with the name of the profile's, whichever part it is in."""
    attempts: list[ProfileMatch] = []
    for part in kernel.parts:
        for record in part.records(profile.struct_ops, own=True):
            reasons = tuple(_reasons(part, record, profile))
            attempts.append(ProfileMatch(profile.name, not reasons, part.name, reasons))
    if not attempts:
        return ProfileMatch(profile.name, False, "", (f"no struct {profile.struct_ops}",))
    return min(attempts, key=lambda item: len(item.reasons))


def _reasons(btf: Btf, record: t.Record, profile: Profile) -> list[str]:
    """What keeps a struct from being the one that a profile is about."""
    reasons = [*_function_reasons(btf, record, profile)]
    for member in profile.data:
        reasons += _data_reasons(btf, record, member)
    if not reasons:
        more = _more_data(btf, record, profile)
        if more:
            reasons.append(f"{record.name} has {more} too")
    if not _is_hook(btf, record.name):
        reasons.append(f"{record.name} is no hook here: no struct {_VALUE}{record.name}")
    return reasons


def _function_reasons(btf: Btf, record: t.Record, profile: Profile) -> list[str]:
    prototype = _prototype(btf, record, profile.member)
    if prototype is None:
        functions = [
            _signature(btf, member.name, found)
            for member in record.members
            if (found := _prototype(btf, record, member.name))
        ]
        return [
            f"{record.name} has no function {profile.member}, but {'; '.join(functions)}"
            if functions
            else f"{record.name} has no function {profile.member}"
        ]
    wanted = [declared_type(argument) for argument in profile.arguments]
    numbers = [parameter.type for parameter in prototype.parameters]
    fits = len(wanted) == len(numbers) and all(map(_is, [btf] * len(numbers), numbers, wanted))
    if fits and _is(btf, prototype.returns, canonical(profile.returns)):
        return []
    return [f"the function is {_signature(btf, profile.member, prototype)}"]


def _data_reasons(btf: Btf, record: t.Record, data: DataMember) -> list[str]:
    """A data member is set by its name; it must have the size and the sign."""
    found = next((member for member in record.members if member.name == data.name), None)
    if found is None:
        return [f"{record.name} has no {data.name}"]
    if _is(btf, found.type, canonical(data.type)):
        return []
    item = btf.stripped(found.type)
    # pid_t and its like are plain integers, and may be declared as such.
    if data.type.endswith("_t") and isinstance(item, t.Integer) and item.size == 4 and item.signed:
        return []
    return [f"{data.name} is {spelling(btf, found.type)}, not {data.type}"]


def _more_data(btf: Btf, record: t.Record, profile: Profile) -> str:
    """The data members by which a struct is that of another profile with the same function."""
    for other in profiles().values():
        if other.struct_ops != profile.struct_ops or other.name == profile.name:
            continue
        more = [item for item in other.data if item not in profile.data]
        same = (other.member, other.returns) == (profile.member, profile.returns)
        if not more or not same or _function_reasons(btf, record, other):
            continue
        if not any(_data_reasons(btf, record, item) for item in more):
            return ", ".join(item.name for item in more)
    return ""


def _prototype(btf: Btf, record: t.Record, name: str) -> t.Prototype | None:
    for member in record.members:
        pointer = btf.stripped(member.type)
        if member.name == name and isinstance(pointer, t.Pointer):
            item = btf.stripped(pointer.target)
            return item if isinstance(item, t.Prototype) else None
    return None


def _is(btf: Btf, number: int, wanted: str) -> bool:
    """Whether a type is the one of that spelling, itself or as a typedef of it."""
    return wanted in map(canonical, spellings(btf, number))


def _signature(btf: Btf, name: str, prototype: t.Prototype) -> str:
    parameters = [
        f"{spelling(btf, item.type)} {item.name}".replace("* ", "*").strip()
        for item in prototype.parameters
    ]
    return f"{spelling(btf, prototype.returns)} {name}({', '.join(parameters) or 'void'})"


def _with_hints(
    item: ProfileMatch, found: dict[str, ProfileMatch], struct_ops: Sequence[str]
) -> ProfileMatch:
    """The match with what may have been meant: another profile, or another name."""
    known = profiles()
    wanted = known[item.profile].struct_ops
    if item.offered:
        return item
    if not item.where:
        near = difflib.get_close_matches(wanted, struct_ops, 1, 0.85)
        others = {profile.struct_ops for profile in known.values()}
        if near and near[0] not in others:
            reason = f"no struct {wanted}; it has {near[0]}"
            return ProfileMatch(item.profile, False, "", (reason,))
        return item
    pointers = tuple(
        name for name, other in found.items() if other.offered and known[name].struct_ops == wanted
    )
    return ProfileMatch(item.profile, False, item.where, item.reasons, pointers)


def _enumeration(kernel: Kernel, item: Enumeration) -> EnumerationMatch:
    found = kernel.enumeration(item.c.removeprefix("enum "))
    if found is None:
        return EnumerationMatch(item.name, item.c, False, (), (), ())
    numbers = dict(found.members)
    ours = {member.c for member in item.members}
    return EnumerationMatch(
        item.name,
        item.c,
        True,
        tuple(member.name for member in item.members if member.c not in numbers),
        tuple(
            (member.name, numbers[member.c])
            for member in item.members
            if numbers.get(member.c, member.value) != member.value
        ),
        tuple((name, number) for name, number in found.members if name not in ours),
    )


def _attributes(kernel: Kernel, profile: Profile) -> list[AttributeMatch]:
    result: list[AttributeMatch] = []
    for row in attribute_rows(profile):
        absent, refused = readable(kernel, needs_of(profile, row))
        status: Status = "absent" if absent else "refused" if refused else "readable"
        result.append(AttributeMatch(row.name, profile.name, status, absent or refused))
    return result
