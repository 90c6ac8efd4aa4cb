"""`policyc lint`: what experience with the kernel says about policies that are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    NO,
    NameList,
    diagnostics_format,
    echo,
    emit_json,
    flattened,
    profile_option,
    show_diagnostics,
    target_of,
    target_options,
    terminal,
)

if TYPE_CHECKING:
    from policyc.lint import Linted

__all__ = ["command"]

_STANDARD_INPUT = "-"


def _code_names() -> Sequence[str]:
    from policyc.diagnostics.codes import LINT_CODES

    return list(LINT_CODES)


_CODES = NameList("code", _code_names)


@click.command("lint", short_help="Say what in a policy is legal and seldom meant.")
@click.argument("files", metavar="[FILE|DIR]...", nargs=-1, type=click.Path(path_type=str))
@profile_option(
    "Judge by this kernel interface; repeatable, and with commas. "
    "[default: by what all of them have in common]"
)
@click.option("--fix", is_flag=True, help="Apply the fixes that are safe, and report the rest.")
@click.option(
    "--select",
    metavar="CODE",
    multiple=True,
    type=_CODES,
    callback=flattened,
    help="Only these rules; repeatable, and with commas.",
)
@click.option(
    "--ignore",
    metavar="CODE",
    multiple=True,
    type=_CODES,
    callback=flattened,
    help="Not these rules; repeatable, and with commas.",
)
@click.option("--list", "as_list", is_flag=True, help="List the rules instead.")
@diagnostics_format("full", "concise", "json", "sarif", "github")
@target_options
def command(  # noqa: PLR0917 - click passes them by name
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    fix: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    as_list: bool,
    style: str,
    page_size: str,
    pmd_order: int | None,
) -> int:
    """Say what in policies is legal and seldom what was meant.

    `check` says what is wrong with a policy; `lint` says where a policy that is right will
    surprise: settings that defeat it, answers that shut out more than they say, rules in an
    order that hardly helps. docs/lint has a page for each rule. Of a directory, every
    *.thp below it is read, but through no link that leads out of it. A policy with errors is
    not linted; its errors are shown. A file that is imported is judged too, once, by what can
    be said of definitions; `--fix` changes only files that are named, or below a directory
    that is.

    A comment with a reason accepts a finding: `# lint: allow PL004 only this cgroup maps it`,
    on the line of the statement or on the one above.

    \b
    Examples:
      policyc lint fleet.thp
      policyc lint policies/ --format concise
      policyc lint --fix policies/
      policyc lint fleet.thp --profile thp-v12 --ignore PL014,PL017
      policyc lint --list

    \b
    Exit codes:
      0  nothing found
      1  there are findings, or errors in a policy
      2  wrong usage, or a file that cannot be read or written
    """
    codes = [code for code in select or _code_names() if code not in ignore]
    if as_list:
        _print_rules(codes, style)
        return FINE
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    if fix and _STANDARD_INPUT in files:
        raise click.UsageError("--fix changes files, and '-' is none.")
    target = target_of(page_size, pmd_order)
    from policyc.cli.files import read_policy, replace_file
    from policyc.cli.places import policy_files

    texts = [read_policy(file) for file in policy_files(files)]
    from policyc.lint import lint_files

    linted = lint_files(texts, profiles=profiles, target=target, codes=codes, fix=fix)
    before = {name: data for data, name in texts}
    for each in linted:
        if each.applied:
            replace_file(each.name, before[each.name], each.data)
    if style == "json":
        _print_json(linted)
    elif style == "sarif":
        from policyc.diagnostics.sarif import render_sarif

        findings = [item for each in linted for item in each.result.findings]
        click.echo(render_sarif(findings))
    else:
        _print_text(linted, style)
    return NO if any(each.result.findings for each in linted) else FINE


def _print_text(linted: Sequence[Linted], style: str) -> None:
    from policyc.diagnostics.render import summary
    from policyc.diagnostics.visible import visible

    for each in linted:
        findings = each.result.findings
        if each.imported and not findings:
            continue
        show_diagnostics(findings, style, err=False)
        said = summary(findings) if findings else "ok"
        if each.applied:
            said += f", {each.applied} fix{'' if each.applied == 1 else 'es'} applied"
        if each.result.allowed:
            said += f", {len(each.result.allowed)} allowed by comments"
        echo(f"{visible(each.name)}: {said}")
    if len(linted) > 1:
        everything = [item for each in linted for item in each.result.findings]
        echo(f"{len(linted)} files: {summary(everything)}")


def _print_json(linted: Sequence[Linted]) -> None:
    """One document: what became of each file, and the diagnostics of all of them."""
    import json

    from policyc.diagnostics.render import render_json

    document = json.loads(render_json([d for each in linted for d in each.result.findings]))
    files = [
        {
            "file": each.name,
            "imported": each.imported,
            "checked": each.result.checked,
            "findings": len(each.result.findings),
            "allowed": len(each.result.allowed),
            "fixed": each.applied,
        }
        for each in linted
    ]
    emit_json({"files": files, **document})


def _print_rules(codes: Sequence[str], style: str) -> None:
    from policyc.diagnostics.codes import LINT_CODES
    from policyc.lint.rules import FIXING

    rules = [LINT_CODES[code] for code in codes]
    if style == "json":
        emit_json(
            {
                "rules": [
                    {
                        "code": rule.code,
                        "severity": rule.severity.value,
                        "title": rule.title,
                        "fix": rule.code in FIXING,
                    }
                    for rule in rules
                ]
            }
        )
        return
    from policyc.cli.tables import Column, table

    rows = [
        [rule.code, rule.severity.value, "yes" if rule.code in FIXING else "-", rule.title]
        for rule in rules
    ]
    headings = [Column(heading) for heading in ("code", "severity", "fix", "rule")]
    echo(table(headings, rows, terminal()))
