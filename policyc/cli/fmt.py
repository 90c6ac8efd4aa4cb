"""`policyc fmt`: policies in their canonical form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    Failure,
    echo,
    plural,
    show_diagnostics,
    terminal,
)

if TYPE_CHECKING:
    from policyc.diagnostics.model import Diagnostic
    from policyc.source import Source
    from policyc.syntax.tree import PolicyFile

__all__ = ["command", "formatted"]


@click.command("fmt", short_help="Write policies in their canonical form.")
@click.argument("files", metavar="FILE|DIR...", nargs=-1, type=click.Path(path_type=str))
@click.option("--check", is_flag=True, help="Write nothing; say which files would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(files: tuple[str, ...], *, check: bool, diff: bool) -> int:
    """Write policies in their canonical form, in place.

    Indentation, spaces, line ends and brackets become the same everywhere; comments stay, and
    so do empty lines between statements, one of several. The meaning never changes, and
    formatting twice is formatting once. A directory stands for all *.thp below it, without
    links that lead out of it; `-` reads standard input and writes standard output.

    A file with syntax errors is left as it is, and they are reported. A file is written whole
    or not at all, and not if it is read-only or has changed meanwhile. What is wrong with one
    file keeps none of the others from being formatted.

    \b
    Examples:
      policyc fmt fleet.thp
      policyc fmt policies/
      policyc fmt --check --diff .
      policyc fmt - <fleet.thp

    \b
    Exit codes:
      0  formatted; with --check or --diff: nothing would change
      1  syntax errors; with --check or --diff: something would change
      2  wrong usage, or a file that cannot be read or written
    """
    from policyc.cli.places import policy_files

    if not files:
        raise click.UsageError("Missing argument 'FILE|DIR...'.")
    codes: set[int] = {FINE}
    changed = 0
    paths = policy_files(files)
    for file in paths:
        try:
            is_same = _format(file, check=check, diff=diff)
        except Failure as failure:
            if len(paths) == 1:
                raise
            failure.show()
            codes.add(failure.exit_code)
            continue
        changed += is_same is False
        if is_same is None or (not is_same and (check or diff)):
            codes.add(NO)
    if check and changed:
        echo(f"{plural(changed, 'file')} would be formatted, of {len(paths)}", err=True)
    return max(codes)


def _format(file: str, *, check: bool, diff: bool) -> bool | None:
    """Do what was asked for with a file: whether it is as it should be, None if none can tell."""
    from policyc.cli.files import read_policy, replace_file
    from policyc.diagnostics.visible import visible

    data, name = read_policy(file)
    text, errors = formatted(data, name)
    if text is None:
        show_diagnostics(errors, "full", err=True)
        return None
    new = text.encode("utf-8", "surrogatepass")
    if diff and new != data:
        _print_diff(data, text, name)
    elif check and new != data:
        echo(f"{visible(name)}: would be formatted")
    elif file == "-" and not check and not diff:
        click.echo(new, nl=False)
    elif new != data and not check and not diff:
        replace_file(file, data, new)
        echo(f"{visible(name)}: formatted")
    return new == data


def formatted(data: bytes, name: str) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The formatted text of a policy, or None and its syntax errors."""
    from policyc.diagnostics.model import Diagnostics
    from policyc.syntax.formatter import format_source
    from policyc.syntax.parser import decode, parse

    diagnostics = Diagnostics()
    source = decode(data, name, diagnostics)
    file = parse(source, diagnostics) if source is not None else None
    if source is None or file is None or diagnostics.has_errors:
        return None, diagnostics.sorted(name)
    text = format_source(source, file)
    _check_meaning(source, file, text)
    return text, ()


def _check_meaning(source: Source, file: PolicyFile, text: str) -> None:
    """Make sure that nothing of the policy was lost; what follows would be a defect of ours."""
    from policyc.diagnostics.model import Diagnostics
    from policyc.source import Source
    from policyc.syntax.formatter import comments_of
    from policyc.syntax.parser import parse
    from policyc.syntax.printer import format_policy

    written = Source(source.name, text)
    again = parse(written, Diagnostics())
    same = again is not None and format_policy(again) == format_policy(file)
    if not same or sorted(comments_of(written)) != sorted(comments_of(source)):
        raise Failure(
            f"{source.name} would not mean the same, which is a defect of policyc; "
            "it is left as it is",
            MISSING,
            "report it with the policy",
        )


def _print_diff(data: bytes, text: str, name: str) -> None:
    import difflib
    from io import StringIO

    from policyc.diagnostics.visible import visible

    place = terminal()
    old = StringIO(data.decode("utf-8", "replace"), newline="\n").readlines()
    new = StringIO(text, newline="\n").readlines()
    styles = {"-": "31", "+": "32", "@": "36"}
    for line in difflib.unified_diff(old, new, name, f"{name} (formatted)"):
        shown = visible(line.rstrip("\r\n"))
        style = "" if line.startswith(("---", "+++")) else styles.get(line[0], "")
        echo(place.paint(style, shown) if style else shown)
        if not line.endswith("\n"):
            echo("\\ No newline at end of file")
