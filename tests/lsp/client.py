"""A client that may send anything: bytes that are no message, and questions to be timed."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
URI = "file:///policies/p.thp"

#: An answer that takes longer than this is none.
PATIENCE = 30.0


class RefusedError(Exception):
    """The server answered with an error."""


class Client:
    """One connection; `text` is that of the document that is open."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        self._version = 0
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.notifications: list[dict[str, Any]] = []
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                header = stream.readline()
            self._messages.put(json.loads(stream.read(length)))
        self._messages.put(None)

    def raw(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any = None) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") != self._number:
                self.notifications.append(message)
            elif "error" in message:
                raise RefusedError(message["error"]["message"])
            else:
                return message["result"]

    def _next(self) -> dict[str, Any]:
        message = self._messages.get(timeout=PATIENCE)
        assert message is not None, "the server has ended"
        return message

    def hear(self, method: str) -> Any:
        """The parameters of the next notification of a kind, those kept before included."""
        while True:
            message = self.notifications.pop(0) if self.notifications else self._next()
            if message.get("method") == method:
                return message["params"]

    # -- documents

    def open(self, text: str, uri: str = URI) -> None:
        self.text = text
        self._version += 1
        item = {"uri": uri, "languageId": "policyc", "version": self._version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def open_as(self, version: int, text: str) -> None:
        """As the version that some editors begin with each time."""
        self._version = version - 1
        self.open(text)

    def edit(self, start: int, end: int, text: str, uri: str = URI) -> None:
        """Replace a range of the document, as typing does."""
        self._version += 1
        change = {"range": {"start": self.position(start), "end": self.position(end)}, "text": text}
        self.text = self.text[:start] + text + self.text[end:]
        document = {"uri": uri, "version": self._version}
        params = {"textDocument": document, "contentChanges": [change]}
        self.notify("textDocument/didChange", params)

    def findings(self) -> list[dict[str, Any]]:
        """What is published of the version that was sent last."""
        while True:
            params = self.hear("textDocument/publishDiagnostics")
            if params.get("version") == self._version:
                return params["diagnostics"]

    def position(self, offset: int) -> dict[str, int]:
        """A position in UTF-16, worked out on its own."""
        before = self.text[:offset].split("\n")
        return {"line": len(before) - 1, "character": len(before[-1].encode("utf-16-le")) // 2}

    def busy(self) -> float:
        """Seconds that the thread which answers has been on a processor."""
        text = Path(f"/proc/{self._process.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e9

    def hang_up(self) -> int:
        """Go away without a word; the exit code of the server."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE)

    def errors(self) -> bytes:
        """What it wrote to standard error, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read()

    def end(self) -> int:
        """Shut the server down as editors do; its exit code."""
        self.ask("shutdown")
        self.notify("exit", None)
        return self._process.wait(PATIENCE)


@contextmanager
def served(*arguments: str, folder: Path | None = None) -> Generator[Client]:
    """A server that has been initialised, for a folder if any; it is ended at the latest here."""
    command = [sys.executable, "-m", "policyc", "lsp", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        client = Client(process)
        root = folder.as_uri() if folder is not None else None
        client.ask("initialize", {"processId": None, "rootUri": root, "capabilities": {}})
        client.notify("initialized", {})
        yield client
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            with suppress(OSError):
                stream.close()
