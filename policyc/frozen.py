"""Frozen slotted dataclasses that are made quickly.

The `__init__` that dataclasses writes for a frozen class sets each field through
`object.__setattr__`, three times as slow as through the slot itself. A policy of a thousand
lines has twenty thousand spans and nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, cast, dataclass_transform

__all__ = ["frozen"]

_Class = TypeVar("_Class", bound=type)


@dataclass_transform(frozen_default=True)
def frozen(*, eq: bool = True, repr: bool = True) -> Callable[[_Class], _Class]:
    """`dataclass(frozen=True, slots=True)` with a quicker `__init__`.

    Raises TypeError for what that `__init__` does not do: fields with factories, those of
    other classes, and work after it.
    """

    def make(cls: _Class) -> _Class:
        made = cast("Any", dataclass(frozen=True, slots=True, init=False, eq=eq, repr=repr)(cls))
        made.__init__ = _init(made)
        return cast("_Class", made)

    return make


def _init(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {}
    parameters: list[str] = []
    for field in fields(cls):
        if field.default_factory is not MISSING or field.name not in cls.__dict__:
            raise TypeError(f"{cls.__name__}.{field.name} needs a dataclass of the usual kind")
        names[f"_{field.name}"] = cls.__dict__[field.name].__set__
        parameters.append(field.name)
        if field.default is not MISSING:
            names[f"_default_{field.name}"] = field.default
            parameters[-1] += f"=_default_{field.name}"
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__}.__post_init__ needs a dataclass of the usual kind")
    lines = [f" _{field.name}(self, {field.name})" for field in fields(cls)]
    text = f"def __init__(self, {', '.join(parameters)}):\n" + "\n".join(lines or [" pass"])
    exec(text, names)  # noqa: S102 - of names of fields only, as dataclasses does it
    return names["__init__"]
