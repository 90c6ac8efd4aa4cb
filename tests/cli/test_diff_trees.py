"""`policyc prove` and `policyc diff` of directories and of git revisions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import invoke

pytest.importorskip("z3", reason="z3 is not installed: pip install 'policyc[prove]'")

LIBRARY = "let big = vma.size > {0};\n"
WEB = 'policy web;\nimport "../lib.thp";\nthp { deny when big; otherwise pass; }\n'
PLAIN = "policy plain;\nthp {{ deny when {0}; otherwise pass; }}\n"


def tree(place: Path, *, limit: str = "1M", condition: str = "vma.stack") -> Path:
    """A library, a policy that imports it, and one that does not."""
    (place / "sub").mkdir(parents=True)
    (place / "lib.thp").write_text(LIBRARY.format(limit))
    (place / "sub" / "web.thp").write_text(WEB)
    (place / "plain.thp").write_text(PLAIN.format(condition))
    return place


def git(place: Path, *arguments: str) -> None:
    names = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *names, *arguments], cwd=place, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tree(tmp_path / "repository")
    git(place, "init", "-q")
    git(place, "add", ".")
    git(place, "commit", "-q", "-m", "first")
    monkeypatch.chdir(place)
    return place


# -- prove


def test_files_and_directories_are_proved_together(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree")
    result = invoke("prove", str(place), str(place / "plain.thp"))
    assert result.exit_code == 0, result.output
    assert f"{place}/lib.thp: definitions only, nothing to prove\n" in result.stdout
    assert result.stdout.count("plain.thp, for every request") == 1
    assert result.stdout.endswith("\n2 policies: 20 proved; 1 file with definitions only\n")
    document = json.loads(invoke("prove", str(place), "--json").stdout)
    assert document["summary"] == {"proved": 20, "refuted": 0, "unknown": 0}
    assert [file["policy"] for file in document["files"]] == [None, "plain", "web"]


def test_definitions_alone_are_no_failure(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree")
    result = invoke("prove", str(place / "lib.thp"))
    assert result.exit_code == 0
    assert result.stdout == f"{place}/lib.thp: definitions only, nothing to prove\n"


def test_a_file_with_errors_does_not_keep_others_from_being_proved(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree")
    (place / "a.thp").write_text("policy a; thp { deny when vma.stack; }")
    result = invoke("prove", str(place))
    assert result.exit_code == 1
    assert "PC0501" in result.stderr
    assert result.stdout.endswith("1 file with definitions only; 1 file that cannot be used\n")
    document = json.loads(invoke("prove", str(place), "--json").stdout)
    assert document["unusable"] == [f"{place}/a.thp"]
    assert len(document["files"]) == 3


def test_names_of_files_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    place.mkdir()
    for name, text in (("a\x1b[1m\nb.thp", PLAIN.format("vma.stack")), ("c\nd.thp", "let a = 1;")):
        (place / name).write_text(text)
    result = invoke("prove", str(place))
    assert f"{place}/a<U+001B>[1m<U+000A>b.thp, for every request\n" in result.stdout
    assert f"{place}/c<U+000A>d.thp: definitions only, nothing to prove\n" in result.stdout
    result = invoke("diff", str(place), str(place))
    assert result.stdout.startswith("a<U+001B>[1m<U+000A>b.thp: equivalent\n")


# -- diff of directories


def test_policies_are_paired_by_their_paths(tmp_path: Path) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new", limit="2M")
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 1
    text = result.stdout
    assert text.startswith("plain.thp: equivalent\nsub/web.thp: differ\n\nchanges\n")
    # Each side has its own library, which is where they differ.
    assert "  let changed  " in text
    assert "lib.thp: " not in text
    assert text.endswith("\n2 policies: 1 equivalent, 1 different; 1 file with definitions only\n")


def test_equal_trees_are_equal_and_layout_is_no_difference(tmp_path: Path) -> None:
    old = tree(tmp_path / "old")
    new = tree(tmp_path / "new", condition="vma.stack and (vma.stack or vma.exec)")
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 0, result.output
    assert "plain.thp: equivalent, with 2 changes of its text\n" in result.stdout


def test_what_is_added_and_removed_is_a_difference(tmp_path: Path) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    (new / "plain.thp").rename(new / "other.thp")
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 1
    assert "other.thp: added\nplain.thp: removed\nsub/web.thp: equivalent\n" in result.stdout
    document = json.loads(invoke("diff", str(old), str(new), "--json").stdout)
    assert (document["added"], document["removed"]) == (["other.thp"], ["plain.thp"])
    assert document["summary"]["equivalent"] == 1
    (other,) = document["files"]
    assert (other["path"], other["verdict"]) == ("sub/web.thp", "equivalent")


def test_added_definitions_are_no_difference(tmp_path: Path) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    (new / "more.thp").write_text(LIBRARY.format("1G"))
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 0, result.output


def test_errors_of_one_side_are_said_and_the_others_compared(tmp_path: Path) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    (new / "plain.thp").write_text("policy a; thp { deny when vma.stack; }")
    result = invoke("diff", str(old), str(new))
    assert result.exit_code == 1
    assert "PC0501" in result.stderr
    assert "plain.thp: cannot be compared\nsub/web.thp: equivalent\n" in result.stdout


def test_every_pair_of_rules_and_chosen_interfaces(tmp_path: Path) -> None:
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new", condition="vma.exec")
    result = invoke("diff", str(old), str(new), "--all", "--profile", "thp-v9")
    assert "1 of 2 pairs of rules" in result.stdout
    assert "thp-v9" in result.stdout
    assert "thp-v7" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["old"], "expected OLD and NEW, got 1 argument; "),
        (["old", "old/plain.thp"], "old is a directory and the other is not"),
        (["old", "new"], "there is no policy (*.thp) in new"),
    ],
)
def test_wrong_usage(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "old")
    (tmp_path / "new").mkdir()
    monkeypatch.chdir(tmp_path)
    result = invoke("diff", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


# -- diff of a revision


def test_a_revision_beside_the_working_tree(repository: Path) -> None:
    assert invoke("diff", "--git", "HEAD").exit_code == 0
    (repository / "lib.thp").write_text(LIBRARY.format("2M"))
    (repository / "new.thp").write_text(PLAIN.format("vma.exec"))
    (repository / ".gitignore").write_text("ignored.thp\n")
    (repository / "ignored.thp").write_text("nonsense")
    result = invoke("diff", "--git", "HEAD", COLUMNS="300")
    assert result.exit_code == 1
    assert "new.thp: added\nplain.thp: equivalent\nsub/web.thp: differ\n" in result.stdout
    assert "HEAD:sub/web.thp:3  otherwise" not in result.stdout
    assert "HEAD:sub/web.thp:3  deny when big;" in result.stdout
    assert result.stderr == ""


def test_only_what_is_asked_for_and_from_where_it_is_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "plain.thp").unlink()
    result = invoke("diff", "--git", "HEAD", "sub")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(repository / "sub")
    assert invoke("diff", "--git", "HEAD").exit_code == 0
    result = invoke("diff", "--git", "HEAD", "../plain.thp")
    assert result.exit_code == 1
    assert "plain.thp: removed\n" in result.stdout


def test_errors_of_a_revision_are_shown_as_of_it(repository: Path) -> None:
    (repository / "plain.thp").write_text("policy a; thp { deny when vma.stack; }")
    git(repository, "commit", "-q", "-a", "-m", "second")
    (repository / "plain.thp").write_text(PLAIN.format("vma.stack"))
    result = invoke("diff", "--git", "HEAD")
    assert result.exit_code == 1
    assert "--> HEAD:plain.thp:1:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--git", "nosuch"], "no revision nosuch: "),
        (["--git", "-x"], "no revision -x: "),
        (["--git", "HEAD", "/"], "/ is not in the repository"),
        (["--git", "HEAD", "nosuch.thp"], "there are no policies in nosuch.thp"),
        (["--git", "HEAD", "-"], "not standard input"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_wrong_usage_of_revisions(arguments: list[str], said: str) -> None:
    result = invoke("diff", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_a_repository_or_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    result = invoke("diff", "--git", "HEAD")
    assert result.exit_code == 2
    assert "not a git repository" in result.stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    result = invoke("diff", "--git", "HEAD")
    assert result.exit_code == 3
    assert "git is missing" in result.stderr
