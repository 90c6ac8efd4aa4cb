"""What the verifier of the running kernel makes of a policy, as the hook's program or a stand-in.

Where the kernel offers the hook of a profile, the program that `compile` writes for it is
loaded. Elsewhere the same decisions are loaded behind the program of `testrun`, which every
kernel takes; the readers of kernel objects are not in that one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policyc.check import CheckResult
from policyc.diagnostics.model import Diagnostic
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import compile_object
from policyc.emit.places import policy_lines
from policyc.hooks.btf.match import Match
from policyc.hooks.loader import profiles
from policyc.hooks.model import Profile
from policyc.kernel.errors import Rejected
from policyc.kernel.maps import Map
from policyc.kernel.objects import Program, load
from policyc.kernel.verifier_log import reason_of, source_lines
from policyc.plan import nodes as n
from policyc.source import Span

__all__ = [
    "STAND_IN",
    "Attempt",
    "Refused",
    "Verified",
    "attempts",
    "diagnostic_of",
    "has_may_goto",
    "verify",
]

#: The profile that is loaded where the kernel has not the hook.
STAND_IN = "testrun"

_TOO_LARGE = (
    "rules that differ only in their cgroup and stand side by side become a table, and names "
    "or cgroups in a set cost as much as one"
)
_DEFECT = (
    "a policy that `check` takes should load: if this kernel has the hook, report the policy "
    "with the file that --log writes"
)

#: What libbpf loads the C under; the verifier's log names it.
_C_FILE = "policy.bpf.c"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hook of a policy for a profile, and the profile whose program is loaded for it.

    `why` says why that is another one, and is empty if it is not.
    """

    hook: n.HookPlan
    profile: Profile
    loaded: Profile
    why: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The verifier took the programs; `size` is that of the object in bytes, `log` what it said."""

    attempt: Attempt
    size: int
    programs: tuple[Program, ...]
    maps: tuple[Map, ...]
    log: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The verifier refused a program, in its own words.

    `line` is the line of the policy that it looked at, `c_line` that of the C; None if the
    log does not tell.
    """

    attempt: Attempt
    program: str
    reason: str
    line: int | None
    c_line: int | None
    log: str


def attempts(
    plan: n.Plan, names: Mapping[n.HookName, Sequence[str]], kernel: Match
) -> tuple[Attempt, ...]:
    """What to load for the hooks and profiles of `names` into `kernel`."""
    return tuple(
        _attempt(hook, profiles()[name], kernel)
        for hook in plan.hooks
        for name in names.get(hook.hook, ())
    )


def _attempt(hook: n.HookPlan, profile: Profile, kernel: Match) -> Attempt:
    if profile.name == STAND_IN:
        return Attempt(hook, profile, profile, "")
    found = kernel.profiles[profile.name]
    if found.offered:
        return Attempt(hook, profile, profile, "")
    return Attempt(hook, profile, profiles()[STAND_IN], "; ".join(found.reasons))


def verify(plan: n.Plan, attempt: Attempt) -> Verified | Refused:
    """Compile and load; everything is unloaded again.

    Raises what compile_object of policyc.emit.clang and load of policyc.kernel.objects do,
    but for Rejected.
    """
    c_text = emit_bpf(plan, attempt.loaded, hook=attempt.hook)
    if attempt.why and has_may_goto():
        c_text = f"#define POLICYC_MAY_GOTO\n{c_text}"
    data = compile_object(c_text, name=_C_FILE)
    try:
        with load(data) as loaded:
            return Verified(
                attempt,
                len(data),
                loaded.programs,
                tuple(loaded.map(name) for name in sorted(loaded.map_names)),
                "".join(loaded.log(program.name) for program in loaded.programs),
            )
    except Rejected as refused:
        return _refused(plan, attempt, c_text, refused)


def has_may_goto() -> bool:
    """Whether a stand-in can go up the tree of cgroups as the programs for the hooks do.

    may_goto came with 6.9; without it the verifier follows each level.
    """
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) >= (6, 9)


def _refused(plan: n.Plan, attempt: Attempt, c_text: str, refused: Rejected) -> Refused:
    """The last place that the policy has a line for: the verifier may be in a function of ours."""
    c_lines = source_lines(refused.log, c_text)
    lines = policy_lines(c_text, plan.file)
    line = next((lines[c_line] for c_line in c_lines if c_line in lines), None)
    return Refused(
        attempt,
        refused.program,
        reason_of(refused.log),
        line,
        c_lines[0] if c_lines else None,
        refused.log,
    )


def diagnostic_of(result: CheckResult, refused: Refused) -> Diagnostic:
    """The refusal at its line of the policy, or at the first where the log tells none."""
    source = result.blocks[0].item.span.source
    line = refused.line or 1
    text = source.line_text(line)
    start = sum(len(each) for each in source.text.splitlines(keepends=True)[: line - 1])
    indent = len(text) - len(text.lstrip())
    too_large = "too large" in refused.reason or "too complex" in refused.reason
    return Diagnostic(
        "PC0705",
        f"the verifier refuses the program for {refused.attempt.profile.name}",
        Span(source, start + indent, start + len(text)),
        refused.reason,
        help=_TOO_LARGE if too_large else _DEFECT,
    )
