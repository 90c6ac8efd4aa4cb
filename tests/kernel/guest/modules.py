"""Kernel modules: the hooks in the stock lane, and drivers that Debian's kernel has apart."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

__all__ = [
    "hooks_loaded",
    "insert",
    "load_driver",
    "module_of",
    "offered_signatures",
    "remove",
    "use_signature",
]

_SYS_INIT_MODULE, _SYS_DELETE_MODULE = 175, 176  # x86-64

_libc = ctypes.CDLL(None, use_errno=True)

#: The modules by the signature of thp_get_order that they offer.
_HOOKS = {"v12": "policyc_hooks", "v7": "policyc_hooks_v7", "v9": "policyc_hooks_v9"}


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def insert(path: Path, parameters: str = "") -> None:
    """Load a module from a file; OSError if the kernel refuses it."""
    image = path.read_bytes()
    size = ctypes.c_ulong(len(image))
    _check(_libc.syscall(_SYS_INIT_MODULE, image, size, parameters.encode()), path.name)


def remove(name: str) -> None:
    """Unload a module; OSError if it is in use or not there."""
    _check(_libc.syscall(_SYS_DELETE_MODULE, name.encode(), os.O_NONBLOCK), name)


def _loaded() -> set[str]:
    modules = Path("/proc/modules")
    if not modules.exists():
        return set()  # everything is built in
    return {line.split()[0] for line in modules.read_text("ascii").splitlines()}


def load_driver(name: str) -> None:
    """Load one of the kernel's modules and those it depends on; built-in ones are there."""
    path = Path(os.environ["POLICYC_OBJECTS"]) / "drivers" / f"{name}.ko"
    if name in _loaded() or not path.exists():
        return
    depends = re.search(rb"\0depends=([^\0]*)", path.read_bytes())
    for needed in depends[1].decode().split(",") if depends else ():
        if needed:
            load_driver(needed)
    insert(path)


def module_of(signature: str) -> Path:
    """The file of the module that offers a signature."""
    return Path(os.environ["POLICYC_OBJECTS"]) / "modules" / f"{_HOOKS[signature]}.ko"


def hooks_loaded() -> str | None:
    """The signature of the module that is loaded."""
    present = _loaded()
    return next((s for s, name in _HOOKS.items() if name in present), None)


def use_signature(signature: str | None) -> None:
    """Have the module of a signature loaded and no other; None unloads whichever there is."""
    current = hooks_loaded()
    if current == signature:
        return
    if current is not None:
        remove(_HOOKS[current])
    if signature is not None:
        insert(module_of(signature))


def offered_signatures() -> list[str]:
    """The signatures of thp_get_order that this lane can offer, one at a time."""
    if os.environ.get("POLICYC_LANE") == "stock":
        return ["v12", "v7", "v9"]
    return [os.environ.get("POLICYC_THP", "v12")]
