"""What the kernels offer, as typed data: attributes, profiles and host settings.

Rows of tables are named tuples: they are as immutable as dataclasses, and every run of the
compiler pays for making their classes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from policyc.plan.types import Type

__all__ = [
    "AnswerKind",
    "AttributeRow",
    "DataMember",
    "Enumeration",
    "Enumerator",
    "HostRow",
    "KernelClamp",
    "Profile",
    "Read",
]

AnswerKind = Literal["order", "mask", "bool"]


class Enumerator(NamedTuple):
    """A member of an enumeration: its number in requests given as bytes, and its name in C."""

    name: str
    value: int
    c: str


class Enumeration(NamedTuple):
    """A closed list of names that an attribute can have as its value."""

    name: str
    c: str
    meaning: str
    members: tuple[Enumerator, ...]

    def member(self, name: str) -> Enumerator:
        """The member of that name; KeyError if there is none."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)


class AttributeRow(NamedTuple):
    """One row of attributes.toml.

    `absent` says when the value is missing, empty if it never is. `derived` is the pair
    of attributes whose difference it is, or empty; such a row has no `c`.
    """

    name: str
    type: Type
    hooks: frozenset[str]
    root: str
    absent: str
    c: str
    uses: tuple[str, ...]
    meaning: str
    derived: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """The name of the field of a request, and of variables in generated code."""
        return self.name.replace(".", "_")


class Read(NamedTuple):
    """How one profile reads an attribute in a way of its own."""

    c: str
    root: str


class DataMember(NamedTuple):
    """A data member of the struct_ops type that the loader may set."""

    name: str
    type: str
    value: str
    meaning: str


class KernelClamp(NamedTuple):
    """What the kernel makes of a single-order answer; see the comment in thp-v7.toml."""

    negative: Literal["keep", "none"]
    above_highest: Literal["keep", "none"]
    not_requested: Literal["order", "none"]


class Profile(NamedTuple):
    """One kernel interface: one TOML file of profiles/.

    `leave` is the answer that leaves a request alone, None where there is no such
    answer. `kernel` is None for answers that the kernel takes as they are.
    """

    name: str
    title: str
    hook: Literal["thp", "numa", "any"]
    template: str
    roots: frozenset[str]
    struct_ops: str
    member: str
    arguments: tuple[str, ...]
    returns: str
    data: tuple[DataMember, ...]
    reads: dict[str, Read]
    answer: AnswerKind
    leave: int | None
    deny: int
    kernel: KernelClamp | None
    attachment: Literal["global", "process", "cgroup-subtree", "memory-cgroup", "test-run"]
    instances: str
    update: bool
    walks_hierarchy: bool

    def answers(self, hook: str) -> bool:
        """Whether the profile has the hook."""
        return self.hook in (hook, "any")

    def has(self, attribute: AttributeRow) -> bool:
        """Whether the profile can supply the attribute."""
        return attribute.root in self.roots


class HostRow(NamedTuple):
    """One row of host.toml: a setting of the machine that a policy may need.

    `path` has `{kib}` where the page size in KiB goes if the setting is `per_size`.
    `scale` is how many units of the language make one unit of the kernel's file.
    """

    name: str
    type: Type
    values: tuple[str, ...]
    low: int
    high: int
    path: str
    scale: int
    per_size: bool
    meaning: str
