"""A virtual machine: its qemu command, whether KVM works for it, and one run of it."""

from __future__ import annotations

import hashlib
import os
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from testbed.vm.cpio import Archive

__all__ = ["MACHINES", "Boot", "Ended", "accelerator", "command_of", "run"]

_QEMU = "qemu-system-x86_64"

#: A CPU and 2 GiB on each of two nodes.
_TWO_NODES = (
    *("-machine", "q35", "-smp", "2,sockets=2,cores=1", "-m", "4096"),
    *("-object", "memory-backend-ram,id=m0,size=2G"),
    *("-object", "memory-backend-ram,id=m1,size=2G"),
    *("-numa", "node,nodeid=0,cpus=0,memdev=m0"),
    *("-numa", "node,nodeid=1,cpus=1,memdev=m1"),
)

_HMAT = "hmat-lb,initiator=0,hierarchy=memory"

#: Node 1 has no CPU and, by the HMAT, ten times the latency: a slow tier.
_TIERS = (
    *("-machine", "q35,hmat=on", "-smp", "2,sockets=1,cores=2", "-m", "3072"),
    *("-object", "memory-backend-ram,id=m0,size=2G"),
    *("-object", "memory-backend-ram,id=m1,size=1G"),
    *("-numa", "node,nodeid=0,cpus=0-1,memdev=m0"),
    *("-numa", "node,nodeid=1,memdev=m1,initiator=0"),
    *("-numa", f"{_HMAT},target=0,data-type=access-latency,latency=10"),
    *("-numa", f"{_HMAT},target=0,data-type=access-bandwidth,bandwidth=10G"),
    *("-numa", f"{_HMAT},target=1,data-type=access-latency,latency=100"),
    *("-numa", f"{_HMAT},target=1,data-type=access-bandwidth,bandwidth=1G"),
)

MACHINES = {"two-nodes": _TWO_NODES, "tiers": _TIERS}


@dataclass(frozen=True, slots=True)
class Boot:
    """What to boot, and where its output goes.

    `console` gets the kernel's messages, `output` a tar archive of the files that the tests
    left. `timeout` is for the whole run, `silence` for the time without a line, in seconds.
    """

    kernel: Path
    initramfs: Path
    machine: str
    accelerator: str
    console: Path
    output: Path
    timeout: float = 900
    silence: float = 180


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `why` is empty when the VM powered itself off."""

    seconds: float
    why: str


def command_of(boot: Boot) -> list[str]:
    """The command of qemu."""
    return [
        _QEMU,
        *("-accel", boot.accelerator, "-cpu", "max" if "tcg" in boot.accelerator else "host"),
        *MACHINES[boot.machine],
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-serial", f"file:{boot.console}", "-serial", "stdio"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"file,id=output,path={boot.output}"),
        *("-device", "virtserialport,chardev=output,name=output"),
        *("-kernel", str(boot.kernel), "-initrd", str(boot.initramfs)),
        # Warnings (level 4) belong in the console's log.
        *("-append", "console=ttyS0 panic=-1 loglevel=5 rdinit=/init"),
    ]


def run(boot: Boot, show: Callable[[str], None]) -> Ended:
    """Boot, hand every line of the tests to `show`, and wait for the end."""
    start = time.monotonic()
    lines: queue.Queue[str | None] = queue.Queue()
    with subprocess.Popen(
        command_of(boot), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as qemu:
        reader = threading.Thread(target=_read, args=(qemu, lines), daemon=True)
        reader.start()
        try:
            why = _follow(boot, lines, show, start)
        finally:
            if qemu.poll() is None:
                qemu.kill()
    if not why and qemu.returncode != 0:
        why = f"{_QEMU} ended with status {qemu.returncode}"
    return Ended(time.monotonic() - start, why)


def _read(qemu: subprocess.Popen[bytes], lines: queue.Queue[str | None]) -> None:
    assert qemu.stdout is not None
    for line in qemu.stdout:
        lines.put(line.decode("utf-8", "replace").rstrip("\r\n"))
    # The output ends a moment before the process does.
    qemu.wait()
    lines.put(None)


def _follow(
    boot: Boot, lines: queue.Queue[str | None], show: Callable[[str], None], start: float
) -> str:
    """Show lines until the end; why the run must be ended by us, if so."""
    while True:
        left = start + boot.timeout - time.monotonic()
        try:
            line = lines.get(timeout=max(0.0, min(left, boot.silence)))
        except queue.Empty:
            if left <= boot.silence:
                return f"not over after {boot.timeout:.0f} s"
            return f"no line for {boot.silence:.0f} s"
        if line is None:
            return ""
        show(line)


def accelerator(kernel: Path, directory: Path) -> str:
    """`kvm` where this kernel boots under it, else emulation.

    That /dev/kvm can be opened says little: some hosts emulate so much of the CPU that
    firmware runs and a kernel does not. The verdict is kept in `directory` for this boot of
    the host. POLICYC_VM_ACCEL overrides it.
    """
    emulation = "tcg,thread=multi"
    chosen = os.environ.get("POLICYC_VM_ACCEL")
    if chosen:
        return emulation if chosen == "tcg" else chosen
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return emulation
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    key = hashlib.sha256(boot_id + bytes(kernel) + str(kernel.stat().st_mtime_ns).encode())
    verdict = directory / f"kvm-{key.hexdigest()[:16]}"
    if not verdict.exists():
        verdict.write_text("kvm" if _boots_with_kvm(kernel) else emulation, "utf-8")
    return verdict.read_text("utf-8")


def _boots_with_kvm(kernel: Path) -> bool:
    """Whether the kernel comes as far as missing its root file system within 15 s."""
    with tempfile.TemporaryDirectory(prefix="policyc-kvm-") as directory:
        initramfs = Path(directory) / "initramfs"
        with initramfs.open("wb") as stream:
            Archive(stream).close()
        boot = Boot(
            kernel,
            initramfs,
            "two-nodes",
            "kvm",
            console=Path(directory) / "console",
            output=Path(directory) / "output",
            timeout=15,
        )
        run(boot, lambda line: None)
        if not boot.console.exists():
            return False  # qemu could not even start
        return b"Unable to mount root fs" in boot.console.read_bytes()
