"""`policyc check`: everything that is to be said about some policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    NO,
    diagnostics_format,
    echo,
    profile_option,
    show_diagnostics,
    target_of,
    target_options,
)

if TYPE_CHECKING:
    from policyc.check import CheckResult
    from policyc.check.kernels import Verdict
    from policyc.diagnostics.model import Diagnostic
    from policyc.hooks.btf.match import Match
    from policyc.plan.nodes import Target

__all__ = ["command"]


@click.command("check", short_help="Say everything that is wrong with a policy.")
@click.argument("files", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=str))
@profile_option(
    "Check for this kernel interface too; repeatable, and with commas. "
    "[default: thp-v7, numab-rfc1; with --btf, what the kernels offer]"
)
@click.option(
    "--btf",
    "places",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=str),
    help="Check whether the kernel with these types runs the policies: /sys/kernel/btf/vmlinux, "
    "a vmlinux image, a module after its kernel, or a directory of them; repeatable.",
)
@diagnostics_format("full", "concise", "json", "sarif", "github")
@target_options
def command(  # noqa: PLR0917 - click passes them by name
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    places: tuple[str, ...],
    style: str,
    page_size: str,
    pmd_order: int | None,
) -> int:
    """Say everything that is wrong with policies, or could be better.

    One run reports every mistake, not only the first: errors, which stop compilation,
    warnings, and notes on what a kernel interface cannot express; in the files that a policy
    imports, too. A file of definitions, without `policy NAME;`, is checked by itself. Of a
    directory, every *.thp below it is checked, but none of hidden directories, and through no
    link that leads out of it. `-` is standard input, whose imports are relative to the current
    directory.

    With `--btf`, each kernel is compared with the kernel interfaces that policyc knows, and
    the policies with what it offers: an attribute or an event that it lacks is a finding.
    Without a policy, that is all.

    `--format json` prints one document for all files; docs/reference/cli.md describes it.
    `sarif` is for services that show the findings of many tools, `github` for a workflow, whose
    findings then stand beside the lines of a pull request.

    \b
    Examples:
      policyc check fleet.thp
      policyc check examples --format concise
      policyc check fleet.thp --profile thp-v9,mthp-v2
      policyc check --page-size 64K fleet.thp
      policyc check fleet.thp --btf /sys/kernel/btf

    \b
    Exit codes:
      0  no errors; there may be warnings and notes
      1  at least one file has errors, or cannot run on one of the kernels
      2  wrong usage, or a file that cannot be read
    """
    from policyc.check import check_text
    from policyc.cli.files import read_policy
    from policyc.cli.places import policy_files

    if not files and not places:
        raise click.UsageError("Missing argument '[FILE|DIR]...'.")
    target = target_of(page_size, pmd_order)
    texts = [read_policy(file) for file in policy_files(files)]
    if places:
        return _check_kernels(texts, places, profiles, target, style)
    results = [
        (name, check_text(data, name, profiles=profiles or None, target=target, library=True))
        for data, name in texts
    ]
    found = [(name, result.diagnostics) for name, result in results]
    _print(found, style, imports={name: result.imports for name, result in results})
    return FINE if all(result.is_fine for _, result in results) else NO


def _check_kernels(
    texts: list[tuple[bytes, str]],
    places: tuple[str, ...],
    profiles: tuple[str, ...],
    target: Target,
    style: str,
) -> int:
    """Check policies for some kernels too; the exit code."""
    from policyc.cli import kernels as shown
    from policyc.diagnostics.model import Diagnostics

    kernels = shown.read_kernels(places)
    found: list[tuple[str, tuple[Diagnostic, ...]]] = []
    verdicts: dict[str, list[Verdict]] = {}
    imports: dict[str, tuple[str, ...]] = {}
    fine = True
    for data, name in texts:
        result, said, verdicts[name] = _check_on(data, name, kernels, profiles, target)
        imports[name] = result.imports
        found.append((name, Diagnostics([*result.diagnostics, *said]).sorted(name)))
        fine = fine and result.is_fine and all(v.runs for v in verdicts[name])
    more = {
        "kernels": shown.document(kernels),
        "verdicts": shown.verdict_documents(verdicts),
    }
    _print(found, style, more, imports=imports)
    if style not in ("json", "sarif"):
        shown.print_kernels(kernels, after=bool(texts))
        shown.print_verdicts(verdicts)
    return FINE if fine else NO


def _check_on(
    data: bytes, name: str, kernels: dict[str, Match], profiles: tuple[str, ...], target: Target
) -> tuple[CheckResult, tuple[Diagnostic, ...], list[Verdict]]:
    """A policy checked for the named profiles, or those that it can use on the kernels."""
    from policyc.check import check_text
    from policyc.check.kernels import check_kernels

    result = check_text(data, name, profiles=profiles or ("testrun",), target=target, library=True)
    if result.plan is None:
        return result, (), []
    verdicts, said = check_kernels(result, kernels, profiles)
    able = {p for verdict in verdicts for names in verdict.hooks.values() for p in names}
    if able and not profiles:
        result = check_text(data, name, profiles=sorted(able), target=target)
    return result, said, verdicts


def _print(
    found: list[tuple[str, tuple[Diagnostic, ...]]],
    style: str,
    more: dict[str, Any] | None = None,
    *,
    imports: dict[str, tuple[str, ...]],
) -> None:
    match style:
        case "json":
            _print_json(found, more, imports=imports)
        case "sarif":
            from policyc.diagnostics.sarif import render_sarif

            click.echo(render_sarif([item for items in _said_once(found) for item in items]))
        case _:
            _print_text(found, style)


def _said_once(found: list[tuple[str, tuple[Diagnostic, ...]]]) -> list[list[Diagnostic]]:
    """The findings of each file but those in a file that an earlier one imports as well."""
    said: set[tuple[str, str, int, int, str]] = set()
    kept: list[list[Diagnostic]] = []
    for _, items in found:
        keys = [
            (item.code, item.span.source.name, item.span.start, item.span.end, item.message)
            for item in items
        ]
        kept.append([item for key, item in zip(keys, items, strict=True) if key not in said])
        said.update(keys)
    return kept


def _print_text(found: list[tuple[str, tuple[Diagnostic, ...]]], style: str) -> None:
    from policyc.diagnostics.render import summary
    from policyc.diagnostics.visible import visible

    kept = _said_once(found)
    for (name, diagnostics), said in zip(found, kept, strict=True):
        show_diagnostics(said, style, err=False)
        if not diagnostics:
            echo(f"{visible(name)}: ok")
        elif len(found) == 1:
            echo(f"{visible(name)}: {summary(diagnostics)}")
    if len(found) > 1:
        echo(f"{len(found)} files: {summary([item for said in kept for item in said])}")


def _print_json(
    found: list[tuple[str, tuple[Diagnostic, ...]]],
    more: dict[str, Any] | None = None,
    *,
    imports: dict[str, tuple[str, ...]],
) -> None:
    """The document of all diagnostics, with what became of each file in front."""
    import json

    from policyc.diagnostics.model import Severity
    from policyc.diagnostics.render import render_json

    document = json.loads(render_json([item for items in _said_once(found) for item in items]))
    files = [
        {
            "file": name,
            **{
                f"{severity.value}s": sum(item.severity is severity for item in items)
                for severity in Severity
            },
            "imports": list(imports[name]),
        }
        for name, items in found
    ]
    click.echo(json.dumps({"files": files, **document, **(more or {})}, indent=2))
