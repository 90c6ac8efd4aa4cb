"""Page faults of anonymous and shared memory (mm/memory.c, mm/huge_memory.c)."""

from __future__ import annotations
