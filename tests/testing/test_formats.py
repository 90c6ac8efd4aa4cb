"""The shapes of the JSON document and the JUnit file, and choosing by name."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from policyc.testing.document import document
from policyc.testing.junit import junit
from policyc.testing.names import name_filter
from tests.testing.policies import SMALL, ran

FAILING = SMALL.replace("expect allow pmd", "expect allow 64K").replace('"large"', '"<lar&ge>"')


def test_junit():
    root = ElementTree.fromstring(junit([ran(FAILING)], {"broken.thp": "not run: 2 errors"}))
    assert root.tag == "testsuites"
    suite, broken = root
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "skipped")} == {
        "name": "policy.thp",
        "tests": "3",
        "failures": "1",
        "skipped": "0",
    }
    cases = suite.findall("testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("small.test", "<lar&ge>"),
        ("small.test", "the list decides"),
        ("small.property", "small areas get nothing"),
    ]
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.get("message") == "expected allow 64K, got allow 2M"
    assert "policy.thp:11: expect allow 64K" in (failure.text or "")
    assert (broken.get("errors"), broken.get("name")) == ("1", "broken.thp")


#: The attributes that readers know: the schema of Jenkins' xUnit plugin, and `file` and `line`
#: of a case as GitLab and GitHub's actions read them.
_ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"classname", "name", "file", "line", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}
_INSIDE = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped"},
}


def test_junit_has_what_readers_know_and_numbers_that_add_up():
    reports = [ran(FAILING, properties=False), ran(SMALL)]
    root = ElementTree.fromstring(junit(reports, {"broken.thp": "cannot be read"}))
    for element in root.iter():
        wanted = _ATTRIBUTES[element.tag]
        assert set(element.keys()) == wanted, element.tag
        assert {child.tag for child in element} <= _INSIDE.get(element.tag, set())
    for case in root.iter("testcase"):
        assert int(case.get("line", "")) > 0
        assert case.get("file") in {"policy.thp", "broken.thp"}
    for suite in [root, *root]:
        cases = list(suite.iter("testcase"))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            count = sum(case.find(tag) is not None for case in cases)
            assert suite.get(name) == str(count)
        assert suite.get("tests") == str(len(cases))
        assert float(suite.get("time", "")) >= 0
    assert (root.get("tests"), root.get("errors"), root.get("skipped")) == ("7", "1", "1")


def test_junit_without_times_is_the_same_every_time():
    first, second = (junit([ran(FAILING)], times=False) for _ in range(2))
    assert first == second
    assert {case.get("time") for case in ElementTree.fromstring(first).iter("testcase")} == {
        "0.000"
    }


def test_junit_says_what_was_skipped():
    root = ElementTree.fromstring(junit([ran(SMALL, properties=False)]))
    assert [item.get("message") for item in root.iter("skipped")] == ["hypothesis is missing"]


def test_json():
    found = document([ran(FAILING, coverage=True)], ["broken.thp"], times=False)
    assert {name: found[name] for name in ("passed", "failed", "not_run", "unusable")} == {
        "passed": 2,
        "failed": 1,
        "not_run": 0,
        "unusable": ["broken.thp"],
    }
    (file,) = found["files"]
    assert (file["file"], file["policy"]) == ("policy.thp", "small")
    result = file["results"][0]
    assert {name: result[name] for name in result if name != "failures"} == {
        "kind": "test",
        "name": "<lar&ge>",
        "hook": "thp",
        "line": 9,
        "outcome": "failed",
        "checked": 1,
        "seconds": 0,
    }
    assert result["failures"][0]["rule"] == {
        "index": 1,
        "label": None,
        "file": "policy.thp",
        "line": 6,
        "text": "allow pmd when cgroup under java and vma.size >= 8M;",
    }
    coverage = file["coverage"]
    assert coverage["rules"] == {"reached": 2, "all": 3}
    assert coverage["outcomes"] == {"reached": 5, "all": 8}
    assert coverage["conditions"][0] == {
        "file": "policy.thp",
        "line": 3,
        "let": "squeezed",
        "rule": None,
        "text": "psi.memory.full.avg10 > 10%",
        "true": 0,
        "false": 2,
        "counts": ["true", "false"],
    }


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("java", ["java gets pages", "no java under NUMA"]),
        ("JAVA and not numa", ["java gets pages"]),
        ("numa or pages", ["java gets pages", "no java under NUMA"]),
        ('"under numa"', ["no java under NUMA"]),
        ("not (java or batch)", []),
        ("not not gets", ["java gets pages"]),
    ],
)
def test_names(expression: str, wanted: list[str]):
    keep = name_filter(expression)
    assert [name for name in ("java gets pages", "no java under NUMA") if keep(name)] == wanted


@pytest.mark.parametrize(
    "expression", ["", "and", "(java", "java )", 'a "b', "not", "(" * 60 + "a"]
)
def test_what_is_no_expression(expression: str):
    with pytest.raises(ValueError, match=r".+"):
        name_filter(expression)
