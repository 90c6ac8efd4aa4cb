"""Swap in compressed memory, so that swap-in faults can be made."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from tests.kernel.guest.modules import load_driver

__all__ = ["swap_off", "swap_on"]

_DEVICE = Path("/dev/zram0")
_PAGE = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def swap_on(size: int) -> None:
    """Use `size` bytes of zram as swap."""
    load_driver("zram")
    Path("/sys/block/zram0/disksize").write_text(f"{size}\n", "ascii")
    # What mkswap(8) writes: union swap_header of include/linux/swap.h.
    header = bytearray(_PAGE)
    struct.pack_into("=III", header, 1024, 1, size // _PAGE - 1, 0)
    header[-10:] = b"SWAPSPACE2"
    _DEVICE.write_bytes(header)
    if _libc.swapon(os.fsencode(_DEVICE), 0):
        raise OSError(ctypes.get_errno(), "swapon")


def swap_off() -> None:
    """Read everything back and give the memory free."""
    if _libc.swapoff(os.fsencode(_DEVICE)):
        raise OSError(ctypes.get_errno(), "swapoff")
    Path("/sys/block/zram0/reset").write_text("1\n", "ascii")
