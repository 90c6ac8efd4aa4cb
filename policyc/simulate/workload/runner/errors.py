"""What keeps a workload from running here."""

from __future__ import annotations

__all__ = ["Missing"]


class Missing(Exception):  # noqa: N818 - it is what is missing
    """Something that the workload needs is not on this machine; the text says what."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice
