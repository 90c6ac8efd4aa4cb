"""The kinds of types that BTF describes (include/uapi/linux/btf.h), one class for each.

Types refer to one another by number; 0 is void. Bits and bytes are named as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

__all__ = [
    "VOID",
    "Array",
    "BtfType",
    "DeclarationTag",
    "Enumeration",
    "Enumerator",
    "Float",
    "Forward",
    "Function",
    "Integer",
    "Kind",
    "Member",
    "Modifier",
    "Other",
    "Parameter",
    "Place",
    "Pointer",
    "Prototype",
    "Record",
    "Section",
    "Typedef",
    "Variable",
    "Void",
]


class Kind(IntEnum):
    """BTF_KIND_*."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


@dataclass(frozen=True, slots=True)
class Void:
    """No type, or any."""

    id: int = 0
    name: str = ""


VOID = Void()


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of `size` bytes, `bits` of which from bit `bit_offset` on are its value."""

    id: int
    name: str
    size: int
    bits: int
    bit_offset: int
    signed: bool
    character: bool
    boolean: bool


@dataclass(frozen=True, slots=True)
class Float:
    """A floating-point number of `size` bytes."""

    id: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer to another type."""

    id: int
    name: str
    target: int


@dataclass(frozen=True, slots=True)
class Array:
    """`length` elements of a type; `index` is the type of indices."""

    id: int
    name: str
    element: int
    index: int
    length: int


class Member(NamedTuple):
    """A member of a struct or union; `bits` is the width of a bit-field, 0 for others."""

    name: str
    type: int
    bit_offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class Record:
    """A struct or a union of `size` bytes."""

    id: int
    name: str
    union: bool
    size: int
    members: tuple[Member, ...]

    @property
    def word(self) -> str:
        """What C calls it."""
        return "union" if self.union else "struct"


class Enumerator(NamedTuple):
    """A name and its number."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enumeration of `size` bytes; one without members is only declared."""

    id: int
    name: str
    size: int
    signed: bool
    members: tuple[Enumerator, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """A struct or union that is only declared."""

    id: int
    name: str
    union: bool


@dataclass(frozen=True, slots=True)
class Typedef:
    """Another name of a type."""

    id: int
    name: str
    target: int


@dataclass(frozen=True, slots=True)
class Modifier:
    """A type that is const, volatile, restrict, or tagged; `name` is the text of a tag.

    `attribute` tags are attributes of the compiler with that text.
    """

    id: int
    name: str
    kind: Kind
    target: int
    attribute: bool


class Parameter(NamedTuple):
    """A parameter; the last one without a name and a type stands for `...`."""

    name: str
    type: int


@dataclass(frozen=True, slots=True)
class Prototype:
    """What a function takes and returns."""

    id: int
    name: str
    returns: int
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function; `linkage` is 0 static, 1 global, 2 extern."""

    id: int
    name: str
    prototype: int
    linkage: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable; `linkage` as with functions."""

    id: int
    name: str
    target: int
    linkage: int


class Place(NamedTuple):
    """Where a variable is in its section, in bytes."""

    type: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Section:
    """The variables of a section of `size` bytes."""

    id: int
    name: str
    size: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class DeclarationTag:
    """A text about a type or, from 0 on, one of its components; -1 is the type itself."""

    id: int
    name: str
    target: int
    component: int
    attribute: bool


@dataclass(frozen=True, slots=True)
class Other:
    """A type of a kind that is newer than this reader; the file itself says how long it is."""

    id: int
    name: str
    kind: int


BtfType: TypeAlias = (
    Void
    | Integer
    | Float
    | Pointer
    | Array
    | Record
    | Enumeration
    | Forward
    | Typedef
    | Modifier
    | Prototype
    | Function
    | Variable
    | Section
    | DeclarationTag
    | Other
)
