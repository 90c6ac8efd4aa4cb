"""Asking the solver: yes with the smallest example, no, or nothing known within the time limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from policyc.prove import terms as t

__all__ = ["Found", "Questions", "Wish"]

#: Whether there is an example: yes, no, or the solver does not know.
Found = Literal["yes", "no", "unknown"]

_STOPPED = ("canceled", "interrupted", "interrupted from keyboard")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an example should be like, if it can; `otherwise` is what it should be if not.

    With `number` it should be as small as can be, tried at the `near` values first.
    """

    wanted: t.Bool = True
    otherwise: tuple[Wish, ...] = ()
    number: t.Number = 0
    near: tuple[int, ...] = ()


class Questions:
    """A solver that knows the constraints of the inputs and is asked one thing at a time.

    `seconds` is the time limit of each question, and of making its example small.
    """

    def __init__(self, constraints: Iterable[t.Bool], seconds: float) -> None:
        self._seconds = seconds
        self._solver: Any = t.z3.SimpleSolver()
        for constraint in constraints:
            self._solver.add(t.term(constraint))
        self._model: Any = None
        self._facts: list[Any] = []
        self._deadline = 0.0

    @contextmanager
    def given(self, *facts: t.Bool) -> Generator[None]:
        """A block in which these facts hold."""
        self._solver.push()
        try:
            for fact in facts:
                self._solver.add(t.term(fact))
            yield
        finally:
            self._solver.pop()

    def assume(self, fact: t.Bool) -> None:
        """Let a fact hold until the end of the block of `given`."""
        self._solver.add(t.term(fact))

    def ask(self, *facts: t.Bool) -> Found:
        """Whether there is an example for which all of these hold."""
        if any(fact is False for fact in facts):
            return "no"
        self._deadline = time.monotonic() + self._seconds
        self._facts = [t.term(fact) for fact in facts]
        return self._check(self._facts)

    def hope(self, fact: t.Bool) -> None:
        """Let the example of the last `ask` be one for which a fact holds too, if there is one."""
        if not self.value(fact):
            self._check([*self._facts, t.term(fact)])

    def _check(self, assumptions: Sequence[Any]) -> Found:
        left = self._deadline - time.monotonic()
        if left <= 0:
            return "unknown"
        self._solver.set("timeout", max(int(left * 1000), 1))
        found = self._solver.check(*assumptions)
        if found == t.z3.sat:
            self._model = self._solver.model()
            return "yes"
        if found == t.z3.unsat:
            return "no"
        early = self._deadline - time.monotonic() > min(left / 10, 0.05)
        if early and self._solver.reason_unknown() in _STOPPED:
            # The solver takes Ctrl-C for itself, and says of it what it says of its time limit.
            raise KeyboardInterrupt
        return "unknown"

    def needed(self, facts: Sequence[t.Bool]) -> list[int]:
        """Of facts that cannot all hold, the indexes of some that cannot, without any to spare."""
        terms = [t.term(fact) for fact in facts]
        kept = list(range(len(facts)))
        if self.ask(*terms) == "no":
            core = {item.get_id() for item in self._solver.unsat_core()}
            kept = [index for index, item in enumerate(terms) if item.get_id() in core]
        for index in list(kept):
            rest = [other for other in kept if other != index]
            if self.ask(*(terms[other] for other in rest)) == "no":
                kept = rest
        return kept

    def value(self, item: t.Bool | t.Number) -> int:
        """What a term is in the example."""
        if isinstance(item, int):
            return item
        found = self._model.eval(item, model_completion=True)
        return int(t.z3.is_true(found)) if t.z3.is_bool(found) else found.as_long()

    def smallest(self, wishes: Callable[[], Iterable[Wish]], *facts: t.Bool) -> Found:
        """The same as `ask`, with an example that grants as many wishes as there are in turn."""
        with self.given(*facts):
            found = self.ask()
            if found == "yes":
                self._deadline = time.monotonic() + self._seconds
                for wish in wishes():
                    self._grant(wish)
            return found

    def _grant(self, wish: Wish) -> None:
        if not isinstance(wish.number, int):
            self._lower(wish.number, wish.near)
        elif not self._hold(wish.wanted):
            for other in wish.otherwise:
                self._grant(other)

    def _hold(self, fact: t.Bool) -> bool:
        """Whether the example can be one for which the fact holds; then it does from here on."""
        if isinstance(fact, bool):
            return fact
        possible = bool(self.value(fact)) or self._check([fact]) == "yes"
        if possible:
            self._solver.add(fact)
        return possible

    def _lower(self, number: t.Number, near: Sequence[int]) -> None:
        """Make a number as small as it can be."""
        low, high = 0, self.value(number)
        tried = sorted({value for value in near if value < high})
        while tried:
            middle = tried[len(tried) // 2]
            if self._check([t.term(t.at_most(number, middle))]) == "yes":
                high = self.value(number)
            else:
                low = middle + 1
            tried = [value for value in tried if low <= value < high]
        # What is left is between two of the values that matter: most often nothing.
        while low < high and self._check([t.term(t.number_is(number, low, high - 1))]) == "yes":
            high = self.value(number)
            middle = (low + high) // 2
            if middle < high and self._check([t.term(t.number_is(number, low, middle))]) == "yes":
                high = self.value(number)
            elif middle < high:
                low = middle + 1
        self._solver.add(t.term(t.at_most(number, high)))
