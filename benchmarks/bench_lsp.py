"""How long the language server takes to answer about a policy of 1,000 lines.

Run: python benchmarks/bench_lsp.py [--lines N] [--runs N] [--check]

A real `policyc lsp` is asked over its pipes. Before each question a character is typed, so that
nothing is left over from the one before; the time is from the question to its answer. `cpu` is
what the answering thread took of a processor for it, which other programs on the machine change
little. The last row is from typing to the findings, without the pause that the server waits.
With --check it exits 1 if a median is above 50 ms, a pause that nobody at an editor notices.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_check import policy
from tests.lsp.client import URI, Client, served

_LIMIT = 0.050

#: The pause of policyc/lsp/server.py.
_PAUSE = 0.15


def _questions(client: Client) -> dict[str, Callable[[], object]]:
    text = client.text
    middle = text.index("memory.usage", len(text) // 2)
    last_use = text.rindex("java")
    whole = {"textDocument": {"uri": URI}}
    at_middle = {**whole, "position": client.position(middle + 3)}
    at_name = {**whole, "position": client.position(last_use + 1)}
    everything = {"start": client.position(0), "end": client.position(len(text))}
    layout = {"options": {"tabSize": 4, "insertSpaces": True}}

    def asking(method: str, params: object) -> Callable[[], object]:
        return lambda: client.ask(f"textDocument/{method}", params)

    return {
        "hover": asking("hover", at_middle),
        "completion": asking("completion", at_middle),
        "definition": asking("definition", at_name),
        "references": asking("references", {**at_name, "context": {"includeDeclaration": True}}),
        "rename": asking("rename", {**at_name, "newName": "jvm"}),
        "documentSymbol": asking("documentSymbol", whole),
        "codeLens": asking("codeLens", whole),
        "semanticTokens": asking("semanticTokens/full", whole),
        "codeAction": asking(
            "codeAction", {**whole, "range": everything, "context": {"diagnostics": []}}
        ),
        "formatting": asking("formatting", {**whole, **layout}),
    }


def _typed(client: Client) -> None:
    """A space more at the end, so that no place in the text moves."""
    client.edit(len(client.text), len(client.text), " ")


def _time(measure: Callable[[], object]) -> float:
    start = time.perf_counter()
    measure()
    return time.perf_counter() - start


def main() -> int:
    """Print the table; with --check, 1 if an answer takes too long."""
    parser = argparse.ArgumentParser(description="How long the language server takes")
    parser.add_argument("--lines", type=int, default=1000, help="lines of the policy")
    parser.add_argument("--runs", type=int, default=20, help="times that each is asked")
    parser.add_argument("--check", action="store_true", help="fail if an answer takes too long")
    arguments = parser.parse_args()
    medians: dict[str, float] = {}
    worst: dict[str, float] = {}
    busy: dict[str, float] = {}
    with served() as client:
        client.open(policy(arguments.lines))
        client.findings()
        for name, ask in _questions(client).items():
            times: list[float] = []
            before = client.busy()
            for _ in range(arguments.runs):
                _typed(client)
                times.append(_time(ask))
            medians[name], worst[name] = statistics.median(times), max(times)
            busy[name] = (client.busy() - before) / arguments.runs
            client.findings()
        checks: list[float] = []
        for _ in range(arguments.runs):
            _typed(client)
            checks.append(_time(client.findings) - _PAUSE)
    title = f"{arguments.lines} lines, {arguments.runs} times"
    print(f"{title:24}  {'median ms':>9}  {'most':>7}  {'cpu':>6}")
    for name, median in medians.items():
        numbers = f"{median * 1000:9.1f}  {worst[name] * 1000:7.1f}  {busy[name] * 1000:6.1f}"
        print(f"{name:24}  {numbers}")
    check = statistics.median(checks)
    print(f"{'typing to findings':24}  {check * 1000:9.1f}  {max(checks) * 1000:7.1f}")
    slow = [name for name, median in medians.items() if median > _LIMIT]
    for name in slow:
        print(f"{name} takes more than {_LIMIT * 1000:.0f} ms")
    return 1 if slow and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
