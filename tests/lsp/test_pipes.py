"""What pytest-lsp cannot send, and how the server ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.lsp.client import ROOT, URI, RefusedError, served


def test_messages_that_are_wrong_do_not_end_it():
    with served() as client:
        client.raw(b"Content-Length: 3\r\n\r\n{}{")
        client.notify("textDocument/didOpen", {"nonsense": 1})
        client.notify("textDocument/didChange", {"textDocument": {"uri": "file:///x"}})
        client.notify("no/such", None)
        with pytest.raises(RefusedError):
            client.ask("no/such")
        nowhere = {"textDocument": {"uri": "file:///x"}, "position": {"line": 9, "character": 9}}
        assert client.ask("textDocument/hover", nowhere) is None
        client.open("policy p;\nthp { otherwise pass; }\n")
        beyond = {"textDocument": {"uri": URI}, "position": {"line": 999, "character": 9}}
        assert client.ask("textDocument/hover", beyond) is None
        assert client.end() == 0
        assert b"Traceback" not in client.errors()


def test_it_ends_when_the_editor_does():
    with served() as client:
        assert client.hang_up() == 0


def test_it_needs_nothing_that_only_tests_have():
    code = (
        "import sys, policyc.lsp.server\n"
        "print(*sorted({'hypothesis', 'pytest', 'z3'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    )
    assert result.stdout.split() == []


def test_without_pygls_it_says_how_to_get_it():
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pygls' else real(name, *a)\n"
        "from policyc.cli.main import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "lsp"]
    result = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert result.returncode == 3
    assert b"pip install 'policyc[lsp]'" in result.stderr
    assert result.stdout == b""
