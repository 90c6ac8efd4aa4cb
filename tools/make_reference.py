"""Writes the pages of docs/ that repeat a table of the package.

Usage: python tools/make_reference.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from policyc.diagnostics.codes import CODES, CodeInfo
from policyc.hooks.loader import DEFAULT_PROFILES, attributes, enumerations, host_rows, profiles
from policyc.hooks.model import AttributeRow, Enumeration, HostRow, Profile
from policyc.plan.types import Kind

DOCS = Path(__file__).resolve().parent.parent / "docs"

_CHAPTERS = {
    "01": "Characters and syntax",
    "02": "Names",
    "03": "Types",
    "04": "Values",
    "05": "Blocks and rules",
    "06": "Profiles and the machine",
    "07": "Kernels",
    "08": "Tests and properties",
}

#: What each answer of a single-order program is to the kernel, by the words of the profiles.
_CLAMPS = {
    "keep": "the request stays as it was",
    "order": "that order alone",
    "none": "no huge page",
}

_CLAMPED = (
    ("negative", "negative"),
    ("above_highest", "an order above the highest requested one"),
    ("not_requested", "a lower order that was not requested"),
)

_ATTACHMENTS = {
    "global": "to the whole system",
    "process": "to the whole system or to a process",
    "cgroup-subtree": "to a subtree of cgroups",
    "memory-cgroup": "to a memory cgroup",
    "test-run": "to nothing",
}

_OBJECTS = {
    "orders": "the request",
    "event": "the event",
    "vma": "the memory area",
    "mm": "the address space",
    "task": "the task",
    "cgroup": "the cgroup of the task",
    "memory": "the memory cgroup of the task",
    "system": "the system",
}


def pages() -> dict[Path, str]:
    """Every page that this program writes, with its text."""
    from tools.simulation_reference import simulation_page, simulation_schema
    from tools.workload_reference import workload_page, workload_schema

    return {
        DOCS / "reference" / "host.md": host_page(),
        DOCS / "reference" / "attributes.md": attributes_page(),
        DOCS / "reference" / "profiles.md": profiles_page(),
        DOCS / "reference" / "workload.md": _page(
            "Workloads", "policyc/simulate/workload/schema.py", workload_page()
        ),
        DOCS / "reference" / "workload.schema.json": workload_schema(),
        DOCS / "reference" / "simulation.md": _page(
            "What a simulation found", "policyc/simulate/figures.py", simulation_page()
        ),
        DOCS / "reference" / "simulation.schema.json": simulation_schema(),
        DOCS / "errors" / "index.md": errors_page(),
    }


def _page(title: str, table: str, *parts: str) -> str:
    note = f"<!-- Written by tools/make_reference.py from {table}. -->"
    return "\n\n".join((note, f"# {title}", *parts)) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _code(text: str) -> str:
    return f"`{text}`"


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(map(_code, texts))


# -- settings of the machine

_HOST_INTRODUCTION = """\
A `host` block says what the policy needs of the machine, so that the settings without which it
would have no effect travel with it:

```thp
policy frugal;

host {
    thp.enabled              = madvise;
    thp.enabled[64K]         = inherit;
    thp.shrink_underused     = on;
    khugepaged.max_ptes_none = 409;
    khugepaged.scan_sleep    = 10s;
}

thp {
    otherwise pass;
}
```

A setting with brackets exists once for each page size, which stands in them. Values are written
in the units of the language and turned into those of the file, of which they have to be whole
multiples. In paths of files `*` is the page size in KiB."""

_HOST_FAMILIES = {
    "thp": "Huge pages",
    "khugepaged": "khugepaged",
    "numa": "NUMA balancing",
}

_FILE_UNITS = {
    (Kind.DURATION, 1_000_000): "ms",
    (Kind.SIZE, 1 << 20): "MiB",
}


def host_page() -> str:
    """docs/reference/host.md."""
    parts = [_HOST_INTRODUCTION]
    for family, title in _HOST_FAMILIES.items():
        rows = [row for row in host_rows().values() if row.name.split(".")[0] == family]
        parts.append(f"## {title}")
        parts.append(_table(("setting", "value", "meaning", "file"), map(_host_cells, rows)))
    return _page("Settings of the machine", "policyc/hooks/host.toml", *parts)


def _host_cells(row: HostRow) -> tuple[str, str, str, str]:
    name = row.name.replace("[]", "[SIZE]")
    return _code(name), _host_value(row), row.meaning, _code(row.path.replace("{kib}", "*"))


def _host_value(row: HostRow) -> str:
    if row.values:
        return _codes(row.values)
    if row.type.kind is Kind.BOOL:
        return _codes(("on", "off"))
    if row.scale == 1:
        return f"{row.type}, {row.low} to {row.high}"
    unit = _FILE_UNITS[row.type.kind, row.scale]
    return f"{row.type}, {row.low // row.scale} to {row.high // row.scale} {unit}"


# -- attributes

_ATTRIBUTES_INTRODUCTION = """\
What a condition can ask about a request. A value that is absent compares false with everything,
is in no set and under no path; `has` tests for it. In thp blocks the task is the owner of the
address space, never the one that happens to run; in numa blocks it is the task itself. Braces
stand for one attribute of each spelling: `psi.{memory,cpu}.some.avg10` is
`psi.memory.some.avg10` and `psi.cpu.some.avg10`."""


def attributes_page() -> str:
    """docs/reference/attributes.md."""
    rows = [
        (
            _code(_pattern(group)),
            _type_cell(group[0]),
            _hooks(group[0].hooks),
            group[0].meaning,
            group[0].absent or "never",
        )
        for group in _groups()
    ]
    head = ("attribute", "type", "blocks", "meaning", "absent when")
    return _page(
        "Attributes",
        "policyc/hooks/attributes.toml",
        _ATTRIBUTES_INTRODUCTION,
        _table(head, rows),
        "## Enumerations",
        *(_enumeration(table) for table in enumerations().values()),
        "## What each profile has",
        "A profile that cannot supply an attribute refuses the policies that ask for it "
        "([PC0601](../errors/PC0601.md)).",
        _supply_table(),
    )


def _groups() -> list[list[AttributeRow]]:
    """The attributes, those that only differ in their spelling together."""
    groups: dict[tuple[str, str, str], list[AttributeRow]] = {}
    for row in attributes().values():
        groups.setdefault((row.root, str(row.type), row.meaning), []).append(row)
    return list(groups.values())


def _pattern(group: list[AttributeRow]) -> str:
    """`a.{b,c}` for `a.b` and `a.c`."""
    components = zip(*(row.name.split(".") for row in group), strict=True)
    choices = [list(dict.fromkeys(component)) for component in components]
    return ".".join(c[0] if len(c) == 1 else f"{{{','.join(c)}}}" for c in choices)


def _type_cell(row: AttributeRow) -> str:
    if row.type.kind is Kind.ENUM:
        return f"[{row.type.enum}](#{row.type.enum})"
    return str(row.type)


def _hooks(hooks: Iterable[str]) -> str:
    return ", ".join(sorted(hooks, reverse=True))


def _enumeration(table: Enumeration) -> str:
    names = _codes(member.name for member in table.members)
    return f"### {table.name}\n\n{table.meaning[:1].upper()}{table.meaning[1:]}: {names}."


def _supply_table() -> str:
    head = ("attributes of", *(_code(profile.name) for profile in profiles().values()))
    return _table(
        head,
        [
            (what, *(_supply(root, profile) for profile in profiles().values()))
            for root, what in _OBJECTS.items()
        ],
    )


def _supply(root: str, profile: Profile) -> str:
    rows = [row for row in attributes().values() if row.root == root]
    asked = any(profile.answers(hook) for row in rows for hook in row.hooks)
    return "yes" if asked and any(profile.has(row) for row in rows) else "no"


# -- profiles

_PROFILES_INTRODUCTION = """\
A profile is one interface of one kernel. A policy is checked and compiled for the profiles that
`--profile` names, and for {defaults} if there is no `--profile`. Where
a profile cannot follow a policy in full, a note says so: PC0603 to PC0609 of
[the diagnostics](../errors/index.md)."""


def profiles_page() -> str:
    """docs/reference/profiles.md."""
    introduction = _PROFILES_INTRODUCTION.format(
        defaults=" and ".join(map(_code, DEFAULT_PROFILES))
    )
    head = ("profile", "blocks", "answer", "attached")
    rows = [
        (f"[{_code(p.name)}](#{p.name})", _blocks(p), _answer(p), _ATTACHMENTS[p.attachment])
        for p in profiles().values()
    ]
    return _page(
        "Profiles",
        "policyc/hooks/profiles/",
        introduction,
        _table(head, rows),
        *(_profile(profile) for profile in profiles().values()),
    )


def _blocks(profile: Profile) -> str:
    return "thp, numa" if profile.hook == "any" else profile.hook


def _answer(profile: Profile) -> str:
    return {"order": "one order", "mask": "a mask of orders", "bool": "yes or no"}[profile.answer]


def _profile(profile: Profile) -> str:
    parts = [f"## {profile.name}", f"{profile.title[:1].upper()}{profile.title[1:]}."]
    if profile.struct_ops:
        arguments = ", ".join(profile.arguments)
        parts.append(
            f"```c\n/* {profile.struct_ops} */\n"
            f"{profile.returns} {profile.member}({arguments});\n```"
        )
    parts.append("\n".join(f"- {fact}" for fact in _facts(profile)))
    if profile.kernel is not None:
        found = [(words, _CLAMPS[getattr(profile.kernel, field)]) for field, words in _CLAMPED]
        parts.append("What the kernel makes of an answer that is not a requested order:")
        parts.append(_table(("answer", "the kernel's reading"), found))
    if profile.data:
        parts.append("Members that the loader may set before the program is loaded:")
        rows = [(_code(m.name), _code(m.type), m.value, m.meaning) for m in profile.data]
        parts.append(_table(("member", "type", "default", "meaning"), rows))
    return "\n\n".join(parts)


def _facts(profile: Profile) -> list[str]:
    facts = [f"Instances: {profile.instances}."]
    if profile.struct_ops:
        if profile.leave is not None:
            facts.append(f"The answer that leaves a request alone: {_code(str(profile.leave))}.")
        elif profile.answer == "order":
            facts.append(
                "There is no answer that leaves a request alone; a negative one is undefined "
                "behaviour, on x86-64 with the result below."
            )
        facts.append(
            "An attached program can be replaced by another in one step."
            if profile.update
            else "An attached program cannot be replaced in one step: it is detached and the next "
            "one is attached."
        )
        if profile.attachment in ("cgroup-subtree", "memory-cgroup"):
            facts.append(
                "A program is asked about the cgroups below its own, too."
                if profile.walks_hierarchy
                else "A program is not asked about the cgroups below its own."
            )
    return facts


# -- diagnostics

_ERRORS_INTRODUCTION = """\
Every diagnostic has a code, and every code a page that says what it means, why it matters, and
how a policy is mended. An error stops compilation. A warning is about a policy that can be
compiled and hardly means what it says. A note says what one kernel interface cannot follow."""


def errors_page() -> str:
    """docs/errors/index.md."""
    parts = [_ERRORS_INTRODUCTION]
    for chapter, title in _CHAPTERS.items():
        codes = [CODES[code] for code in sorted(CODES) if code[2:4] == chapter]
        parts += [f"## {title}", _table(("code", "severity", "title"), map(_code_cells, codes))]
    return _page("Diagnostics", "policyc/diagnostics/codes.py", *parts)


def _code_cells(info: CodeInfo) -> tuple[str, str, str]:
    return f"[{info.code}]({info.code}.md)", info.severity.value, info.title


def main() -> int:
    """Writes the pages; with --check only says whether they are up to date."""
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text("utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is not what its table says")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path], "utf-8")
        print(path.relative_to(DOCS.parent))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))  # for the other modules of tools/
    sys.exit(main())
