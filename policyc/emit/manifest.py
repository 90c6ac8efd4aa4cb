"""The manifest: everything a loader or a tool needs to know about a compiled policy.

Values that need all of 64 bits (parameters and their ranges) are decimal strings, as
JSON numbers above 2^53 are not safe with every reader. docs/reference/manifest.md
describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from policyc import __version__
from policyc.emit.c_tables import table_name
from policyc.emit.host import host_files
from policyc.emit.layout import (
    NO_INDEX,
    AnswerLayout,
    LayoutField,
    RequestLayout,
    answer_layout,
    params_layout,
    request_layout,
)
from policyc.hooks.loader import enumerations
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.attach import Instance, attach_plan
from policyc.plan.passes.tables import Table, TablePlan, tables_of
from policyc.plan.types import CGROUP

__all__ = ["FORMAT", "SET_CAPACITY", "emit_manifest"]

#: Raised when a reader of older manifests would misunderstand a new one.
FORMAT = 1

#: Members that a set has room for in the kernel.
SET_CAPACITY = 65_536


def emit_manifest(
    plan: n.Plan,
    profiles: Sequence[Profile],
    *,
    c_files: Mapping[str, str],
    counters: bool,
) -> str:
    """The manifest as JSON text; `c_files` has the C file's name for each profile's name."""
    return json.dumps(_manifest(plan, profiles, c_files, counters), indent=2) + "\n"


def _manifest(
    plan: n.Plan, profiles: Sequence[Profile], c_files: Mapping[str, str], counters: bool
) -> dict[str, Any]:
    table_plan = tables_of(plan)
    return {
        "format": FORMAT,
        "compiler": f"policyc {__version__}",
        "policy": plan.name,
        "file": plan.file,
        "target": {"page_size": plan.target.page_size, "pmd_order": plan.target.pmd_order},
        "hooks": {hook.hook.value: _hook(plan, hook) for hook in plan.hooks},
        "rules": [
            {"index": rule.index, "label": rule.label, "line": rule.line, "text": rule.text}
            for rule in plan.rules
        ],
        "counters": {"map": "rule_counters", "value": "u64, one for each CPU"}
        if counters
        else None,
        "sets": [_set(definition) for definition in plan.sets],
        "params": _params(plan),
        "paths": _paths(plan, table_plan),
        "tables": [_table(plan, table) for table in table_plan.tables],
        "profiles": [
            _profile(plan, hook, profile, c_files)
            for profile in profiles
            for hook in plan.hooks
            if profile.answers(hook.hook.value)
        ],
        "host": [
            {"name": file.name, "path": file.path, "value": file.text, "line": file.line}
            for file in host_files(plan)
        ],
    }


def _hook(plan: n.Plan, hook: n.HookPlan) -> dict[str, Any]:
    return {
        "combine": hook.combine.value,
        "blocks": [
            {
                "scope": None if block.scope is None else plan.paths[block.scope],
                "line": block.line,
                "rollout": _value(block.rollout),
                "hot_threshold": _value(block.hot_threshold),
                "rules": [rule.index for rule in block.rules],
            }
            for block in hook.blocks
        ],
    }


def _value(expr: n.Expr | None) -> dict[str, str] | None:
    match expr:
        case n.Const(type, value):
            return {"type": str(type), "value": str(int(value))}
        case n.Param(type, name):
            return {"type": str(type), "param": name}
        case _:
            return None


def _set(definition: n.SetDefinition) -> dict[str, Any]:
    is_cgroup = definition.type == CGROUP
    return {
        "name": definition.name,
        "type": str(definition.type),
        "map": f"set_{definition.name}",
        "key": "u64 cgroup id" if is_cgroup else "16 bytes, zero padded",
        "capacity": SET_CAPACITY,
        "line": definition.line,
        "members": [
            member if isinstance(member, str) else member.decode("utf-8", "surrogateescape")
            for member in definition.members
        ],
    }


def _paths(plan: n.Plan, table_plan: TablePlan) -> dict[str, Any] | None:
    """The paths that are bits of a mask; those that only tables ask for are none."""
    paths = [plan.paths[path] for path in table_plan.mask_paths]
    if not paths:
        return None
    return {
        "map": "policy_paths",
        "key": "u64 cgroup id",
        "value": f"u64[{(len(paths) + 63) // 64}], bit N for path N",
        "paths": paths,
    }


def _table(plan: n.Plan, table: Table) -> dict[str, Any]:
    return {
        "map": table_name(table),
        "key": "u64 cgroup id",
        "value": f"u32 self, u32 below: indexes of rules, {NO_INDEX} for null",
        "hook": table.hook.value,
        "block": table.block,
        "first_rule": table.first,
        "rules": len(table.run.rules),
        "entries": [
            {"path": plan.paths[entry.path], "self": entry.itself, "below": entry.below}
            for entry in table.run.entries
        ],
    }


def _params(plan: n.Plan) -> dict[str, Any] | None:
    if not plan.params:
        return None
    fields = {field.name: field for field in params_layout(plan)}
    return {
        "map": ".data.params",
        "params": [
            {
                "name": param.name,
                "type": str(param.type),
                "unit": fields[param.name].unit,
                "offset": fields[param.name].offset,
                "default": str(param.default),
                "low": str(param.low),
                "high": str(param.high),
                "line": param.line,
            }
            for param in plan.params
        ],
    }


def _profile(
    plan: n.Plan, hook: n.HookPlan, profile: Profile, c_files: Mapping[str, str]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "profile": profile.name,
        "hook": hook.hook.value,
        "c": c_files.get(profile.name),
        "struct_ops": profile.struct_ops or None,
        "member": profile.member or hook.hook.value,
        "answer": {"kind": profile.answer, "leave": profile.leave, "deny": profile.deny},
        "attach": {
            "kind": profile.attachment,
            "instances": profile.instances,
            "update": profile.update,
            "plan": [_instance(plan, i) for i in attach_plan(plan, hook, profile)],
        },
    }
    if profile.attachment == "test-run":
        entry["request"] = _request(request_layout(plan, hook))
        entry["answer"]["layout"] = _answer(answer_layout(plan, hook))
        entry["enumerations"] = {
            name: {member.name: member.value for member in table.members}
            for name, table in enumerations().items()
        }
    return entry


def _instance(plan: n.Plan, instance: Instance) -> dict[str, Any]:
    return {
        "cgroup": instance.cgroup,
        "descendants": instance.descendants,
        "except_below": list(instance.except_below),
        "hot_threshold": _value(instance.hot_threshold),
        "hot_thresh_ms": instance.hot_threshold_ms({p.name: p.default for p in plan.params}),
    }


def _request(layout: RequestLayout) -> dict[str, Any]:
    return {
        "size": layout.size,
        "present_words": layout.present_words,
        "fields": [_field(field) for field in layout.fields],
    }


def _answer(layout: AnswerLayout) -> dict[str, Any]:
    return {
        "size": layout.size,
        "recorded_blocks": layout.blocks,
        "fields": [_field(field) for field in layout.fields],
    }


def _field(field: LayoutField) -> dict[str, Any]:
    return {
        "name": field.name,
        "offset": field.offset,
        "size": field.size,
        "type": field.type,
        "unit": field.unit,
        "present_bit": field.present if field.present >= 0 else None,
    }
