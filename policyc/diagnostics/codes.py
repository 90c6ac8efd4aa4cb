"""Every diagnostic code, with its title and severity.

docs/errors has a page for each code of the checker, docs/lint for each of `policyc lint`.
"""

from __future__ import annotations

from typing import NamedTuple

from policyc.diagnostics.model import Severity

__all__ = ["CODES", "LINT_CODES", "CodeInfo"]


class CodeInfo(NamedTuple):
    """What a code stands for."""

    code: str
    title: str
    severity: Severity


_ERRORS = {
    # 01: characters and syntax
    "PC0101": "unexpected character",
    "PC0102": "unexpected word or sign",
    "PC0103": "string is not closed",
    "PC0104": "escape sequence or character not allowed in a string",
    "PC0105": "file is not UTF-8 text",
    "PC0106": "expression is nested too deeply",
    "PC0107": "file is too large",
    "PC0108": "number is too large",
    "PC0110": "file holds no policy",
    # 02: names
    "PC0201": "unknown name",
    "PC0202": "name is declared twice",
    "PC0203": "name cannot be declared",
    "PC0204": "let refers to itself",
    "PC0205": "attribute does not exist for this hook",
    "PC0206": "unknown host setting",
    "PC0207": "unknown enumerator",
    "PC0208": "unknown type, hook or way of combining",
    "PC0213": "file cannot be imported",
    "PC0214": "imports go in a circle",
    "PC0215": "file is imported twice",
    "PC0216": "imported file does not declare a name",
    # 03: types
    "PC0301": "operands have different types",
    "PC0302": "condition expected",
    "PC0303": "operator does not work on this type",
    "PC0304": "order set expected",
    "PC0305": "cgroup test without a cgroup",
    "PC0306": "set or list has members of another type",
    "PC0307": "parameter's default or range has another type",
    "PC0308": "host setting has a value of another type",
    "PC0309": "percent or duration expected",
    "PC0310": "attribute expected",
    # 04: values
    "PC0401": "size is not an order",
    "PC0402": "there is no order 1",
    "PC0403": "order above the PMD order",
    "PC0404": "range is the wrong way round",
    "PC0405": "default is outside the parameter's range",
    "PC0406": "percent is above 100 or has more than two decimals",
    "PC0407": "task name is longer than 15 bytes",
    "PC0408": "not a cgroup path",
    "PC0409": "division by zero",
    "PC0410": "host setting is out of range",
    "PC0411": "hot threshold cannot be given to the kernel",
    # 05: blocks and rules
    "PC0501": "block without otherwise",
    "PC0505": "rule without when",
    "PC0506": "said twice",
    "PC0507": "two blocks for one scope",
    "PC0508": "policy without a block",
    "PC0510": "not an answer to this hook",
    "PC0511": "not part of this block",
    "PC0512": "too many rules",
    # 06: profiles
    "PC0601": "profile cannot supply an attribute",
    "PC0602": "profile has no hook that the policy answers",
    # 07: kernels
    "PC0701": "kernel offers no interface for the hook",
    "PC0702": "attribute cannot be read in the kernel",
    "PC0705": "verifier of the kernel refuses the program",
    # 08: tests and properties
    "PC0801": "value in a test has another type",
    "PC0802": "value is outside the parameter's range",
    "PC0803": "expectation without a request",
    "PC0805": "values of a request contradict each other",
    "PC0806": "result outside a property",
    "PC0807": "test of a hook without blocks",
}

_WARNINGS = {
    "PC0210": "set is never used",
    "PC0211": "parameter is never used",
    "PC0212": "let is never used",
    "PC0217": "import is never used",
    "PC0412": "member is listed twice",
    "PC0413": "path holds a wildcard",
    "PC0502": "rule can never be reached",
    "PC0503": "condition is always true",
    "PC0504": "condition is always false",
    "PC0509": "allow of no order at all",
    "PC0513": "combine for a hook without blocks",
    "PC0610": "huge pages are switched off",
    "PC0611": "shrinker has nothing to do",
    "PC0703": "attribute is always absent in the kernel",
    "PC0704": "enumerator does not exist in the kernel",
    "PC0804": "test that expects nothing",
}

_NOTES = {
    "PC0603": "profile loses the lower orders",
    "PC0604": "profile cannot leave a request alone",
    "PC0605": "profile does not follow the hierarchy",
    "PC0606": "hot threshold needs memory tiering",
    "PC0607": "profile reads the hot threshold when it attaches",
    "PC0608": "profile cannot follow the hot threshold",
    "PC0609": "profile cannot nest policies",
    "PC0612": "scope on shared memory",
}

CODES: dict[str, CodeInfo] = {
    code: CodeInfo(code, title, severity)
    for severity, table in (
        (Severity.ERROR, _ERRORS),
        (Severity.WARNING, _WARNINGS),
        (Severity.NOTE, _NOTES),
    )
    for code, title in sorted(table.items())
}

_LINT_WARNINGS = {
    "PL001": "hot threshold without memory tiering",
    "PL002": "shrinker with a limit that no page exceeds",
    "PL003": "khugepaged limit that smaller folios cannot use",
    "PL004": "cgroup decides about shared memory",
    "PL006": "PMD answer to a request for smaller orders",
    "PL008": "open range admits sizes that the host block leaves off",
    "PL009": "size is switched on and never allowed",
    "PL010": "thp rules on a machine without huge pages",
    "PL011": "declaration is never used",
    "PL012": "name is nearly another",
    "PL013": "rollout to all or to none",
    "PL015": "constant beyond what the kernel can have",
    "PL018": "pressure is looked at too late",
    "PL020": "comparison with true or false",
    "PL021": "lint comment without effect",
    "PL023": "import is never used",
    "PL024": "rule behind one for an outer cgroup",
}

_LINT_NOTES = {
    "PL005": "interface takes one order of several",
    "PL007": "program for one memory cgroup on an inner cgroup",
    "PL014": "rule for smaps only",
    "PL016": "MADV_COLLAPSE is denied",
    "PL017": "task name may be cut off",
    "PL019": "rule answers like otherwise",
    "PL022": "lint comment without a reason",
}

LINT_CODES: dict[str, CodeInfo] = {
    info.code: info
    for info in sorted(
        CodeInfo(code, title, severity)
        for severity, table in ((Severity.WARNING, _LINT_WARNINGS), (Severity.NOTE, _LINT_NOTES))
        for code, title in table.items()
    )
}
