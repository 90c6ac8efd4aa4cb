"""Requests: every attribute of the table has a field, and no value gets in that cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from policyc.hooks.loader import attributes
from policyc.runtime.requests import NumaRequest, ThpRequest

ROOT = Path(__file__).parent.parent.parent
U64_MAX = (1 << 64) - 1


def test_generated_requests_are_up_to_date():
    tool = ROOT / "tools" / "generate_requests.py"
    command = [sys.executable, str(tool), "--check"]
    result = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert result.returncode == 0, "run tools/generate_requests.py"


@pytest.mark.parametrize(("cls", "hook"), [(ThpRequest, "thp"), (NumaRequest, "numa")])
def test_values_have_every_attribute_of_the_hook(
    cls: type[ThpRequest] | type[NumaRequest], hook: str
):
    request = cls.from_values({"orders": 4} if hook == "thp" else {})
    rows = {row.name for row in attributes().values() if hook in row.hooks}
    assert set(request.values()) == rows | {"cgroup.id"}
    absent = {name for name, value in request.values().items() if value is None}
    assert absent == {name for name in rows if attributes()[name].absent} | {"cgroup.id"}


def test_values_and_back():
    request = ThpRequest(orders=4, memory_max=10, memory_usage=3, task_comm="x", cgroup_id=1 << 60)
    assert request.values()["memory.free"] == 7
    assert ThpRequest.from_values(request.values()) == request


def test_memory_free_is_not_negative_and_must_agree():
    assert ThpRequest(orders=4, memory_max=3, memory_usage=10).memory_free == 0
    with pytest.raises(ValueError, match=r"memory\.free: expected .*\(None\), got 5"):
        ThpRequest.from_values({"orders": 4, "memory.free": 5})


def test_comm_is_bytes_up_to_the_first_nul():
    assert ThpRequest(orders=4, task_comm="exactly15bytes!").task_comm == b"exactly15bytes!"
    assert ThpRequest(orders=4, task_comm=b"sh\0left over from before").task_comm == b"sh"
    assert ThpRequest(orders=4, task_comm="ä\udcff").task_comm == b"\xc3\xa4\xff"
    with pytest.raises(ValueError, match=r"task\.comm: expected at most 15 bytes, got 16"):
        ThpRequest(orders=4, task_comm="ääääääää")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "orders: every request"),
        ({"orders": -1}, "orders: expected 0"),
        ({"orders": U64_MAX + 1}, "orders: expected 0"),
        ({"orders": True}, "orders: expected an integer, got True"),
        ({"orders": 4.0}, "orders: expected an integer"),
        ({"orders": None}, "orders: expected an integer, got None"),
        (
            {"orders": 4, "psi.cpu.some.avg10": 10_001},
            r"psi\.cpu\.some\.avg10: expected 0\.\.10000",
        ),
        ({"orders": 4, "vma.stack": 1}, r"vma\.stack: expected True or False"),
        ({"orders": 4, "vma.size": None}, r"vma\.size: expected an integer"),
        ({"orders": 4, "task.comm": 5}, r"task\.comm: expected a string or bytes"),
        ({"orders": 4, "task.comm": "\ud800"}, r"task\.comm: .* cannot be written as UTF-8"),
        ({"orders": 4, "event": "khugepagd"}, "did you mean 'khugepaged'"),
        ({"orders": 4, "event": ["x"]}, "event: expected one of smaps"),
        ({"orders": 4, "vma.sise": 4}, r"unknown attribute 'vma\.sise'; did you mean 'vma\.size'"),
        ({"orders": 4, "vma_size": 4}, r"did you mean 'vma\.size'"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        ThpRequest.from_values(values)


@pytest.mark.parametrize(
    "path", ["", "a", "/a/", "//", "/a//b", "/.", "/..", "/a/../b", "/a/.", "/a\0", "/a\n/"]
)
def test_cgroup_is_a_normalised_absolute_path(path: str):
    with pytest.raises(ValueError, match="cgroup: expected a normalised absolute path"):
        NumaRequest(cgroup=path)


@pytest.mark.parametrize("path", ["/", "/a", "/a/b.slice", "/.a/..b/...", "/kühl/ß", "/a\nb"])
def test_other_paths_are_taken(path: str):
    assert NumaRequest(cgroup=path).cgroup == path


def test_requests_cannot_be_changed_and_are_keyword_only():
    request = ThpRequest(orders=4)
    with pytest.raises(AttributeError):
        request.orders = 5  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        ThpRequest(4)  # pyright: ignore[reportCallIssue]
