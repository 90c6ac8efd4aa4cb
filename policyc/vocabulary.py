"""The words of the language by what they are for: one table for everything that colours text.

The words come from where they mean something: those of the grammar from the grammar,
attributes, enumerators and settings from the tables of what kernels offer. The language
server, the Pygments lexer and the TextMate grammar are all made from this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from policyc.check.expressions import BUILTINS
from policyc.hooks.loader import attributes, enumerations, host_rows
from policyc.plan.cases import RESULT, RESULT_HOT_THRESHOLD
from policyc.plan.nodes import Combine, HookName
from policyc.syntax.tables import grammar_text

__all__ = ["ANY_NUMBER", "NUMBERS", "Vocabulary", "vocabulary"]

#: Numbers as in the grammar: percentages, hexadecimal ones, and others with or without a unit.
NUMBERS = (
    r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?%",
    r"0x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*(?![A-Za-z0-9_]|\.[0-9])",
    r"[0-9]+(?:_[0-9]+)*(?:[KMGTP](?:iB)?|B|ns|us|ms|s|min|h)?(?![A-Za-z0-9_]|\.[0-9])",
)

#: What is meant as a number, `12.5` and `5x` too, which are none.
ANY_NUMBER = r"(?:[0-9][0-9_]*(?:\.[0-9]+)?%|[0-9][A-Za-z0-9_]*(?:\.[0-9]+)?)"

#: What requests have for rollouts, which only tests can name.
_CGROUP_ID = "cgroup.id"

#: Words of the grammar that answer a request.
_ACTIONS = frozenset({"allow", "deny", "pass", "balance", "off"})

#: Words of the grammar that stand in expressions.
_OPERATORS = frozenset(
    {"and", "or", "not", "in", "is", "under", "overlaps", "has", "highest", "order", "implies"}
)

#: Words of the grammar that begin a declaration.
_DECLARATIONS = frozenset({"policy", "set", "param", "let", "combine", "import"})

_TERMINAL = re.compile(r"^[A-Z_]+\.1: /(.+)\(\?!\[A-Za-z0-9_\.?\]\)/$", re.MULTILINE)
_WORD = re.compile(r"[a-z_]{2,}")


class Vocabulary(NamedTuple):
    """The words of each sort, sorted. `keywords` are those of the grammar in no other sort."""

    keywords: tuple[str, ...]
    declarations: tuple[str, ...]
    actions: tuple[str, ...]
    operators: tuple[str, ...]
    hooks: tuple[str, ...]
    types: tuple[str, ...]
    combinations: tuple[str, ...]
    constants: tuple[str, ...]
    attributes: tuple[str, ...]
    enumerators: tuple[str, ...]
    settings: tuple[str, ...]
    setting_values: tuple[str, ...]

    @property
    def grammar(self) -> frozenset[str]:
        """Every word that the grammar knows."""
        return frozenset(
            (*self.keywords, *self.declarations, *self.actions, *self.operators, *self.hooks)
        )


def grammar_words() -> frozenset[str]:
    """The words that the terminals of the grammar spell."""
    return frozenset(
        word for pattern in _TERMINAL.findall(grammar_text()) for word in _WORD.findall(pattern)
    )


@cache
def vocabulary() -> Vocabulary:
    """The words of the language as it is."""
    words = grammar_words()
    hooks = {hook.value for hook in HookName}
    enumerators = {m.name for table in enumerations().values() for m in table.members}
    values = {value for row in host_rows().values() for value in row.values}
    return Vocabulary(
        keywords=_sorted(words - _ACTIONS - _OPERATORS - _DECLARATIONS - hooks),
        declarations=_sorted(words & _DECLARATIONS),
        actions=_sorted(words & _ACTIONS),
        operators=_sorted(words & _OPERATORS),
        hooks=_sorted(hooks),
        types=("bool", "cgroup", "duration", "int", "percent", "size", "string"),
        combinations=_sorted({way.value for way in Combine}),
        constants=_sorted(BUILTINS),
        attributes=_sorted({*attributes(), _CGROUP_ID, RESULT, RESULT_HOT_THRESHOLD}),
        enumerators=_sorted(enumerators),
        settings=_sorted({name.removesuffix("[]") for name in host_rows()}),
        setting_values=_sorted({*values, "on", "off"}),
    )


def _sorted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(words))
