"""One server for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_lsp

from tests.lsp.editor import Editor, begin, command


@pytest_lsp.fixture(config=command(), scope="module")
async def process(editor: Editor) -> AsyncGenerator[None]:
    await begin(editor)
    yield
    await editor.shutdown_session()
