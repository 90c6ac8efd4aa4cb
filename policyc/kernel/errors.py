"""What can go wrong with the live system."""

from __future__ import annotations

import errno
import os

__all__ = ["KernelError", "KernelToolMissing", "NotOffered", "Rejected", "error_name"]


def error_name(number: int) -> str:
    """The name and the meaning of an error number: `EBUSY (Device or resource busy)`."""
    number = abs(number)
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


class KernelError(Exception):
    """The kernel or libbpf refused something; `number` is the positive error number."""

    def __init__(self, what: str, number: int = 0, details: str = "") -> None:
        self.what = what
        self.number = abs(number)
        self.details = details
        text = f"{what}: {error_name(number)}" if number else what
        super().__init__(f"{text}\n{details}" if details else text)


class NotOffered(KernelError):  # noqa: N818 - says what is wrong
    """The kernel has no such struct_ops type, or one of another shape."""


class Rejected(KernelError):  # noqa: N818 - says what is wrong
    """The verifier refused a program: its name and the verifier's log."""

    def __init__(self, program: str, log: str, number: int = 0) -> None:
        self.program = program
        self.log = log
        super().__init__(f"the verifier refused {program}", number, log[-20_000:])


class KernelToolMissing(Exception):  # noqa: N818 - says what is wrong
    """Something is not there that loading needs; `how_to_get` says what to do."""

    def __init__(self, what: str, how_to_get: str) -> None:
        self.what = what
        self.how_to_get = how_to_get
        super().__init__(f"{what} is missing: {how_to_get}")
