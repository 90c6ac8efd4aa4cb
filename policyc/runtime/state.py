"""The state of a policy, which can be changed while it runs: members of sets, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import RLock
from typing import TypeAlias, TypedDict, TypeVar, cast

from policyc.runtime.checks import checked_comm, did_you_mean, normalised_cgroup
from policyc.runtime.units import parse_value, spell_value

__all__ = [
    "SET_CAPACITY",
    "ParamField",
    "Params",
    "SetField",
    "SetState",
    "State",
    "StateError",
    "StateSnapshot",
]

#: The most members that a set can have, as in the maps of a compiled program.
SET_CAPACITY = 65536

#: A member as it is kept: a cgroup path is a str, any other string is bytes.
Member: TypeAlias = bytes | str

_Item = TypeVar("_Item")


class StateError(ValueError):
    """A change that the policy does not allow; the state is as it was."""


class StateSnapshot(TypedDict):
    """The state as data that JSON can carry."""

    sets: dict[str, list[str]]
    params: dict[str, int]


@dataclass(frozen=True, slots=True)
class SetField:
    """A declared set of `kind` "string" or "cgroup".

    `slot` is the attribute of the current values that decisions read.
    """

    name: str
    kind: str
    members: tuple[Member, ...]
    slot: str


@dataclass(frozen=True, slots=True)
class ParamField:
    """A declared parameter with its inclusive range, in the units of the language."""

    name: str
    kind: str
    default: int
    low: int
    high: int
    slot: str


class SetState(AbstractSet[Member]):
    """The members of a declared set.

    Every change puts a new frozen set in the place of the old one, so that a decision
    sees the members of one moment.
    """

    __slots__ = ("_current", "_field", "_lock")

    def __init__(self, field: SetField, current: object, lock: RLock) -> None:
        self._field = field
        self._current = current
        self._lock = lock
        self.replace(field.members)

    @property
    def name(self) -> str:
        """The name of the set in the policy."""
        return self._field.name

    @property
    def kind(self) -> str:
        """What the members are: "string" or "cgroup"."""
        return self._field.kind

    @property
    def members(self) -> frozenset[Member]:
        """The members of this moment: cgroup paths, or strings as bytes."""
        return getattr(self._current, self._field.slot)

    def add(self, member: Member) -> None:
        """Add a member."""
        self.update([member])

    def discard(self, member: Member) -> None:
        """Take a member out if it is there."""
        checked = self._checked(member)
        with self._lock:
            self._put(self.members - {checked})

    def update(self, members: Iterable[Member]) -> None:
        """Add some members in one step: all of them or, if one is refused, none."""
        added = {self._checked(member) for member in members}
        with self._lock:
            self._put(self.members | added)

    def replace(self, members: Iterable[Member]) -> None:
        """Put other members in the place of the present ones, in one step."""
        checked = self.checked(members)
        with self._lock:
            self._put(checked)

    def checked(self, members: Iterable[Member]) -> frozenset[Member]:
        """The members as the set would keep them; StateError if it would refuse them."""
        return self._bounded(frozenset(self._checked(member) for member in members))

    def __contains__(self, member: object) -> bool:
        try:
            return self._checked(member) in self.members
        except StateError:
            return False

    def __iter__(self) -> Iterator[Member]:
        return iter(sorted(self.members))

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<set {self.name}: {self.kind}, {len(self)} members>"

    @classmethod
    def _from_iterable(cls, it: Iterable[_Item]) -> frozenset[_Item]:
        return frozenset(it)

    def _checked(self, member: object) -> Member:
        what = f"set {self.name}"
        try:
            if self.kind == "cgroup":
                return normalised_cgroup(what, member)
            comm = checked_comm(what, member)
        except ValueError as error:
            raise StateError(str(error)) from None
        if (b"\0" in member) if isinstance(member, bytes) else ("\0" in str(member)):
            raise StateError(f"{what}: a string has no NUL, got {member!r}")
        return comm

    def _bounded(self, members: frozenset[Member]) -> frozenset[Member]:
        if len(members) > SET_CAPACITY:
            raise StateError(
                f"set {self.name}: expected at most {SET_CAPACITY} members, got {len(members)}"
            )
        return members

    def _put(self, members: frozenset[Member]) -> None:
        setattr(self._current, self._field.slot, self._bounded(members))


class Params(MutableMapping[str, int]):
    """The parameters by name; a value outside its range is refused.

    Values are numbers in the units of the language (hundredths of a percent, nanoseconds,
    bytes, a bool for a bool), and can be set from text such as "12.5%", "200ms" or "8M".
    """

    __slots__ = ("_current", "_fields", "_lock")

    def __init__(self, fields: Iterable[ParamField], current: object, lock: RLock) -> None:
        self._fields = {field.name: field for field in fields}
        self._current = current
        self._lock = lock
        for parameter in self._fields.values():
            self._put(parameter, parameter.default)

    def __getitem__(self, name: str) -> int:
        return getattr(self._current, self._fields[name].slot)

    def __setitem__(self, name: str, value: int | str) -> None:
        number = self.checked(name, value)
        with self._lock:
            self._put(self._fields[name], number)

    def __delitem__(self, name: str) -> None:
        raise StateError(f"param {name}: a parameter cannot be taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<params {dict(self)}>"

    def text(self, name: str) -> str:
        """The value as a policy would write it, such as "12.5%"."""
        return spell_value(self._fields[name].kind, self[name])

    def checked(self, name: str, value: object) -> int:
        """The value as a number in the range of the parameter; StateError if it is not."""
        field = self._fields.get(name)
        if field is None:
            raise StateError(f"unknown parameter {name!r}{did_you_mean(name, self._fields)}")
        try:
            number = parse_value(field.kind, value) if isinstance(value, str) else value
        except ValueError as error:
            raise StateError(f"param {name}: {error}") from None
        boolean = field.kind == "bool"
        low, high = (0, 1) if boolean else (field.low, field.high)
        if not isinstance(number, int) or (isinstance(number, bool) and not boolean):
            raise StateError(f"param {name}: expected {_range(field)}, got {value!r}")
        if not low <= number <= high:
            raise StateError(f"param {name}: expected {_range(field)}, got {value}")
        return int(number)

    def _put(self, field: ParamField, number: int) -> None:
        setattr(self._current, field.slot, bool(number) if field.kind == "bool" else number)


#: What one number of the language is, by type.
_UNITS = {
    "size": " (bytes)",
    "duration": " (nanoseconds)",
    "percent": " (hundredths of a percent)",
}


def _range(field: ParamField) -> str:
    """The range of a parameter, as a policy writes it and in numbers with their unit."""
    if field.kind == "bool":
        return "true or false"
    spelled = f"{spell_value(field.kind, field.low)}..{spell_value(field.kind, field.high)}"
    unit = _UNITS.get(field.kind)
    return f"{spelled}, that is {field.low}..{field.high}{unit}" if unit else spelled


class State:
    """The sets and parameters of a policy, by name."""

    __slots__ = ("_lock", "params", "sets")

    sets: Mapping[str, SetState]
    params: Params

    def __init__(
        self, current: object, sets: Iterable[SetField], params: Iterable[ParamField]
    ) -> None:
        """The state with its initial values, which are kept as attributes of `current`."""
        self._lock = RLock()
        self.sets = _Sets({field.name: SetState(field, current, self._lock) for field in sets})
        self.params = Params(params, current, self._lock)

    def snapshot(self) -> StateSnapshot:
        """The present state as data that JSON can carry; bytes outside UTF-8 are surrogates."""
        with self._lock:
            return {
                "sets": {name: [_text(m) for m in members] for name, members in self.sets.items()},
                "params": {name: int(value) for name, value in self.params.items()},
            }

    def restore(self, snapshot: Mapping[str, Mapping[str, object]]) -> None:
        """Go back to a snapshot: all of it or, if anything is refused, nothing.

        Sets and parameters that the snapshot does not name stay as they are.
        """
        unknown = set(snapshot) - {"sets", "params"}
        if unknown:
            raise StateError(f"unknown part of a snapshot: {min(unknown)!r}")
        sets = {
            name: self.sets[name].checked(_members(name, members))
            for name, members in snapshot.get("sets", {}).items()
        }
        params = {
            name: self.params.checked(name, value)
            for name, value in snapshot.get("params", {}).items()
        }
        with self._lock:
            for name, members in sets.items():
                self.sets[name].replace(members)
            for name, value in params.items():
                self.params[name] = value


class _Sets(dict[str, SetState]):
    """The sets by name; says which name was meant."""

    def __missing__(self, name: str) -> SetState:
        raise StateError(f"unknown set {name!r}{did_you_mean(name, self)}")


def _members(name: str, members: object) -> list[Member]:
    if not isinstance(members, list | tuple | frozenset | set):
        raise StateError(f"set {name}: expected a list of members, got {members!r}")
    return list(cast("Iterable[Member]", members))


def _text(member: Member) -> str:
    return member if isinstance(member, str) else member.decode("utf-8", "surrogateescape")
