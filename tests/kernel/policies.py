"""BPF objects for the tests, declared where a test needs them and compiled on the host.

A test module declares objects when it is imported:

    HUGE = policy("policy huge ...", "thp-v12")
    ANSWER = c_program("thp_constant.bpf.c", ORDER=4)

The host imports all test modules, compiles what they declared (clang is not for the VM) and
keeps the objects by what they were made from; in the VM `HUGE.object()` reads one.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from policyc.plan.nodes import Plan
from tests.kernel.guest.modules import offered_signatures

__all__ = ["Program", "c_program", "declared_list", "policy", "prepare", "thp_policy"]

_REPOSITORY = Path(__file__).parents[2]
_BPF = Path(__file__).parent / "bpf"

#: BPF_PROG names parameters that small programs do not look at.
_QUIET = '#pragma clang diagnostic ignored "-Wunused-parameter"\n'

#: All that was declared, by key.
_declared: dict[str, Program] = {}

#: Those that were declared as a list, by its name.
_lists: dict[str, list[Program]] = {}


@dataclass(frozen=True, slots=True)
class Program:
    """A BPF object that the host compiles: of a policy for one profile, or of C text."""

    name: str
    text: str = field(repr=False)
    profile: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def key(self) -> str:
        """What the object is called among the prepared files."""
        what = repr((self.text, self.profile, sorted(self.options.items())))
        return hashlib.sha256(what.encode()).hexdigest()[:24]

    def object(self) -> bytes:
        """The object file, in the VM."""
        return self._read(".o")

    def plan(self) -> Plan:
        """The plan of the policy, in the VM."""
        return pickle.loads(self._read(".plan"))

    def _read(self, ending: str) -> bytes:
        return (Path(os.environ["POLICYC_OBJECTS"]) / "policies" / (self.key + ending)).read_bytes()


def policy(text: str, profile: str, **options: Any) -> Program:
    """Declare the object of a policy for a profile; `options` are those of `emit_bpf`."""
    named = re.search(r"^\s*policy\s+(\w+)", text, re.MULTILINE)
    program = Program(named[1] if named else "policy", text, profile, options)
    return _declared.setdefault(program.key, program)


def thp_policy(text: str, **options: Any) -> dict[str, Program]:
    """Declare a policy for each signature of thp_get_order that this lane has; by signature."""
    return {s: policy(text, f"thp-{s}", **options) for s in offered_signatures()}


def c_program(file: str, **macros: str | int) -> Program:
    """Declare the object of a C file in `bpf/`, with macros; `#include "..."` is of `bpf/`."""
    defines = "".join(f"#define {name} {value}\n" for name, value in macros.items())
    text = re.sub(
        r'^#include "(.*)"$',
        lambda found: (_BPF / found[1]).read_text("utf-8"),
        (_BPF / file).read_text("utf-8"),
        flags=re.MULTILINE,
    )
    program = Program(file, _QUIET + defines + text)
    return _declared.setdefault(program.key, program)


def declared_list(name: str, make: Callable[[], Iterable[Program]]) -> list[Program]:
    """Declare programs that take long to make; the VM gets the list from the host."""
    if "POLICYC_PREPARE" in os.environ:
        _lists[name] = list(make())
        return _lists[name]
    return pickle.loads(
        (Path(os.environ["POLICYC_OBJECTS"]) / "policies" / f"{name}.plist").read_bytes()
    )


def prepare(directory: Path) -> None:
    """Compile all that was declared into `directory`, on the host.

    Objects are kept by their C text, which is kept as long as the compiler stays the same.
    Raises PolicyError, ToolMissing, ClangFailed or PolicyTooLarge.
    """
    (directory / "objects").mkdir(parents=True, exist_ok=True)
    # where <asm/types.h> is, which <linux/bpf.h> wants
    os.environ.setdefault("C_INCLUDE_PATH", "/usr/include/x86_64-linux-gnu")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda p: _prepare(p, directory), _declared.values()))
    used = [name for names in made for name in names]
    for name, programs in _lists.items():
        (directory / f"{name}.plist").write_bytes(pickle.dumps(programs))
        used.append(f"{name}.plist")
    for old in set(directory.glob("*.[op]*")) - {directory / name for name in used}:
        old.unlink()
    (directory / "used.json").write_text(json.dumps(used), "utf-8")


def _prepare(program: Program, directory: Path) -> list[str]:
    stamp = directory / f"{program.key}.stamp"
    names = [f"{program.key}.o", *([f"{program.key}.plan"] if program.profile else [])]
    made_of = _compiler() if program.profile else ""
    there = stamp.exists() and all((directory / name).exists() for name in names)
    if there and stamp.read_text("utf-8") == made_of:
        return names
    text = program.text
    if program.profile:
        plan = _plan(program)
        text = _c_of(plan, program)
        (directory / f"{program.key}.plan").write_bytes(pickle.dumps(plan))
    (directory / f"{program.key}.o").write_bytes(_object_of(text, program.name, directory))
    stamp.write_text(made_of, "utf-8")
    return names


@cache
def _compiler() -> str:
    """A digest of everything that the C of a policy depends on."""
    digest = hashlib.sha256()
    for room in ("policyc", "templates", "grammar"):
        for file in sorted((_REPOSITORY / room).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _plan(program: Program) -> Plan:
    from policyc.check import check_text
    from policyc.diagnostics.model import PolicyError

    result = check_text(program.text, f"{program.name}.thp", profiles=[program.profile])
    if result.plan is None:
        raise PolicyError(result.diagnostics)
    return result.plan


def _c_of(plan: Plan, program: Program) -> str:
    from policyc.emit.bpf import emit_bpf
    from policyc.hooks.loader import profiles

    return emit_bpf(plan, profiles()[program.profile], **program.options)


def _object_of(text: str, name: str, directory: Path) -> bytes:
    from policyc.emit.clang import compile_object, find_clang

    digest = hashlib.sha256((find_clang() + text).encode()).hexdigest()
    kept = directory / "objects" / digest
    if not kept.exists():
        kept.write_bytes(compile_object(text, name=f"{Path(name).name.split('.')[0]}.bpf.c"))
    return kept.read_bytes()
