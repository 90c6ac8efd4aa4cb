"""All files of a compilation, made in memory before the first is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from policyc.hooks.model import Profile
from policyc.plan import nodes as n

__all__ = ["EMITS", "build_outputs", "c_groups"]

#: What can be emitted, and what it is.
EMITS = {
    "c": "BPF C, NAME.bpf.c",
    "python": "a Python module without dependencies, NAME.py",
    "manifest": "what a loader needs to know, NAME.json",
    "object": "the compiled BPF object, NAME.bpf.o (needs clang)",
    "host": "a script for the settings of the host block, NAME.host.sh",
}


def c_groups(
    plan: n.Plan, profiles: Sequence[Profile], stem: str
) -> dict[str, tuple[Profile, ...]]:
    """Which profiles share a C file, by the file's name without its ending.

    One profile of each hook goes into one object, so that they share sets, parameters
    and counters. With several profiles of a hook, or testrun beside others, each has
    a file of its own.
    """
    used = [p for p in profiles if any(p.answers(hook.hook.value) for hook in plan.hooks)]
    hooks = Counter(hook.hook for hook in plan.hooks for p in used if p.answers(hook.hook.value))
    if not used:
        return {}
    if all(count == 1 for count in hooks.values()):
        return {stem: tuple(used)}
    return {f"{stem}.{profile.name}": (profile,) for profile in used}


def build_outputs(
    plan: n.Plan,
    profiles: Sequence[Profile],
    emits: Sequence[str],
    *,
    stem: str,
    counters: bool = True,
) -> dict[str, bytes]:
    """The contents of every file to write, by name.

    Raises policyc.emit.clang.ToolMissing if an object is wanted and there is no clang,
    PolicyTooLarge if a BPF program has no room for the policy, and ClangFailed if clang
    refuses the text for another reason, which would be a defect of policyc.
    """
    outputs: dict[str, bytes] = {}
    groups = c_groups(plan, profiles, stem)
    if "c" in emits or "object" in emits:
        from policyc.emit.bpf import emit_bpf_many

        for name, group in groups.items():
            text = emit_bpf_many(plan, group, counters=counters)
            if "c" in emits:
                outputs[f"{name}.bpf.c"] = text.encode()
            if "object" in emits:
                from policyc.emit.clang import compile_object

                outputs[f"{name}.bpf.o"] = compile_object(text)
    if "python" in emits:
        from policyc.emit.python import emit_python

        outputs[f"{stem}.py"] = emit_python(plan, profiles).encode()
    if "manifest" in emits:
        from policyc.emit.manifest import emit_manifest

        c_files = {p.name: f"{name}.bpf.c" for name, group in groups.items() for p in group}
        manifest = emit_manifest(plan, profiles, c_files=c_files, counters=counters)
        outputs[f"{stem}.json"] = manifest.encode()
    if "host" in emits:
        from policyc.emit.host import emit_host

        outputs[f"{stem}.host.sh"] = emit_host(plan).encode()
    return outputs
