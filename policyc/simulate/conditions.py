"""Conditions on the figures of a run, such as `oom > 0` or `memory > 110% of never`.

A condition is `FIGURE[CGROUP] OPERATOR VALUE`. The figure is one of figures.FIGURES or a
shorter name of it, the cgroup may be left out. The value is a number, a size, a duration or
a percentage, or a share of the same figure of a baseline: `always`, `always * 1.05`,
`1.05 * always`, `110% of never`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from policyc.runtime.checks import did_you_mean
from policyc.simulate.baselines import BASELINES
from policyc.simulate.figures import ALIASES, FIGURES, Figure, Unit
from policyc.simulate.results import Figures, Run
from policyc.simulate.spelling import spell

__all__ = ["Condition", "ConditionError", "parse_condition"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}

_CONDITION = re.compile(
    r"\s*(?P<figure>[A-Za-z_][A-Za-z_0-9]*)\s*(?:\[(?P<cgroup>[^\]]*)\])?"
    r"\s*(?P<operator>>=|<=|==|!=|>|<)\s*(?P<value>.*?)\s*",
    re.DOTALL,
)
_NUMBER = r"[0-9][0-9_]*(?:\.[0-9]+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*([A-Za-z%/]*)")
# The longest name first: `always` is how `always+shrinker` begins.
_BASELINE = "|".join(re.escape(name) for name in sorted(BASELINES, key=len, reverse=True))
_SHARES = (
    re.compile(rf"(?P<name>{_BASELINE})(?:\s*\*\s*(?P<factor>{_NUMBER}))?"),
    re.compile(rf"(?P<factor>{_NUMBER})\s*\*\s*(?P<name>{_BASELINE})"),
    re.compile(rf"(?P<percent>{_NUMBER})\s*%\s*of\s+(?P<name>{_BASELINE})"),
)

_SIZES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SCALES: dict[Unit, dict[str, float]] = {
    "bytes": {"": 1, **_SIZES, **{f"{name}iB": scale for name, scale in _SIZES.items()}},
    "seconds": {"": 1, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600},
    "percent": {"": 1, "%": 1},
    "count": {"": 1, "K": 1e3, "M": 1e6},
    "rate": {"": 1, "/s": 1, "K/s": 1e3, "M/s": 1e6},
}
_EXPECTED: dict[Unit, str] = {
    "bytes": "a size such as 64M",
    "seconds": "a duration such as 2ms or 60s",
    "percent": "a percentage such as 5%",
    "count": "a number",
    "rate": "a rate such as 2M/s",
}


class ConditionError(ValueError):
    """A text that is no condition, or one that asks for what there is not."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition; `baseline` is empty if `value` is what is compared with.

    With a baseline, `value` is the factor that its figure is multiplied with.
    """

    text: str
    figure: Figure
    cgroup: str | None
    operator: str
    value: float
    baseline: str = ""

    def check(self, baselines: Sequence[str], cgroups: Sequence[str]) -> None:
        """Raise ConditionError if a baseline is not run, or there is no such cgroup."""
        if self.baseline and self.baseline not in baselines:
            raise ConditionError(
                f"{self.text!r} compares with {self.baseline}, which is not run; "
                f"add --baseline {self.baseline}"
            )
        if self.cgroup is not None and self.cgroup not in cgroups:
            advice = did_you_mean(self.cgroup, cgroups)
            raise ConditionError(f"{self.text!r}: there is no cgroup {self.cgroup!r}{advice}")

    def broken_by(self, run: Run, baselines: Mapping[str, Run]) -> str | None:
        """How the condition holds for a run, in a sentence; None if it does not.

        `baselines` are the runs of the same seed, by name.
        """
        found = self.figure.read(self._of(run))
        limit, origin = self.value, ""
        if self.baseline:
            other = self.figure.read(self._of(baselines[self.baseline]))
            limit = other * self.value
            origin = f" ({self.baseline}: {spell(other, self.figure.unit)})"
        if not _OPERATORS[self.operator](found, limit):
            return None
        shown = f"{spell(found, self.figure.unit)} {self.operator} {spell(limit, self.figure.unit)}"
        return f"{shown}{origin}{_by_how_much(found, limit, self.figure.unit)}"

    def _of(self, run: Run) -> Figures:
        return run.total if self.cgroup is None else run.cgroups.get(self.cgroup, Figures())


def _by_how_much(found: float, limit: float, unit: Unit) -> str:
    if found == limit:
        return ""
    word = "more" if found > limit else "less"
    part = f", {100 * abs(found - limit) / limit:.1f}%" if limit else ""
    return f", {spell(abs(found - limit), unit)}{part} {word}"


def parse_condition(text: str) -> Condition:
    """The condition of a text; ConditionError with what was found and what was expected."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ConditionError(
            f"expected FIGURE OPERATOR VALUE such as 'oom > 0', 'memory > always * 1.05' or "
            f"'pgfault[/kubepods/java] >= 1000', got {text!r}"
        )
    name = match["figure"]
    figure = FIGURES.get(ALIASES.get(name, name))
    if figure is None:
        advice = did_you_mean(name, [*ALIASES, *FIGURES])
        known = advice or f"; short names are {', '.join(ALIASES)}"
        raise ConditionError(f"{text!r}: there is no figure {name!r}{known}")
    cgroup = None if match["cgroup"] is None else _normalised(match["cgroup"], text)
    value, baseline = _value(match["value"], figure, text)
    return Condition(text.strip(), figure, cgroup, match["operator"], value, baseline)


def _normalised(path: str, text: str) -> str:
    path = path.strip().strip("\"'")
    if not path.startswith("/"):
        raise ConditionError(f"{text!r}: expected the path of a cgroup such as [/kubepods/java]")
    return "/" + "/".join(part for part in path.split("/") if part)


def _value(value: str, figure: Figure, text: str) -> tuple[float, str]:
    """A number in the unit of the figure, or a factor and the baseline that it is for."""
    for form in _SHARES:
        if share := form.fullmatch(value):
            groups = share.groupdict()
            factor = _number(groups.get("factor") or "1")
            if groups.get("percent"):
                factor = _number(groups["percent"]) / 100
            return factor, groups["name"]
    quantity = _QUANTITY.fullmatch(value)
    scales = _SCALES[figure.unit]
    if quantity is None or quantity[2] not in scales:
        word = re.search(r"[A-Za-z][A-Za-z0-9+]*", value)
        advice = "" if word is None else did_you_mean(word[0], list(BASELINES))
        raise ConditionError(
            f"{text!r}: {figure.name} is compared with {_EXPECTED[figure.unit]}, or with a "
            f"baseline such as `always * 1.05`, got {value!r}{advice}"
        )
    return _number(quantity[1]) * scales[quantity[2]], ""


def _number(text: str) -> float:
    return float(text.replace("_", ""))
