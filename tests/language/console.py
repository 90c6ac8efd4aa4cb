"""Runs the console and Python blocks of a document as a reader would: in order, in a copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.language.markdown import Block, Command, commands, matches

ROOT = Path(__file__).resolve().parents[2]

#: What of the checkout a reader's commands may name.
_COPIED = ("README.md", "docs", "examples")

#: Types of kernels, which stand for those of a reader's own.
_KERNELS = ROOT / "tests" / "fixtures" / "btf" / "shapes"

#: A command line is run if it begins with one of these; any other is there to be read.
_RUN = ("policyc ", "cat ", "diff ", "echo ", "grep ", "head ", "ls ", "ls\n", "printf ", "wc ")

_LAUNCHER = """#!/bin/sh
exec {python} -c 'from policyc.cli.main import main; main()' "$@"
"""

_SECONDS = 60


class Reader:
    """Somebody who works through a document; the files stay from one block to the next."""

    def __init__(self, directory: Path) -> None:
        self._work = directory / "work"
        self._work.mkdir()
        for name in _COPIED:
            _copy(ROOT / name, self._work / name)
        _copy(_KERNELS, self._work / "kernels")
        programs = directory / "bin"
        programs.mkdir()
        launcher = programs / "policyc"
        launcher.write_text(_LAUNCHER.format(python=sys.executable), "utf-8")
        launcher.chmod(0o755)
        #: In which `policyc` is this checkout's.
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self._work}",
            "PYTHONUNBUFFERED": "1",  # so that stdout and stderr keep their order
            "PYTHONUTF8": "1",
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
        }
        self._status = 0

    def read(self, block: Block) -> list[str]:
        """Does what a block says; the complaints, none if everything was as written."""
        name = block.value("file")
        if name is not None:
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        if block.language == "console":
            found = [self._command(block, command) for command in commands(block)]
            return [complaint for complaint in found if complaint]
        if block.language == "python":
            return self._python(block)
        return []

    def _command(self, block: Block, command: Command) -> str:
        if not f"{command.text}\n".startswith(_RUN):
            return ""
        # The subshell gives `echo $?` the status of the command before it.
        result = self._run(["bash", "-c", f"(exit {self._status})\n{command.text}"])
        self._status = result.returncode
        actual = result.stdout.split("\n")
        if matches(command.output, actual):
            return ""
        expected = "\n".join(command.output)
        return (
            f"{block.document}:{command.line}: $ {command.text}\n"
            f"--- the document says\n{expected}\n"
            f"--- the command prints (exit status {result.returncode})\n{result.stdout}"
        )

    def _python(self, block: Block) -> list[str]:
        result = self._run([sys.executable, "-c", block.text])
        if result.returncode == 0:
            return []
        return [f"{block.id}: the program fails\n{result.stdout}"]

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_SECONDS,
            check=False,
        )


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination)
    elif source.exists():
        shutil.copy(source, destination)
