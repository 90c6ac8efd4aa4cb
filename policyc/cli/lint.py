"""`policyc lint`: what experience with the kernel says about policies that are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from policyc.cli.common import (
    FINE,
    NO,
    USAGE,
    Failure,
    NameList,
    diagnostics_format,
    echo,
    emit_json,
    flattened,
    profile_option,
    reason,
    show_diagnostics,
    target_of,
    target_options,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.diagnostics.model import Diagnostic

__all__ = ["command"]

_STANDARD_INPUT = "-"


class _Linted(NamedTuple):
    """What became of one file."""

    name: str
    findings: Sequence[Diagnostic]
    checked: bool
    allowed: int
    fixed: int


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
    *.thp below it is read. A policy with errors is not linted; its errors are shown.

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
    from policyc.cli.files import read_policy

    texts = [read_policy(file) for file in _policies(files)]
    from policyc.lint import fix_text, lint_text

    linted: list[_Linted] = []
    changed: dict[str, bytes] = {}
    for data, name in texts:
        applied = 0
        if fix:
            done = fix_text(data, name, profiles=profiles, target=target, codes=codes)
            result, applied = done.left, done.applied
            if applied:
                changed[name] = done.data
        else:
            result = lint_text(data, name, profiles=profiles, target=target, codes=codes)
        linted.append(_Linted(name, result.findings, result.checked, len(result.allowed), applied))
    _write(changed)
    if style == "json":
        _print_json(linted)
    elif style == "sarif":
        from policyc.diagnostics.sarif import render_sarif

        click.echo(render_sarif([item for each in linted for item in each.findings]))
    else:
        _print_text(linted, style)
    return NO if any(each.findings for each in linted) else FINE


def _policies(files: Sequence[str]) -> list[str]:
    """The files, with the policies below a directory in its place; each once."""
    found: list[str] = []
    for file in files:
        path = Path(file)
        if file == _STANDARD_INPUT or not path.is_dir():
            found.append(file)
            continue
        try:
            below = sorted(str(policy) for policy in path.rglob("*.thp") if policy.is_file())
        except OSError as error:
            raise Failure(f"cannot read {file}: {reason(error)}", USAGE) from None
        if not below:
            raise Failure(f"there is no policy (*.thp) in {file}", USAGE)
        found += below
    return list(dict.fromkeys(found))


def _write(changed: dict[str, bytes]) -> None:
    """Replace each file that was fixed in one step."""
    from policyc.cli.files import write_files

    for name, data in changed.items():
        path = Path(name)
        write_files(path.parent, {path.name: data})


def _print_text(linted: Sequence[_Linted], style: str) -> None:
    from policyc.diagnostics.render import summary

    for each in linted:
        show_diagnostics(each.findings, style, err=False)
        said = summary(each.findings) if each.findings else "ok"
        if each.fixed:
            said += f", {each.fixed} fix{'' if each.fixed == 1 else 'es'} applied"
        if each.allowed:
            said += f", {each.allowed} allowed by comments"
        echo(f"{visible_lines(each.name)}: {said}")
    if len(linted) > 1:
        everything = [item for each in linted for item in each.findings]
        echo(f"{len(linted)} files: {summary(everything)}")


def _print_json(linted: Sequence[_Linted]) -> None:
    """One document: what became of each file, and the diagnostics of all of them."""
    import json

    from policyc.diagnostics.render import render_json

    document = json.loads(render_json([item for each in linted for item in each.findings]))
    files = [
        {
            "file": each.name,
            "checked": each.checked,
            "findings": len(each.findings),
            "allowed": each.allowed,
            "fixed": each.fixed,
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
