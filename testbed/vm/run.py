"""Boots VMs that run tests/kernel, and tells what came out."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from testbed.vm.initramfs import (
    GUEST_PYCACHE,
    REPOSITORY,
    base_archive,
    compile_python,
    python_of_repository,
    run_archive,
    shared_libraries,
)
from testbed.vm.machine import Boot, Ended, accelerator, run
from testbed.vm.results import Counts, counts_of
from tests.kernel.guest.kernel_log import complaints

__all__ = ["main", "run_machine"]

FINE, FAILED, MISSING = 0, 1, 3

_GUEST_OUTPUT = "/output"
_GUEST_OBJECTS = "/objects"

#: Where most tests run. The others name theirs by the marker `machine`.
_DEFAULT_MACHINE = "two-nodes"

#: Plugins cost an emulated CPU seconds; tests/conftest.py is about hypothesis only.
_PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "--confcutdir=tests/kernel")


@dataclass(frozen=True, slots=True)
class _Options:
    lane: str
    thp: str
    kernel: Path
    work: Path
    objects: Path
    modules: Path | None
    pytest: tuple[str, ...]

    @property
    def name(self) -> str:
        return "stock" if self.lane == "stock" else f"patched-{self.thp}"

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.pytest or ("tests/kernel",)


@dataclass(frozen=True, slots=True)
class _Job:
    """A VM: the machine, and which share of its tests ("1/3"), empty for all of them."""

    machine: str
    share: str = ""

    @property
    def name(self) -> str:
        """Names its files."""
        return f"{self.machine}-{self.share.partition('/')[0]}" if self.share else self.machine


def main() -> int:
    """Exit code: 0 all passed, 1 some failed, 3 the tests cannot run."""
    options = _parse()
    images = options.work / "images"
    images.mkdir(parents=True, exist_ok=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic()
    base = base_archive(images)
    prepared = _prepare(options)
    if prepared is None:
        return MISSING
    _say(f"prepared in {time.monotonic() - start:.1f} s")

    chosen = accelerator(options.kernel, options.work)
    shutil.rmtree(options.work / "results" / options.name, ignore_errors=True)
    total = Counts()
    jobs = _jobs(options)
    with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
        # A machine that emulates a CPU keeps one of ours busy.
        for counts in pool.map(lambda job: _run(options, job, base, prepared, chosen), jobs):
            total = total.plus(counts)
    for machine in _asked(options) - {job.machine for job in jobs}:
        total = total.plus(_run(options, _Job(machine), base, prepared, chosen))
    total = total.plus(_check_results(options))
    summary = "\n".join([f"{options.name}: {total}", *(f"  FAILED {r}" for r in total.reasons)])
    print(summary, flush=True)
    (options.work / "results" / options.name / "summary").write_text(f"{summary}\n", "utf-8")
    return FINE if total.good else FAILED


def _jobs(options: _Options) -> list[_Job]:
    """The VMs to boot: all of them, or one to find out which tests were chosen."""
    if options.pytest:
        return [_Job(_DEFAULT_MACHINE)]
    # Three, so that two that run at once end at about the same time.
    return [*(_Job(_DEFAULT_MACHINE, f"{number}/3") for number in (1, 2, 3)), _Job("tiers")]


def _asked(options: _Options) -> set[str]:
    """The machines that tests need which the others have left out."""
    files = (options.work / "results" / options.name).glob("*/files/machines.json")
    return {machine for file in files for machine in json.loads(file.read_text("utf-8"))}


def _run(
    options: _Options,
    job: _Job,
    base: Path,
    prepared: Sequence[tuple[Path, str]],
    chosen: str,
) -> Counts:
    """Boot one VM, and judge what came out."""
    results = options.work / "results" / options.name / job.name
    (results / "files").mkdir(parents=True)
    initramfs = options.work / "images" / f"initramfs-{job.name}"
    _pack(options, job, base, prepared, initramfs)
    boot = Boot(
        options.kernel,
        initramfs,
        job.machine,
        chosen,
        results / "console",
        results / "files.tar",
        timeout=float(os.environ.get("POLICYC_VM_TIMEOUT", "900")),
    )
    try:
        return run_machine(options.name, boot, results, f"{job.name}: " if job.share else "")
    finally:
        initramfs.unlink()


def _parse() -> _Options:
    parser = argparse.ArgumentParser(
        prog="python -m testbed.vm",
        description="Boot a VM and run tests/kernel in it; testbed/stock and testbed/patched do.",
    )
    parser.add_argument("--lane", choices=("stock", "patched"), required=True)
    parser.add_argument("--thp", choices=("v7", "v9", "v12"), default="v12")
    parser.add_argument("--kernel", type=Path, required=True, help="bzImage to boot")
    parser.add_argument("--work", type=Path, required=True, help="directory for all that is made")
    parser.add_argument("--objects", type=Path, required=True, help="becomes POLICYC_OBJECTS")
    parser.add_argument("--modules", type=Path, help="directory with the kernel's own modules")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest")
    given = parser.parse_args()
    return _Options(
        given.lane,
        given.thp,
        given.kernel.resolve(),
        given.work.resolve(),
        given.objects.resolve(),
        given.modules and given.modules.resolve(),
        tuple(given.pytest),
    )


def _say(text: str) -> None:
    print(f"# {text}", flush=True)


def _prepare(options: _Options) -> list[tuple[Path, str]] | None:
    """Let pytest collect the tests here: that compiles their Python and their policies.

    The files that the VM needs for it, with their names there; None if that fails.
    """
    prefix = options.work / "pycache"
    policies = options.work / "policies"
    environment = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(prefix),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "POLICYC_LANE": options.lane,
        "POLICYC_THP": options.thp,
        "POLICYC_PREPARE": str(policies),
    }
    compile_python(list(python_of_repository()), prefix)
    done = subprocess.run(
        [sys.executable, *_PYTEST, "-qqq", "--collect-only", "tests/kernel"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        print("error: the tests cannot be prepared, see above", file=sys.stderr)
        return None
    files = [(file, f"{GUEST_PYCACHE}/{file.relative_to(prefix)}") for file in _files(prefix)]
    for name in json.loads((policies / "used.json").read_text("utf-8")):
        files.append((policies / name, f"{_GUEST_OBJECTS}/policies/{name}"))
    return files


def _files(top: Path) -> Iterator[Path]:
    return (path for path in sorted(top.rglob("*")) if path.is_file())


def _pack(
    options: _Options,
    job: _Job,
    base: Path,
    prepared: Sequence[tuple[Path, str]],
    target: Path,
) -> None:
    files = list(prepared)
    for file in _files(options.objects):
        files.append((file, f"{_GUEST_OBJECTS}/{file.relative_to(options.objects)}"))
    libraries = sorted((options.objects / "lib").glob("*.so*"))
    files += [(file, str(file)) for file in shared_libraries(libraries)]
    if options.modules is not None:
        for file in _files(options.modules):
            files.append((file, f"{_GUEST_OBJECTS}/drivers/{file.name}"))
    environment = {
        "POLICYC_LANE": options.lane,
        "POLICYC_THP": options.thp,
        "POLICYC_MACHINE": job.machine,
        "POLICYC_SHARE": job.share,
        "POLICYC_OUTPUT": _GUEST_OUTPUT,
        "POLICYC_OBJECTS": _GUEST_OBJECTS,
        "POLICYC_LIBBPF": f"{_GUEST_OBJECTS}/lib/libbpf.so.1",
        "POLICYC_REPOSITORY": str(REPOSITORY),
        "PYTHONPYCACHEPREFIX": GUEST_PYCACHE,
        "PYTHONPATH": str(REPOSITORY),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "COLUMNS": "100",
        # a command of the virtual environment finds its siblings
        "PATH": f"{Path(sys.executable).parent}:{_GUEST_OBJECTS}/programs:/bin",
    }
    exports = "".join(f"export {name}={shlex.quote(v)}\n" for name, v in environment.items())
    command = (
        *(sys.executable, *_PYTEST, "-v", "--color=no", "--durations=10"),
        *("-o", "faulthandler_timeout=150", f"--junitxml={_GUEST_OUTPUT}/junit.xml"),
        *options.arguments,
    )
    data = {
        "/testbed/environment": exports.encode(),
        "/testbed/command": shlex.join(command).encode(),
    }
    addition = target.with_suffix(".run")
    run_archive(addition, files, data)
    with target.open("wb") as stream:
        for part in (base, addition):
            with part.open("rb") as source:
                shutil.copyfileobj(source, stream, 1 << 20)
    addition.unlink()


def run_machine(name: str, boot: Boot, results: Path, prefix: str = "") -> Counts:
    """Boot, show what the tests print behind `prefix`, and judge what they left in `results`."""
    _say(f"booting {name} on the machine {boot.machine} ({boot.accelerator})")
    with (results / "log").open("w", encoding="utf-8") as log:

        def show(line: str) -> None:
            print(prefix + line, flush=True)
            log.write(line + "\n")

        ended = run(boot, show)
    _say(f"VM: {ended.seconds:.1f} s")
    if boot.output.exists():
        try:
            _unpack(boot.output, results / "files")
        except tarfile.TarError as error:
            _say(f"the files of the tests are damaged: {error}")
    boot.output.unlink(missing_ok=True)
    return _judge(boot, ended, results)


def _unpack(source: Path, directory: Path) -> None:
    """Unpack the regular files of an archive; a VM that died may have left it empty."""
    if source.stat().st_size == 0:
        return
    with tarfile.open(source) as archive:
        for member in archive:
            target = Path(os.path.normpath(directory / member.name))
            contents = archive.extractfile(member) if member.isfile() else None
            if contents is None or not target.is_relative_to(directory):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with contents, target.open("wb") as copy:
                shutil.copyfileobj(contents, copy)


def _judge(boot: Boot, ended: Ended, results: Path) -> Counts:
    """What the tests reported, and a failure more for everything else that went wrong."""
    counts = counts_of(results / "files/junit.xml")
    console = boot.console.read_text("utf-8", "replace") if boot.console.exists() else ""
    wrong: list[str] = []
    if ended.why:
        wrong.append(f"the VM was ended: {ended.why}")
    elif not (results / "files/exit-status").exists():
        wrong.append("the tests did not come to their end")
    elif (results / "files/exit-status").read_text("utf-8").strip() not in {"0", "1", "5"}:
        wrong.append("pytest could not run the tests")
    if wrong:
        wrong += ["the last messages of the kernel:", *console.splitlines()[-15:]]
    complained = complaints(console)
    if complained:
        wrong += ["the kernel complained:", *complained[:10]]
    for line in wrong:
        print(f"FAILED {line}" if line == wrong[0] else f"    {line}", flush=True)
    if wrong:
        print(f"see {boot.console}", flush=True)
        return counts.plus(Counts(failed=1, reasons=(f"{boot.machine}: {wrong[0]}",)))
    return counts


def _check_results(options: _Options) -> Counts:
    """Run the tests that look here at what the VM left.

    POLICYC_COMPLETE tells them that all tests ran and not some that were chosen.
    """
    if not any((REPOSITORY / "tests/kernel/host").glob("test_*.py")):
        return Counts()
    results = options.work / "results" / options.name
    report = results / "host.xml"
    report.unlink(missing_ok=True)
    _say("checking here what the VM recorded")
    environment = {**os.environ, "POLICYC_RESULTS": str(results)}
    environment["POLICYC_COMPLETE"] = "" if options.pytest else "1"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "tests/kernel/host"],
        cwd=REPOSITORY,
        env=environment,
        check=False,
    )
    counts = counts_of(report)
    return (
        counts if report.exists() else counts.plus(Counts(failed=1, reasons=("tests/kernel/host",)))
    )
