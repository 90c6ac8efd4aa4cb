"""Whether policies can run on kernels, by the types of those: what is offered, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from policyc.check.blocks import CheckedBlock
from policyc.check.model import AttributeUse, CheckResult
from policyc.diagnostics.model import Diagnostic, Diagnostics, Label
from policyc.hooks.btf.match import Match
from policyc.hooks.loader import attributes, enumerations, profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.operands import reachable
from policyc.plan.types import Kind
from policyc.source import Span

__all__ = ["Verdict", "check_kernels"]

_NO_OTHER_PROFILE = "no other profile that can run these blocks is offered there"
_OTHER_EVENT = "there, what would be asked for that reason comes as another event, if at all"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a policy on a kernel.

    `hooks` has the hooks of the policy, each with the profiles it can be compiled for there.
    """

    kernel: str
    hooks: dict[n.HookName, tuple[str, ...]]

    @property
    def runs(self) -> bool:
        """Whether the kernel can run all of the policy."""
        return all(self.hooks.values())


class _Finding(NamedTuple):
    """A diagnostic about one kernel, whose name goes behind the message."""

    code: str
    message: str
    span: Span
    label: str = ""
    related: tuple[Label, ...] = ()
    help: str = ""


@dataclass(slots=True)
class _Findings:
    """Findings, those that several kernels share once."""

    kernels: dict[_Finding, list[str]] = field(default_factory=dict[_Finding, list[str]])

    def add(self, kernel: str, findings: Iterable[_Finding]) -> None:
        for finding in dict.fromkeys(findings):
            self.kernels.setdefault(finding, []).append(kernel)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        found = Diagnostics()
        for finding, kernels in self.kernels.items():
            message = f"{finding.message} in {', '.join(kernels)}"
            found.add(
                finding.code,
                message,
                finding.span,
                finding.label,
                related=finding.related,
                help=finding.help,
            )
        return found.sorted()


def check_kernels(
    result: CheckResult, kernels: Mapping[str, Match], names: Sequence[str] = ()
) -> tuple[list[Verdict], tuple[Diagnostic, ...]]:
    """Whether a policy without errors runs on each of some kernels, by the names to call them.

    `names` are the profiles that may be used, all of them if there are none. An error says
    why a kernel cannot run the policy; a warning, which part of it means nothing there.
    """
    assert result.plan is not None
    findings = _Findings()
    verdicts: list[Verdict] = []
    for kernel, found in kernels.items():
        hooks: dict[n.HookName, tuple[str, ...]] = {}
        for hook in result.plan.hooks:
            blocks = [block for block in result.blocks if block.hook is hook.hook]
            able, said = _hook(found, hook.hook, blocks, names, result.plan)
            hooks[hook.hook] = able
            findings.add(kernel, said)
        verdicts.append(Verdict(kernel, hooks))
    return verdicts, findings.diagnostics()


def _hook(
    kernel: Match,
    hook: n.HookName,
    blocks: list[CheckedBlock],
    names: Sequence[str],
    plan: n.Plan,
) -> tuple[tuple[str, ...], list[_Finding]]:
    """The profiles that some blocks can be compiled for, and what is to be said."""
    wanted = [
        profiles()[name]
        for name in kernel.profiles
        if profiles()[name].answers(hook) and (not names or name in names)
    ]
    offered = [profile for profile in wanted if kernel.profiles[profile.name].offered]
    if not offered:
        return (), [_not_offered(kernel, hook, blocks[0], wanted)]
    problems = {profile.name: list(_refused(kernel, profile, blocks)) for profile in offered}
    able = tuple(name for name, found in problems.items() if not found)
    if not able:
        return (), min(problems.values(), key=len)
    profile = profiles()[able[0]]
    silent = [*_absent(kernel, profile, blocks), *_unknown(kernel, profile, blocks, plan)]
    return able, silent


def _not_offered(
    kernel: Match, hook: n.HookName, block: CheckedBlock, wanted: list[Profile]
) -> _Finding:
    reasons = [
        f"{profile.name}: {'; '.join(kernel.profiles[profile.name].reasons)}" for profile in wanted
    ]
    message = f"nothing can run {hook.value} blocks"
    return _Finding("PC0701", message, block.item.header, help=";\n".join(reasons))


def _uses(blocks: list[CheckedBlock]) -> Iterator[AttributeUse]:
    """The attributes that some blocks read, also for their scopes and rollouts."""
    cgroup = attributes()["cgroup"]
    for block in blocks:
        if block.scope is not None or block.rollout is not None:
            yield AttributeUse(cgroup, block.item.header)
        yield from block.uses


def _first_uses(blocks: list[CheckedBlock]) -> Iterator[AttributeUse]:
    """The first place of each attribute."""
    seen: set[str] = set()
    for use in _uses(blocks):
        if use.row.name not in seen:
            seen.add(use.row.name)
            yield use


def _refused(kernel: Match, profile: Profile, blocks: list[CheckedBlock]) -> Iterator[_Finding]:
    """Why the kernel would not run the program of a profile that it offers."""
    for use in _first_uses(blocks):
        related = (Label(use.through, "used here"),) if use.through else ()
        if not profile.has(use.row):
            message = f"{profile.name} cannot supply `{use.row.name}`"
            label = f"not in {profile.name}"
            yield _Finding("PC0601", message, use.span, label, related, _NO_OTHER_PROFILE)
            continue
        found = kernel.attributes[profile.name, use.row.name]
        if found.status == "refused":
            message = f"{profile.name} cannot read `{use.row.name}`"
            yield _Finding("PC0702", message, use.span, found.why, related)


def _absent(kernel: Match, profile: Profile, blocks: list[CheckedBlock]) -> Iterator[_Finding]:
    for use in _first_uses(blocks):
        related = (Label(use.through, "used here"),) if use.through else ()
        found = kernel.attributes[profile.name, use.row.name]
        if found.status == "absent":
            yield _Finding(
                "PC0703",
                f"`{use.row.name}` is always absent",
                use.span,
                found.why,
                related,
                "comparisons with it are false there, whatever the sign",
            )


def _unknown(
    kernel: Match, profile: Profile, blocks: list[CheckedBlock], plan: n.Plan
) -> Iterator[_Finding]:
    """Enumerators that the kernel never hands over, at the rules that ask for them."""
    missing = {
        (found.name, name): found.c
        for found in kernel.enumerations_of(profile)
        for name in found.missing
    }
    for rule in (rule for block in blocks for rule in block.rules if missing):
        for name, member in _enumerators(rule.condition, plan):
            if (name, member) in missing:
                yield _Finding(
                    "PC0704",
                    f"`{member}` never occurs",
                    rule.span,
                    f"{missing[name, member]} has no {enumerations()[name].member(member).c}",
                    help=_OTHER_EVENT if name == "event" else "",
                )


def _enumerators(expr: n.Expr | None, plan: n.Plan) -> Iterator[tuple[str, str]]:
    """The enumerators in a condition, lets included: enumeration and member."""
    for item in reachable(plan, () if expr is None else (expr,)):
        match item:
            case n.Const(type, value) if type.kind is Kind.ENUM:
                yield type.enum, str(value)
            case _:
                pass
