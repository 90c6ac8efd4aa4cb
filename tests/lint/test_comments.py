"""Which findings a comment accepts, and what is said about comments themselves."""

from __future__ import annotations

from time import process_time

import pytest

from policyc.lint import LintResult, lint_text

RULE = 'deny when task.comm == "kube-controller";'


def result_of(rules: str) -> LintResult:
    return lint_text(f"policy a;\nthp {{\n{rules}\n    otherwise pass;\n}}\n", "a.thp")


ACCEPTED = {
    "at the end of the line": f"{RULE}  # lint: allow PL017 why",
    "on the line above": f"# lint: allow PL017 why\n{RULE}",
    "above, with a line and a comment between": f"# lint: allow PL017 why\n\n# more\n{RULE}",
    "at the first line of a long rule": (
        'deny when vma.stack  # lint: allow PL017 why\n    and task.comm == "kube-controller";'
    ),
    "at the last line of a long rule": (
        'deny when task.comm == "kube-controller"\n    and vma.stack;  # lint: allow PL017 why'
    ),
    "above a long rule": (
        '# lint: allow PL017 why\ndeny when vma.stack\n    and task.comm == "kube-controller";'
    ),
    "with other codes": (
        'deny when task.comm == "kube-controller" and vma.stack == true;'
        "  # lint: allow PL020, PL017 why"
    ),
    "without the blank": f"{RULE} #lint:allow PL017 why",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str):
    result = result_of(ACCEPTED[name])
    assert [finding.code for finding in result.findings] == []
    assert "PL017" in [finding.code for finding in result.allowed]


NOT_ACCEPTED = {
    "another code": (f"{RULE}  # lint: allow PL018 why", ["PL017", "PL021"]),
    "on the line below": (f"{RULE}\n# lint: allow PL017 why", ["PL017", "PL021"]),
    "of the rule before": (
        f"deny when vma.stack;  # lint: allow PL017 why\n{RULE}",
        ["PL021", "PL017"],
    ),
    "in a string": ('deny when task.comm == "# lint: allow P";', ["PL017"]),
    "without a code": (f"{RULE}  # lint: allow", ["PL017", "PL021"]),
    "with another word": (f"{RULE}  # lint: ignore PL017 why", ["PL017", "PL021"]),
    "a code that there is not": (f"{RULE}  # lint: allow PL999 why", ["PL017", "PL021"]),
    "no reason": (f"{RULE}  # lint: allow PL017", ["PL022"]),
    "one of two is idle": (f"{RULE}  # lint: allow PL017,PL018 why", ["PL021"]),
}


@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_not_accepted(name: str):
    rules, codes = NOT_ACCEPTED[name]
    assert [finding.code for finding in result_of(rules).findings] == codes


def test_idle_comments_are_judged_by_the_rules_that_ran():
    text = 'policy a;\nnuma for cgroup "/a" { otherwise off; }  # lint: allow PL007 why\n'
    assert lint_text(text, "a.thp").findings == ()
    named = lint_text(text, "a.thp", profiles=["numab-rfc1"])
    assert [finding.code for finding in named.findings] == ["PL021"]
    assert (
        lint_text(text, "a.thp", profiles=["numab-rfc1"], codes={"PL001", "PL021"}).findings == ()
    )


def test_many_comments_take_no_more_than_their_number():
    start = process_time()
    comments = "# lint: allow PL017 why\n" * 20_000
    result = lint_text(f"policy a;\n{comments}thp {{ otherwise pass; }}", "a.thp")
    assert {finding.code for finding in result.findings} == {"PL021"}
    assert process_time() - start < 10
