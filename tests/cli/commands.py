"""Runs the command line: in this process, or as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from policyc.cli.application import policyc

ROOT = Path(__file__).resolve().parents[2]

POLICY = """policy fleet;
set java : cgroup = { "/kubepods/java" };
param ceiling : percent = 10% in 0%..100%;
thp {
    deny when cgroup.psi.memory.full.avg10 > ceiling;
    allow pmd when cgroup under java and event is khugepaged;
    allow 64K when vma.size >= 8M;
    otherwise pass;
}
thp for cgroup "/kubepods/batch" {
    rollout 25% by cgroup;
    deny when task.comm == "redis-server";
    otherwise pass;
}
numa for cgroup "/kubepods/db" {
    balance when task.comm == "postgres";
    otherwise off;
    hot_threshold = 200ms;
}
"""


def invoke(*arguments: str, stdin: str | bytes | None = None, **environment: str) -> Result:
    """The outcome of a command in this process."""
    env = {"COLUMNS": "100", "NO_COLOR": "1", **environment}
    result = CliRunner().invoke(policyc, arguments, input=stdin, env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def command(*arguments: str) -> list[str]:
    """The command line of a process."""
    return [sys.executable, "-m", "policyc", *arguments]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a process, without what would change its output."""
    unwanted = {"COLUMNS", "NO_COLOR", "POLICYC_CLANG"}
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**inherited, "PYTHONPATH": str(ROOT), **changes}


def run(*arguments: str, stdin: bytes = b"", **changes: str) -> subprocess.CompletedProcess[bytes]:
    """The outcome of a command as a process; a traceback is a failure."""
    result = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        env=environment(**changes),
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in result.stderr, result.stderr.decode()
    return result
