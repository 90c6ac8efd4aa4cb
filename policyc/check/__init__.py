"""Text to plan: parsing, names, types, ranges, reachability, and what each profile loses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from policyc.check.blocks import CheckedBlock, check_block
from policyc.check.declarations import (
    check_declarations,
    check_name,
    report_unused,
    report_unused_imports,
    set_definitions,
)
from policyc.check.expressions import Expressions
from policyc.check.host import check_host
from policyc.check.literals import suggest
from policyc.check.lower import lower
from policyc.check.model import CheckResult, Declarations, Linked, Read
from policyc.check.profiles import check_attributes, check_profiles
from policyc.check.truth import Truth
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import DEFAULT_PROFILES, profiles
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.source import Span
from policyc.syntax import tree as t
from policyc.syntax.parser import decode, parse

if TYPE_CHECKING:
    from policyc.plan.cases import Property, TestCase

__all__ = ["CheckResult", "check_text"]

#: A rule's number plus one is 16 bits wide in the answers of the testrun profile.
_MAX_RULES = 65_000


def check_text(
    text: str | bytes,
    name: str,
    *,
    profiles: Sequence[str] | None = None,
    target: n.Target | None = None,
    read: Read | None = None,
    library: bool = False,
) -> CheckResult:
    """Check a policy for the named profiles (default: thp-v7 and numab-rfc1).

    `name` is what diagnostics call the file, and where its imports start from. `read` gives
    the bytes of an imported file; without it they come from the disk. With `library` the
    text may be a file of definitions, which has no plan. Raises KeyError for an unknown
    profile; whatever is wrong with the text is in the result.
    """
    diagnostics = Diagnostics()
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    source = decode(data, name, diagnostics)
    file = parse(source, diagnostics) if source is not None else None
    linked = _linked(file, diagnostics, read) if file is not None else None
    if linked is not None:
        imports, is_library = linked.files, library and linked.file.name is None
        with suppress(_StopError):
            if is_library:
                used = _check_library(linked, target or n.Target(), diagnostics)
                found = diagnostics.sorted(name)
                return CheckResult(None, found, (), imports, True, linked.file, used)
            plan, blocks, used = _check_file(linked, profiles, target or n.Target(), diagnostics)
            if not diagnostics.has_errors:
                found = diagnostics.sorted(name)
                return CheckResult(plan, found, tuple(blocks), imports, False, linked.file, used)
        return CheckResult(None, diagnostics.sorted(name), (), imports)
    return CheckResult(None, diagnostics.sorted(name))


class _StopError(Exception):
    """A stage cannot go on; what is wrong has been reported."""


def _linked(file: t.PolicyFile, diagnostics: Diagnostics, read: Read | None) -> Linked:
    """The policy with what it imports."""
    if not any(isinstance(item, t.ImportItem) for item in file.items):
        return Linked(file)
    from policyc.check.imports import link

    return link(file, diagnostics, read)


def _promises(
    file: t.PolicyFile, declarations: Declarations, expressions: Expressions
) -> tuple[tuple[TestCase, ...], tuple[Property, ...]]:
    """The tests and properties of the policy."""
    if not any(isinstance(item, t.TestItem | t.PropertyItem) for item in file.items):
        return (), ()
    from policyc.check.promises import check_promises

    return check_promises(file, declarations, expressions)


def _declared(
    linked: Linked, target: n.Target, diagnostics: Diagnostics
) -> tuple[Declarations, Expressions, tuple[n.SetDefinition, ...]]:
    if any(item.code == "PC0106" for item in diagnostics.items):
        raise _StopError
    declarations = Declarations(diagnostics, target)
    declarations.broken |= linked.broken
    declarations.imported = linked.imported
    declarations.written = linked.written
    if linked.file.name is not None:
        check_name(linked.file.name, "policy", diagnostics)
    expressions = check_declarations(linked.file, declarations)
    return declarations, expressions, set_definitions(declarations)


def _check_library(linked: Linked, target: n.Target, diagnostics: Diagnostics) -> frozenset[str]:
    """A file of definitions, in which others use what is declared; what it uses itself."""
    declarations, _, _ = _declared(linked, target, diagnostics)
    declarations.use_what_lets_need()
    report_unused_imports(linked.brought, declarations)
    if diagnostics.has_errors:
        raise _StopError
    return frozenset(declarations.used)


def _check_file(
    linked: Linked,
    profile_names: Sequence[str] | None,
    target: n.Target,
    diagnostics: Diagnostics,
) -> tuple[n.Plan, list[CheckedBlock], frozenset[str]]:
    file = linked.file
    declarations, expressions, sets = _declared(linked, target, diagnostics)
    blocks = _blocks(file, declarations, expressions)
    combine = _combine(file, blocks, diagnostics)
    host_items = [item for item in file.items if isinstance(item, t.HostItem)]
    has_thp = any(block.hook is n.HookName.THP for block in blocks)
    host = check_host(host_items, target, has_thp, diagnostics)
    chosen = _chosen(file, profile_names, blocks, diagnostics)
    check_attributes(blocks, chosen, diagnostics)
    tests, properties = _promises(file, declarations, expressions)
    declarations.use_what_lets_need()
    report_unused(declarations, file.source)
    report_unused_imports(linked.brought, declarations)
    if diagnostics.has_errors:
        raise _StopError
    check_profiles(blocks, combine, host, chosen, declarations.let_exprs, diagnostics)
    plan = lower(file, declarations, sets, blocks, combine, host)
    whole = replace(plan, tests=tests, properties=properties)
    return whole, blocks, frozenset(declarations.used)


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
            "the policy answers nothing: it has no thp and no numa block"
            if file.name is not None
            else "this is a file of definitions for others to import, and no policy",
            _title(file),
            help="add `thp { ... otherwise pass; }`"
            if file.name is not None
            else "a policy begins with `policy NAME;`",
        )
    if sum(len(block.rules) for block in blocks) > _MAX_RULES:
        diagnostics.add(
            "PC0512",
            f"the policy has more than {_MAX_RULES} rules",
            _title(file),
            help="use sets, which have room for many cgroups and can be changed live",
        )
    return blocks


def _title(file: t.PolicyFile) -> Span:
    """The place for what is to be said of a file as a whole."""
    return file.name.span if file.name is not None else Span(file.source, 0, 0)


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
                _title(file),
                help=f"leave {profile.name} out, or add a {profile.hook} block",
            )
    return chosen
