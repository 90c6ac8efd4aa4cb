"""`policyc workload check`: what is wrong with workloads, and what they amount to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from policyc.cli.common import (
    FINE,
    NO,
    USAGE,
    Failure,
    echo,
    emit_json,
    plural,
    reason,
    safe_number,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.simulate.workload.reader import Examined
    from policyc.simulate.workload.summary import Summary

__all__ = ["command"]


@click.command("check", short_help="Say what is wrong with a workload.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=str))
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change a key first, such as machine.swap=4G or size=16G; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(files: tuple[str, ...], overrides: tuple[str, ...], as_json: bool) -> int:
    """Say what is wrong with workloads, and what they amount to.

    FILE is a file, the name of a shipped workload (`policyc workload list`), or `-` for
    standard input. One run reports every mistake. Warnings are about what is hardly meant.

    \b
    Examples:
      policyc workload check mine.toml
      policyc workload check mixed-host --set processes.web.count=20
      policyc workload check *.toml --json | jq '.files[] | select(.errors > 0).file'

    \b
    Exit codes:
      0  no errors; there may be warnings
      1  at least one workload has errors
      2  wrong usage, or a file that cannot be read
    """
    from policyc.simulate.workload.reader import examine_workload

    texts = [_read(file) for file in files]
    found = [(name, examine_workload(text, name, overrides)) for text, name in texts]
    if as_json:
        emit_json({"files": [_document(name, examined) for name, examined in found]})
    else:
        for number, (name, examined) in enumerate(found):
            if number:
                echo()
            _print(name, examined)
    return FINE if all(examined.workload is not None for _, examined in found) else NO


def _read(file: str) -> tuple[bytes, str]:
    """The text of a workload, and what messages call it."""
    from policyc.cli.files import STANDARD_INPUT
    from policyc.simulate.workload import shipped
    from policyc.simulate.workload.reader import MOST

    try:
        if file == "-":
            if sys.stdin is None:
                raise OSError(0, "It is closed")
            return sys.stdin.buffer.read(MOST + 1), STANDARD_INPUT
        path = shipped.workload(file)
        with path.open("rb") as stream:
            return stream.read(MOST + 1), file if str(path) == file else path.name
    except FileNotFoundError as error:
        raise Failure(str(error), USAGE) from None
    except (OSError, ValueError) as error:
        raise Failure(f"cannot read {file}: {reason(error)}", USAGE) from None


def _counts(examined: Examined) -> tuple[int, int]:
    warnings = sum(finding.warning for finding in examined.findings)
    return len(examined.findings) - warnings, warnings


def _print(name: str, examined: Examined) -> None:
    from policyc.simulate.workload.summary import summarise

    for finding in examined.findings:
        place = f"{name}:{finding.line}" if finding.line else name
        severity = "warning" if finding.warning else "error"
        echo(visible_lines(f"{place}: {severity}: {finding}"))
    errors, warnings = _counts(examined)
    if examined.workload is None:
        more = f", {plural(warnings, 'warning')}" if warnings else ""
        echo(visible_lines(f"{name}: {plural(errors, 'error')}{more}"))
        return
    echo(visible_lines(f"{name}: ok" + (f", {plural(warnings, 'warning')}" if warnings else "")))
    echo(visible_lines(_paragraph(summarise(examined.workload))))


def _paragraph(summary: Summary) -> str:
    import textwrap

    nodes = f"{plural(summary.nodes, 'node')} with {_bytes(summary.machine_memory)}"
    running = f"{summary.processes:,} process{'' if summary.processes == 1 else 'es'}"
    about = "about " if summary.estimated else ""
    text = (
        f"{summary.description.strip() or summary.name}. "
        f"{nodes} and {plural(summary.cpus, 'CPU')}; {running} in "
        f"{plural(summary.cgroups, 'cgroup')}, {plural(summary.threads, 'thread')}, "
        f"{_bytes(summary.memory)} of mappings, about {_number(summary.touches)} page touches "
        f"in {about}{_seconds(summary.seconds)}."
    )
    width = min(terminal().width, 100)
    return textwrap.fill(" ".join(text.split()), width, initial_indent="  ", subsequent_indent="  ")


def _bytes(size: int) -> str:
    """A size to three digits: "3.25 GiB"."""
    for unit, scale in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= scale:
            return (
                f"{size / scale:.3g} {unit}" if size < 1000 * scale else f"{size // scale} {unit}"
            )
    return f"{size / 1024:.3g} KiB"


def _number(count: int) -> str:
    """A count to three digits: "12.3 million"."""
    for word, scale in (("billion", 10**9), ("million", 10**6)):
        if count >= scale:
            return (
                f"{count / scale:,.3g} {word}"
                if count < 1000 * scale
                else f"{count // scale:,} {word}"
            )
    return f"{count:,}"


def _seconds(seconds: float) -> str:
    if seconds >= 600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.3g} s"


def _document(name: str, examined: Examined) -> dict[str, Any]:
    from policyc.simulate.workload.summary import document, summarise

    errors, warnings = _counts(examined)
    summary = None
    if examined.workload is not None:
        summary = {
            key: safe_number(value)
            if isinstance(value, int) and not isinstance(value, bool)
            else value
            for key, value in document(summarise(examined.workload)).items()
        }
    return {
        "file": name,
        "errors": errors,
        "warnings": warnings,
        "findings": [
            {
                "severity": "warning" if finding.warning else "error",
                "path": finding.path,
                "line": finding.line,
                "message": finding.message,
            }
            for finding in examined.findings
        ],
        "summary": summary,
    }
