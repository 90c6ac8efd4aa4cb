"""Which line of a policy each line of the emitted C is about.

The C says it in its comments (`/* FILE:LINE: TEXT */`), in front of the statements of a rule,
a table or a `let`. What a rule reads is declared in front of its comment; such lines belong
to the comment that follows.
"""

from __future__ import annotations

import re

from policyc.emit.c_text import comment

__all__ = ["policy_lines"]

#: A variable for an attribute or a parameter, or the paths of a cgroup; `let`s come behind
#: a comment of their own.
_DECLARATION = re.compile(r"\t(?:(?:u64|bool|struct comm) (?!let_|has_let_)\w+ =|\w+_find_paths\()")


def policy_lines(c_text: str, file: str) -> dict[int, int]:
    """The line of the policy by the line of the C, both from 1; `file` as in the plan."""
    place = re.compile(rf"\t+/\* {re.escape(comment(file))}:(\d+)(?: to \d+)?(?:: .*)? \*/")
    found: dict[int, int] = {}
    pending: list[int] = []
    current = 0
    for number, line in enumerate(c_text.split("\n"), 1):
        said = place.fullmatch(line)
        if said:
            current = int(said[1])
            found.update(dict.fromkeys(pending, current))
            pending = []
        elif not line.startswith(("\t", " ")) and line:  # between functions
            current, pending = 0, []
        elif _DECLARATION.match(line):
            pending.append(number)
        elif current and line:
            # A declaration that nothing follows is that of the rule before.
            found.update(dict.fromkeys(pending, current))
            pending = []
            found[number] = current
    return found
