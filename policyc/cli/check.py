"""`policyc check`: everything that is to be said about some policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.diagnostics.model import Diagnostic

__all__ = ["command"]


@click.command("check", short_help="Say everything that is wrong with a policy.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=str))
@profile_option(
    "Check for this kernel interface too; repeatable, and with commas. "
    "[default: thp-v7, numab-rfc1]"
)
@diagnostics_format("full", "concise", "json")
@target_options
def command(
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    style: str,
    page_size: str,
    pmd_order: int | None,
) -> int:
    """Say everything that is wrong with policies, or could be better.

    One run reports every mistake, not only the first: errors, which stop compilation,
    warnings, and notes on what a kernel interface cannot express. `-` is standard input.

    `--format json` prints one document for all files; docs/reference/cli.md describes it.

    \b
    Examples:
      policyc check fleet.thp
      policyc check examples/*.thp --format concise
      policyc check fleet.thp --profile thp-v9,mthp-v2
      policyc check --page-size 64K fleet.thp

    \b
    Exit codes:
      0  no errors; there may be warnings and notes
      1  at least one file has errors
      2  wrong usage, or a file that cannot be read
    """
    from policyc.check import check_text
    from policyc.cli.files import read_policy

    target = target_of(page_size, pmd_order)
    texts = [read_policy(file) for file in files]
    results = [
        (name, check_text(data, name, profiles=profiles or None, target=target))
        for data, name in texts
    ]
    found = [(name, result.diagnostics) for name, result in results]
    if style == "json":
        _print_json(found)
    else:
        _print_text(found, style)
    return FINE if all(result.plan is not None for _, result in results) else NO


def _print_text(found: list[tuple[str, tuple[Diagnostic, ...]]], style: str) -> None:
    from policyc.diagnostics.render import summary

    for name, diagnostics in found:
        show_diagnostics(diagnostics, style, err=False)
        if not diagnostics:
            echo(f"{visible_lines(name)}: ok")
        elif len(found) == 1:
            echo(f"{visible_lines(name)}: {summary(diagnostics)}")
    if len(found) > 1:
        everything = [item for _, diagnostics in found for item in diagnostics]
        echo(f"{len(found)} files: {summary(everything)}")


def _print_json(found: list[tuple[str, tuple[Diagnostic, ...]]]) -> None:
    """The document of all diagnostics, with what became of each file in front."""
    import json

    from policyc.diagnostics.model import Severity
    from policyc.diagnostics.render import render_json

    document = json.loads(render_json([item for _, items in found for item in items]))
    files = [
        {
            "file": name,
            **{
                f"{severity.value}s": sum(item.severity is severity for item in items)
                for severity in Severity
            },
        }
        for name, items in found
    ]
    click.echo(json.dumps({"files": files, **document}, indent=2))
