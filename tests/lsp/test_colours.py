"""Three readers of text that need no parser agree: editors, Pygments, and the language server."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
)

from policyc.lsp.scan import TokenKind, scan
from policyc.pygments_lexer import PolicyLexer

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "editors" / "vscode"
ENGINE = EXTENSION / "node_modules" / "vscode-textmate"

needs_engine = pytest.mark.skipif(
    shutil.which("node") is None or not ENGINE.is_dir(),
    reason="needs Node.js, and `npm ci --ignore-scripts` in editors/vscode",
)

EXAMPLES = [path.read_text("utf-8") for path in sorted(ROOT.glob("examples/**/*.thp"))]

TRICKY = [
    r'set s : string = { "a\"b", "c\\", "# no comment", "thp" }; # "no string" thp',
    "x: deny when vma.size > 64K and share < 10%;",
    "allow ..64K | 16K.. | 16K..64K - order 3;",
    "let small = pmd..64K; let offset = 0x1F_ff + 1_000;",
    "deny when settings and policyholder or order_book and not_here or allowance;",
    "deny when task.comm.length or cgroup.psi.cpu.some.avg10x or my.vma.size;",
    "deny when a.cgroup under b.set or vma.size.x;",
    "otherwise pass;otherwise deny;label:deny when has cgroup;",
    "rollout 12.5% by cgroup; param p : percent = 1_0% in 0%..100%;",
    'test "open\ngiven cgroup = "/a', '"', '"\\', '"a\\\nthp', '"a\\"\nset', "#", "# é\n#",
    "5x 64Kx 12.5 1.5K 0x 0xg 1__0 1_ 10%5 5.5.5% 3..4 x5 _5 x.5",
    "é5 éset seté 😀thp 5é",
    'import "a.thp" as b; import "c.thp" (d, e);',
    "host { thp.enabled[64K] = defer+madvise; numa.balancing = 2; }",
    "combine thp by meet; numa { balance when node.count>1;hot_threshold=200ms; }",
    "10min 3h 5us 7ns 8s 9ms 4KiB 4GiB 1B 4k 4m",
    "a<=b>=c==d!=e<f>g = - + * / % | ( ) [ ] { } , : ; . !",
    "@ $ ~ ` ' \\ ^ & ?",
]  # fmt: skip

PIECES = [
    '"', "\\", "#", "\n", " ", ".", "..", "%", "5", "64K", "10%", "0x1f", "_", "é", "vma.size",
    "cgroup", "thp", "set", "policy", "let", "param", "label", ":", ";", "{", "}", "=", "é", "😀",
]  # fmt: skip


def nonsense(count: int) -> Iterator[str]:
    """Texts that nobody would write, the same ones each time."""
    chance = random.Random(20)
    for _ in range(count):
        yield "".join(chance.choices(PIECES, k=chance.randint(1, 12)))


TEXTS = [*EXAMPLES, *TRICKY, *nonsense(400)]

#: What the scope of an editor is in Pygments.
SORTS = {
    "comment.line.number-sign": Comment.Single,
    "string.quoted.double": String,
    "constant.character.escape": String.Escape,
    "constant.numeric": Number,
    "invalid.illegal.number": Error,
    "entity.name.namespace": Name.Namespace,
    "entity.name.label": Name.Label,
    "variable.other": Name.Variable,
    "storage.type": Keyword.Type,
    "support.variable.attribute": Name.Builtin,
    "support.constant.setting": Name.Property,
    "keyword.operator.wordlike": Operator.Word,
    "keyword.other.declaration": Keyword.Declaration,
    "keyword.control": Keyword,
    "constant.language": Name.Constant,
    "keyword.operator": Operator,
}

#: What Pygments and editors may make of a character that the scanner takes for this.
SORTS_OF_KIND = {
    TokenKind.COMMENT: (Comment,),
    TokenKind.STRING: (String,),
    TokenKind.NUMBER: (Number, Error),
    TokenKind.NAME: (Name, Keyword, Operator.Word),
    TokenKind.SIGN: (Operator, Punctuation, Error),
    None: (Text,),
}


def by_pygments(text: str) -> list[Any]:
    """The sort of each character."""
    lexer = PolicyLexer(stripnl=False, ensurenl=False)
    return [kind for kind, value in lexer.get_tokens(text) for _ in value]


def by_scanner(text: str) -> list[TokenKind | None]:
    kinds: list[TokenKind | None] = [None] * len(text)
    for token in scan(text):
        whole = token.text == "+" and text[: token.start].endswith("defer")  # one value
        kind = TokenKind.NAME if whole else token.kind
        kinds[token.start : token.end] = [kind] * (token.end - token.start)
    return kinds


def by_editor(text: str, tokens: list[tuple[int, int, list[str]]]) -> list[Any]:
    """The sort of each character; None where an editor has no colour for it."""
    units: list[Any] = [None] * (len(text.encode("utf-16-le")) // 2)
    for start, end, scopes in tokens:
        if scopes:
            sort = SORTS[scopes[-1].removesuffix(".policyc")]
            units[start:end] = [sort] * (end - start)
    sorts: list[Any] = []
    place = 0
    for character in text:
        sorts.append(units[place])
        place += len(character.encode("utf-16-le")) // 2
    return sorts


@pytest.fixture(scope="module")
def coloured() -> list[list[Any]]:
    """What editors make of the texts."""
    done = subprocess.run(
        ["node", EXTENSION / "test" / "tokens.mjs"],
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [by_editor(text, t) for text, t in zip(TEXTS, json.loads(done.stdout), strict=True)]


def differences(text: str, one: list[Any], other: list[Any]) -> list[str]:
    return [
        f"{text[max(0, at - 20) : at]}<{text[at]}>{text[at + 1 : at + 20]}: {left}, {right}"
        for at, (left, right) in enumerate(zip(one, other, strict=True))
        if left != right
    ]


def without_sort(sort: Any, kind: TokenKind | None) -> bool:
    """Whether editors leave it as it is: names that are declared, brackets, what is no sign."""
    stray = sort in Error and kind is TokenKind.SIGN
    return stray or sort is Name or sort in Text or sort in Punctuation


def test_pygments_and_the_scanner_cut_a_text_alike():
    for text in TEXTS:
        for at, (kind, sort) in enumerate(zip(by_scanner(text), by_pygments(text), strict=True)):
            families = SORTS_OF_KIND[kind]
            assert any(sort in family for family in families), (text, text[at:], kind, sort)
            assert (sort in Operator.Word) <= (kind is TokenKind.NAME), (text, text[at:])


@needs_engine
def test_editors_and_the_scanner_cut_a_text_alike(coloured: list[list[Any]]):
    for text, sorts in zip(TEXTS, coloured, strict=True):
        for at, (kind, sort) in enumerate(zip(by_scanner(text), sorts, strict=True)):
            if sort is None:
                assert kind in (TokenKind.NAME, TokenKind.SIGN, None), (text, text[at:], kind)
            else:
                families = SORTS_OF_KIND[kind]
                assert any(sort in family for family in families), (text, text[at:], kind, sort)


@needs_engine
def test_editors_and_pygments_colour_alike(coloured: list[list[Any]]):
    for text, sorts in zip(TEXTS[: len(EXAMPLES) + len(TRICKY)], coloured, strict=False):
        expected = [
            None if without_sort(sort, kind) else Number if sort in Number else sort
            for sort, kind in zip(by_pygments(text), by_scanner(text), strict=True)
        ]
        assert not differences(text, sorts, expected)
