"""Text from a policy made safe and measurable for a terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["TAB_STOP", "cell_width", "shorten", "visible", "visible_character"]

#: A tab reaches to the next multiple of this many cells.
TAB_STOP = 4


def visible_character(character: str) -> str:
    """The character, or its code point where it would be unseen or act on the terminal.

    Not printable are control characters (ANSI escapes begin with one), format characters
    (bidirectional overrides, zero-width joiners), lone surrogates, unassigned code points,
    and every kind of space but the ordinary one.
    """
    return character if character.isprintable() else f"<U+{ord(character):04X}>"


def visible(text: str) -> str:
    """The text with everything written as it can be seen, on one line."""
    if text.isprintable():
        return text
    return "".join(map(visible_character, text))


def cell_width(text: str) -> int:
    """How many terminal cells a text of visible characters takes."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def shorten(text: str, limit: int) -> str:
    """The text cut to at most `limit` characters; `…` says that it was."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
