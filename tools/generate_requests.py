"""Writes policyc/runtime/requests.py from the table of attributes.

Usage: python tools/generate_requests.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path

from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.model import AttributeRow
from policyc.plan.types import Kind

PATH = Path(__file__).parent.parent / "policyc" / "runtime" / "requests.py"

#: Values of attributes that are always there: an ordinary anonymous area at its first fault.
DEFAULTS = {
    "event": '"pagefault"',
    "vma.advice": '"none"',
    "vma.kind": '"anon"',
    "vma.size": "2 << 20",
    "vma.stack": "False",
    "vma.locked": "False",
    "vma.exec": "False",
    "node.count": "1",
    "node.id": "0",
}

HOOKS = {
    "thp": ("ThpRequest", "May this allocation use these orders?"),
    "numa": ("NumaRequest", "Is NUMA balancing on for this task?"),
}

HEADER = '''"""The requests, one field per attribute.

Written by tools/generate_requests.py from policyc/hooks/attributes.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from policyc.runtime.request import AttributeField, Request
'''


def _alias(enum: str) -> str:
    return "".join(word.capitalize() for word in enum.split("_"))


def _field_type(row: AttributeRow) -> str:
    match row.type.kind:
        case Kind.BOOL:
            text = "bool"
        case Kind.STRING:
            text = "bytes | str"
        case Kind.CGROUP:
            text = "str"
        case Kind.ENUM:
            text = _alias(row.type.enum)
        case Kind.INT | Kind.ORDERS | Kind.SIZE | Kind.DURATION | Kind.PERCENT:
            text = "int"
    return f"{text} | None = None" if row.absent else text


def _field(row: AttributeRow) -> str:
    default = f" = {DEFAULTS[row.name]}" if row.name in DEFAULTS else ""
    return f"    {row.field}: {_field_type(row)}{default}"


def _attribute_field(row: AttributeRow) -> str:
    optional = bool(row.absent)
    members = f", _{row.type.enum.upper()}" if row.type.kind is Kind.ENUM else ""
    arguments = f'"{row.name}", "{row.field}", "{row.type.kind}", {optional}{members}'
    text = f"    AttributeField({arguments}),"
    return text if len(text) <= 100 else f"    AttributeField(\n        {arguments}\n    ),"


def _request(hook: str, rows: list[AttributeRow]) -> str:
    name, question = HOOKS[hook]
    fields = [row for row in rows if hook in row.hooks and not row.derived]
    lines = [
        f"_{hook.upper()}_ATTRIBUTES = (",
        *(_attribute_field(row) for row in fields),
        '    AttributeField("cgroup.id", "cgroup_id", "int", True),',
        ")",
        "",
        "",
        "@dataclass(frozen=True, slots=True, kw_only=True)",
        f"class {name}(Request):",
        f'    """{question}',
        "",
        "    Sizes are in bytes, percents in hundredths of a percent, orders are a mask with bit N",
        "    for order N. None stands for an absent value. `cgroup_id` is used by rollouts only.",
        '    """',
        "",
        f"    attributes: ClassVar[tuple[AttributeField, ...]] = _{hook.upper()}_ATTRIBUTES",
        "",
        *(_field(row) for row in fields),
        "    cgroup_id: int | None = None",
    ]
    return "\n".join(lines)


def generated() -> str:
    """The text of the module."""
    rows = list(attributes().values())
    aliases: list[str] = []
    for enum in enumerations().values():
        names = ", ".join(f'"{member.name}"' for member in enum.members)
        aliases.append(f"{_alias(enum.name)} = Literal[{names}]")
        aliases.append(f"_{enum.name.upper()} = ({names})")
    names = sorted([*map(_alias, enumerations()), *(name for name, _ in HOOKS.values())])
    exports = ", ".join(f'"{name}"' for name in names)
    parts = [
        f"{HEADER}\n__all__ = [{exports}]\n\n" + "\n".join(aliases) + "\n",
        "\n\n".join(_request(hook, rows) + "\n" for hook in HOOKS),
    ]
    return "\n".join(parts)


def main() -> int:
    """Write the file, or with --check say whether it is up to date."""
    if "--check" in sys.argv[1:]:
        return 0 if PATH.read_text("utf-8") == generated() else 1
    PATH.write_text(generated(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
