"""Finds the line of each key of a TOML document, which the parser of Python does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

__all__ = ["Path", "line_of", "lines", "spelled"]

#: A place in a document: keys of tables and numbers of arrays.
Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
_SPACE = re.compile(r"[ \t]*+")
_BARE = re.compile(r"[A-Za-z0-9_-]++")
_STRING = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*+"{3,5}|' + r"'''(?:[^']|'(?!''))*+'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*+"|' + r"'[^'\n]*+'",
    re.DOTALL,
)
_TOKEN = re.compile(r"[^,\]}\n#]*+")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key and every element of an array in a valid document."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(path: Path, known: Mapping[Path, int]) -> int | None:
    """The line of a place, or of the nearest thing around it that has one."""
    for end in range(len(path), 0, -1):
        if path[:end] in known:
            return known[path[:end]]
    return None


def spelled(path: Path) -> str:
    """A place as text: `processes[2].vmas[0].size`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


class _Scanner:
    """Reads a document that is known to be valid, and so need not look for mistakes."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.found: dict[Path, int] = {}
        self._counted, self._line = 0, 1
        self._arrays: dict[Path, int] = {}

    def document(self) -> None:
        """All of it."""
        header: Path = ()
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self._next("[["):
                header = self._header(array=True)
                self.at += 2
            elif self._next("["):
                header = self._header(array=False)
                self.at += 1
            else:
                self._pair(header)

    def _next(self, start: str) -> bool:
        if self.text.startswith(start, self.at):
            self.at += len(start)
            return True
        return False

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return match[0]

    def _note(self, path: Path, at: int) -> None:
        self._line += self.text.count("\n", self._counted, at)
        self._counted = max(at, self._counted)
        self.found.setdefault(path, self._line)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.at] in "\"'":
                parts.append(_unquoted(self._skip(_STRING)))
            else:
                parts.append(self._skip(_BARE))
            self._skip(_SPACE)
            if not self._next("."):
                return parts

    def _header(self, *, array: bool) -> Path:
        at = self.at
        path: Path = ()
        *above, last = self._key()
        for part in above:
            path = (*path, part)
            self._note(path, at)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        path = (*path, last)
        self._note(path, at)
        if array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
            self._note(path, at)
        return path

    def _pair(self, table: Path) -> None:
        at = self.at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, at)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline(path)
        elif self.text[self.at] in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_TOKEN)

    def _array(self, path: Path) -> None:
        number = 0
        while True:
            self._skip(_BLANK)
            if self._next("]"):
                return
            self._note((*path, number), self.at)
            self._value((*path, number))
            number += 1
            self._skip(_BLANK)
            self._next(",")

    def _inline(self, path: Path) -> None:
        while True:
            self._skip(_BLANK)
            if self._next("}"):
                return
            self._pair(path)
            self._skip(_BLANK)
            self._next(",")


def _unquoted(text: str) -> str:
    return str(tomllib.loads(f"key = {text}")["key"])
