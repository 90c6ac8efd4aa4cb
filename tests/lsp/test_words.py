"""Hover and completion: what is said of a word, and which words fit where."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from policyc.check import check_text
from policyc.hooks.loader import attributes, enumerations, host_rows
from policyc.lsp.analysis import Analysis
from policyc.lsp.completion import complete
from policyc.lsp.hover import hover
from policyc.lsp.scan import scan
from policyc.plan.nodes import Target

HEAD = """\
policy p;
set cgroups : cgroup = { "/a" };
set names : string = { "x" };
param share : percent = 5% in 0%..100%;
let small = 16K..64K | pmd;
let busy = psi.cpu.some.avg10 > share;
"""


def said(text: str, target: Target | None = None) -> str:
    """What the server says of the place of `|`, after a check."""
    offset = text.index("~")
    text = text.replace("~", "")
    checked = check_text(text, "p.thp", target=target)
    found = hover(Analysis("u", text, 1, target=target, checked=checked), offset)
    return found.contents.value if found is not None else ""  # pyright: ignore


def offered(text: str) -> list[str]:
    """The words that may stand at the place of `~`."""
    offset = text.index("~")
    return [item.label for item in complete(Analysis("u", text.replace("~", ""), 1), offset)]


# -- hover


def test_an_attribute_is_told_by_type_profiles_and_kernel_source():
    text = said(HEAD + "thp { deny when vma.si~ze > 2M; otherwise pass; }")
    assert "**vma.size**: size" in text
    assert "`thp-v12`" in text
    assert "mthp-v2" not in text  # which has no area
    assert "vma->vm_end - vma->vm_start" in text


def test_every_attribute_has_something_to_say():
    for name, row in attributes().items():
        hook = "thp" if "thp" in row.hooks else "numa"
        answer = "deny" if hook == "thp" else "off"
        text = said(f"policy p; {hook} {{ {answer} when has ~{name}; otherwise pass; }}")
        assert f"**{name}**" in text
        assert row.meaning in text
        assert (f"absent if {row.absent}" in text) == bool(row.absent)


def test_the_source_of_a_pressure_is_that_of_the_average():
    text = said(HEAD + "thp { deny when cgroup.psi.io.full.~avg60 > 5%; otherwise pass; }")
    assert "psi_average(cgroup_psi(cgroup), PSI_IO_FULL, 1, value)" in text


def test_a_let_is_told_with_its_sizes():
    text = said(HEAD + "thp { otherwise allow sma~ll; }")
    assert "let small = 16K..64K | pmd;" in text
    assert "orders: 16K, 32K, 64K, 2M" in text
    assert "of type bool" in said(HEAD + "thp { deny when bu~sy; otherwise pass; }")


@pytest.mark.parametrize(
    ("orders", "sizes"),
    [
        ("16K.~.64K", "16K, 32K, 64K"),
        ("..6~4K", "4K, 16K, 32K, 64K"),
        ("all - 2~M", "4K, 16K, 32K, 64K, 128K, 256K, 512K, 1M"),
        ("6~4K", "a page of order 4"),
        ("..pmd |~ 4K", "every order"),
        ("3~K", ""),
    ],
)
def test_order_sets_are_spelled_as_sizes(orders: str, sizes: str):
    text = said(HEAD + f"thp {{ allow {orders} when busy; otherwise pass; }}")
    assert sizes in text
    assert bool(text) == bool(sizes)


def test_sizes_are_those_of_the_page_size():
    text = said("policy p; thp { otherwise allow 64K.~.1M; }", Target(1 << 16, 13))
    assert "64K, 256K, 512K, 1M" in text
    assert "pages of 64K" in text


def test_settings_enumerators_hooks_and_words_are_told():
    text = said("policy p; host { thp.ena~bled = always; } thp { otherwise pass; }")
    assert "/sys/kernel/mm/transparent_hugepage/enabled" in text
    assert "`madvise`" in text
    text = said("policy p; thp { deny when event is khuge~paged; otherwise pass; }")
    assert "`TVA_KHUGEPAGED` of `enum tva_type`" in text
    assert "`mthp-v2`" in said("policy p; th~p { otherwise pass; }")
    assert "no opinion" in said("policy p; thp { otherwise pa~ss; }")


def test_strings_and_comments_are_not_words():
    assert said("policy p; # vma.s~ize\nthp { otherwise pass; }") == ""
    assert said('policy p; thp { deny when task.comm == "ev~ent"; otherwise pass; }') == ""


# -- completion


def test_the_words_of_a_statement_come_where_it_begins():
    assert {"set", "param", "let", "combine", "host", "thp", "numa"} <= set(offered(HEAD + "~"))
    assert offered("policy p; ~") == offered("policy p; th~")
    rules = offered(HEAD + "thp { ~")
    assert {"allow", "deny", "pass", "otherwise", "rollout"} <= set(rules)
    assert not {"balance", "hot_threshold"} & set(rules)
    rules = offered(HEAD + "numa { ~ otherwise off; }")
    assert {"balance", "off", "pass", "otherwise", "hot_threshold"} <= set(rules)
    assert "allow" not in rules
    assert offered(HEAD + "thp { label: ~") == offered(HEAD + "thp { ~")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("set x : ~", {"cgroup", "string"}),
        ("param x : ~", {"bool", "duration", "int", "percent", "size"}),
        ("combine ~", {"thp", "numa"}),
        ("combine thp by ~", {"meet", "nearest", "outermost"}),
        ("thp for ~", {"cgroup"}),
        ("thp { otherwise ~", {"allow", "deny", "pass"}),
        ("thp { deny ~", {"when"}),
        ("thp { rollout ~", {"share"}),
        ("thp { rollout 5% ~", {"by"}),
        ("host { thp.enabled = ~", {"always", "madvise", "never"}),
        ("host { thp.enabled[64K] = ~", {"always", "inherit", "madvise", "never"}),
        ("host { khugepaged.defrag = ~", {"on", "off"}),
        ("set ~", set[str]()),
        ("let ~", set[str]()),
        ("thp for cgroup ~", set[str]()),
    ],
)
def test_only_what_fits_is_offered(text: str, words: set[str]):
    assert set(offered(HEAD + text)) == words


@pytest.mark.parametrize("operator", ["is", "==", "!=", "in {", "in { khugepaged,"])
def test_members_come_after_their_enumeration(operator: str):
    members = {member.name for member in enumerations()["event"].members}
    assert set(offered(HEAD + f"thp {{ deny when event {operator} ~")) == members


def test_expressions_offer_what_the_hook_has_and_what_is_declared():
    words = set(offered(HEAD + "thp { deny when ~"))
    assert {"vma.size", "busy", "share", "not", "has", "true"} <= words
    words = set(offered(HEAD + "numa { off when busy and ~"))
    assert "vma.size" not in words
    assert "task.comm" in words
    optional = {row.name for row in attributes().values() if row.absent and "thp" in row.hooks}
    assert set(offered(HEAD + "thp { deny when has ~")) == optional


def test_sets_come_by_their_type():
    assert offered(HEAD + "thp { deny when cgroup under ~") == ["cgroups"]
    assert offered(HEAD + "thp { deny when task.comm in ~") == ["names"]
    assert {"under", "in"} <= set(offered(HEAD + "thp { deny when cgroup ~"))


def test_orders_come_after_allow():
    words = offered(HEAD + "thp { allow ~ when busy; }")
    assert {"all", "pmd", "none", "16K", "2M", "small"} <= set(words)
    assert "8K" not in words  # there is no order 1
    assert offered(HEAD + "thp { allow 64K ~") == ["when"]
    for typed in ("", "p", "pm"):
        assert offered(HEAD + f"thp {{ allow 16K..{typed}~") == words
        assert offered(HEAD + f"thp {{ allow small | pmd..{typed}~") == words


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("thp { deny when vma.", "vma.size"),
        ("thp { deny when vma.si", "vma.size"),
        ("thp { deny when busy and cgroup.psi.", "cgroup.psi.io.full.avg10"),
        ("host { khugepaged.", "khugepaged.defrag"),
    ],
)
def test_what_is_chosen_replaces_all_that_was_typed_of_a_dotted_name(typed: str, chosen: str):
    """Many editors take the text after the last dot for the word that is being typed."""
    text = HEAD + typed
    analysis = Analysis("u", text, 1)
    item = next(i for i in complete(analysis, len(text)) if i.label == chosen)
    edit = item.text_edit
    assert isinstance(edit, types.TextEdit)
    start = analysis.lines.offset(edit.range.start)
    assert analysis.lines.offset(edit.range.end) == len(text)
    assert edit.new_text.startswith(chosen)
    assert chosen.startswith(text[start:])
    assert not text[:start].endswith(("vma.", "psi.", "cgroup.", "khugepaged."))


def test_every_setting_is_offered_once():
    labels = offered(HEAD + "host { ~")
    assert sorted(labels) == sorted(name.replace("[]", "[SIZE]") for name in host_rows())


@pytest.mark.parametrize(
    "text", ["# thp { deny when ~", 'thp for cgroup "/~"', 'thp for cgroup "/~']
)
def test_nothing_is_offered_in_comments_and_strings(text: str):
    assert offered(HEAD + text) == []


def test_what_is_offered_is_accepted_by_the_checker():
    """Each operand after `has` or with a comparison that its type has makes no syntax error."""
    for word in offered("policy p;\nthp { deny when ~"):
        if re.fullmatch(r"not|has|highest", word):
            continue
        text = f"policy p;\nthp {{ deny when {word} == {word}; otherwise pass; }}"
        codes = {item.code for item in check_text(text, "p.thp").diagnostics}
        assert not {code for code in codes if code.startswith(("PC01", "PC02"))}, word


# -- versions of a document


@given(st.data())
def test_a_changed_document_has_the_tokens_of_its_text(data: st.DataObject):
    pieces = ["a", '"', "#", "\n", ";", " ", "1K", "..", "{", "}", "é"]
    text = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=20)))
    document = Analysis("u", text, 1)
    for version in range(2, 5):
        assert document.tokens == scan(document.text)
        length = len(document.text)
        start = data.draw(st.integers(0, length))
        place = document.lines.range(start, data.draw(st.integers(start, length)))
        new = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=4)))
        change = types.TextDocumentContentChangePartial(range=place, text=new)
        document = document.changed([change], version)
    assert document.tokens == scan(document.text)
