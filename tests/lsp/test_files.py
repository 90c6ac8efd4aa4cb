"""Names over files: open ones, and those of the folder that the editor works in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import client_capabilities

from policyc.check import check_text
from policyc.lsp import files
from policyc.lsp.analysis import Analysis
from policyc.lsp.files import Files
from tests.lsp.editor import Editor, serving

pytestmark = pytest.mark.asyncio

SHARED = """\
let big = vma.size > 1G;
let huge_area = big and vma.size > 8G;
let other = true;
"""
LISTED = """\
policy listed;
import "../shared.thp" (big, other);
thp { deny when big and other; otherwise pass; }
"""
NAMED = """\
policy named;
import "shared.thp" as common;
let big = common.big or common.other;
thp { deny when big or common.big; otherwise pass; }
"""
EVERYTHING = """\
policy everything;
import "shared.thp";  # big
thp { big: deny when huge_area; allow 64K when big; otherwise pass; }
"""
WITHOUT = "policy without;\nlet big = true;\nthp { deny when big; otherwise pass; }\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "shared.thp": SHARED,
        "deep/listed.thp": LISTED,
        "named.thp": NAMED,
        "everything.thp": EVERYTHING,
        "without.thp": WITHOUT,
        "node_modules/listed.thp": LISTED,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def errors(findings: Sequence[types.Diagnostic]) -> list[types.Diagnostic]:
    return [item for item in findings if item.severity == types.DiagnosticSeverity.Error]


def path_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))


def carry_out(edit: types.WorkspaceEdit) -> dict[str, int | None]:
    """Make the changes on the disk; the version of each document by its name."""
    versions: dict[str, int | None] = {}
    editor = Editor()
    for change in edit.document_changes or ():
        assert isinstance(change, types.TextDocumentEdit)
        path = path_of(change.text_document.uri)
        versions[path.name] = change.text_document.version
        editor.text = path.read_text()
        edits = [edit for edit in change.edits if isinstance(edit, types.TextEdit)]
        path.write_text(editor.changed(edits))
    for uri, edits in (edit.changes or {}).items():
        editor.text = path_of(uri).read_text()
        path_of(uri).write_text(editor.changed(edits))
    return versions


@pytest.mark.parametrize(
    ("name", "needle"),
    [
        ("shared.thp", "let bi|g"),
        ("shared.thp", "= b|ig and"),
        ("deep/listed.thp", "(b|ig"),
        ("deep/listed.thp", "when big| and"),
        ("named.thp", "common.bi|g;"),
        ("everything.thp", "when big|;"),
    ],
)
async def test_rename_asked_for_anywhere_changes_every_file(folder: Path, name: str, needle: str):
    async with serving(folder=folder) as editor:
        editor.open((folder / name).read_text(), (folder / name).as_uri())
        edit = await editor.rename(needle, "vast")
        assert edit.document_changes is None
    carry_out(edit)
    assert (folder / "shared.thp").read_text() == SHARED.replace("big", "vast")
    assert (folder / "deep/listed.thp").read_text() == LISTED.replace("big", "vast")
    assert (folder / "named.thp").read_text() == NAMED.replace("common.big", "common.vast")
    assert (folder / "everything.thp").read_text() == EVERYTHING.replace("when big", "when vast")
    assert (folder / "without.thp").read_text() == WITHOUT
    assert (folder / "node_modules/listed.thp").read_text() == LISTED
    for path in folder.glob("*.thp"):
        result = check_text(path.read_bytes(), str(path), library=True)
        assert [d for d in result.diagnostics if d.severity == "error"] == []


async def test_changes_say_the_versions_of_open_documents_to_clients_that_take_them(folder: Path):
    capabilities = client_capabilities("visual-studio-code")
    async with serving(folder=folder, capabilities=capabilities) as editor:
        # Elsewhere than on the disk, and not saved.
        named = (folder / "named.thp").as_uri()
        editor.open("# first\n" + NAMED, named)
        version = editor.version
        editor.open(SHARED, (folder / "shared.thp").as_uri())
        edit = await editor.rename("let bi|g", "vast")
        assert edit.changes is None
        (folder / "named.thp").write_text("# first\n" + NAMED)
        versions = carry_out(edit)
        assert versions == {
            "shared.thp": editor.version,
            "named.thp": version,
            "listed.thp": None,
            "everything.thp": None,
        }
        assert "common.vast or common.other" in (folder / "named.thp").read_text()


@pytest.mark.parametrize(
    ("needle", "new", "why"),
    [
        ("let ot|her", "big", "`big` is already declared in line 1$"),
        ("let ot|her", "common", None),
        ("let hu|ge_area", "mine", "`mine` is already declared in line 3 of .*taken.thp$"),
        ("let hu|ge_area", "there", "`there` is already imported in line 4 of .*taken.thp$"),
        ("let hu|ge_area", "space", "`space` is already the name of an import in line 5 of .*"),
        ("let hu|ge_area", "label", None),
        ("let hu|ge_area", "psi", None),
    ],
)
async def test_rename_is_refused_if_a_name_is_taken_in_a_file_that_would_see_it(
    folder: Path, needle: str, new: str, why: str | None
):
    (folder / "more.thp").write_text("let there = true;\n")
    (folder / "space.thp").write_text("let thing = true;\n")
    (folder / "taken.thp").write_text(
        'policy taken;\nimport "shared.thp" (huge_area);\nlet mine = true;\n'
        'import "more.thp";\nimport "space.thp" as space;\n'
        "thp { label: deny when huge_area; otherwise pass; }\n"
    )
    async with serving(folder=folder) as editor:
        editor.open(SHARED, (folder / "shared.thp").as_uri())
        if why is None:
            await editor.rename(needle, new)
        else:
            with pytest.raises(JsonRpcException, match=why):
                await editor.rename(needle, new)


async def test_the_name_of_an_import_is_a_name_of_its_own_file(folder: Path):
    async with serving(folder=folder) as editor:
        editor.open(NAMED, (folder / "named.thp").as_uri())
        for needle in ("as com|mon", "when big or com|mon.big"):
            assert editor.under(await editor.prepare_rename(needle)) == "common"
            edit = await editor.rename(needle, "ours")
            [(uri, edits)] = (edit.changes or {}).items()
            assert path_of(uri).name == "named.thp"
            assert editor.changed(edits) == NAMED.replace("common", "ours")
        assert editor.under(await editor.prepare_rename("or common.b|ig;")) == "big"
        found = await editor.definition("= com|mon.big")
        assert found is not None
        assert editor.under(found.range) == "common"
        with pytest.raises(JsonRpcException, match="already declared in line 3"):
            await editor.rename("as com|mon", "big")
        with pytest.raises(JsonRpcException, match="there are attributes below"):
            await editor.rename("as com|mon", "vma")


async def test_references_and_definitions_are_of_all_files(folder: Path):
    async with serving(folder=folder) as editor:
        editor.open(EVERYTHING, (folder / "everything.thp").as_uri())
        found = await editor.references("allow 64K when bi|g", declaration=False)
        assert sorted((path_of(place.uri).name, place.range.start.line) for place in found) == [
            ("everything.thp", 2),
            ("listed.thp", 1),
            ("listed.thp", 2),
            ("named.thp", 2),
            ("named.thp", 3),
            ("shared.thp", 1),
        ]
        assert len(await editor.references("allow 64K when bi|g", declaration=True)) == 7
        for needle, line in (("allow 64K when bi|g", 0), ("deny when hu|ge", 1)):
            place = await editor.definition(needle)
            assert place is not None
            assert (path_of(place.uri).name, place.range.start.line) == ("shared.thp", line)
        place = await editor.definition('"shared|.thp"')
        assert place is not None
        assert path_of(place.uri).name == "shared.thp"


async def test_imported_names_lead_to_their_files(tmp_path: Path):
    (tmp_path / "shared.thp").write_text("let big = vma.size > 1G;\nlet other = true;\n")
    text = (
        'policy p;\nimport "shared.thp" as shared;\nthp { deny when shared.big; otherwise pass; }\n'
    )
    async with serving() as editor:
        editor.open(text, (tmp_path / "main.thp").as_uri())
        assert errors(await editor.findings()) == []
        found = await editor.definition("shared.b|ig")
        assert found is not None
        assert found.uri == (tmp_path / "shared.thp").as_uri()
        assert found.range.start.line == 0
        assert "vma.size > 1G" in await editor.hover("shared.b|ig")
        assert {"shared.big", "shared.other"} <= await editor.labels("|shared.big")


async def test_a_file_that_is_open_is_read_as_it_is_in_the_editor(tmp_path: Path):
    shared, main = tmp_path / "shared.thp", tmp_path / "main.thp"
    shared.write_text("let big = vma.size > 1G;\n")
    async with serving() as editor:
        text = 'policy p;\nimport "shared.thp";\nthp { deny when big; otherwise pass; }\n'
        editor.open(text, main.as_uri())
        assert errors(await editor.findings()) == []
        editor.open("let big = 3;\n", shared.as_uri())
        editor.edit(0, 0, "# changed\n")
        said = await editor.hear(main.as_uri())
        assert [item.code for item in errors(said.diagnostics)] == ["PC0302"]
        edit = await editor.rename("let bi|g", "huge")
        assert {path_of(uri).name for uri in edit.changes or {}} == {"shared.thp", "main.thp"}
        # With an error of syntax it is no part of the policy, and must not be forgotten.
        editor.edit(0, 0, "let let;\n")
        assert errors((await editor.hear(main.as_uri())).diagnostics) == []
        editor.edit(0, len(editor.text), "let big = 4;\n")
        said = await editor.hear(main.as_uri())
        assert [item.code for item in errors(said.diagnostics)] == ["PC0302"]


async def test_what_two_checks_find_in_one_file_is_shown_together(tmp_path: Path):
    shared, main = tmp_path / "shared.thp", tmp_path / "main.thp"
    text = 'policy p;\nimport "shared.thp";\nthp { deny when big; otherwise pass; }\n'
    wrong = "let big = vma.size > 1G;\nlet worse = 3 > 1G;\n"
    async with serving() as editor:
        editor.open(wrong, shared.as_uri())
        assert [item.code for item in await editor.findings()] == ["PC0301"]
        editor.open(text, main.as_uri())
        said = await editor.hear(shared.as_uri())
        assert [item.code for item in said.diagnostics] == ["PC0301"]
        # The policy is gone, the file of definitions is as wrong as before.
        editor.close(main.as_uri())
        said = await editor.hear(shared.as_uri())
        assert [item.code for item in said.diagnostics] == ["PC0301"]
        editor.close(shared.as_uri())
        assert not (await editor.hear(shared.as_uri())).diagnostics


async def test_a_file_that_changes_on_the_disk_has_its_importers_checked(tmp_path: Path):
    shared, main = tmp_path / "shared.thp", tmp_path / "main.thp"
    capabilities = client_capabilities("visual-studio-code")
    async with serving(folder=tmp_path, capabilities=capabilities) as editor:
        text = 'policy p;\nimport "shared.thp";\nthp { deny when big; otherwise pass; }\n'
        editor.open(text, main.as_uri())
        assert [item.code for item in errors(await editor.findings())] == ["PC0213"]
        [registration] = editor.registered
        assert registration.method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        for kind, content, codes in (
            (types.FileChangeType.Created, "let big = vma.size > 1G;\n", []),
            (types.FileChangeType.Changed, "let big = 7;\n", ["PC0302"]),
            (types.FileChangeType.Changed, "let big = vma.size > 2G;\n", []),
            (types.FileChangeType.Deleted, None, ["PC0213"]),
        ):
            if content is None:
                shared.unlink()
            else:
                shared.write_text(content)
            changes = [types.FileEvent(shared.as_uri(), kind)]
            params = types.DidChangeWatchedFilesParams(changes)
            editor.workspace_did_change_watched_files(params)
            said = await editor.hear(main.as_uri())
            assert [item.code for item in errors(said.diagnostics)] == codes


async def test_a_folder_that_is_too_large_is_not_renamed_in_by_halves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    known = Files({}, lambda uri, text: Analysis(uri, text, None))
    shared = known.document(str(folder / "shared.thp"))
    assert shared is not None
    found = known.importers(shared, [str(folder), str(folder / "deep")])
    assert [Path(each.path).name for each in found.documents] == [
        "listed.thp",
        "everything.thp",
        "named.thp",
    ]
    assert found.all_known
    for limit in ("_MOST_FILES", "_MOST_ENTRIES"):
        with monkeypatch.context() as patch:
            patch.setattr(files, limit, 2)
            assert not known.importers(shared, [str(folder)]).all_known
