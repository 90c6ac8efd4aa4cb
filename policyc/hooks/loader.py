"""Reads the tables of this package once and hands them out as typed rows."""

from __future__ import annotations

import itertools
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from policyc.hooks.model import (
    AttributeRow,
    DataMember,
    Enumeration,
    Enumerator,
    HostRow,
    KernelClamp,
    Profile,
    Read,
)
from policyc.plan.types import Kind, Type

__all__ = [
    "DEFAULT_PROFILES",
    "attributes",
    "enumerations",
    "host_rows",
    "profile_names",
    "profiles",
    "profiles_with",
]

#: What `policyc compile` compiles for when nothing else is asked.
DEFAULT_PROFILES = ("thp-v7", "numab-rfc1")

_TABLES = Path(__file__).parent

_PROFILE_ORDER = ("thp-v7", "thp-v9", "thp-v12", "mthp-v2", "numab-rfc1", "testrun")


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_TABLES / name).read_text("utf-8"))


@cache
def _attribute_table() -> dict[str, Any]:
    return _read("attributes.toml")


def spellings_of(pattern: str) -> list[str]:
    """`a.{b,c}` as `a.b`, `a.c`."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def _type(name: str) -> Type:
    try:
        kind = Kind(name)
    except ValueError:
        return Type(Kind.ENUM, name)
    return Type(kind)


@cache
def enumerations() -> dict[str, Enumeration]:
    """The enumerations by name."""
    return {
        name: Enumeration(
            name,
            row["c"],
            row["meaning"],
            tuple(
                Enumerator(member, entry["value"], entry["c"])
                for member, entry in row["members"].items()
            ),
        )
        for name, row in _attribute_table()["enums"].items()
    }


@cache
def attributes() -> dict[str, AttributeRow]:
    """The attributes by name, in the order of the table."""
    return {
        name: AttributeRow(
            name=name,
            type=_type(row["type"]),
            hooks=frozenset(row["hooks"]),
            root=row["root"],
            absent=row.get("absent", ""),
            c=row.get("c", ""),
            uses=tuple(row.get("uses", ())),
            meaning=row["meaning"],
            derived=tuple(row["derived"].split(" - ")) if "derived" in row else (),
        )
        for row in _attribute_table()["attribute"]
        for name in spellings_of(row["name"])
    }


def _profile(name: str) -> Profile:
    table = _read(f"profiles/{name}.toml")
    program, answer, attachment = table["program"], table["answer"], table["attachment"]
    kernel = table.get("kernel")
    return Profile(
        name=table["name"],
        title=table["title"],
        hook=table["hook"],
        template=table["template"],
        roots=frozenset(table["roots"]),
        struct_ops=program["struct_ops"],
        member=program["member"],
        arguments=tuple(program["arguments"]),
        returns=program["returns"],
        data=tuple(
            DataMember(member, row["type"], row["value"], row["meaning"])
            for member, row in program["data"].items()
        ),
        reads={key: Read(row["c"], row["root"]) for key, row in table["reads"].items()},
        answer=answer["kind"],
        leave=answer.get("leave"),
        deny=answer["deny"],
        kernel=KernelClamp(**kernel) if kernel else None,
        attachment=attachment["kind"],
        instances=attachment["instances"],
        update=attachment["update"],
        walks_hierarchy=attachment["walks_hierarchy"],
    )


def profile_names() -> tuple[str, ...]:
    """The names of all profiles."""
    return _PROFILE_ORDER


@cache
def profiles() -> dict[str, Profile]:
    """The profiles by name."""
    return {name: _profile(name) for name in _PROFILE_ORDER}


def profiles_with(attribute: AttributeRow, hook: str) -> list[str]:
    """The names of the profiles of a hook that can supply an attribute."""
    return [
        profile.name
        for profile in profiles().values()
        if profile.answers(hook) and profile.has(attribute) and hook in attribute.hooks
    ]


@cache
def host_rows() -> dict[str, HostRow]:
    """The settings that a host block may name."""
    return {
        name: HostRow(
            name=name,
            type=_type(row["type"]),
            values=tuple(row.get("values", ())),
            low=row.get("low", 0),
            high=row.get("high", (1 << 64) - 1),
            path=row["path"],
            scale=row.get("scale", 1),
            per_size=row.get("per_size", False),
            meaning=row["meaning"],
        )
        for name, row in _read("host.toml")["setting"].items()
    }
