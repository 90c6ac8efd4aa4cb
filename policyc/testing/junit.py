"""Results as JUnit XML, which every system for continuous integration reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from policyc.diagnostics.visible import visible
from policyc.testing.report import Failure, Report, Result, Verdict

__all__ = ["junit"]


def junit(
    reports: Sequence[Report], unusable: Mapping[str, str] | None = None, *, times: bool = True
) -> bytes:
    """One suite for each policy, one case for each test and property.

    `unusable` says of files why they could not be run, each of which is a case that went
    wrong. Without `times` all times are 0, so that equal results are equal files.
    """
    unusable = unusable or {}
    every = [result for report in reports for result in report.results]
    root = ElementTree.Element("testsuites", _counts("policyc", every, len(unusable), times=times))
    for report in reports:
        counts = _counts(report.plan.file, report.results, 0, times=times)
        suite = ElementTree.SubElement(root, "testsuite", counts)
        for result in report.results:
            _case(suite, report, result, times=times)
    for file, why in unusable.items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(file, (), 1, times=times))
        name = {"classname": _safe(file), "name": "check", "file": _safe(file), "line": "1"}
        case = ElementTree.SubElement(suite, "testcase", {**name, "time": _time(0)})
        ElementTree.SubElement(case, "error", {"message": _safe(why), "type": "check"})
    ElementTree.indent(root)
    return ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n"


def _counts(name: str, results: Sequence[Result], errors: int, *, times: bool) -> dict[str, str]:
    """The attributes of a suite, or of all of them."""

    def count(verdict: Verdict) -> str:
        return str(sum(result.verdict is verdict for result in results))

    return {
        "name": _safe(name),
        "tests": str(len(results) + errors),
        "failures": count(Verdict.FAILED),
        "errors": str(errors),
        "skipped": count(Verdict.NOT_RUN),
        "time": _time(sum(result.seconds for result in results) if times else 0),
    }


def _case(suite: ElementTree.Element, report: Report, result: Result, *, times: bool) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {
            "classname": _safe(f"{report.plan.name}.{result.kind.value}"),
            "name": _safe(result.name),
            "file": _safe(report.plan.file),
            "line": str(result.line),
            "time": _time(result.seconds if times else 0),
        },
    )
    if result.verdict is Verdict.NOT_RUN:
        ElementTree.SubElement(case, "skipped", {"message": "hypothesis is missing"})
    for failure in result.failures:
        message = f"expected {failure.expected}, got {failure.got}"
        element = ElementTree.SubElement(
            case, "failure", {"message": _safe(message), "type": result.kind.value}
        )
        element.text = _safe(_text(report, failure))


def _text(report: Report, failure: Failure) -> str:
    lines = [f"{report.plan.file}:{failure.line}: {failure.text}"]
    lines += [f"given {line}" for line in (*failure.given, *failure.state)]
    lines += [f"expected {failure.expected}", f"got {failure.got}"]
    return "\n".join([*lines, f"decided by {failure.decided_by}", failure.command])


def _safe(text: str) -> str:
    """Text in which nothing is that XML cannot hold."""
    return "\n".join(map(visible, text.split("\n")))


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
