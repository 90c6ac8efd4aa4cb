"""Marks by which code scanning knows a finding again when lines above it come or go.

GitHub computes the same from the files when it takes a log in, and complains if another one
is there already: a rolling hash of the hundred characters from the start of a line, blanks
and tabs left out, and a count for the lines that have the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

__all__ = ["line_fingerprints"]

_WINDOW = 100
_FACTOR = 37
_WORD = (1 << 64) - 1
_OUTGOING = pow(_FACTOR, _WINDOW, 1 << 64)
#: What stands for the end of the file.
_END = 0xFFFF
_LF, _CR, _BLANKS = 10, 13, (9, 32)


def line_fingerprints(text: str, lines: Collection[int]) -> dict[int, str]:
    """The fingerprints of some lines (from 1) of a file."""
    wanted, found = set(lines), dict[int, str]()
    window, starts = [0] * _WINDOW, [0] * _WINDOW
    counts: Counter[int] = Counter()
    value = index = line = 0
    at_start = True
    for character in _characters(text):
        begun = starts[index]
        if begun:
            counts[value] += 1
            starts[index] = 0
            if begun in wanted:
                found[begun] = f"{value:x}:{counts[value]}"
                if len(found) == len(wanted):
                    break
        if at_start:
            line += 1
            starts[index] = line
        at_start = character == _LF
        value = (_FACTOR * value + character - _OUTGOING * window[index]) & _WORD
        window[index] = character
        index = (index + 1) % _WINDOW
    return found


def _characters(text: str) -> Iterator[int]:
    """What is hashed, in UTF-16 code units; zeros follow until the window is empty."""
    units = text.encode("utf-16-le", "surrogatepass")
    after_return = False
    for low, high in zip(units[::2], units[1::2], strict=True):
        character = low | high << 8
        if character in _BLANKS or (after_return and character == _LF):
            after_return = False
            continue
        after_return = character == _CR
        yield _LF if after_return else character
    yield _END
    yield from [0] * (_WINDOW + 1)
