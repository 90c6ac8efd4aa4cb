"""The harness itself: a harness that overlooks a block would pass everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.language.console import Reader
from tests.language.markdown import Block, blocks, commands, matches, policy_text


def parse(tmp_path: Path, text: str) -> list[Block]:
    path = tmp_path / "page.md"
    path.write_text(text, "utf-8")
    return blocks(path, "page.md")


def test_blocks_of_all_sorts(tmp_path: Path):
    found = parse(
        tmp_path,
        "# T\n```thp fragment=rules expect=PC0301,PC0404 expect=PC0502 profile=a profile=b\n"
        "deny;\n```\n\n- item\n\n  ~~~python\n  if x:\n      y\n  ~~~\n\n"
        "````json title=x file=a.json\n```\n````\n",
    )
    assert [(block.id, block.language, block.text) for block in found] == [
        ("page.md:2", "thp", "deny;\n"),
        ("page.md:8", "python", "if x:\n    y\n"),
        ("page.md:13", "json", "```\n"),
    ]
    assert found[0].expected == {"PC0301", "PC0404", "PC0502"}
    assert found[0].values("profile") == ["a", "b"]
    assert found[2].options == (("file", "a.json"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```thp\ndeny;\n", "never closed"),
        ("```thp expects=PC0301\n```\n", "unknown option expects"),
        ("```thp fragment=rule\n```\n", "unknown fragment=rule"),
        ("```thp profile=\n```\n", "unknown option profile"),
        ("```console timeout=3\n```\n", "unknown option timeout"),
    ],
)
def test_slips_in_a_document_are_reported(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse(tmp_path, text)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("rules", "deny;\n", "policy example;\nthp {\ndeny;\n    otherwise pass;\n}\n"),
        (
            "items",
            "set s : cgroup;\n",
            "policy example;\nset s : cgroup;\nthp {\n    otherwise pass;\n}\n",
        ),
        ("items", "numa {\n}\n", "policy example;\nnuma {\n}\n"),
        (
            "expression",
            "a # {why}\n",
            "policy example;\nthp {\n    deny when\na # {why}\n    ;\n    otherwise pass;\n}\n",
        ),
    ],
)
def test_fragments_are_completed(kind: str, text: str, expected: str):
    assert policy_text(Block("page.md", 1, "thp", (("fragment", kind),), text)) == expected


def test_fragment_must_say_of_what():
    with pytest.raises(ValueError, match="say what fragment it is"):
        policy_text(Block("page.md", 1, "thp", (("fragment", ""),), "x"))


def test_commands_and_their_output():
    text = "$ policyc a \\\n    --b\none\n\ntwo\n$ policyc c\n"
    found = commands(Block("page.md", 10, "console", (), text))
    assert [(c.line, c.text, c.output) for c in found] == [
        (11, "policyc a \\\n    --b", ("one", "", "two")),
        (16, "policyc c", ()),
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "result"),
    [
        (["a"], ["a", ""], True),
        (["a"], ["b"], False),
        (["a"], ["a", "b"], False),
        ([], ["a"], False),
        (["a", "...", "d"], ["a", "b", "c", "d"], True),
        (["a", "...", "d"], ["a", "d"], True),
        (["a", "..."], ["a"], True),
        (["...", "d"], ["d", "e"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_output_matches(expected: list[str], actual: list[str], result: bool):
    assert matches(expected, actual) is result


def test_reader_keeps_files_and_status_and_complains(tmp_path: Path):
    reader = Reader(tmp_path)
    file = Block("page.md", 1, "thp", (("file", "dir/a.thp"),), "policy a;\n")
    good = "$ cat dir/a.thp\npolicy a;\n$ ls missing 2>/dev/null\n$ echo $?\n2\n$ make install\n"
    program = "from pathlib import Path\nimport policyc\nassert Path('dir/a.thp').exists()\n"
    assert reader.read(file) == []
    assert reader.read(Block("page.md", 5, "console", (), good)) == []
    assert reader.read(Block("page.md", 20, "python", (), program)) == []
    (wrong,) = reader.read(Block("page.md", 30, "console", (), "$ echo a\nb\n"))
    assert wrong.startswith("page.md:31: $ echo a\n")
    (failed,) = reader.read(Block("page.md", 40, "python", (), "raise SystemError('no')\n"))
    assert "SystemError: no" in failed
