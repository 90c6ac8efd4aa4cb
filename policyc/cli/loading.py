"""What the verbs share that load programs: the running kernel, and what can be missing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from policyc.cli.common import MISSING, NO, Failure, reason

if TYPE_CHECKING:
    from policyc.hooks.btf.match import Match

__all__ = ["loading", "running_kernel"]


def running_kernel() -> Match:
    """What the running kernel offers; the end of the run, exit code 3, if it does not tell."""
    from policyc.hooks.btf import BtfError, running
    from policyc.hooks.btf.match import match

    try:
        kernel, *modules = running()
        return match(kernel, modules)
    except (OSError, BtfError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise Failure(
            f"the types of the running kernel cannot be read: {why}",
            MISSING,
            "/sys/kernel/btf/vmlinux is there in kernels that are built with "
            "CONFIG_DEBUG_INFO_BTF, where /sys is mounted",
        ) from None


@contextmanager
def loading() -> Generator[None]:
    """A block that compiles and loads; what goes wrong in it ends the run with its exit code."""
    from policyc.emit.clang import ClangFailed, ToolMissing
    from policyc.emit.limits import PolicyTooLarge
    from policyc.kernel.errors import KernelError, KernelToolMissing

    try:
        yield
    except PolicyTooLarge as error:
        raise Failure(f"the policy is too large for BPF: {error}", NO) from None
    except (ToolMissing, KernelToolMissing) as error:
        raise Failure(f"{error.what} is missing", MISSING, error.how_to_get) from None
    except ClangFailed as error:
        raise Failure(
            f"clang does not take the C of this policy, which is a defect of policyc:\n{error}",
            MISSING,
            "report it with the policy; `compile --emit c` shows the C",
        ) from None
    except KernelError as error:
        raise Failure(f"the kernel does not take the policy: {error}", NO) from None
