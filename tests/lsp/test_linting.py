"""The linter in the editor: its findings, its fixes, and comments that accept them."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types

from policyc.lint import lint_text
from tests.lsp.editor import URI, Editor, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: PL020 twice, of which one fix makes the other possible only afterwards; PL014 has no fix.
POLICY = """\
policy linted;
let flag = task.uid == 5;
let unused = flag;
thp {
    deny when flag == true;
    deny when event is smaps;
    allow 64K when (flag == true) == false;
    otherwise pass;
}
"""


@pytest_asyncio.fixture(loop_scope="module")
async def client(process: Editor) -> Editor:
    return process


def edits_of(action: types.CodeAction) -> list[types.TextEdit]:
    assert action.edit is not None
    assert action.edit.changes is not None
    return [edit for edit in action.edit.changes[URI] if isinstance(edit, types.TextEdit)]


async def test_findings_of_the_linter_come_with_those_of_the_checker(client: Editor):
    client.open(POLICY)
    found = await client.findings()
    expected = lint_text(POLICY, "p.thp").findings
    linted = [(item.code, item.range.start.line) for item in found if item.source == "policyc lint"]
    # What the checker says itself is not said again.
    assert linted == [(d.code, d.span.line - 1) for d in expected if d.code != "PL011"]
    assert {"PL014", "PL020"} <= {code for code, _ in linted}
    severities = {item.code: item.severity for item in found}
    assert severities["PL020"] == types.DiagnosticSeverity.Warning
    assert severities["PL014"] == types.DiagnosticSeverity.Information
    [unused] = [item for item in found if item.range.start.line == 2]
    assert (unused.code, *(unused.tags or ())) == ("PC0212", types.DiagnosticTag.Unnecessary)


async def test_a_policy_with_errors_is_not_linted(client: Editor):
    client.open(POLICY.replace("task.uid == 5", "task.uid == 5M"))
    assert {item.source for item in await client.findings()} == {"policyc"}
    client.open(POLICY.replace("policy linted;\n", "").partition("thp {")[0])
    assert [item for item in await client.findings() if item.source == "policyc lint"] == []


async def test_comments_accept_findings_as_for_the_command(client: Editor):
    text = POLICY.replace(
        "    deny when event", "    # lint: allow PL014 smaps\n    deny when event"
    )
    client.open(text)
    assert "PL014" not in {item.code for item in await client.findings()}
    client.open(text.replace("event is smaps", "task.uid == 7"))
    found = {item.code: item for item in await client.findings()}
    assert list(found["PL021"].tags or ()) == [types.DiagnosticTag.Unnecessary]


async def test_each_safe_fix_is_a_quick_fix(client: Editor):
    client.open(POLICY)
    await client.findings()
    place = client.text.index("== true")
    actions = await client.actions(client.range(place, place), only=["quickfix"])
    [action] = [each for each in actions if each.title.startswith("replace")]
    assert action.is_preferred
    assert client.changed(edits_of(action)) == POLICY.replace("flag == true;", "flag;")
    # The finding is the checker's, the fix the linter's.
    place = client.text.index("unused")
    [action] = await client.actions(client.range(place, place), only=["quickfix"])
    assert [item.code for item in action.diagnostics or ()] == ["PC0212"]
    assert client.changed(edits_of(action)) == POLICY.replace("let unused = flag;\n", "")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_a_quick_fix_accepts_a_finding_by_a_comment(client: Editor, newline: str):
    text = POLICY.replace("event is smaps", "task.uid == 9 and\n        event is smaps")
    text = text.replace("\n", newline)
    client.open(text)
    [finding] = [item for item in await client.findings() if item.code == "PL014"]
    actions = await client.actions(finding.range)
    [action] = [each for each in actions if each.title == "accept PL014 with a comment"]
    changed = client.changed(edits_of(action))
    assert f"{newline}    # lint: allow PL014{newline}    deny when" in changed
    client.open(changed)
    codes = [item.code for item in await client.findings()]
    assert "PL014" not in codes
    assert "PL022" in codes  # there is no reason yet, and a comment cannot settle that
    titles = {action.title for action in await client.actions()}
    assert not {title for title in titles if "PL022" in title}


@pytest.mark.parametrize("only", ["source", "source.fixAll", "source.fixAll.policyc"])
async def test_all_safe_fixes_are_applied_at_once(client: Editor, only: str):
    client.open(POLICY)
    # Whoever saves at once need not wait for the findings.
    [action] = await client.actions(only=[only])
    assert action.kind == "source.fixAll.policyc"
    fixed = client.changed(edits_of(action))
    assert "true" not in fixed
    assert "unused" not in fixed
    assert [d.code for d in lint_text(fixed, "p.thp").findings if d.fix is not None] == []
    assert {d.code for d in lint_text(fixed, "p.thp").findings} == {"PL014"}
    await client.findings()
    client.open(fixed)
    assert await client.actions(only=[only]) == []
    await client.findings()


async def test_actions_are_of_the_kind_that_is_asked_for(client: Editor):
    client.open(POLICY)
    await client.findings()
    assert {a.kind for a in await client.actions(only=["quickfix"])} == {"quickfix"}
    assert await client.actions(only=["source.organizeImports", "refactor"]) == []
    assert await client.actions(only=["source.fix"]) == []
    client.open("policy p; thp {")
    assert await client.actions(only=["source.fixAll"]) == []
    await client.findings()


async def test_imports_are_linted_as_they_are_in_the_editor(tmp_path: Path):
    shared, main = tmp_path / "shared.thp", tmp_path / "main.thp"
    shared.write_text("no policy")
    text = 'policy p;\nimport "shared.thp";\nthp { deny when flag == true; otherwise pass; }\n'
    async with serving("--profile", "thp-v12") as client:
        client.open("let flag = task.uid == 5;\n", shared.as_uri())
        assert await client.findings() == ()
        client.open(text, main.as_uri())
        assert [item.code for item in await client.findings()] == ["PL020"]
        [action] = await client.actions(only=["source.fixAll"])
        assert action.edit is not None
        [(uri, edits)] = (action.edit.changes or {}).items()
        assert uri == main.as_uri()
        assert client.changed(edits) == text.replace(" == true", "")
