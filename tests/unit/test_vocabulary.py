"""Everything that colours policies follows the grammar and the tables of what kernels offer."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from pygments.token import Comment, Error, Keyword, Name, Token

from policyc.check import check_text
from policyc.check.declarations import KEYWORDS
from policyc.cli.application import VERBS
from policyc.hooks.loader import attributes, host_rows
from policyc.pygments_lexer import PolicyLexer
from policyc.syntax.tables import load_tables
from policyc.vocabulary import grammar_words, vocabulary
from tools import make_editor_grammar

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*.thp"))
EXTENSION = ROOT / "editors" / "vscode"


def test_the_words_are_those_that_the_parser_reads():
    units = {"ns", "us", "ms", "min"}  # of durations, which are no words of their own
    words = {word for word in load_tables().words if word[0].isalpha()}
    assert grammar_words() == words - units
    assert vocabulary().grammar == grammar_words()


def test_no_word_of_the_grammar_can_be_declared():
    assert grammar_words() <= KEYWORDS


def test_a_word_has_one_sort():
    words = vocabulary()
    sorts = [words.keywords, words.declarations, words.actions, words.operators, words.hooks]
    assert sum(map(len, sorts)) == len(words.grammar)


@pytest.mark.parametrize("name", vocabulary().types)
def test_types_are_those_that_can_be_declared(name: str):
    kind, value = ("set", "{ }") if name in ("cgroup", "string") else ("param", "1")
    found = check_text(f"policy p; {kind} x : {name} = {value};", "p.thp").diagnostics
    assert "PC0208" not in {item.code for item in found}


def test_the_editor_grammar_is_up_to_date():
    assert make_editor_grammar.PATH.read_text("utf-8") == make_editor_grammar.text(), (
        "run tools/make_editor_grammar.py"
    )


def test_the_editor_grammar_colours_every_word_by_its_sort():
    scopes: dict[str, str] = {}
    for pattern in make_editor_grammar.grammar()["patterns"]:
        if "match" in pattern and "name" in pattern:
            scopes.setdefault(pattern["name"], pattern["match"])
    words = vocabulary()
    expected = {
        "support.variable.attribute.policyc": words.attributes,
        "support.constant.setting.policyc": words.settings,
        "keyword.operator.wordlike.policyc": words.operators,
        "keyword.control.policyc": (*words.keywords, *words.actions, *words.hooks),
        "constant.language.policyc": (*words.constants, *words.enumerators),
    }
    for scope, names in expected.items():
        for name in names:
            # The whole word: `cgroup` must not colour the first part of `cgroup.depth`.
            found = re.search(scopes[scope], f"({name}..64K)")
            assert found is not None, name
            assert found[0] == name
            assert re.search(scopes[scope], f"{name}x") is None
            assert re.search(scopes[scope], f"x.{name}") is None


def test_the_extension_names_files_that_are_there():
    package = json.loads((EXTENSION / "package.json").read_text("utf-8"))
    contributes = package["contributes"]
    paths = [language["configuration"] for language in contributes["languages"]]
    paths += [each["path"] for key in ("grammars", "snippets") for each in contributes[key]]
    for path in paths:
        assert (EXTENSION / path).is_file(), path
    assert contributes["grammars"][0]["scopeName"] == make_editor_grammar.grammar()["scopeName"]
    settings = contributes["configuration"]["properties"]
    used = set(re.findall(r'settings\.get\("(\w+)"', (EXTENSION / "extension.js").read_text()))
    assert {f"policyc.{name}" for name in used} == set(settings)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_lexer_reads_the_examples(path: Path):
    text = path.read_text("utf-8")
    tokens = list(PolicyLexer().get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert not [value for kind, value in tokens if kind is Error]
    plain = {value for kind, value in tokens if kind is Name}
    known = {*attributes(), *grammar_words(), *(name.removesuffix("[]") for name in host_rows())}
    assert not plain & known


def test_the_lexer_tells_attributes_from_words():
    text = 'policy p;\nthp for cgroup "/a" {\n    x: deny when vma.size > 2M; # why\n}\n'
    kinds = {value: kind for kind, value in PolicyLexer().get_tokens(text)}
    assert kinds["vma.size"] is Name.Builtin
    assert kinds["x"] is Name.Label
    assert kinds["deny"] is Keyword
    assert kinds["2M"] in Token.Literal.Number
    assert kinds["# why"] is Comment.Single


def test_pygments_finds_the_lexer():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["entry-points"]["pygments.lexers"]["policyc"].partition(":")
    assert getattr(import_module(module), name) is PolicyLexer


def test_hooks_for_pre_commit_are_verbs():
    text = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    verbs = re.findall(r"^  entry: policyc ([a-z]+)", text, re.MULTILINE)
    assert re.findall(r"^- id: policyc-([a-z]+)$", text, re.MULTILINE) == verbs
    assert set(verbs) <= set(VERBS)
