"""How long an instance is attached: as long as its link is held, here or by a pin."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyc.kernel.errors import KernelError
from policyc.kernel.objects import load
from tests.kernel.policies import thp_policy

DENY = thp_policy("policy pinned; thp { otherwise deny; }")

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def bpf_file_system(tmp_path: Path) -> Iterator[Path]:
    target = str(tmp_path).encode()
    assert _libc.mount(b"bpf", target, b"bpf", 0, None) == 0, ctypes.get_errno()
    yield tmp_path
    assert _libc.umount2(target, 0) == 0, ctypes.get_errno()


def busy(program: bytes) -> bool:
    """Whether the place of the global instance is taken."""
    with load(program) as loaded:
        try:
            loaded.attach().detach()
        except KernelError as error:
            assert error.number == errno.EBUSY  # noqa: PT017 - the other answer is no error
            return True
    return False


def test_a_pinned_link_stays_until_its_file_goes(signature: str, bpf_file_system: Path) -> None:
    program, path = DENY[signature].object(), bpf_file_system / "link"
    with load(program) as loaded, loaded.attach() as link:
        link.pin(path)
        with pytest.raises(KernelError, match="EEXIST"):
            link.pin(path)
    assert busy(program)
    path.unlink()
    assert not busy(program)


def test_a_link_that_is_detached_is_gone_from_under_its_pin(
    signature: str, bpf_file_system: Path
) -> None:
    program, path = DENY[signature].object(), bpf_file_system / "link"
    with load(program) as loaded:
        link = loaded.attach()
        link.pin(path)
        link.detach()
        link.detach()
    assert not busy(program)
    path.unlink()


def test_a_link_ends_with_its_block(signature: str) -> None:
    program = DENY[signature].object()
    with load(program) as loaded, loaded.attach():
        assert busy(program)
    assert not busy(program)
