"""The kernel's log, and which of its messages no test may cause."""

from __future__ import annotations

import os
import re

__all__ = ["KernelLog", "complaints"]

_COMPLAINT = re.compile(
    r"WARNING:|BUG:|\bOops\b|general protection fault|refcount_t:|Kernel panic|"
    r"INFO: task .* blocked|rcu: INFO|list_(?:add|del) corruption|sleeping function called"
)


def complaints(log: str) -> list[str]:
    """The lines of a log that tell of something wrong, each once."""
    return list(dict.fromkeys(line for line in log.splitlines() if _COMPLAINT.search(line)))


class KernelLog:
    """The messages that come after it is made."""

    def __init__(self) -> None:
        self._descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self) -> str:
        """What was logged since the last call."""
        lines: list[str] = []
        while True:
            try:
                record = os.read(self._descriptor, 8192)
            except BlockingIOError:
                return "\n".join(lines)
            except BrokenPipeError:
                continue  # messages were overwritten before we read them
            lines.append(record.decode("utf-8", "replace").partition(";")[2].split("\n")[0])

    def close(self) -> None:
        os.close(self._descriptor)
