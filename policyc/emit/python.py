"""Writes a policy as one Python module: its tables, its decision functions, its state."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from policyc.emit.python_functions import blocks_function, orders_function, table_definition
from policyc.emit.python_names import param_slot, set_slot
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.passes.tables import tables_of
from policyc.plan.types import Kind
from policyc.runtime import checks, core, decisions, lookup, request, requests, state, units
from policyc.templating import render

__all__ = ["emit_python", "loaded_module"]

#: The runtime, each module after those that it needs.
_RUNTIME = (checks, units, request, requests, lookup, decisions, state)


#: Postponed annotations would make a dataclass look for its module in sys.modules, where a
#: generated module need not be.
_NOT_IMPORTED = ("__future__",)


def loaded_module(plan: n.Plan, profiles: Sequence[Profile] = ()) -> dict[str, Any]:
    """What is in the module once it is loaded: `decide`, `state`, `thp_orders`."""
    text = emit_python(plan, profiles, standalone=False)
    # Nothing of the policy is in this text but ASCII literals and checked identifiers.
    module: dict[str, Any] = {"__name__": "policyc.policy"}
    code = compile(text, f"<policy {plan.name!a}>", "exec", dont_inherit=True)
    exec(code, module)  # noqa: S102 - text that we generated
    return module


def emit_python(plan: n.Plan, profiles: Sequence[Profile], *, standalone: bool = True) -> str:
    """The text of the module.

    A standalone module carries the runtime and needs the standard library only; any other
    imports it from policyc. All text of the policy is in ASCII string literals.
    """
    tables = tables_of(plan)
    runtime = _embedded_runtime() if standalone else _imported_runtime()
    return render(
        "python/module.py.j2",
        imports=runtime.imports,
        runtime=runtime.body,
        metadata={"name": ascii(plan.name), "file": ascii(plan.file)},
        rules=[_rule(plan, rule) for rule in plan.rules],
        profiles=[_profile(profile) for profile in profiles],
        sets=[_set(plan, definition) for definition in plan.sets],
        params=[_param(plan, definition) for definition in plan.params],
        slots=[
            *(f'"{set_slot(plan, definition.name)}"' for definition in plan.sets),
            *(f'"{param_slot(plan, definition.name)}"' for definition in plan.params),
        ],
        slot_types=[*_slot_types(plan)],
        rule_tables=[table_definition(plan, table) for table in tables.tables],
        functions=[
            *(blocks_function(plan, tables, hook) for hook in plan.hooks),
            orders_function(plan, tables),
        ],
        thp=plan.thp,
        numa=plan.numa,
    )


def _rule(plan: n.Plan, rule: n.Rule) -> str:
    texts = (ascii(rule.label), ascii(plan.file), rule.line, ascii(rule.text))
    return f"Rule({rule.index}, {', '.join(map(str, texts))})"


def _profile(profile: Profile) -> str:
    clamp = profile.kernel
    arguments: list[object] = [
        profile.name,
        profile.hook,
        profile.answer,
        profile.leave,
        profile.deny,
        *((clamp.negative, clamp.above_highest, clamp.not_requested) if clamp else ()),
    ]
    return f"{profile.name!a}: ProfileAnswer({', '.join(map(ascii, arguments))})"


def _set(plan: n.Plan, definition: n.SetDefinition) -> str:
    kind = definition.type.kind.value
    members = "".join(f"{member!a}, " for member in definition.members).rstrip()
    slot = set_slot(plan, definition.name)
    return f'SetField({definition.name!a}, "{kind}", ({members}), "{slot}")'


def _param(plan: n.Plan, definition: n.ParamDefinition) -> str:
    kind = definition.type.kind.value
    numbers = f"{definition.default:d}, {definition.low:d}, {definition.high:d}"
    slot = param_slot(plan, definition.name)
    return f'ParamField({definition.name!a}, "{kind}", {numbers}, "{slot}")'


def _slot_types(plan: n.Plan) -> Iterable[str]:
    for definition in plan.sets:
        member = "str" if definition.type.kind is Kind.CGROUP else "bytes"
        yield f"{set_slot(plan, definition.name)}: frozenset[{member}]"
    for definition in plan.params:
        number = "bool" if definition.type.kind is Kind.BOOL else "int"
        yield f"{param_slot(plan, definition.name)}: {number}"


@dataclass(frozen=True, slots=True)
class _Runtime:
    imports: str
    body: str


def _imported_runtime() -> _Runtime:
    names = "".join(f"    {name},\n" for name in core.__all__)
    return _Runtime(
        f"from typing import overload\n\nfrom policyc.runtime.core import (\n{names})", ""
    )


def _embedded_runtime() -> _Runtime:
    """The text of the modules of the runtime, with their imports in front, once each."""
    plain: set[str] = set()
    names = {"typing": {"overload"}}
    bodies: list[str] = []
    for module in _RUNTIME:
        source = inspect.getsource(module)
        lines = source.splitlines()
        for statement in reversed(ast.parse(source).body):
            match statement:
                case ast.Import():
                    plain.update(ast.unparse(statement).split("\n"))
                case ast.ImportFrom(module=str(origin)):
                    if origin not in _NOT_IMPORTED and not origin.startswith("policyc."):
                        found = names.setdefault(origin, set())
                        found.update(map(_imported_name, statement.names))
                case ast.Expr(ast.Constant()):
                    pass
                case ast.Assign(targets=[ast.Name("__all__")]):
                    pass
                case _:
                    continue
            del lines[statement.lineno - 1 : statement.end_lineno]
        bodies.append(_squeezed(lines))
    imports = [
        *sorted(plain),
        *(f"from {origin} import {', '.join(sorted(names[origin]))}" for origin in sorted(names)),
    ]
    return _Runtime("\n".join(imports), "\n\n\n".join(bodies))


def _imported_name(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _squeezed(lines: list[str]) -> str:
    """The lines without the empty ones at both ends."""
    return "\n".join(lines).strip("\n")
