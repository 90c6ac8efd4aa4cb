"""Text to plan: parsing, names, types, ranges, reachability, and what each profile loses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from policyc.check.blocks import CheckedBlock, check_block
from policyc.check.declarations import (
    check_declarations,
    check_name,
    report_unused,
    set_definitions,
)
from policyc.check.expressions import Expressions
from policyc.check.host import check_host
from policyc.check.literals import suggest
from policyc.check.lower import lower
from policyc.check.model import CheckResult, Declarations
from policyc.check.profiles import check_attributes, check_profiles
from policyc.check.truth import Truth
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import DEFAULT_PROFILES, profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.source import Span
from policyc.syntax import tree as t
from policyc.syntax.parser import decode, parse

__all__ = ["CheckResult", "check_text"]

#: A rule's number plus one is 16 bits wide in the answers of the testrun profile.
_MAX_RULES = 65_000


def check_text(
    text: str | bytes,
    name: str,
    *,
    profiles: Sequence[str] | None = None,
    target: n.Target | None = None,
) -> CheckResult:
    """Check a policy for the named profiles (default: thp-v7 and numab-rfc1).

    `name` is what diagnostics call the file. Raises KeyError for an unknown profile;
    whatever is wrong with the text is in the result.
    """
    diagnostics = Diagnostics()
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    source = decode(data, name, diagnostics)
    file = parse(source, diagnostics) if source is not None else None
    if file is not None:
        with suppress(_StopError):
            plan, blocks = _check_file(file, profiles, target or n.Target(), diagnostics)
            if not diagnostics.has_errors:
                return CheckResult(plan, diagnostics.sorted(), tuple(blocks))
    return CheckResult(None, diagnostics.sorted())


class _StopError(Exception):
    """A stage cannot go on; what is wrong has been reported."""


def _check_file(
    file: t.PolicyFile,
    profile_names: Sequence[str] | None,
    target: n.Target,
    diagnostics: Diagnostics,
) -> tuple[n.Plan, list[CheckedBlock]]:
    if any(item.code == "PC0106" for item in diagnostics.items):
        raise _StopError
    declarations = Declarations(diagnostics, target)
    check_name(file.name, "policy", diagnostics)
    expressions = check_declarations(file, declarations)
    sets = set_definitions(declarations)
    blocks = _blocks(file, declarations, expressions)
    combine = _combine(file, blocks, diagnostics)
    host_items = [item for item in file.items if isinstance(item, t.HostItem)]
    has_thp = any(block.hook is n.HookName.THP for block in blocks)
    host = check_host(host_items, target, has_thp, diagnostics)
    chosen = _chosen(file, profile_names, blocks, diagnostics)
    check_attributes(blocks, chosen, diagnostics)
    report_unused(declarations, file.source)
    if diagnostics.has_errors:
        raise _StopError
    check_profiles(blocks, combine, host, chosen, declarations.let_exprs, diagnostics)
    return lower(file, declarations, sets, blocks, combine, host), blocks


def _blocks(
    file: t.PolicyFile, declarations: Declarations, expressions: Expressions
) -> list[CheckedBlock]:
    diagnostics = declarations.diagnostics
    truth = Truth(
        {name: p for name, p in declarations.checked_params.items() if p is not None},
        declarations.let_exprs,
        declarations.path_names.__getitem__,
    )
    labels: dict[str, Span] = {}
    items = [item for item in file.items if isinstance(item, t.BlockItem)]
    blocks = [check_block(item, declarations, expressions, truth, labels) for item in items]
    if not items:
        diagnostics.add(
            "PC0508",
            "the policy answers nothing: it has no thp and no numa block",
            file.name.span,
            help="add `thp { ... otherwise pass; }`",
        )
    if sum(len(block.rules) for block in blocks) > _MAX_RULES:
        diagnostics.add(
            "PC0512",
            f"the policy has more than {_MAX_RULES} rules",
            file.name.span,
            help="use sets, which have room for many cgroups and can be changed live",
        )
    return blocks


def _combine(
    file: t.PolicyFile, blocks: list[CheckedBlock], diagnostics: Diagnostics
) -> dict[n.HookName, n.Combine]:
    combine = {n.HookName.THP: n.Combine.MEET, n.HookName.NUMA: n.Combine.NEAREST}
    said: dict[n.HookName, Span] = {}
    for item in [item for item in file.items if isinstance(item, t.CombineItem)]:
        known = True
        for word, words in ((item.hook, n.HookName), (item.mode, n.Combine)):
            if word.text not in [member.value for member in words]:
                known = False
                diagnostics.add(
                    "PC0208",
                    f"`{word.text}` is no {'hook' if words is n.HookName else 'way to combine'}",
                    word.span,
                    help=suggest(word.text, [member.value for member in words]),
                )
        if not known:
            continue
        hook = n.HookName(item.hook.text)
        if hook in said:
            diagnostics.add(
                "PC0506",
                f"how to combine {hook.value} is said twice",
                item.span,
                related=(Label(said[hook], "said here first"),),
                help="keep one of them",
            )
        elif all(block.hook is not hook for block in blocks):
            diagnostics.add(
                "PC0513",
                f"there is no {hook.value} block whose decisions could be combined",
                item.span,
                help="remove this line",
            )
        said.setdefault(hook, item.span)
        combine[hook] = n.Combine(item.mode.text)
    _same_scope(blocks, combine, diagnostics)
    return combine


def _same_scope(
    blocks: list[CheckedBlock], combine: dict[n.HookName, n.Combine], diagnostics: Diagnostics
) -> None:
    seen: dict[tuple[n.HookName, str | None], CheckedBlock] = {}
    for block in blocks:
        key = (block.hook, block.scope)
        if key in seen and combine[block.hook] is not n.Combine.MEET:
            diagnostics.add(
                "PC0507",
                f"two {block.hook.value} blocks have the same scope, and "
                f"`{combine[block.hook].value}` cannot tell them apart",
                block.item.header,
                related=(Label(seen[key].item.header, "the other one"),),
                help="make one block of them, or combine by meet",
            )
        seen.setdefault(key, block)


def _chosen(
    file: t.PolicyFile,
    names: Sequence[str] | None,
    blocks: list[CheckedBlock],
    diagnostics: Diagnostics,
) -> list[Profile]:
    """The profiles to check for; one that was asked for must have something to answer."""
    chosen = [profiles()[name] for name in names or DEFAULT_PROFILES]
    if not blocks:
        return chosen
    for profile in chosen:
        if names is not None and not any(profile.answers(b.hook.value) for b in blocks):
            diagnostics.add(
                "PC0602",
                f"{profile.name} is an interface for {profile.hook}, and the policy has no "
                f"{profile.hook} block",
                file.name.span,
                help=f"leave {profile.name} out, or add a {profile.hook} block",
            )
    return chosen
