"""The language server as editors run it: a process, and messages over its pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.lsp.client import ROOT, URI, Client, RefusedError, served

POLICY = """\
policy fleet;  # 漢 and 𝒳 are longer in some encodings than in others

set   java    : cgroup  = { "/kubepods/𝒳" };
param ceiling : percent = 10% in 0%..100%;
let   busy    = cgroup.psi.memory.full.avg10 > ceiling;
let   small   = 16K..64K;

host {
    thp.enabled = madvise;
}

thp {
    first: deny when busy;
    allow small when cgroup under java or cgroup == "/𝒳" and vma.size >= 8M;
    otherwise pass;
}

thp for cgroup "/a" {
    allow 64K when event is khugepaged and not busy;
    otherwise deny;
}
"""


@pytest.fixture(scope="module")
def process() -> Generator[Client]:
    with served() as client:
        yield client


@pytest.fixture
def client(process: Client) -> Client:
    process.notifications.clear()
    process.open(POLICY)
    process.findings()
    return process


# -- findings


def test_findings_follow_what_is_typed(client: Client):
    start = client.text.index("8M")
    client.edit(start, start + 2, "200ms")
    [finding] = [item for item in client.findings() if item["severity"] == 1]
    assert (finding["code"], finding["source"]) == ("PC0301", "policyc")
    assert client.under(finding["range"]) == ">="
    related = {client.under(item["location"]["range"]) for item in finding["relatedInformation"]}
    assert related == {"vma.size", "200ms"}
    client.edit(start, start + 5, "8M")
    assert [item for item in client.findings() if item["severity"] == 1] == []


def test_quick_typing_is_checked_once_and_at_the_end(client: Client):
    place = client.text.index("busy    =")
    for character in "very_":
        client.edit(place, place, character)
        place += 1
    # Every version but the last would have been published if each were checked.
    client.findings()
    assert not [m for m in client.notifications if m.get("method", "").endswith("Diagnostics")]


def test_unused_names_are_faded(client: Client):
    client.open("policy p;\nlet unused = 1;\nthp { otherwise pass; }\n")
    [finding] = client.findings()
    assert (finding["code"], finding["tags"]) == ("PC0212", [1])


def test_closing_takes_the_findings_away(client: Client):
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert client.hear("textDocument/publishDiagnostics")["diagnostics"] == []
    assert client.of("documentSymbol") == []


def test_profiles_and_the_page_size_are_options():
    with served("--profile", "thp-v9", "--page-size", "64K") as client:
        client.open("policy p;\nthp { allow 16K; otherwise pass; }\n")
        codes = [finding["code"] for finding in client.findings()]
        assert "PC0401" in codes  # smaller than a page
        client.open("policy p;\nthp { allow 256K when vma.size > 1G; otherwise pass; }\n")
        assert "PC0604" in [finding["code"] for finding in client.findings()]


# -- names


def test_definition_is_where_the_name_is_declared(client: Client):
    found = client.at("definition", "deny when bu|sy")
    assert client.under(found["range"]) == "busy"
    assert found["range"]["start"]["line"] == 4
    # After characters that are two units long in the protocol.
    assert client.at("definition", "cgroup under ja|va")["range"]["start"]["line"] == 2
    assert client.at("definition", "vma.si|ze") is None


def test_references_are_all_uses_and_no_text_in_strings_or_comments(client: Client):
    client.edit(0, 0, "# busy\n")
    found = client.at("references", "let   bu|sy", context={"includeDeclaration": True})
    assert [place["range"]["start"]["line"] for place in found] == [5, 13, 19]
    assert {client.under(place["range"]) for place in found} == {"busy"}
    found = client.at("references", "let   bu|sy", context={"includeDeclaration": False})
    assert len(found) == 2


def test_rename_changes_every_use_and_nothing_else(client: Client):
    edit = client.at("rename", "not bu|sy", newName="squeezed")
    text = client.text
    for change in reversed(edit["changes"][URI]):
        start, end = (client.offset(change["range"][key]) for key in ("start", "end"))
        text = text[:start] + change["newText"] + text[end:]
    assert text == POLICY.replace("busy", "squeezed")


@pytest.mark.parametrize(
    ("needle", "new", "why"),
    [
        ("not bu|sy", "when", "a word of the language"),
        ("not bu|sy", "vma.size", "no dots"),
        ("not bu|sy", "khugepaged", "a value of event"),
        ("not bu|sy", "a-b", "cannot be called"),
        ("not bu|sy", "", "cannot be called"),
        ("not bu|sy", "java", "already declared in line 3"),
        ("vma.si|ze", "area", "only sets, parameters, lets and labels"),
    ],
)
def test_rename_refuses_what_would_break_the_policy(
    client: Client, needle: str, new: str, why: str
):
    with pytest.raises(RefusedError, match=why):
        client.at("rename", needle, newName=new)


def test_labels_have_names_of_their_own(client: Client):
    edit = client.at("rename", "fir|st: deny", newName="busy")
    assert [client.under(change["range"]) for change in edit["changes"][URI]] == ["first"]
    assert client.at("prepareRename", "fir|st: deny")["start"]["character"] == 4
    with pytest.raises(RefusedError, match="only sets"):
        client.at("prepareRename", "policy fl|eet")


# -- other files


def test_imported_names_lead_to_their_files(tmp_path: Path):
    (tmp_path / "shared.thp").write_text("let big = vma.size > 1G;\nlet other = true;\n")
    main = tmp_path / "main.thp"
    text = (
        'policy p;\nimport "shared.thp" as shared;\nthp { deny when shared.big; otherwise pass; }\n'
    )
    with served() as client:
        uri = main.as_uri()
        client.open(text, uri)
        assert [f for f in client.findings() if f["severity"] == 1] == []
        where = {"textDocument": {"uri": uri}, "position": client.position(text.index(".big") + 2)}
        found = client.ask("textDocument/definition", where)
        assert (found["uri"], found["range"]["start"]["line"]) == (
            f"{tmp_path.as_uri()}/shared.thp",
            0,
        )
        assert "vma.size > 1G" in client.ask("textDocument/hover", where)["contents"]["value"]
        where["position"] = client.position(text.index("shared.big"))
        labels = {item["label"] for item in client.ask("textDocument/completion", where)}
        assert {"shared.big", "shared.other"} <= labels
        with pytest.raises(RefusedError):
            client.ask("textDocument/rename", {**where, "newName": "huge"})


def test_a_file_that_is_open_is_read_as_it_is_in_the_editor(tmp_path: Path):
    shared, main = tmp_path / "shared.thp", tmp_path / "main.thp"
    shared.write_text("let big = vma.size > 1G;\n")
    with served() as client:
        client.open(
            'policy p;\nimport "shared.thp";\nthp { deny when big; otherwise pass; }\n',
            main.as_uri(),
        )
        assert [f for f in client.findings() if f["severity"] == 1] == []
        client.open("let big = 3;\n", shared.as_uri())
        client.edit(0, 0, "# changed\n", shared.as_uri())
        while True:
            said = client.hear("textDocument/publishDiagnostics")
            if said["uri"] == main.as_uri():
                break
        assert [f["code"] for f in said["diagnostics"] if f["severity"] == 1] == ["PC0302"]
        where = {"textDocument": {"uri": shared.as_uri()}, "position": client.position(15)}
        with pytest.raises(RefusedError, match="imports this file"):
            client.ask("textDocument/rename", {**where, "newName": "huge"})


# -- the whole document


def test_symbols_are_declarations_and_blocks_with_their_rules(client: Client):
    symbols = client.of("documentSymbol")
    names = [symbol["name"] for symbol in symbols]
    assert names == ["java", "ceiling", "busy", "small", "host", "thp", 'thp for cgroup "/a"']
    rules = [rule["name"] for rule in symbols[5]["children"]]
    assert rules[0] == "first"
    assert rules[2] == "otherwise pass"
    assert client.under(symbols[6]["range"]).endswith("otherwise deny;\n}")


def test_lenses_say_what_became_of_tests(client: Client):
    test = 'test "t" for thp {{\n given orders = all;\n expect {0};\n expect allow all;\n}}\n'
    text = "policy p;\nthp { otherwise pass; }\n" + test.format("deny")
    client.open(text)
    client.findings()
    assert client.of("codeLens")[1]["command"]["title"].startswith("FAILS (")
    client.open("policy p;\nthp { otherwise allow all; }\n" + test.format("allow all"))
    client.findings()
    assert client.of("codeLens")[1]["command"]["title"] == "passes (2 of 2)"


def test_lenses_count_rules(client: Client):
    lenses = client.of("codeLens")
    assert [lens["command"]["title"] for lens in lenses] == ["3 rules", "2 rules"]
    client.open(
        "policy p;\nnuma {\n hot_threshold = 1ms;\n rollout 5% by cgroup;\n otherwise off;\n}"
    )
    [lens] = client.of("codeLens")
    assert lens["command"]["title"] == "1 rule"


def test_semantic_tokens_lie_on_the_words(client: Client):
    data = client.of("semanticTokens/full")["data"]
    line = character = 0
    found: dict[str, int] = {}
    for start in range(0, len(data), 5):
        lines, step, length, kind, _ = data[start : start + 5]
        line, character = line + lines, step + (0 if lines else character)
        ends = ({"line": line, "character": at} for at in (character, character + length))
        found[client.under(dict(zip(("start", "end"), ends, strict=True)))] = kind
    assert found['"/𝒳"'] == found['"/a"']
    assert found["vma.size"] == found["event"] != found["busy"]
    assert found["8M"] == found["10%"]
    assert found["when"] == found["deny"]


def test_layout_is_that_of_the_printer(client: Client):
    client.open("policy p;thp{allow 64K when vma.size>=0x10_0000;otherwise pass;}")
    [edit] = client.of("formatting", options={"tabSize": 8, "insertSpaces": False})
    assert edit["newText"].splitlines()[:3] == ["policy p;", "", "thp {"]
    client.open(edit["newText"])
    assert client.of("formatting", options={"tabSize": 8, "insertSpaces": False}) == []
    client.open("policy p;# why\nthp{otherwise pass;}")
    [edit] = client.of("formatting", options={"tabSize": 8, "insertSpaces": False})
    assert "# why" in edit["newText"]
    client.open("policy p; thp {")
    assert client.of("formatting", options={"tabSize": 8, "insertSpaces": False}) == []
    assert "syntax errors" in client.hear("window/showMessage")["message"]


def test_layout_leaves_lines_alone_that_are_right(client: Client):
    text = "policy p;\n\nthp {\n    deny when vma.stack;\n    otherwise pass;\n}\n"
    for wrong in (
        text.replace("    deny", "  deny"),
        text.replace("vma.stack;\n", "vma.stack;\n    # é 🐧\n\n\n"),
        text + "\n\n",
        text[:-1],
        "\n" + text,
        text.replace("\n", "\r\n"),
        text.replace("}\n", "    allow none;\n    allow none;allow none;\n}\n"),
    ):
        client.open(wrong)
        [edit] = client.of("formatting", options={"tabSize": 8, "insertSpaces": False})
        start, end = client.offset(edit["range"]["start"]), client.offset(edit["range"]["end"])
        outcome = wrong[:start] + edit["newText"] + wrong[end:]
        client.open(outcome)
        assert client.of("formatting", options={"tabSize": 8, "insertSpaces": False}) == []
        if "allow" not in wrong and "#" not in wrong:
            assert outcome == text
    client.open(text.replace("    deny", "  deny"))
    [edit] = client.of("formatting", options={"tabSize": 8, "insertSpaces": False})
    assert edit["newText"] == "    deny when vma.stack;\n"


def test_quick_fixes_are_those_of_the_findings(client: Client):
    client.open("policy p;\nthp { deny when vma.siez > 2M; allow none; otherwise pass; }\n")
    client.findings()
    everything = {"start": client.position(0), "end": client.position(len(client.text))}
    actions = client.of("codeAction", range=everything, context={"diagnostics": []})
    titles = {action["title"] for action in actions}
    assert "replace `vma.siez` with `vma.size`" in titles
    [action] = [a for a in actions if "vma.size" in a["title"]]
    [edit] = action["edit"]["changes"][URI]
    assert (client.under(edit["range"]), edit["newText"]) == ("vma.siez", "vma.size")
    assert action["diagnostics"][0]["code"] == "PC0201"
    elsewhere = {"start": client.position(0), "end": client.position(3)}
    assert client.of("codeAction", range=elsewhere, context={"diagnostics": []}) == []


def test_no_fix_is_offered_for_a_text_that_has_changed_since(client: Client):
    client.open("policy p;\nthp { deny when vma.siez > 2M; otherwise pass; }\n")
    client.findings()
    client.edit(0, 0, "# a line\n")
    everything = {"start": client.position(0), "end": client.position(len(client.text))}
    assert client.of("codeAction", range=everything, context={"diagnostics": []}) == []


# -- what nobody should send


MALFORMED = [
    "",
    "policy",
    "policy p; thp {",
    "} } } policy",
    'policy p; thp for cgroup "/a',
    "{{{{{{{{{{{{{{{{",
    "policy p; set x : cgroup = { ; thp { first : : allow",
    "\ufeffpolicy p;\r\nthp { otherwise pass; }\r\n",
    "\x00\x01 ; ; \u2028 \x0c policy p;\r thp { \r otherwise pass; }",
    "policy p; thp { deny when (((((((((((( }",
    "let let let = let; param : = ;",
    "host { thp.enabled[ = ; numa.balancing }",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_every_question_has_an_answer_whatever_the_text(client: Client, text: str):
    client.open(text)
    for offset in range(0, len(text) + 1, max(1, len(text) // 12)):
        where = {"textDocument": {"uri": URI}, "position": client.position(offset)}
        for method in ("hover", "completion", "definition"):
            client.ask(f"textDocument/{method}", where)
        client.ask("textDocument/references", {**where, "context": {"includeDeclaration": True}})
    for method in ("documentSymbol", "codeLens", "semanticTokens/full"):
        client.of(method)
    assert client.findings() is not None


def test_a_document_typed_letter_by_letter_never_fails(client: Client):
    client.open("")
    for place, character in enumerate(POLICY):
        client.edit(place, place, character)
        if place % 7 == 0:
            client.ask(
                "textDocument/completion",
                {"textDocument": {"uri": URI}, "position": client.position(place + 1)},
            )
    assert client.text == POLICY
    assert [item for item in client.findings() if item["severity"] == 1] == []


def test_a_huge_document_does_not_stop_the_answers(client: Client):
    rules = "".join(
        f'    deny when cgroup under "/pod{n}" and vma.size > {n}M;\n' for n in range(5000)
    )
    client.open(f"policy p;\nlet big = vma.size > 1G;\nthp {{\n{rules}    otherwise pass;\n}}\n")
    assert "vma.size" in client.at("hover", "let big = vma.|size")["contents"]["value"]
    [lens] = client.of("codeLens")
    assert lens["command"]["title"] == "5001 rules"
    client.findings()


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
        client.open(POLICY)
        beyond = {"textDocument": {"uri": URI}, "position": {"line": 999, "character": 9}}
        assert client.ask("textDocument/hover", beyond) is None
        assert client.end() == 0
        assert b"Traceback" not in client.errors()


def test_it_ends_when_the_editor_does():
    with served() as client:
        assert client.hang_up() == 0


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
