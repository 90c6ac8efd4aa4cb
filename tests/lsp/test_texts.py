"""Texts and names of files that are not as most are: no byte of them may be lost or misplaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.client import URI, Client, RefusedError, served

_POLICY = "policy p;\nthp { deny when vma.stack; otherwise pass; }\n"
_WHOLE = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}


def colours(client: Client, uri: str = URI) -> list[int]:
    document = {"textDocument": {"uri": uri}}
    return client.ask("textDocument/semanticTokens/full", document)["data"]


@pytest.mark.parametrize("separator", ["\u2028", "\x0b", "\x0c", "\x85", "\x1e", "\u2029"])
def test_lines_end_where_editors_end_them(separator: str):
    with served() as client:
        client.open(f"# one{separator}line\n{_POLICY}")
        # Above the separator, below it, and in the last line: each is understood.
        client.edit(0, 0, "# ")
        client.edit(client.text.index("stack"), client.text.index("stack") + 5, "size > 200ms")
        client.edit(len(client.text), len(client.text), "let unused = vma.stack;")
        found = client.findings()
        assert [(item["code"], item["range"]["start"]["line"]) for item in found] == [
            ("PC0301", 2),
            ("PC0212", 3),
        ]
        after = colours(client)
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        client.open(client.text)
        assert colours(client) == after


def test_a_text_with_a_byte_order_mark_is_changed_where_it_should_be():
    with served() as client:
        client.open("\ufeff" + _POLICY.replace("vma.stack", "vma.stak"))
        [found] = client.findings()
        request = {"range": _WHOLE, "context": {"diagnostics": []}}
        actions = client.ask("textDocument/codeAction", {"textDocument": {"uri": URI}, **request})
        [[edit]] = [action["edit"]["changes"][URI] for action in actions]
        assert edit["newText"] == "vma.stack"
        assert edit["range"] == found["range"]
        assert edit["range"]["start"] == client.position(client.text.index("vma.stak"))
        assert colours(client)[:3] == [0, 1, len("policy")]


def test_half_a_character_is_no_reason_to_fail():
    with served() as client:
        client.open(f'{_POLICY}import "\ud800.thp";\n# \udc00\n')
        assert {item["code"] for item in client.findings()} == {"PC0213"}
        place = {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 18}}
        assert client.ask("textDocument/completion", place)
        assert client.ask("textDocument/definition", place) is None


def test_a_comment_ends_before_its_carriage_return():
    with served() as client:
        client.open("# comment\r\n" + _POLICY.replace("\n", "\r\n"))
        assert colours(client)[:5] == [0, 0, len("# comment"), 6, 0]


def _renamed(client: Client, uri: str, at: dict[str, int]) -> set[str]:
    question: dict[str, Any] = {"textDocument": {"uri": uri}, "position": at, "newName": "vast"}
    return set(client.ask("textDocument/rename", question)["changes"])


@pytest.mark.parametrize(
    ("name", "written", "uri"),
    [
        (b"shared.thp", r"sh\x61red.thp", "shared.thp"),
        (b"\xff.thp", r"\xff.thp", "%FF.thp"),
        (b'a\n"b#.thp', r"a\n\"b#.thp", "a%0A%22b%23.thp"),
        (b"a%41.thp", "a%41.thp", "a%2541.thp"),
    ],
)
def test_files_are_the_same_whatever_bytes_they_are_called_by(
    tmp_path: Path, name: bytes, written: str, uri: str
):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("let big = vma.stack;\n")
    text = f'policy p;\nimport "{written}";\nthp {{ deny when big; otherwise pass; }}\n'
    main, shared = (tmp_path / "main.thp").as_uri(), f"{tmp_path.as_uri()}/{uri}"
    (tmp_path / "main.thp").write_text(text)
    with served(folder=tmp_path) as client:
        client.open(text, main)
        assert client.findings() == []
        assert _renamed(client, main, {"line": 2, "character": 17}) == {main, shared}
        client.open("let big = vma.stack;\n", shared)
        assert _renamed(client, shared, {"line": 0, "character": 5}) == {main, shared}


def test_what_names_no_file_can_be_edited_all_the_same():
    with served() as client:
        for uri in ("untitled:Untitled-1", "http://[x", "file:///a%00b", ""):
            client.open(_POLICY.replace("vma.stack", "1s"), uri)
            assert [item["code"] for item in client.findings()] == ["PC0302"]
            assert _renamed_or_refused(client, uri) == "only"


def _renamed_or_refused(client: Client, uri: str) -> str:
    with pytest.raises(RefusedError) as refused:
        _renamed(client, uri, {"line": 0, "character": 0})
    return str(refused.value).split()[0]


def test_what_is_refused_is_told_to_the_editor_alone():
    with served() as client:
        client.open(_POLICY)
        assert _renamed_or_refused(client, URI) == "only"
        assert client.end() == 0
        assert client.errors() == b""


def test_a_document_opened_again_with_the_version_it_had_is_checked_as_it_is():
    lets = "".join(f"let a{number} = vma.size > {number}M;\n" for number in range(1500))
    with served() as client:
        client.open(lets)
        client.edit(0, 0, " ")
        client.ask("textDocument/codeLens", {"textDocument": {"uri": URI}})
        client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
        client.open_as(2, _POLICY.replace("vma.stack", "1s"))
        # The first check to end may be of the text that was closed: nothing of it is told.
        assert [item["code"] for item in client.findings()] == ["PC0302"]
