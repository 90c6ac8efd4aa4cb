"""The state: what it takes, what it refuses, and that decisions see a change."""

from __future__ import annotations

import json

import pytest

from policyc.runtime.state import SET_CAPACITY, ParamField, SetField, State, StateError
from policyc.runtime.units import parse_value, spell_value


class Current:
    """What generated code reads."""

    java: frozenset[str]
    names: frozenset[bytes]
    ceiling: int
    room: int
    hot: int
    switch: bool


def new_state() -> tuple[State, Current]:
    current = Current()
    state = State(
        current,
        sets=(
            SetField("java", "cgroup", ("/kubepods/java",), "java"),
            SetField("names", "string", (b"redis",), "names"),
        ),
        params=(
            ParamField("ceiling", "percent", 1_000, 0, 5_000, "ceiling"),
            ParamField("room", "size", 8 << 20, 4096, 1 << 40, "room"),
            ParamField("hot", "duration", 200_000_000, 0, 10**9, "hot"),
            ParamField("switch", "bool", 1, 0, 1, "switch"),
        ),
    )
    return state, current


def test_sets_are_edited_in_place_of_what_decisions_read():
    state, current = new_state()
    before = current.java
    java = state.sets["java"]
    java.add("/a//b/")
    assert current.java == {"/kubepods/java", "/a/b"}
    assert before == {"/kubepods/java"}
    assert "/a/b/" in java
    assert "/a" not in java
    assert 5 not in java
    java.discard("/a/b")
    java.discard("/never/was/there")
    assert list(java) == ["/kubepods/java"]
    assert len(java) == 1


def test_strings_are_kept_as_bytes():
    state, current = new_state()
    state.sets["names"].update(["ä", b"\xff"])
    assert current.names == {b"redis", "ä".encode(), b"\xff"}
    assert "redis" in state.sets["names"]


@pytest.mark.parametrize(
    ("name", "member", "message"),
    [
        ("java", "relative", "set java: expected a normalised absolute path"),
        ("java", "/a/../b", "set java: expected"),
        ("java", b"/a", "set java: expected"),
        ("names", "sixteen bytes 16", "set names: expected at most 15 bytes, got 16"),
        ("names", "a\0b", "set names: a string has no NUL"),
        ("names", 7, "set names: expected a string or bytes"),
    ],
)
def test_members_that_can_never_match_are_refused(name: str, member: object, message: str):
    state, _ = new_state()
    before = state.snapshot()
    with pytest.raises(StateError, match=message):
        state.sets[name].update(["/fine" if name == "java" else "fine", member])  # pyright: ignore[reportArgumentType]
    assert state.snapshot() == before


def test_capacity():
    state, _ = new_state()
    names = state.sets["names"]
    names.replace(str(number) for number in range(SET_CAPACITY))
    names.add("7")
    with pytest.raises(StateError, match="at most 65536 members, got 65537"):
        names.add("one more")
    assert len(names) == SET_CAPACITY


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("ceiling", "12.5%", 1_250),
        ("ceiling", "0.05%", 5),
        ("ceiling", 7, 7),
        ("room", "8K", 8192),
        ("room", "2MiB", 2 << 20),
        ("room", "1_024K", 1 << 20),
        ("hot", "200ms", 200_000_000),
        ("hot", " 1s ", 10**9),
        ("switch", "off", 0),
        ("switch", True, 1),
    ],
)
def test_parameters_are_set_from_numbers_and_text(name: str, value: int | str, number: int):
    state, current = new_state()
    state.params[name] = value
    assert state.params[name] == number
    assert getattr(current, name) == number


def test_a_bool_stays_a_bool():
    state, current = new_state()
    state.params["switch"] = 0
    assert current.switch is False


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ceiling", 5_001, r"param ceiling: expected 0%\.\.50%, that is 0\.\.5000 \(hundredths"),
        ("ceiling", "50.01%", r"expected 0%\.\.50%.*got 50\.01%"),
        ("ceiling", "12.345%", r"param ceiling: expected a percentage such as 12\.5%"),
        ("ceiling", -1, "got -1"),
        ("ceiling", True, "got True"),
        ("ceiling", 0.5, r"got 0\.5"),
        ("room", "2s", "param room: expected a size such as"),
        ("room", "4095", r"expected 4K\.\.1T, that is 4096\.\.1099511627776 \(bytes\), got 4095"),
        ("hot", "9" * 5000 + "s", "expected a duration"),
        ("hot", "٣ms", "expected a duration"),
        ("switch", 2, "expected true or false"),
        ("celing", 1, "unknown parameter 'celing'; did you mean 'ceiling'"),
    ],
)
def test_parameters_outside_their_range_are_refused(name: str, value: int | str, message: str):
    state, _ = new_state()
    before = state.snapshot()
    with pytest.raises(StateError, match=message):
        state.params[name] = value
    assert state.snapshot() == before


def test_snapshot_goes_through_json_and_back():
    state, _ = new_state()
    state.sets["names"].add(b"\xff\xfe")
    state.params["ceiling"] = 1
    snapshot = json.loads(json.dumps(state.snapshot()))
    other, current = new_state()
    other.restore(snapshot)
    assert other.snapshot() == state.snapshot()
    assert current.names == {b"redis", b"\xff\xfe"}


@pytest.mark.parametrize(
    "snapshot",
    [
        {"params": {"ceiling": 5, "room": 0}},
        {"sets": {"java": ["/a"]}, "params": {"nothing": 1}},
        {"sets": {"java": ["/a"], "jawa": []}},
        {"sets": {"java": "/a"}},
        {"sets": {"names": ["fine"], "java": [5]}},
        {"rules": {}},
    ],
)
def test_restore_is_all_or_nothing(snapshot: dict[str, dict[str, object]]):
    state, _ = new_state()
    before = state.snapshot()
    with pytest.raises(StateError):
        state.restore(snapshot)
    assert state.snapshot() == before


@pytest.mark.parametrize(
    ("kind", "number", "text"),
    [
        ("percent", 1_250, "12.5%"),
        ("percent", 10_000, "100%"),
        ("percent", 5, "0.05%"),
        ("size", 0, "0B"),
        ("size", 3 << 20, "3M"),
        ("size", (1 << 64) - 1, "18446744073709551615B"),
        ("duration", 0, "0ns"),
        ("duration", 1_500_000, "1500us"),
        ("bool", 1, "true"),
    ],
)
def test_spelling_and_parsing_are_inverse(kind: str, number: int, text: str):
    assert spell_value(kind, number) == text
    assert parse_value(kind, text) == number
