"""What every request has in common: the checks of its values, and dotted names for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from policyc.runtime.checks import (
    PERCENT_MAX,
    checked_cgroup,
    checked_comm,
    checked_number,
    did_you_mean,
)

__all__ = ["AttributeField", "Request"]


@dataclass(frozen=True, slots=True)
class AttributeField:
    """An attribute as a field of a request.

    `kind` is a type of the language; `members` are the names of an enumeration.
    """

    name: str
    field: str
    kind: str
    optional: bool
    members: tuple[str, ...] = ()


class Request:
    """A question of the kernel; None stands for an absent value."""

    __slots__ = ()

    #: The attributes that this request has, in the order of its fields.
    attributes: ClassVar[tuple[AttributeField, ...]] = ()

    def __post_init__(self) -> None:
        for attribute in self.attributes:
            value = getattr(self, attribute.field)
            if value is None and attribute.optional:
                continue
            checked = _checked(attribute, value)
            if checked is not value:
                object.__setattr__(self, attribute.field, checked)

    @property
    def memory_free(self) -> int | None:
        """memory.max - memory.usage, not below 0; None if either of them is absent."""
        limit: int | None = getattr(self, "memory_max", None)
        usage: int | None = getattr(self, "memory_usage", None)
        return None if limit is None or usage is None else max(limit - usage, 0)

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """A request from attributes by their names in the language, such as "vma.size".

        Names that are left out have their defaults, None stands for an absent value.
        `memory.free` follows from `memory.max` and `memory.usage` and must agree with them.
        """
        fields = {attribute.name: attribute.field for attribute in cls.attributes}
        for name in values:
            if name not in fields and name != "memory.free":
                known = [*fields, "memory.free"]
                raise ValueError(f"unknown attribute {name!r}{did_you_mean(name, known)}")
        missing = [name for name in _REQUIRED if name in fields and name not in values]
        if missing:
            raise ValueError(f"{missing[0]}: every request of this kind has it, none was given")
        request = cls(**{fields[name]: values[name] for name in values if name in fields})
        if "memory.free" in values and values["memory.free"] != request.memory_free:
            raise ValueError(
                f"memory.free: expected memory.max - memory.usage ({request.memory_free}), "
                f"got {values['memory.free']!r}"
            )
        return request

    def values(self) -> dict[str, bool | int | bytes | str | None]:
        """The attributes by their names in the language, `memory.free` included."""
        values = {a.name: getattr(self, a.field) for a in self.attributes}
        values["memory.free"] = self.memory_free
        return values


#: Attributes without a default.
_REQUIRED = ("orders",)


def _checked(attribute: AttributeField, value: object) -> object:
    """The value as the request keeps it; ValueError if the attribute cannot have it."""
    what = attribute.name
    match attribute.kind:
        case "bool":
            if not isinstance(value, bool):
                raise ValueError(f"{what}: expected True or False, got {value!r}")
            return value
        case "percent":
            return checked_number(what, value, PERCENT_MAX)
        case "string":
            return checked_comm(what, value)
        case "cgroup":
            return checked_cgroup(what, value)
        case "enum":
            return _checked_member(attribute, value)
        case _:
            return checked_number(what, value)


def _checked_member(attribute: AttributeField, value: object) -> str:
    if not isinstance(value, str) or value not in attribute.members:
        raise ValueError(
            f"{attribute.name}: expected one of {', '.join(attribute.members)}, "
            f"got {value!r}{did_you_mean(value, attribute.members)}"
        )
    return attribute.members[attribute.members.index(value)]
