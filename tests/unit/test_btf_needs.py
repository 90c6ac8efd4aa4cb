"""The table of what readers need says what compiled readers ask for, no less and no more."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from policyc.hooks.btf import needs as table
from policyc.hooks.btf.needs import needs_of, pressure_state
from policyc.hooks.btf.relocations import Relocation, RelocationKind, relocations
from policyc.hooks.btf.spelling import spelling
from policyc.hooks.loader import attributes, profiles
from tests.unit.btf_policies import CASES, attribute_object, needs_clang

_EXISTS = (
    RelocationKind.FIELD_EXISTS,
    RelocationKind.TYPE_EXISTS,
    RelocationKind.ENUMVAL_EXISTS,
)


def need(item: Relocation) -> str:
    """What a relocation asks for, in the words of needs.toml."""
    match item.kind:
        case RelocationKind.FIELD_BYTE_OFFSET | RelocationKind.FIELD_EXISTS:
            declared = spelling(item.btf, item.type).removeprefix("const ")
            # `u64` is what the template calls it.
            declared = declared.replace("u64", "unsigned long long")
            return f"{declared} {item.record}.{'.'.join(item.path)}"
        case RelocationKind.TYPE_EXISTS | RelocationKind.TYPE_ID_TARGET:
            return f"struct {item.record}"
        case RelocationKind.ENUMVAL_EXISTS | RelocationKind.ENUMVAL_VALUE:
            return f"enum {item.record}.{item.path[0]}"
        case _:
            pytest.fail(f"the readers have a new kind of relocation: {item}")


def any_length(text: str) -> str:
    """A need with its array as the table writes it, where the reader takes any length."""
    return text if "char[" in text else re.sub(r"\[\d+\](?= )", "[]", text)


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "name"), CASES)
def test_table_and_relocations_agree(profile: str, name: str, tmp_path: Path) -> None:
    needs_clang()
    path = tmp_path / "policy.bpf.o"
    path.write_bytes(attribute_object(profile, name))
    found = relocations(path)
    # Enumerations that the hook hands over are compared as a whole.
    found = [item for item in found if item.record not in ("tva_type", "bpf_thp_vma_type")]
    said = needs_of(profiles()[profile], attributes()[name])
    tested = {any_length(need(item)) for item in found if item.kind in _EXISTS}
    asked = {any_length(need(item)) for item in found}
    assert tested == set(said.absent_without)
    assert asked - tested == set(said.needs) - tested


def test_the_relocations_are_those_of_the_source(tmp_path: Path) -> None:
    """Were the reader of relocations blind, the comparison would hold for an empty table."""
    needs_clang()
    path = tmp_path / "policy.bpf.o"
    path.write_bytes(attribute_object("numab-rfc1", "memory.usage"))
    found = {(item.kind.name, item.record, item.path) for item in relocations(path)}
    assert found == {
        ("FIELD_BYTE_OFFSET", "task_struct", ("cgroups",)),
        ("FIELD_BYTE_OFFSET", "css_set", ("subsys",)),
        ("FIELD_BYTE_OFFSET", "mem_cgroup", ("css",)),
        ("FIELD_BYTE_OFFSET", "mem_cgroup", ("memory", "usage", "counter")),
        ("ENUMVAL_EXISTS", "cgroup_subsys_id", ("memory_cgrp_id",)),
        ("ENUMVAL_VALUE", "cgroup_subsys_id", ("memory_cgrp_id",)),
        ("TYPE_ID_TARGET", "mem_cgroup", ()),
    }


def test_every_attribute_has_a_row_and_every_row_an_attribute() -> None:
    rows = tomllib.loads(Path(table.__file__).with_name("needs.toml").read_text("utf-8"))
    patterns = list(rows["attributes"])
    named = {name for pattern in patterns for name in table.spellings_of(pattern)}
    assert named == set(attributes())


def test_states_of_pressure() -> None:
    assert pressure_state("cgroup.psi.memory.full.avg10") == "PSI_MEM_FULL"
    assert pressure_state("psi.io.some.avg300") == "PSI_IO_SOME"
    assert not any(map(pressure_state, ("memory.max", "cgroup", "event", "node.count")))
