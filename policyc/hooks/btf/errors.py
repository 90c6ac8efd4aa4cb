"""What can be wrong with a file of type information."""

from __future__ import annotations

from typing import Literal

__all__ = ["BtfError", "Fault"]

#: What is wrong, in a word that programs can compare.
#:
#: not-btf      the file is something else, or has no type information
#: truncated    something reaches behind the end of the file
#: bad-header   a header says what cannot be
#: bad-type     a type has an unknown kind, or cannot be what its kind says
#: bad-string   a name is outside the strings, or no name
#: bad-id       a type that there is not, or a chain of types without an end
#: base-needed  the types continue those of another file, which was not given
#: wrong-base   the types continue those of another file than the one that was given
#: too-large    more than a kernel takes
Fault = Literal[
    "not-btf",
    "truncated",
    "bad-header",
    "bad-type",
    "bad-string",
    "bad-id",
    "base-needed",
    "wrong-base",
    "too-large",
]


class BtfError(ValueError):
    """Type information that cannot be read.

    `offset` is the byte of the BTF data (of the file, for what is wrong with the file
    around it) that is wrong, None where it is no single place. `expected` says what
    should be there, `file` where it was read from.
    """

    def __init__(
        self,
        fault: Fault,
        found: str,
        *,
        offset: int | None = None,
        expected: str = "",
        file: str = "",
    ) -> None:
        self.fault: Fault = fault
        self.found = found
        self.offset = offset
        self.expected = expected
        self.file = file
        super().__init__(fault, found, offset)

    def __str__(self) -> str:
        place = "" if self.offset is None else f" at byte {self.offset:,}"
        expected = f"; expected {self.expected}" if self.expected else ""
        file = f"{self.file}: " if self.file else ""
        return f"{file}{self.found}{place}{expected} [{self.fault}]"
