"""Traces: requests as JSON Lines, read one by one so that a trace may be of any length."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from policyc.plan.nodes import Target
from policyc.runtime.checks import did_you_mean
from policyc.runtime.requests import NumaRequest, ThpRequest
from policyc.simulate.values import (
    REQUESTS,
    Reader,
    Value,
    attribute_fields,
    completed,
    json_reader,
)

__all__ = ["Entry", "TraceError", "open_trace", "read_trace", "shipped_trace"]

#: The longest line that is read; a request with every attribute has about 3 KiB.
MAX_LINE = 1 << 20

#: Keys of a line that say something about the request and are not asked about by policies.
_NOTES = ("hook", "time", "comment")

_NESTED = "values are numbers, strings, true, false or null, and attributes have dotted names"


class TraceError(ValueError):
    """A line of a trace that is not a request; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A request of a trace, and the line that it is on."""

    line: int
    hook: str
    request: ThpRequest | NumaRequest


def shipped_trace() -> Path:
    """The trace that comes with policyc."""
    from policyc.resources import resource_path

    return resource_path("examples") / "traces" / "mixed.jsonl"


@contextmanager
def open_trace(path: Path) -> Generator[IO[bytes]]:
    """A trace as a stream of bytes; a name that ends with `.gz` is that of a gzip file."""
    with path.open("rb") as stream:
        if path.suffix != ".gz":
            yield stream
            return
        import gzip

        with gzip.GzipFile(fileobj=stream) as unpacked:
            yield cast("IO[bytes]", unpacked)


def read_trace(
    stream: IO[bytes],
    target: Target | None = None,
    *,
    on_error: Callable[[TraceError], None] | None = None,
) -> Iterator[Entry]:
    """The requests of a trace; empty lines and a byte order mark are passed over.

    A bad line raises TraceError, unless `on_error` takes it; then the next line is read.
    """
    hooks = {hook: _Hook(hook, target or Target()) for hook in REQUESTS}
    for number, line in _lines(stream):
        try:
            if isinstance(line, TraceError):
                raise line
            if line.isspace():
                continue
            yield _entry(number, line, hooks)
        except TraceError as error:
            if on_error is None:
                raise
            on_error(error)


_Line: TypeAlias = "bytes | TraceError"


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, _Line]]:
    import zlib

    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(MAX_LINE + 1)
            too_long = len(line) > MAX_LINE
            rest = line
            while too_long and rest and not rest.endswith(b"\n"):
                rest = stream.readline(MAX_LINE)
        except (EOFError, zlib.error) as error:
            raise TraceError(number, f"the compressed data is damaged: {error}") from None
        if not line:
            return
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf") or b"\n"
        if too_long:
            yield number, TraceError(number, f"the line is longer than {MAX_LINE} bytes")
        else:
            yield number, line


class _Hook:
    """How the lines of one hook become requests.

    The checks of a request look at each of its fields, most of which a line leaves at their
    defaults. Here only what the line says is checked. The requests are of a subclass whose
    class attributes are the defaults, so that only the rest has to be set.
    """

    def __init__(self, hook: str, target: Target) -> None:
        base = REQUESTS[hook]
        known = attribute_fields(hook)
        self._readers: dict[str, tuple[str, Reader]] = {
            name: (field.field, json_reader(field, target)) for name, field in known.items()
        }
        defaults: dict[str, Any] = {
            field.name: None if field.default is MISSING else field.default
            for field in fields(cast("Any", base))
        }
        self._class = cast("type[ThpRequest | NumaRequest]", type(base.__name__, (base,), defaults))
        self._needs_orders = hook == "thp"

    def request(self, line: dict[str, object]) -> ThpRequest | NumaRequest:
        """The request of a line; ValueError if it is none."""
        values: dict[str, Value] = {}
        readers = self._readers
        for name, value in line.items():
            if name in readers:
                field, reader = readers[name]
                values[field] = reader(value)
            elif name not in _NOTES:
                known = [*_NOTES, *readers]
                raise ValueError(f"unknown key {name!r}{did_you_mean(name, known)}")
        if self._needs_orders and "orders" not in values:
            raise ValueError('orders: every thp request has it, none was given; "all" is usual')
        completed(values)
        values.pop("memory_free", None)
        request = object.__new__(self._class)
        request.__dict__.update(values)
        return request


def _entry(number: int, line: bytes, hooks: dict[str, _Hook]) -> Entry:
    try:
        decoded: object = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise TraceError(number, f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise TraceError(
            number, f"column {error.colno}: not JSON: {error.msg}; expected one object a line"
        ) from None
    except (RecursionError, ValueError) as error:
        message = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise TraceError(number, f"{message}; {_NESTED}") from None
    if not isinstance(decoded, dict):
        raise TraceError(number, 'expected an object such as {"hook": "thp", "orders": "all"}')
    values = cast("dict[str, object]", decoded)
    hook = values.get("hook")
    if not isinstance(hook, str) or hook not in hooks:
        raise TraceError(number, f'hook: expected "thp" or "numa", got {_shown(hook)}')
    try:
        return Entry(number, hook, hooks[hook].request(values))
    except ValueError as error:
        raise TraceError(number, str(error)) from None


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value)[:60]
