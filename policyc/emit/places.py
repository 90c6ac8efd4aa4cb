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

#: The value of a `let` and whether it is there; long ones go on with four blanks more.
_LET = re.compile(r"\t+(?:u64|bool|struct comm) (?:has_)?let_\w+ =")


def policy_lines(c_text: str, file: str) -> dict[int, int]:
    """The line of the policy by the line of the C, both from 1; `file` as in the plan."""
    place = re.compile(rf"\t+/\* {re.escape(comment(file))}:(\d+)(?: to \d+)?(?:: (let )?.*)? \*/")
    found: dict[int, int] = {}
    pending: list[int] = []
    current = let = 0
    for number, line in enumerate(c_text.split("\n"), 1):
        said = place.fullmatch(line)
        if said:
            found.update(dict.fromkeys(pending, int(said[1])))
            pending = []
            let = int(said[1]) if said[2] else 0
            current = current if let else int(said[1])
        elif not line.startswith(("\t", " ")) and line:  # between functions
            current, let, pending = 0, 0, []
        elif let and (_LET.match(line) or line.startswith("\t    ")):
            found[number] = let
        elif _DECLARATION.match(line):
            pending.append(number)
        elif current and line:
            let = 0
            found[number] = current
    return found
