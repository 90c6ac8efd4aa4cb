"""Times by size: buckets of a twentieth of an octave, so that a quantile is within 2 %."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["Histogram"]

_STEPS = 20


@dataclass(slots=True, eq=False)
class Histogram:
    """Weights by time; times are nanoseconds, at least one."""

    buckets: dict[int, float] = field(default_factory=dict[int, float])

    def add(self, time: float, weight: float) -> None:
        """Count `weight` events that took `time`."""
        if weight > 0:
            bucket = round(math.log2(max(time, 1.0)) * _STEPS)
            self.buckets[bucket] = self.buckets.get(bucket, 0.0) + weight

    def merge(self, other: Histogram) -> None:
        """Count all of another's events here."""
        for bucket, weight in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0.0) + weight

    def quantile(self, share: float) -> float:
        """The time below which that share of the events lies; 0 without events."""
        wanted = share * sum(self.buckets.values())
        passed = 0.0
        for bucket in sorted(self.buckets):
            passed += self.buckets[bucket]
            if passed >= wanted:
                return 2 ** (bucket / _STEPS)
        return 0.0
