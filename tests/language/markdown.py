"""Takes the fenced code blocks out of Markdown documents and says what each promises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "Command", "blocks", "commands", "matches", "policy_text"]

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")

#: What may follow the language of a block, for the languages that are tested.
_OPTIONS = {
    "thp": {"expect", "file", "fragment", "profile"},
    "python": {"file"},
    "console": set[str](),
}

_WRAPPERS = {
    "items": "policy example;\n{text}",
    "rules": "policy example;\nthp {{\n{text}    otherwise pass;\n}}\n",
    "numa-rules": "policy example;\nnuma {{\n{text}    otherwise pass;\n}}\n",
    "expression": (
        "policy example;\nthp {{\n    deny when\n{text}    ;\n    otherwise pass;\n}}\n"
    ),
}

_HAS_BLOCK = re.compile(r"^\s*(thp|numa)\b[^;]*\{", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it stands, its language, its options and its text."""

    document: str
    line: int
    language: str
    options: tuple[tuple[str, str], ...]
    text: str

    @property
    def id(self) -> str:
        """File and line of the opening fence."""
        return f"{self.document}:{self.line}"

    def values(self, option: str) -> list[str]:
        """The values of an option that can be given repeatedly."""
        return [value for name, value in self.options if name == option]

    def value(self, option: str) -> str | None:
        """The value of an option that is given at most once."""
        values = self.values(option)
        if len(values) > 1:
            raise ValueError(f"{self.id}: {option}= is given twice")
        return values[0] if values else None

    @property
    def expected(self) -> set[str]:
        """The codes that the block must produce."""
        return {code for value in self.values("expect") for code in value.split(",")}


@dataclass(frozen=True, slots=True)
class Command:
    """A line after `$ ` of a console block, and what must be printed."""

    line: int
    text: str
    output: tuple[str, ...]


def blocks(path: Path, document: str) -> list[Block]:
    """The fenced blocks of a Markdown file, in order; an unclosed fence is an error."""
    found: list[Block] = []
    lines = iter(enumerate(path.read_text("utf-8").split("\n"), start=1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            continue
        text = _body(lines, fence, f"{document}:{number}")
        language, _, options = fence["info"].strip().partition(" ")
        found.append(Block(document, number, language, _options(language, options), text))
        _validate(found[-1])
    return found


def _body(lines: Iterable[tuple[int, str]], fence: re.Match[str], place: str) -> str:
    """The lines up to the closing fence, without the indentation of the opening one."""
    closing = re.compile(rf" *{re.escape(fence['fence'][0])}{{{len(fence['fence'])},}}\s*$")
    body: list[str] = []
    for _, line in lines:
        if closing.match(line):
            return "".join(body)
        body.append(re.sub(rf"^ {{0,{len(fence['indent'])}}}", "", line) + "\n")
    raise ValueError(f"{place}: the fence is never closed")


def _options(language: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs = tuple((name, value) for name, _, value in (w.partition("=") for w in text.split()))
    # Other languages may have words of other tools; `file` is all that is ours there.
    return pairs if language in _OPTIONS else tuple(pair for pair in pairs if pair[0] == "file")


def _validate(block: Block) -> None:
    """A misspelt option would be a test that silently checks something else."""
    for name, value in block.options:
        if name not in _OPTIONS.get(block.language, {"file"}) or (not value and name != "fragment"):
            raise ValueError(f"{block.id}: unknown option {name}={value}")
    for fragment in block.values("fragment"):
        if fragment and fragment not in _WRAPPERS:
            raise ValueError(f"{block.id}: unknown fragment={fragment}")


def policy_text(block: Block) -> str:
    """The whole policy that a block stands for: itself, or itself with what it leaves out."""
    if not block.values("fragment"):
        return block.text
    kinds = [kind for kind in block.values("fragment") if kind]
    if len(kinds) != 1:
        raise ValueError(f"{block.id}: say what fragment it is, once: {', '.join(_WRAPPERS)}")
    text = _WRAPPERS[kinds[0]].format(text=block.text)
    if kinds[0] == "items" and not _HAS_BLOCK.search(block.text):
        text += "thp {\n    otherwise pass;\n}\n"
    return text


def commands(block: Block) -> list[Command]:
    """The commands of a console block; a line that ends in `\\` goes on in the next."""
    found: list[Command] = []
    output: list[str] = []
    continued = False
    for number, line in enumerate(block.text.split("\n")[:-1], start=block.line + 1):
        if continued:
            found[-1] = Command(found[-1].line, f"{found[-1].text}\n{line}", ())
        elif line.startswith("$ "):
            _close(found, output)
            found.append(Command(number, line[2:], ()))
        elif found:
            output.append(line)
        else:
            raise ValueError(f"{block.document}:{number}: output without a command")
        continued = (continued or line.startswith("$ ")) and line.endswith("\\")
    _close(found, output)
    return found


def _close(found: list[Command], output: list[str]) -> None:
    if found:
        found[-1] = Command(found[-1].line, found[-1].text, tuple(output))
    output.clear()


def matches(expected: Iterable[str], actual: Iterable[str]) -> bool:
    """Whether lines are as expected; `...` stands for any number of lines, even none.

    Spaces at the ends of lines and empty lines at the end do not count.
    """
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else re.escape(line.rstrip()) + r"\n"
        for line in _without_empty_end(expected)
    )
    text = "".join(f"{line.rstrip()}\n" for line in _without_empty_end(actual))
    return re.fullmatch(pattern, text) is not None


def _without_empty_end(lines: Iterable[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
