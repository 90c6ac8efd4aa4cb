"""Safe C text: comments and literals that no policy text can break out of."""

from __future__ import annotations

import re

__all__ = ["byte_list", "comment", "tabbed"]

_COMMENT_WIDTH = 160


def comment(text: str) -> str:
    """Text as it can stand between `/*` and `*/`, on one line.

    Only printable ASCII stays. Comment marks and trigraphs are broken up with a space,
    and a backslash never stands where it could join two lines.
    """
    plain = "".join(char if " " <= char <= "~" else "." for char in text)
    if len(plain) > _COMMENT_WIDTH:
        plain = plain[: _COMMENT_WIDTH - 3] + "..."
    plain = re.sub(r"([/*])(?=[/*])", r"\1 ", plain)
    plain = re.sub(r"\?(?=\?)", "? ", plain)
    plain = re.sub(r"\\(?=\s|$)", ".", plain)
    return plain.strip()


def byte_list(data: bytes) -> str:
    """The initialiser of an array of bytes."""
    return ", ".join(f"0x{byte:02x}" for byte in data)


def tabbed(line: str, depth: int = 1) -> str:
    """A line of a function's body, with its leading groups of four spaces as tabs."""
    text = line.lstrip(" ")
    return "\t" * (depth + (len(line) - len(text)) // 4) + text if text else ""
