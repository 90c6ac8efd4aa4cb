"""What the verbs share: exit codes, failures, the terminal, and options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from policyc.diagnostics.model import Diagnostic
    from policyc.plan.nodes import Plan, Target

__all__ = [
    "CLOSED_PIPE",
    "FINE",
    "INTERRUPTED",
    "MISSING",
    "NO",
    "USAGE",
    "Failure",
    "NameList",
    "Terminal",
    "checked_plan",
    "checked_plan_of",
    "diagnostics_format",
    "did_you_mean",
    "echo",
    "emit_json",
    "flattened",
    "plural",
    "policy_file",
    "profile_option",
    "reason",
    "safe_number",
    "show_diagnostics",
    "target_of",
    "target_options",
    "terminal",
    "visible_lines",
]

FINE, NO, USAGE, MISSING = 0, 1, 2, 3

#: 128 + SIGINT and 128 + SIGPIPE, as shells report them.
INTERRUPTED, CLOSED_PIPE = 130, 141

#: The width where there is no terminal to ask.
_WIDTH = 100

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Failure(click.ClickException):
    """The end of a run: a message for people, perhaps with advice, and an exit code."""

    def __init__(self, message: str, code: int, advice: str = "") -> None:
        super().__init__(message)
        self.exit_code = code  # pyright: ignore[reportAttributeAccessIssue] - click reads it so
        self.advice = advice

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message to standard error."""
        click.echo(f"Error: {visible_lines(self.message)}", err=True)
        if self.advice:
            click.echo(f"  help: {visible_lines(self.advice)}", err=True)


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the place that output goes to can show."""

    color: bool
    width: int
    unicode: bool

    def paint(self, style: str, text: str) -> str:
        """The text in a style (an ANSI code), where there is colour."""
        return f"\x1b[{style}m{text}\x1b[0m" if self.color else text


def terminal(*, err: bool = False) -> Terminal:
    """What standard output, or standard error, can show."""
    stream = sys.stderr if err else sys.stdout
    interactive = stream.isatty()
    color = interactive and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
    return Terminal(color, _width(stream if interactive else None), encoding == "utf8")


def _width(stream: IO[str] | None) -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and 0 < len(columns) < 5 and int(columns):
        return int(columns)
    if stream is not None:
        try:
            return os.get_terminal_size(stream.fileno()).columns or _WIDTH
        except (OSError, ValueError):
            pass
    return _WIDTH


def reason(error: OSError | ValueError) -> str:
    """What the system says is wrong, without numbers."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def plural(number: int, what: str) -> str:
    """A number of things: `1 rule`, `2,000 rules`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def visible_lines(text: str) -> str:
    """Text of several lines with every other control character made visible."""
    from policyc.diagnostics.visible import visible

    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def echo(text: str = "", *, err: bool = False) -> None:
    """Print text whose colours, if any, are wanted."""
    click.echo(text, err=err, color=True)


def emit_json(document: object) -> None:
    """Print a JSON document, in ASCII."""
    import json

    click.echo(json.dumps(document, indent=2))


def safe_number(number: int) -> int | str:
    """A number for JSON: above 2^53 a decimal string, as not every reader is exact there."""
    return number if abs(number) < 1 << 53 else str(number)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known one, or all of a few."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(name, names, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"


if TYPE_CHECKING:
    _Names = click.ParamType[tuple[str, ...]]
else:
    _Names = click.ParamType


class NameList(_Names):
    """Names from a closed list, separated by commas; the value is a tuple of them."""

    def __init__(self, what: str, known: Callable[[], Sequence[str]]) -> None:
        self.name = what
        self._known = known

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names; a usage error that says what was meant if one is unknown."""
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType]
        names = tuple(part.strip() for part in str(value).split(",") if part.strip())
        known = self._known()
        for name in names:
            if name not in known:
                self.fail(f"unknown {self.name} {name!r}; {did_you_mean(name, known)}", param, ctx)
        if not names:
            self.fail(f"expected a {self.name}; there are {', '.join(known)}", param, ctx)
        return names

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that the last of the list can become."""
        done, comma, last = incomplete.rpartition(",")
        given = done.split(",")
        return [
            CompletionItem(done + comma + name)
            for name in self._known()
            if name.startswith(last) and name not in given
        ]


def flattened(
    _context: click.Context, _parameter: click.Parameter, value: Sequence[tuple[str, ...]]
) -> tuple[str, ...]:
    """The names of a repeatable list in one, without repetitions (a callback)."""
    return tuple(dict.fromkeys(name for names in value for name in names))


def _profile_names() -> Sequence[str]:
    from policyc.hooks.loader import profile_names

    return profile_names()


def profile_option(help: str) -> Callable[[_Function], _Function]:
    """`--profile NAME`, repeatable and with commas; gives `profiles`."""
    return click.option(
        "--profile",
        "-p",
        "profiles",
        metavar="NAME",
        multiple=True,
        type=NameList("profile", _profile_names),
        callback=flattened,
        help=help,
    )


_PAGE_SIZES = {"4K": 1 << 12, "16K": 1 << 14, "64K": 1 << 16}


def target_options(function: _Function) -> _Function:
    """`--page-size` and `--pmd-order`, for `target_of`."""
    page_size = click.option(
        "--page-size",
        metavar="4K|16K|64K",
        type=click.Choice(list(_PAGE_SIZES), case_sensitive=False),
        default="4K",
        show_default=True,
        help="Base page size of the kernel that the policy is for.",
    )
    pmd_order = click.option(
        "--pmd-order",
        metavar="N",
        type=click.IntRange(2, 20),
        help="Order of a PMD page; log2(page size / 8) if not given: 9, 11 or 13.",
    )
    return page_size(pmd_order(function))


def target_of(page_size: str, pmd_order: int | None) -> Target:
    """The memory geometry that the options say."""
    from policyc.plan.nodes import Target

    size = _PAGE_SIZES[page_size]
    return Target(size, (size // 8).bit_length() - 1 if pmd_order is None else pmd_order)


def policy_file(function: _Function) -> _Function:
    """The argument FILE; `-` is standard input."""
    return click.argument("file", metavar="FILE", type=click.Path(path_type=str))(function)


def diagnostics_format(*choices: str) -> Callable[[_Function], _Function]:
    """`--format`, how diagnostics are written; gives `style`."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(choices),
        default="full",
        show_default=True,
        help="How to write what was found: with the text and the places marked, "
        "one finding a line, or for other programs.",
    )


def show_diagnostics(diagnostics: Sequence[Diagnostic], style: str, *, err: bool) -> None:
    """Print what was found, `full`, `concise` or `github`, and nothing if that is nothing."""
    from policyc.diagnostics.render import render_concise, render_full

    if not diagnostics:
        return
    if style == "concise":
        echo(render_concise(diagnostics), err=err)
        return
    if style == "github":
        from policyc.diagnostics.github import render_github

        echo(render_github(diagnostics), err=err)
        return
    place = terminal(err=err)
    echo(render_full(diagnostics, color=place.color, width=place.width), err=err)
    echo(err=err)


def checked_plan(file: str, target: Target) -> Plan:
    """The plan of a policy whatever the profile; its errors end the run with exit code 1."""
    from policyc.cli.files import read_policy

    return checked_plan_of(*read_policy(file), target)


def checked_plan_of(data: bytes, name: str, target: Target) -> Plan:
    """The same of a policy that has been read."""
    from policyc.check import check_text
    from policyc.diagnostics.model import Severity
    from policyc.diagnostics.render import summary

    result = check_text(data, name, profiles=["testrun"], target=target)
    if result.plan is None:
        errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
        show_diagnostics(errors, "full", err=True)
        raise Failure(f"{name} cannot be used: {summary(errors)}", NO)
    return result.plan
