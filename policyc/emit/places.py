"""Which line of the policy a line of its C comes from, by the comments in the C."""

from __future__ import annotations

import re

from policyc.emit.c_text import comment

__all__ = ["policy_line"]


def policy_line(c_text: str, file: str, line: int) -> int | None:
    """The line of the policy `file` that line `line` (from 1) of its C text stands for.

    That is the rule, let, table or scope whose comment precedes it in the same function;
    None where there is none, as in the functions that read attributes.
    """
    mark = re.compile(rf"\s+/\* {re.escape(comment(file))}:(\d+)")
    lines = c_text.splitlines()
    for text in reversed(lines[: min(line, len(lines))]):
        found = mark.match(text)
        if found:
            return int(found[1])
        if text and not text[0].isspace() and text[0] != "{":
            return None
    return None
