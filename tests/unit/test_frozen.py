"""The quick frozen dataclasses: what the usual ones do, they do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from policyc.frozen import frozen


@frozen()
class Place:
    """A place with something that need not be given."""

    line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class Usual:
    line: int
    column: int = 1


@pytest.mark.parametrize("kind", [Place, Usual])
def test_it_is_a_frozen_dataclass(kind: type[Place]):
    place = kind(3)
    assert (place.line, place.column) == (3, 1)
    assert kind(line=4, column=2) == kind(4, 2) != kind(4, 1)
    assert len({kind(1), kind(1), kind(2)}) == 2
    assert repr(place) == f"{kind.__name__}(line=3, column=1)"
    assert replace(place, column=9) == kind(3, 9)
    assert [item.name for item in fields(place)] == ["line", "column"]
    assert pickle.loads(pickle.dumps(place)) == copy.deepcopy(place) == place
    with pytest.raises(FrozenInstanceError):
        place.line = 4  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises((AttributeError, TypeError)):
        place.word = 4  # pyright: ignore[reportAttributeAccessIssue]
    for wrong in ({}, {"line": 1, "row": 2}, {"column": 1}):
        with pytest.raises(TypeError):
            kind(**wrong)
    match place:
        case kind(line, column):
            assert (line, column) == (3, 1)


def test_what_the_quick_init_does_not_do_is_refused():
    with pytest.raises(TypeError, match="members needs a dataclass of the usual kind"):

        @frozen()
        class _Listed:
            members: list[int] = field(default_factory=list[int])

    with pytest.raises(TypeError, match="line needs a dataclass of the usual kind"):

        @frozen()
        class _Child(Place):
            row: int = 1

    with pytest.raises(TypeError, match="__post_init__"):

        @frozen()
        class _Checked:
            line: int

            def __post_init__(self) -> None:
                raise AssertionError
