"""`policyc compile`: a policy becomes files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyc.cli.common import (
    FINE,
    NO,
    Failure,
    NameList,
    diagnostics_format,
    echo,
    emit_json,
    flattened,
    plural,
    policy_file,
    profile_option,
    show_diagnostics,
    target_of,
    target_options,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.check.model import CheckResult
    from policyc.hooks.model import Profile
    from policyc.plan.nodes import Plan

__all__ = ["command"]

_DEFAULT_EMITS = ("c", "python", "manifest")

#: What a file is, by how its name ends; the longest ending comes first.
_KINDS = {
    ".bpf.c": "BPF C",
    ".bpf.o": "BPF object",
    ".host.sh": "settings of the machine",
    ".py": "Python module",
    ".json": "manifest",
}


def _emits() -> Sequence[str]:
    from policyc.emit.outputs import EMITS

    return tuple(EMITS)


@click.command("compile", short_help="Write a policy as BPF C, Python and a manifest.")
@policy_file
@click.option(
    "--output",
    "-o",
    "directory",
    metavar="DIR",
    default=".",
    type=click.Path(file_okay=False, path_type=str),
    help="Directory to write to, made if it is not there.  [default: the current one]",
)
@profile_option(
    "Compile for this kernel interface; repeatable, and with commas. "
    "[default: thp-v7 and numab-rfc1, whichever the policy has a block for]"
)
@click.option(
    "--emit",
    "emits",
    metavar="WHAT",
    multiple=True,
    type=NameList("kind of output", _emits),
    callback=flattened,
    help="What to write: c, python, manifest, object, host; repeatable, and with commas. "
    "[default: c,python,manifest]",
)
@click.option("--no-counters", is_flag=True, help="Do not count decisions per rule in BPF.")
@target_options
@diagnostics_format("full", "concise")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as a JSON document.")
def command(
    file: str,
    *,
    directory: str,
    profiles: tuple[str, ...],
    emits: tuple[str, ...],
    no_counters: bool,
    page_size: str,
    pmd_order: int | None,
    style: str,
    as_json: bool,
) -> int:
    """Write a policy as BPF C, Python and a manifest.

    NAME is that of the policy file without its ending, or that of the policy itself if it
    comes from standard input (`-`).

    \b
      c         NAME.bpf.c    BPF C, which needs only libbpf's headers
      python    NAME.py       a Python module without dependencies that decides the same
      manifest  NAME.json     what a loader needs: rules, maps, cgroups, what to attach where
      object    NAME.bpf.o    the compiled object (needs clang 15 or newer)
      host      NAME.host.sh  a script that applies the settings of the host block

    With several profiles of one hook each has a C file of its own, NAME.PROFILE.bpf.c.

    Files are written whole or not at all. Nothing is written before everything is made, so a
    failed compilation leaves earlier output as it was.

    \b
    Examples:
      policyc compile fleet.thp -o build
      policyc compile fleet.thp --profile thp-v12 --emit c,object
      policyc compile - --emit python < fleet.thp

    \b
    Exit codes:
      0  written
      1  the policy has errors
      2  wrong usage, or a file that cannot be read or written
      3  clang or libbpf's headers are missing
    """
    from policyc.check import check_text
    from policyc.cli.files import STANDARD_INPUT, read_policy, write_files

    data, name = read_policy(file)
    target = target_of(page_size, pmd_order)
    result = check_text(data, name, profiles=profiles or None, target=target)
    if not as_json:
        show_diagnostics(result.diagnostics, style, err=True)
    if result.plan is None:
        if as_json:
            _print_json(result, (), [])
            return NO
        from policyc.diagnostics.render import summary

        raise Failure(f"{name} is not compiled: {summary(result.diagnostics)}", NO)
    plan = result.plan
    chosen = _chosen(plan, profiles)
    stem = plan.name if name == STANDARD_INPUT else Path(file).stem or plan.name
    outputs = _outputs(plan, chosen, emits or _DEFAULT_EMITS, stem, counters=not no_counters)
    paths = write_files(Path(directory), outputs)
    written = list(zip(paths, map(len, outputs.values()), strict=True))
    if as_json:
        _print_json(result, chosen, written)
    else:
        _print_text(plan, chosen, written)
    return FINE


def _chosen(plan: Plan, names: Sequence[str]) -> tuple[Profile, ...]:
    """The profiles that were asked for, or those of the default ones that have a block."""
    from policyc.hooks.loader import DEFAULT_PROFILES, profiles

    known = profiles()
    if names:
        return tuple(known[name] for name in names)
    hooks = [hook.hook.value for hook in plan.hooks]
    return tuple(known[name] for name in DEFAULT_PROFILES if any(map(known[name].answers, hooks)))


def _outputs(
    plan: Plan, profiles: Sequence[Profile], emits: Sequence[str], stem: str, *, counters: bool
) -> dict[str, bytes]:
    """The contents of all files; a missing tool ends the run with exit code 3."""
    from policyc.cli.loading import loading
    from policyc.emit.outputs import build_outputs

    with loading():
        return build_outputs(plan, profiles, emits, stem=stem, counters=counters)


def _kind(path: Path) -> str:
    return next((kind for end, kind in _KINDS.items() if path.name.endswith(end)), "")


def _print_text(
    plan: Plan, profiles: Sequence[Profile], written: Sequence[tuple[Path, int]]
) -> None:
    from policyc.cli.tables import Column, count, table

    rows = [[str(path), f"{count(size)} bytes", _kind(path)] for path, size in written]
    columns = [Column(""), Column("", right=True), Column("")]
    echo(table(columns, rows, terminal()))
    parts = [
        (len(plan.rules), "rule"),
        (len(plan.sets), "set"),
        (len(plan.params), "parameter"),
        (len(plan.host), "host setting"),
    ]
    counted = ", ".join(plural(number, what) for number, what in parts if number)
    names = ", ".join(profile.name for profile in profiles)
    echo(f"policy {visible_lines(plan.name)} for {names}: {counted}")


def _print_json(
    result: CheckResult, profiles: Sequence[Profile], written: Sequence[tuple[Path, int]]
) -> None:
    import json

    from policyc.diagnostics.render import render_json

    plan = result.plan
    emit_json(
        {
            "policy": None if plan is None else plan.name,
            "profiles": [profile.name for profile in profiles],
            "files": [
                {"path": str(path), "bytes": size, "kind": _kind(path)} for path, size in written
            ],
            **json.loads(render_json(result.diagnostics)),
        }
    )
