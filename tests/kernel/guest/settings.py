"""Files of sysfs, debugfs and /proc/sys that a test changes and that get their values back."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["Settings"]


class Settings:
    """Writes values and remembers the first ones; `restore` writes those back, last one first."""

    def __init__(self) -> None:
        self._before: dict[Path, str] = {}

    def write(self, path: Path, value: str | int) -> None:
        """Write a value; OSError if the kernel does not take it."""
        if path not in self._before:
            self._before[path] = selected(path.read_text("utf-8"))
        path.write_text(f"{value}\n", "utf-8")

    def restore(self) -> None:
        for path, value in reversed(self._before.items()):
            path.write_text(f"{value}\n", "utf-8")
        self._before.clear()


def selected(text: str) -> str:
    """The value of a setting: the one in brackets where all possible ones are shown."""
    chosen = re.search(r"\[(.*?)\]", text)
    return chosen[1] if chosen else text.strip()
