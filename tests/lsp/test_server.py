"""The language server as editors run it: a process, and messages over its pipes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import pytest_asyncio
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tests.lsp.editor import URI, Editor, serving, soon

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest_asyncio.fixture(loop_scope="module")
async def client(process: Editor) -> Editor:
    process.open(POLICY)
    await process.findings()
    return process


def errors(findings: Sequence[types.Diagnostic]) -> list[types.Diagnostic]:
    return [item for item in findings if item.severity == types.DiagnosticSeverity.Error]


# -- findings


async def test_findings_follow_what_is_typed(client: Editor):
    start = client.text.index("8M")
    client.edit(start, start + 2, "200ms")
    [finding] = errors(await client.findings())
    assert (finding.code, finding.source) == ("PC0301", "policyc")
    assert client.under(finding.range) == ">="
    related = {client.under(item.location.range) for item in finding.related_information or ()}
    assert related == {"vma.size", "200ms"}
    client.edit(start, start + 5, "8M")
    assert errors(await client.findings()) == []


async def test_quick_typing_is_checked_once_and_at_the_end(client: Editor):
    place = client.text.index("busy    =")
    for character in "very_":
        client.edit(place, place, character)
        place += 1
    # Every version but the last would have been published if each were checked.
    assert (await client.hear()).version == client.version


async def test_unused_names_are_faded(client: Editor):
    client.open("policy p;\nlet unused = 1;\nthp { otherwise pass; }\n")
    [finding] = await client.findings()
    assert (finding.code, *(finding.tags or ())) == ("PC0212", types.DiagnosticTag.Unnecessary)


async def test_closing_takes_the_findings_away(client: Editor):
    client.close()
    assert not (await client.hear()).diagnostics
    assert not await client.symbols()


async def test_profiles_and_the_page_size_are_options():
    async with serving("--profile", "thp-v9", "--page-size", "64K") as client:
        client.open("policy p;\nthp { allow 16K; otherwise pass; }\n")
        codes = [finding.code for finding in await client.findings()]
        assert "PC0401" in codes  # smaller than a page
        client.open("policy p;\nthp { allow 256K when vma.size > 1G; otherwise pass; }\n")
        assert "PC0604" in [finding.code for finding in await client.findings()]


# -- names


async def test_definition_is_where_the_name_is_declared(client: Editor):
    found = await client.definition("deny when bu|sy")
    assert found is not None
    assert client.under(found.range) == "busy"
    assert found.range.start.line == 4
    # After characters that are two units long in the protocol.
    found = await client.definition("cgroup under ja|va")
    assert found is not None
    assert found.range.start.line == 2
    assert await client.definition("vma.si|ze") is None


async def test_references_are_all_uses_and_no_text_in_strings_or_comments(client: Editor):
    client.edit(0, 0, "# busy\n")
    found = await client.references("let   bu|sy", declaration=True)
    assert [place.range.start.line for place in found] == [5, 13, 19]
    assert {client.under(place.range) for place in found} == {"busy"}
    assert len(await client.references("let   bu|sy", declaration=False)) == 2


async def test_rename_changes_every_use_and_nothing_else(client: Editor):
    edit = await client.rename("not bu|sy", "squeezed")
    assert edit.changes is not None
    assert client.changed(edit.changes[URI]) == POLICY.replace("busy", "squeezed")


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
async def test_rename_refuses_what_would_break_the_policy(
    client: Editor, needle: str, new: str, why: str
):
    with pytest.raises(JsonRpcException, match=why):
        await client.rename(needle, new)


async def test_labels_have_names_of_their_own(client: Editor):
    edit = await client.rename("fir|st: deny", "busy")
    assert [client.under(change.range) for change in (edit.changes or {})[URI]] == ["first"]
    assert (await client.prepare_rename("fir|st: deny")).start.character == 4
    with pytest.raises(JsonRpcException, match="only sets"):
        await client.prepare_rename("policy fl|eet")


# -- the whole document


async def test_symbols_are_declarations_and_blocks_with_their_rules(client: Editor):
    symbols = await client.symbols()
    names = [symbol.name for symbol in symbols]
    assert names == ["java", "ceiling", "busy", "small", "host", "thp", 'thp for cgroup "/a"']
    rules = [rule.name for rule in symbols[5].children or ()]
    assert rules[0] == "first"
    assert rules[2] == "otherwise pass"
    assert client.under(symbols[6].range).endswith("otherwise deny;\n}")


async def test_lenses_say_what_became_of_tests(client: Editor):
    test = 'test "t" for thp {{\n given orders = all;\n expect {0};\n expect allow all;\n}}\n'
    text = "policy p;\nthp { otherwise pass; }\n" + test.format("deny")
    client.open(text)
    await client.findings()
    assert (await client.lenses())[1].startswith("FAILS (")
    client.open("policy p;\nthp { otherwise allow all; }\n" + test.format("allow all"))
    await client.findings()
    assert (await client.lenses())[1] == "passes (2 of 2)"


async def test_lenses_say_what_became_of_properties(client: Editor):
    policy = "policy p;\nthp { deny when vma.size > 8M; otherwise pass; }\n"
    client.open(
        policy + 'property "a" for thp:\n    result in orders;\n'
        'property "b" for thp: vma.size < 9M implies result == orders;\n'
    )
    await client.findings()
    holds, fails = (await client.lenses())[1:]
    assert holds == "holds for 25 generated requests"
    assert fails == "FAILS: `policyc test` shows for which request"
    rules = "".join(f"deny when vma.size > {n}M and task.uid == {n};\n" for n in range(2000))
    client.open(
        f'policy p;\nthp {{ {rules} otherwise pass; }}\nproperty "c" for thp: result in orders;\n'
    )
    await client.findings()
    assert (await client.lenses())[1].startswith("not tried here")
    client.edit(client.text.index("5;"), client.text.index("5;") + 1, "5M")
    await client.findings()
    assert (await client.lenses())[1] == "not run: the policy has errors, or has changed"


async def test_lenses_count_rules(client: Editor):
    assert await client.lenses() == ["3 rules", "2 rules"]
    client.open(
        "policy p;\nnuma {\n hot_threshold = 1ms;\n rollout 5% by cgroup;\n otherwise off;\n}"
    )
    assert await client.lenses() == ["1 rule"]


async def test_semantic_tokens_lie_on_the_words(client: Editor):
    data = await client.colours()
    line = character = 0
    found: dict[str, int] = {}
    for start in range(0, len(data), 5):
        lines, step, length, kind, _ = data[start : start + 5]
        line, character = line + lines, step + (0 if lines else character)
        ends = (types.Position(line, at) for at in (character, character + length))
        found[client.under(types.Range(*ends))] = kind
    assert found['"/𝒳"'] == found['"/a"']
    assert found["vma.size"] == found["event"] != found["busy"]
    assert found["8M"] == found["10%"]
    assert found["when"] == found["deny"]


async def test_layout_is_that_of_the_printer(client: Editor):
    client.open("policy p;thp{allow 64K when vma.size>=0x10_0000;otherwise pass;}")
    [edit] = await client.formatting()
    assert edit.new_text.splitlines()[:3] == ["policy p;", "", "thp {"]
    client.open(edit.new_text)
    assert await client.formatting() == []
    client.open("policy p;# why\nthp{otherwise pass;}")
    [edit] = await client.formatting()
    assert "# why" in edit.new_text
    client.open("policy p; thp {")
    assert await client.formatting() == []
    assert "syntax errors" in await client.message()


async def test_layout_leaves_lines_alone_that_are_right(client: Editor):
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
        [edit] = await client.formatting()
        outcome = client.changed([edit])
        assert outcome != wrong
        client.open(outcome)
        assert await client.formatting() == []
        if "allow" not in wrong and "#" not in wrong:
            assert outcome == text
    client.open(text.replace("    deny", "  deny"))
    [edit] = await client.formatting()
    assert edit.new_text == "    deny when vma.stack;\n"


async def test_quick_fixes_are_those_of_the_findings(client: Editor):
    client.open("policy p;\nthp { deny when vma.siez > 2M; allow none; otherwise pass; }\n")
    await client.findings()
    actions = await client.actions()
    assert "replace `vma.siez` with `vma.size`" in {action.title for action in actions}
    [action] = [a for a in actions if "vma.size" in a.title]
    assert action.edit is not None
    assert action.edit.changes is not None
    [edit] = action.edit.changes[URI]
    assert isinstance(edit, types.TextEdit)
    assert (client.under(edit.range), edit.new_text) == ("vma.siez", "vma.size")
    assert action.diagnostics is not None
    assert action.diagnostics[0].code == "PC0201"
    assert await client.actions(client.range(0, 3)) == []


async def test_no_fix_is_offered_for_a_text_that_has_changed_since(client: Editor):
    client.open("policy p;\nthp { deny when vma.siez > 2M; otherwise pass; }\n")
    await client.findings()
    client.edit(0, 0, "# a line\n")
    assert await client.actions() == []


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
    'import import "x" as as as; import "y" (; import; import "',
]


@pytest.mark.parametrize("text", MALFORMED)
async def test_every_question_has_an_answer_whatever_the_text(client: Editor, text: str):
    client.open(text)
    for offset in range(0, len(text) + 1, max(1, len(text) // 12)):
        here = client.here(offset)
        await soon(client.text_document_hover_async(types.HoverParams(*here)))
        await soon(client.text_document_completion_async(types.CompletionParams(*here)))
        await soon(client.text_document_definition_async(types.DefinitionParams(*here)))
        references = types.ReferenceParams(types.ReferenceContext(True), *here)
        await soon(client.text_document_references_async(references))
    await client.symbols()
    await client.lenses()
    await client.colours()
    assert await client.findings() is not None


async def test_a_document_typed_letter_by_letter_never_fails(client: Editor):
    client.open("")
    for place, character in enumerate(POLICY):
        client.edit(place, place, character)
        if place % 7 == 0:
            params = types.CompletionParams(*client.here(place + 1))
            await soon(client.text_document_completion_async(params))
    assert client.text == POLICY
    assert errors(await client.findings()) == []


async def test_a_huge_document_does_not_stop_the_answers(client: Editor):
    rules = "".join(
        f'    deny when cgroup under "/pod{n}" and vma.size > {n}M;\n' for n in range(5000)
    )
    client.open(f"policy p;\nlet big = vma.size > 1G;\nthp {{\n{rules}    otherwise pass;\n}}\n")
    assert "vma.size" in await client.hover("let big = vma.|size")
    assert await client.lenses() == ["5001 rules"]
    await client.findings()
