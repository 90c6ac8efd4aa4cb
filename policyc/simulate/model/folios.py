"""Every change of what maps a page, with the accounts of areas, nodes and cgroups."""

from __future__ import annotations
