"""`policyc workload from-perf` and `from-damon` as a user runs them."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyc.simulate.workload.reader import read_workload
from tests.simulate.recordings import SAMPLES, sample

MACHINE = ("--memory", "8G", "--nodes", "2", "--cpus", "4", "--page-size", "4K")


def policyc(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "policyc", *arguments],
        input=data,
        capture_output=True,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.mark.parametrize(
    ("verb", "name"),
    [("from-perf", "known.perf.txt.gz"), ("from-damon", "sparse.damo-1.8.0.txt.gz")],
)
def test_standard_input_to_a_file_that_checks(verb: str, name: str, tmp_path: Path) -> None:
    output = tmp_path / "deep" / "made.toml"
    done = policyc(
        *("workload", verb, "-", "-o", str(output), "--name", "mine", *MACHINE),
        data=sample(name).getvalue(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{output}: 1 process, ")
    workload = read_workload(output)
    assert workload.name == "mine"
    assert [(node.memory, node.cpus) for node in workload.machine.nodes] == [(4 << 30, 2)] * 2
    assert policyc("workload", "check", str(output)).returncode == 0


def test_a_binary_record_of_damo_is_read() -> None:
    file = str(SAMPLES / "sparse.damo-3.4.3.data")
    done = policyc("workload", "from-damon", file, *MACHINE, "--cgroup", "0=/hot/one")
    assert done.returncode == 0
    assert 'cgroup = "/hot/one"' in done.stdout
    assert 'name = "sparse"' in done.stdout


@pytest.mark.parametrize("verb", ["from-perf", "from-damon"])
@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "there is nothing in it"), (b"hello\n" * 3, "line 1: expected"), (b"\x00\x01", "not")],
)
def test_what_is_no_recording_ends_with_1(verb: str, data: bytes, message: str) -> None:
    done = policyc("workload", verb, "-", data=data)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: <stdin>: ")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["from-perf", "/nowhere"], "cannot read /nowhere"),
        (["from-perf", "-", "--memory", "lots"], "--memory: expected a size"),
        (["from-perf", "-", "--memory", "4K"], "--memory: expected 1M to 1024T"),
        (["from-perf", "-", "--cgroup", "db"], "--cgroup: expected WHAT=PATH"),
        (["from-perf", "-", "--cgroup", "1=db/"], "expected a normalised absolute path"),
        (["from-damon", "-", "--sample", "fast"], "--sample: expected a duration"),
        (["from-damon", "-", "--sample", "0"], "--sample: expected more than nothing"),
        (["from-damon", "."], "cannot read ."),
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str], message: str) -> None:
    done = policyc("workload", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_failure_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "made.toml"
    output.write_text("before")
    done = policyc("workload", "from-perf", "-", "-o", str(output), data=b"nonsense\n")
    assert done.returncode == 1
    assert output.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["made.toml"]


def test_numpy_is_not_needed_to_say_what_is_wrong_with_options() -> None:
    program = (
        "import sys\nfrom policyc.cli.application import run\n"
        "sys.argv = ['policyc', 'workload', 'from-perf', '-', '--memory', 'x']\n"
        "code = run()\nassert code == 2, code\nassert 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.slow
def test_memory_is_bounded_however_long_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    from policyc.simulate.workload import recorded_tasks
    from policyc.simulate.workload.recorded import Given
    from policyc.simulate.workload.recorded_faults import workload_from_faults

    monkeypatch.setattr(recorded_tasks, "MOST_FAULTS", 20_000)
    given = Given(memory=1 << 30, nodes=1, cpus=1, page_size=4096)

    def lines() -> Iterator[str]:
        for number in range(400_000):
            place = 0x7F0000000000 + number * 4096
            yield f"app 7/7 {number // 1000}.{number % 1000:03}000: page-faults: {place:x}\n"

    tracemalloc.start()
    recorded = workload_from_faults(lines(), given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20
    assert any("380,000 faults after the first 20,000" in text for text in recorded.comments[()])
    assert recorded.workload.processes[0].phases[0].touches == 20_000
