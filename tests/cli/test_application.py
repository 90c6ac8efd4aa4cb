from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import policyc
from policyc.cli.application import VERBS
from policyc.cli.application import policyc as group
from tests.cli.commands import ROOT, command, environment, invoke, run

HEAVY = ("jinja2", "lark", "policyc.check", "policyc.emit", "policyc.hooks", "policyc.runtime")


def imported(*arguments: str) -> set[str]:
    """The modules that a command imports."""
    code = (
        "import sys\nfrom policyc.cli.application import run\n"
        f"sys.argv = {['policyc', *arguments]!r}\n"
        "run()\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(), check=True, text=True
    )
    return set(result.stderr.split("\n"))


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_needs_no_policy_imports_no_compiler(option: str) -> None:
    modules = imported(option)
    assert "click" in modules
    assert [name for name in modules if name.startswith(HEAVY)] == []
    assert [name for name in modules if name.startswith("policyc.cli.")] != []
    assert not modules & {f"policyc.cli.{verb}" for verb in VERBS}


def test_check_imports_no_emitter_and_no_runtime(policy: Path) -> None:
    modules = imported("check", str(policy))
    assert "policyc.check" in modules
    heavy = ("jinja2", "policyc.emit", "policyc.runtime", "policyc.api", "policyc.simulate")
    assert [name for name in modules if name.startswith(heavy)] == []


def test_version() -> None:
    assert run("--version").stdout.decode() == f"policyc, version {policyc.__version__}\n"


def test_every_verb_is_a_module_with_help() -> None:
    modules = {path.stem for path in (ROOT / "policyc" / "cli").glob("*.py")}
    for verb in VERBS:
        assert verb in modules
        result = invoke(verb, "--help")
        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: policyc {verb} ")
        assert invoke("help", verb).output == result.output


def test_help_names_every_verb_and_exit_code() -> None:
    output = invoke("--help").output
    assert all(verb in output for verb in VERBS)
    assert all(f"  {code} " in output for code in (0, 1, 2, 3, 130, 141))


def test_no_verb_is_wrong_usage_and_shows_the_help() -> None:
    result = run()
    assert result.returncode == 2
    assert not result.stdout
    assert b"Verbs:" in result.stderr


@pytest.mark.parametrize("arguments", [["chekc"], ["help", "chekc"]])
def test_an_unknown_verb_says_which_was_meant(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "no verb 'chekc'; did you mean 'check'?" in result.stderr


@pytest.mark.parametrize("verb", ["check", "compile", "decide", "simulate"])
def test_files_that_cannot_be_read(verb: str, tmp_path: Path) -> None:
    is_none = "there is no policy (*.thp) in" if verb == "check" else "cannot read"
    for path, said in (
        (tmp_path / "none.thp", f"cannot read {tmp_path / 'none.thp'}: no such file"),
        (tmp_path, f"{is_none} {tmp_path}"),
    ):
        result = invoke(verb, str(path))
        assert result.exit_code == 2
        assert f"Error: {said}" in result.stderr


@pytest.mark.parametrize("verb", ["check", "compile", "decide", "simulate"])
@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00p", b"policy \x1b[31m;", b"\0" * 5000])
def test_no_bytes_give_a_traceback_or_reach_the_terminal(verb: str, data: bytes) -> None:
    result = invoke(verb, "-", stdin=data)
    assert result.exit_code == 1
    assert "<stdin>" in result.output
    assert "\x1b" not in result.output
    assert "\0" not in result.output


def test_control_characters_of_arguments_are_made_visible() -> None:
    for arguments in (["check", "\x1b[31mx"], ["\x1b[31mx"], ["check", "--\x1b[31mx"]):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert "\x1b" not in result.output


def test_a_closed_pipe_ends_quietly(policy: Path) -> None:
    for arguments in (["attributes", "--json"], ["check", str(policy)], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run(
            command(*arguments),
            stdout=writer,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
        os.close(writer)
        assert result.returncode == 141
        assert result.stderr == b""


def test_output_that_cannot_be_written_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            command("profiles"), stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert result.returncode == 2
    assert result.stderr == b"Error: cannot write the output: no space left on device\n"


def test_closed_standard_streams_are_no_reason_to_fail(policy: Path) -> None:
    line = " ".join(command("check", str(policy)))
    for redirection in (">&-", "2>&-", ">&- 2>&-"):
        script = f"{line} {redirection}"
        result = subprocess.run(["sh", "-c", script], env=environment(), check=False)
        assert result.returncode == 0
    script = f"{' '.join(command('check', '-'))} <&-"
    result = subprocess.run(
        ["sh", "-c", script], env=environment(), capture_output=True, check=False
    )
    assert result.returncode == 2
    assert b"cannot read <stdin>" in result.stderr


def test_an_interrupt_ends_quietly(policy: Path) -> None:
    process = subprocess.Popen(
        command("simulate", str(policy), "--trace", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdin is not None
    process.stdin.write(b'{"hook": "numa"}\n')
    process.stdin.flush()
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == b""
    assert b"Traceback" not in errors


def on_a_terminal(*arguments: str, **changes: str) -> bytes:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments), stdout=theirs, stderr=theirs, env=environment(TERM="xterm", **changes)
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        output += data
    process.wait(timeout=60)
    os.close(ours)
    return output


def test_colour_is_for_terminals_that_want_it(policy: Path) -> None:
    assert b"\x1b[" in on_a_terminal("profiles")
    assert b"\x1b[" not in on_a_terminal("profiles", NO_COLOR="1")
    assert b"\x1b[" not in run("profiles").stdout
    assert b"\x1b[" not in run("check", str(policy)).stdout


def test_tables_fit_the_width() -> None:
    for width in (70, 90, 130):
        lines = run("profiles", COLUMNS=str(width)).stdout.decode().split("\n")
        longest = max(map(len, lines))
        assert longest <= max(width, 80)
    assert max(map(len, lines)) > 100


def test_an_encoding_without_marks_gets_ascii(policy: Path) -> None:
    for arguments in (["attributes"], ["decide", str(policy), "--hook", "thp"]):
        assert run(*arguments, PYTHONIOENCODING="ascii").stdout.isascii()
        assert not run(*arguments, PYTHONIOENCODING="utf-8").stdout.isascii()


def test_the_group_can_be_embedded(policy: Path) -> None:
    arguments = ["check", str(policy)]
    assert group.main(arguments, "policyc", standalone_mode=False) == 0
