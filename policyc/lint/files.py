"""Several files with what they import: each is judged once, and fixed only if it was named."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from policyc.check import CheckResult, check_text
from policyc.check.model import Read
from policyc.diagnostics.codes import LINT_CODES
from policyc.diagnostics.model import Diagnostics
from policyc.lint.expressions import changed_by_tests
from policyc.lint.fixes import apply_fixes
from policyc.lint.judgement import LintResult, judge
from policyc.lint.model import Outside
from policyc.plan import nodes as n
from policyc.source import Source
from policyc.syntax import tree as t
from policyc.syntax.parser import parse

__all__ = ["Linted", "lint_files"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Linted:
    """What became of a file: its text with the fixes that were applied, and what is left to say.

    `imported` says that nobody named it.
    """

    name: str
    result: LintResult
    data: bytes
    applied: int = 0
    imported: bool = False


def lint_files(
    files: Sequence[tuple[bytes, str]],
    *,
    profiles: Sequence[str] = (),
    target: n.Target | None = None,
    codes: Collection[str] = LINT_CODES,
    read: Read | None = None,
    fix: bool = False,
) -> list[Linted]:
    """Judge files, the named ones first, then what they import; each is there once.

    With `fix`, safe fixes are applied to the named files, and those that become possible by
    it, until none is left. Files that checked still do: should a fix ever break that, it is
    left out with all of its round.
    """
    run = _Run(files, profiles, target, codes, read)
    linted = run.judged()
    while fix:
        applied = {key: run.fixed(key, each) for key, each in linted.items() if key in run.texts}
        changed = {key: fixed for key, fixed in applied.items() if fixed[1]}
        if not changed:
            break
        before = run.texts
        run.texts = before | {key: data for key, (data, _) in changed.items()}
        size = sum(map(len, run.texts.values()))
        again = run.judged()
        if size >= sum(map(len, before.values())) or not _still_checked(linted, again):
            run.texts = before
            break
        for key, (_, number) in changed.items():
            run.applied[key] = run.applied.get(key, 0) + number
        linted = again
    return [
        Linted(
            run.names[key],
            result,
            run.texts.get(key, b""),
            run.applied.get(key, 0),
            key not in run.texts,
        )
        for key, result in linted.items()
    ]


def _still_checked(old: Mapping[str, LintResult], new: Mapping[str, LintResult]) -> bool:
    return all(key not in new or new[key].checked for key, each in old.items() if each.checked)


class _Run:
    """The files of a run by their real paths; `texts` has those that were named."""

    def __init__(
        self,
        files: Sequence[tuple[bytes, str]],
        profiles: Sequence[str],
        target: n.Target | None,
        codes: Collection[str],
        read: Read | None,
    ) -> None:
        self.profiles = profiles
        self.target = target
        self.codes = codes
        self.names: dict[str, str] = {}
        self.texts: dict[str, bytes] = {}
        self.applied: dict[str, int] = {}
        self._read_other = read
        self._others: dict[str, bytes] = {}
        for data, name in files:
            key = os.path.realpath(name)
            if key not in self.texts:
                self.names[key], self.texts[key] = name, data

    def judged(self) -> dict[str, LintResult]:
        """What is to say about each file."""
        checked = {key: self._check(key) for key in self.texts}
        for result in list(checked.values()):
            for name in result.imports:
                key = os.path.realpath(name)
                if key not in checked:
                    self.names.setdefault(key, name)
                    other = self._check(key)
                    if other.is_fine:  # else who imports it has been told what matters of it
                        checked[key] = other
        names, unknown = _needed(checked)
        judged: dict[str, LintResult] = {}
        comments: dict[str, set[tuple[int, str]]] = {}
        # A file imports more files than each of those does, and comes before them: it may
        # need their comments.
        for key in sorted(checked, key=lambda key: -len(checked[key].imports)):
            outside = Outside(
                frozenset(names.get(key, ())), frozenset(comments.get(key, ())), key in unknown
            )
            judged[key] = judge(
                checked[key],
                profiles=self.profiles,
                target=self.target,
                codes=self.codes,
                outside=outside,
                only_text=key not in self.texts,
            )
            for source, start, code in judged[key].by:
                comments.setdefault(os.path.realpath(source.name), set()).add((start, code))
        return {key: judged[key] for key in checked}

    def _check(self, key: str) -> CheckResult:
        data = self.texts[key] if key in self.texts else self._read(key)
        return check_text(
            data,
            self.names[key],
            profiles=["testrun"],
            target=self.target,
            read=self._read,
            library=True,
        )

    def _read(self, path: str) -> bytes:
        """An imported file, as the fixes have left it."""
        key = os.path.realpath(path)
        if key in self.texts:
            return self.texts[key]
        if key not in self._others:
            from policyc.check.imports import read_file

            self._others[key] = (self._read_other or read_file)(path)
        return self._others[key]

    def fixed(self, key: str, judged: LintResult) -> tuple[bytes, int]:
        """The text of a file with every fix applied that there is for it now."""
        data = self.texts[key]
        fixes = [item.fix for item in judged.findings if item.fix is not None]
        if judged.source is None or not fixes:
            return data, 0
        text, number = apply_fixes(judged.source, fixes)
        mark = _BOM if data.startswith(_BOM) else b""
        return mark + text.encode("utf-8", "surrogatepass"), number


def _needed(checked: Mapping[str, CheckResult]) -> tuple[dict[str, set[str]], set[str]]:
    """The definitions that other files need of each, and the files of which nobody knows."""
    names: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for result in checked.values():
        if result.file is None:
            unknown |= {os.path.realpath(name) for name in result.imports}
            continue
        if result.imports:
            wanted = result.used | changed_by_tests(result.file)
            for key, name in (*_uses(result.file, wanted), *_listed(result.file.source)):
                names.setdefault(key, set()).add(name)
    return names, unknown


def _uses(file: t.PolicyFile, used: Collection[str]) -> Iterator[tuple[str, str]]:
    """The definitions of other files that one uses: the file, and the name there."""
    for item in file.items:
        if isinstance(item, t.SetItem | t.ParamItem | t.LetItem):
            source = item.span.source
            if source is not file.source and item.name.text in used:
                yield os.path.realpath(source.name), item.name.span.text


def _listed(source: Source) -> Iterator[tuple[str, str]]:
    """The definitions that the imports of a file list, used or not."""
    file = parse(source, Diagnostics())
    directory = os.path.dirname(source.name)  # noqa: PTH120 - a name as given
    for item in file.items if file is not None else ():
        if isinstance(item, t.ImportItem):
            written = item.path.value.decode("utf-8", "surrogateescape")
            key = os.path.realpath(os.path.join(directory, written))  # noqa: PTH118 - as given
            yield from ((key, name.text) for name in item.names or ())
