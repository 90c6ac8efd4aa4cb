"""`policyc verify`: what the verifier of the running kernel makes of a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    USAGE,
    Failure,
    diagnostics_format,
    echo,
    emit_json,
    policy_file,
    profile_option,
    reason,
    show_diagnostics,
    target_of,
    target_options,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.check import CheckResult
    from policyc.diagnostics.model import Diagnostic
    from policyc.hooks.btf.match import Match
    from policyc.kernel.objects import Program
    from policyc.kernel.verify import Attempt, Refused, Verified
    from policyc.plan.nodes import HookName, Plan, Target

__all__ = ["command"]

#: The verifier gives up at this many instructions (BPF_COMPLEXITY_LIMIT_INSNS of linux/bpf.h).
_LIMIT = 1_000_000

#: How many lines of the verifier's log are shown of a program that it refused.
_TAIL = 12


@click.command("verify", short_help="Load a policy through this kernel's verifier.")
@policy_file
@profile_option(
    "Verify the program for this kernel interface; repeatable, and with commas. "
    "[default: what this kernel offers and the policy can use, else thp-v7 and numab-rfc1]"
)
@click.option(
    "--btf",
    "place",
    metavar="FILE",
    type=click.Path(path_type=str),
    help="Ask for the kernel with these types instead of the running one: which interface it "
    "offers and whether it has all that the policy reads. What is loaded here is testrun's.",
)
@click.option(
    "--log",
    "log_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=str),
    help="Write all that the verifier said to a file.",
)
@target_options
@diagnostics_format("full", "concise")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    *,
    profiles: tuple[str, ...],
    place: str | None,
    log_file: str | None,
    page_size: str,
    pmd_order: int | None,
    style: str,
    as_json: bool,
) -> int:
    """Compile a policy and load it through the verifier of the running kernel.

    Where the kernel offers the hook, that is the program that a loader would attach;
    elsewhere the same decisions as the program of `testrun`. Nothing is attached, and what
    was loaded is unloaded again. FILE may be `-`.

    For each program: its instructions, how many the verifier looked at (of at most
    1,000,000) and in how many states, the stack of the program and each of its functions in
    bytes, and the time it took; then its maps. Of a program that is refused: the line of
    the policy, and the verifier's own words.

    \b
    Examples:
      policyc verify fleet.thp
      policyc verify fleet.thp --profile thp-v12
      policyc verify fleet.thp --btf /boot/vmlinux-next

    \b
    Exit codes:
      0  the verifier took every program
      1  it refused one, the policy has errors, or the kernel of --btf cannot run it
      2  wrong usage, or a file that cannot be read or written
      3  clang, libbpf, the kernel's types or the right to load programs are missing
    """
    from policyc.cli.files import read_policy
    from policyc.cli.kernels import read_kernels
    from policyc.kernel.verify import Refused, Verified, attempts, diagnostic_of

    data, name = read_policy(file)
    target = target_of(page_size, pmd_order)
    other = read_kernels([place]) if place is not None else {}
    if len(other) > 1:
        raise Failure(f"{place} has {len(other)} kernels", USAGE, "name the file of one of them")
    running = cache(_running)  # asked only of a policy without errors
    result, names, said = _checked(
        data, name, lambda: other or {"this kernel": running()}, profiles, target, asked=bool(other)
    )
    if not as_json:
        show_diagnostics([item for item in said if not _note(item)], style, err=True)
    if result.plan is None or _errors(said):
        if as_json:
            emit_json(_document(name, [], said))
            return NO
        raise Failure(f"{name} is not verified: {_summary(said)}", NO)
    wanted = attempts(result.plan, names, running())
    outcomes = [_verify(result.plan, _stand_in(item) if other else item) for item in wanted]
    refused = [item for item in outcomes if isinstance(item, Refused)]
    verified = [item for item in outcomes if isinstance(item, Verified)]
    if log_file is not None:
        _write_log(log_file, outcomes)
    found = [diagnostic_of(result, item) for item in refused]
    if as_json:
        emit_json(_document(name, outcomes, (*said, *found)))
    else:
        _print(name, verified, refused, list(other))
        for item, diagnostic in zip(refused, found, strict=True):
            show_diagnostics([diagnostic], style, err=True)
            _print_tail(item)
    return NO if refused else FINE


def _running() -> Match:
    """What the running kernel offers; exit code 3 if it does not tell."""
    from policyc.hooks.btf import BtfError, running
    from policyc.hooks.btf.match import match

    try:
        kernel, *modules = running()
        return match(kernel, modules)
    except (OSError, BtfError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise Failure(
            f"the types of the running kernel cannot be read: {why}",
            MISSING,
            "/sys/kernel/btf/vmlinux is there in kernels that are built with "
            "CONFIG_DEBUG_INFO_BTF, where /sys is mounted",
        ) from None


def _checked(
    data: bytes,
    name: str,
    kernels: Callable[[], Mapping[str, Match]],
    profiles: tuple[str, ...],
    target: Target,
    *,
    asked: bool,
) -> tuple[CheckResult, dict[HookName, Sequence[str]], tuple[Diagnostic, ...]]:
    """The policy, what to verify of it, and what is to be said; `asked`: about other kernels."""
    from policyc.check import check_text
    from policyc.check.kernels import check_kernels
    from policyc.hooks.loader import DEFAULT_PROFILES
    from policyc.hooks.loader import profiles as known

    result = check_text(data, name, profiles=profiles or ("testrun",), target=target)
    if result.plan is None:
        return result, {}, result.diagnostics
    verdicts, said = check_kernels(
        result, kernels(), [item for item in profiles if item != "testrun"]
    )
    able = {hook: names for verdict in verdicts for hook, names in verdict.hooks.items()}
    names: dict[HookName, Sequence[str]] = {}
    for hook in result.plan.hooks:
        answering = [item for item in profiles if known()[item].answers(hook.hook)]
        defaults = [item for item in DEFAULT_PROFILES if known()[item].answers(hook.hook)]
        names[hook.hook] = answering if profiles else able[hook.hook] or defaults
    if not profiles:
        chosen = sorted({item for each in names.values() for item in each})
        again = check_text(data, name, profiles=chosen, target=target)
        result = again if again.plan is not None else result
    return result, names, (*result.diagnostics, *(said if asked else ()))


def _stand_in(item: Attempt) -> Attempt:
    """The attempt for another kernel: only the decisions can be loaded into this one."""
    from policyc.hooks.loader import profiles
    from policyc.kernel.verify import STAND_IN, Attempt

    why = "its types were compared, not its verifier asked"
    return Attempt(item.hook, item.profile, profiles()[STAND_IN], why)


def _verify(plan: Plan, attempt: Attempt) -> Verified | Refused:
    """The outcome of an attempt; what is missing ends the run with exit code 3."""
    from policyc.emit.clang import ClangFailed, ToolMissing
    from policyc.emit.limits import PolicyTooLarge
    from policyc.kernel.errors import KernelError, KernelToolMissing
    from policyc.kernel.verify import verify

    try:
        return verify(plan, attempt)
    except PolicyTooLarge as error:
        raise Failure(f"the policy is too large for BPF: {error}", NO) from None
    except (ToolMissing, KernelToolMissing) as error:
        _missing(error.what, error.how_to_get)
    except ClangFailed as error:
        _missing(
            f"a clang that takes the C of this policy (it says: {error})",
            "report it with the policy, as a defect of policyc; `compile --emit c` shows the C",
        )
    except KernelError as error:
        raise Failure(f"the kernel does not load the policy: {error}", NO) from None


def _missing(what: str, how_to_get: str) -> NoReturn:
    raise Failure(f"{what} is missing", MISSING, how_to_get)


def _note(item: Diagnostic) -> bool:
    """Whether it is about what an interface cannot say, which `check` is asked for."""
    from policyc.diagnostics.model import Severity

    return item.severity is Severity.NOTE


def _errors(diagnostics: Sequence[Diagnostic]) -> bool:
    from policyc.diagnostics.model import Severity

    return any(item.severity is Severity.ERROR for item in diagnostics)


def _summary(diagnostics: Sequence[Diagnostic]) -> str:
    from policyc.diagnostics.render import summary

    return summary(diagnostics)


def _write_log(file: str, outcomes: Sequence[Verified | Refused]) -> None:
    parts = [
        f"== {item.attempt.hook.hook.value} for {item.attempt.profile.name} "
        f"as {item.attempt.loaded.name}\n{item.log}"
        for item in outcomes
    ]
    try:
        Path(file).write_text("\n".join(parts), "utf-8")
    except OSError as error:
        raise Failure(f"cannot write {file}: {reason(error)}", USAGE) from None


# -- output


def _print(
    name: str, verified: Sequence[Verified], refused: Sequence[Refused], other: list[str]
) -> None:
    from policyc.cli.tables import Column, table

    for item in (*verified, *refused):
        echo(f"{visible_lines(name)}: {_said(item.attempt, other)}")
    if not verified:
        return
    headings = [("program", False), ("for", False), ("loaded as", False)]
    headings += [(text, True) for text in ("instructions", "verified", "of limit", "states")]
    headings += [(text, True) for text in ("peak", "stack", "time")]
    rows = [_row(item, program) for item in verified for program in item.programs]
    echo("\n" + table([Column(text, right) for text, right in headings], rows, terminal()))
    map_headings = [("map", False), ("of", False), ("key", True), ("value", True)]
    map_rows = [
        [
            each.name,
            item.attempt.profile.name,
            _bytes(each.key_size),
            _bytes(each.value_size),
            f"{each.max_entries:,}",
        ]
        for item in verified
        for each in item.maps
    ]
    columns = [Column(text, right) for text, right in (*map_headings, ("entries", True))]
    echo("\n" + table(columns, map_rows, terminal()))


def _said(attempt: Attempt, other: list[str]) -> str:
    hook, profile = attempt.hook.hook.value, attempt.profile.name
    if other:
        return f"{hook} as {profile} for {other[0]}: {attempt.why}; loaded here as testrun"
    if attempt.why:
        return f"{hook} as {profile} is not offered by this kernel ({attempt.why}): testrun instead"
    if attempt.loaded.struct_ops:
        return f"{hook} as {profile}: this kernel has the hook ({attempt.loaded.struct_ops})"
    return f"{hook} as {profile}"


def _row(item: Verified, program: Program) -> list[str]:
    return [
        program.name,
        item.attempt.profile.name,
        item.attempt.loaded.name,
        f"{program.instructions:,}",
        f"{program.verified_instructions:,}",
        f"{program.verified_instructions / _LIMIT:.2%}",
        f"{program.states:,}",
        f"{program.peak_states:,}",
        "+".join(map(str, program.stack)),
        f"{program.verification_ns / 1e6:.1f} ms",
    ]


def _bytes(size: int) -> str:
    return f"{size:,} B"


def _print_tail(refused: Refused) -> None:
    from policyc.kernel.verifier_log import tail_of

    echo(f"The verifier's last lines, in {refused.program}:", err=True)
    for line in tail_of(refused.log, _TAIL):
        echo(f"  {visible_lines(line)}", err=True)


def _document(
    name: str, outcomes: Sequence[Verified | Refused], diagnostics: Sequence[Diagnostic]
) -> dict[str, Any]:
    import json

    from policyc.diagnostics.render import render_json

    return {
        "file": name,
        "verified": [_outcome(item) for item in outcomes],
        **json.loads(render_json(diagnostics)),
    }


def _outcome(item: Verified | Refused) -> dict[str, Any]:
    from policyc.kernel.verify import Verified

    attempt = item.attempt
    document: dict[str, Any] = {
        "hook": attempt.hook.hook.value,
        "profile": attempt.profile.name,
        "loaded_as": attempt.loaded.name,
        "why": attempt.why,
        "accepted": isinstance(item, Verified),
    }
    if not isinstance(item, Verified):
        shown = {"program": item.program, "reason": item.reason, "line": item.line}
        return document | shown | {"c_line": item.c_line}
    return document | {
        "object_bytes": item.size,
        "programs": [
            {
                "name": program.name,
                "instructions": program.instructions,
                "verified_instructions": program.verified_instructions,
                "states": program.states,
                "peak_states": program.peak_states,
                "stack_bytes": list(program.stack),
                "verification_ns": program.verification_ns,
            }
            for program in item.programs
        ],
        "maps": [
            {
                "name": each.name,
                "key_bytes": each.key_size,
                "value_bytes": each.value_size,
                "max_entries": each.max_entries,
            }
            for each in item.maps
        ],
    }
