"""Names of files in the protocol and on the disk, whatever bytes they are made of."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote, urlsplit

__all__ = ["path_of", "uri_of"]


def path_of(uri: str) -> str | None:
    """The path of a file; None for what is no file, such as a text that nobody has saved."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = unquote(parts.path, errors="surrogateescape")
    if parts.scheme != "file" or not path or "\0" in path:
        return None
    return f"//{parts.netloc}{path}" if parts.netloc else path


def uri_of(path: str) -> str:
    """How the protocol names a file."""
    return "file://" + quote(os.fsencode(os.path.abspath(path)))  # noqa: PTH100 - of any bytes
