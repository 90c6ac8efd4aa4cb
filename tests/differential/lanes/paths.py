"""The contents of the maps by cgroup id, as the manifest tells a loader to fill them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

from policyc.emit.layout import NO_INDEX
from policyc.emit.manifest import emit_manifest
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n

__all__ = ["path_maps"]


def path_maps(plan: n.Plan, ids: Callable[[str], int]) -> dict[str, dict[bytes, bytes]]:
    """Keys and values by the name of the map; `ids` numbers cgroup paths."""
    manifest = json.loads(emit_manifest(plan, [profiles()["testrun"]], c_files={}, counters=True))
    maps: dict[str, dict[bytes, bytes]] = {}
    if manifest["paths"] is not None:
        paths = manifest["paths"]["paths"]
        size = 8 * ((len(paths) + 63) // 64)
        maps[manifest["paths"]["map"]] = {
            struct.pack("=Q", ids(path)): (1 << bit).to_bytes(size, "little")
            for bit, path in enumerate(paths)
        }
    for table in manifest["tables"]:
        maps[table["map"]] = {
            struct.pack("=Q", ids(entry["path"])): struct.pack(
                "=II",
                *(NO_INDEX if entry[key] is None else entry[key] for key in ("self", "below")),
            )
            for entry in table["entries"]
        }
    return maps
