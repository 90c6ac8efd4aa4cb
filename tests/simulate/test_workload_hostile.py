"""Input that nobody should write gives findings with lines, quickly, and never an exception."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policyc.simulate.workload.positions import lines, spelled
from policyc.simulate.workload.reader import MOST, examine_workload
from policyc.simulate.workload.schema import TABLES
from tests.simulate.test_workload_reader import SMALL


def said(data: bytes, *overrides: str) -> list[tuple[int | None, str]]:
    examined = examine_workload(data, "hostile.toml", overrides)
    assert examined.workload is None
    return [(finding.line, str(finding)) for finding in examined.findings]


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_nothing(data: bytes) -> None:
    ((line, message),) = said(data)
    assert line is None
    assert message.startswith("it is empty")


def test_only_a_comment() -> None:
    assert [message for _, message in said(b"# a workload\n")] == [
        "machine is missing: write [machine]",
        "processes is missing: write [[processes]]",
    ]


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"\x7fELF\x02\x01\x01\x00", 1, "not TOML"),
        (b"a = 1\nb = '\xff'\n", 2, "byte 0xff is not UTF-8"),
        (b"seed = 1\nseed = 2\n", 2, "cannot overwrite a value"),
        (b"seed = 1\n[machine\n", 2, "not TOML"),
        (b'a = 1\nb = "', 2, "not TOML"),
        (b"seed = " + b"9" * 5000, None, "not TOML"),
        (b"x = '\x00'", 1, "not TOML"),
        (b"a." * 100 + b"a = 1", 1, "a key of more than 64 parts"),
        (b"\n[" + b"a." * 100_000 + b"a]", 2, "a key of more than 64 parts"),
        (b"\nx = {" + b'"a" . ' * 100 + b"a = 1}", 2, "a key of more than 64 parts"),
    ],
)
def test_what_is_not_toml(data: bytes, line: int | None, message: str) -> None:
    (found,) = said(data)
    assert found[0] == line
    assert message in found[1]


def test_too_large() -> None:
    ((_, message),) = said(b"#" * (MOST + 1))
    assert message == "it has more than 16 MiB; a workload is far smaller"


def test_a_long_line_takes_no_time() -> None:
    for line in (b"a" * 1_000_000, b'"' * 1_000_000, b"a " * 500_000, b"'a'." * 3 + b" " * 900_000):
        assert said(line)


@pytest.mark.parametrize("depth", [200, 5_000, 100_000])
def test_deep(depth: int) -> None:
    for data in (
        b"seed = " + b"[" * depth + b"]" * depth,
        b"seed = " + b"{a = " * depth + b"1" + b"}" * depth,
    ):
        found = said(data)
        assert found[-1][1] in ("it is nested too deeply for a workload",) or any(
            "seed: found" in message for _, message in found
        )


def test_the_number_of_findings_has_an_end() -> None:
    data = b"".join(b"key%d = 1\n" % number for number in range(10_000))
    assert len(said(data)) == 200


_SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**45), 10**45),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1G", "64K", "10s", "20%", "1M/s", "$x", "$", "max", "uniform", "heap", "/a"]),
    st.dates(),
)
_KEYS = st.sampled_from([*sorted({f.key for table in TABLES.values() for f in table.fields}), "x"])
_DOCUMENTS = st.recursive(
    _SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(_KEYS, below, max_size=5)),
    max_leaves=25,
)


def _toml(value: Any) -> str:
    """A value as it stands behind a key, tables inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        escaped = "".join(f"\\U{ord(char):08x}" for char in value)
        return f'"{escaped}"'
    return str(value)


@given(st.dictionaries(_KEYS, _DOCUMENTS, max_size=6))
@example({"machine": {"nodes": [{"memory": "1G", "cpus": 1}]}, "processes": [{"phases": [1]}]})
@example({"machine": {"thp": {"sizes": {"x": "never"}}, "page_size": 16384}})
@example({"processes": [{"name": "p", "vmas": 3, "phases": [{"pattern": "uniform", "vma": 4}]}]})
@example({"values": {"x": {}}, "processes": [{"name": "$x"}]})
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in document.items())
    tomllib.loads(text)
    examined = examine_workload(
        text.encode("utf-8", "replace"), "any.toml", ["processes.p.count=2"]
    )
    assert examined.workload is None
    for finding in examined.findings:
        assert finding.line is None or 1 <= finding.line <= text.count("\n") + 1


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert said(data)


@given(st.lists(st.text(alphabet="ab.=[]{}/0\"' $", max_size=30), max_size=3))
def test_any_override_is_taken_or_refused(overrides: list[str]) -> None:
    examine_workload(SMALL.encode(), "small.toml", overrides)


# -- lines


def test_lines_of_everything_that_toml_has() -> None:
    text = '''# comment [not.a.table]
top = """one
two = 2
"""
"quoted key" = '\\' # = 3

a.b.c = [ # comment ]
  1,
  [2, { x = 1, y = { z = "]" } }],
]
"a"."d" = \'\'\'
[x]
\'\'\'

[t.u]
k = 1979-05-27 07:32:00Z
[[p]]
n = 1
[[p.q]]
n = 2
  [p.q.r]
  n = 3
[[ p ]]
[[p.q]]
[["p".q]]
n = 4
'''
    tomllib.loads(text)
    found = {spelled(path): line for path, line in lines(text).items()}
    assert found == {
        "top": 2,
        '"quoted key"': 5,
        "a": 7,
        "a.b": 7,
        "a.b.c": 7,
        "a.b.c[0]": 8,
        "a.b.c[1]": 9,
        "a.b.c[1][0]": 9,
        "a.b.c[1][1]": 9,
        "a.b.c[1][1].x": 9,
        "a.b.c[1][1].y": 9,
        "a.b.c[1][1].y.z": 9,
        "a.d": 11,
        "t": 15,
        "t.u": 15,
        "t.u.k": 16,
        "p": 17,
        "p[0]": 17,
        "p[0].n": 18,
        "p[0].q": 19,
        "p[0].q[0]": 19,
        "p[0].q[0].n": 20,
        "p[0].q[0].r": 21,
        "p[0].q[0].r.n": 22,
        "p[1]": 23,
        "p[1].q": 24,
        "p[1].q[0]": 24,
        "p[1].q[1]": 25,
        "p[1].q[1].n": 26,
    }


@given(st.dictionaries(_KEYS, _DOCUMENTS, max_size=6))
def test_every_place_of_a_document_has_a_line(document: dict[str, Any]) -> None:
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in document.items())
    found = lines(text)

    def places(value: Any, path: tuple[str | int, ...]) -> None:
        if path:
            assert found[path] == list(document).index(str(path[0])) + 1
        pairs = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for key, below in pairs:
            places(below, (*path, key))

    places(document, ())
