"""The public API: loading, errors, live changes, and nothing imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import policyc

TEXT = """policy p;
set java : cgroup = { "/java" };
param ceiling : percent = 10% in 0%..50%;
thp {
    deny when cgroup.psi.memory.full.avg10 > ceiling;
    first: allow pmd when cgroup under java;
    otherwise pass;
}
"""


def test_every_name_is_there():
    assert set(policyc.__all__) <= set(dir(policyc))
    for name in policyc.__all__:
        assert getattr(policyc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lods'"):
        _ = policyc.lods


def test_importing_the_package_imports_nothing_else():
    program = (
        "import sys, policyc; policyc.__version__\n"
        "assert not {'jinja2', 'lark', 'policyc.api', 'dataclasses'} & set(sys.modules)\n"
        "policyc.ThpRequest(orders=4)\n"
        "assert not {'jinja2', 'lark', 'policyc.api'} & set(sys.modules)\n"
    )
    root = str(Path(__file__).parent.parent.parent)
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": root}, check=True)


def test_load_and_loads(tmp_path: Path):
    path = tmp_path / "p.thp"
    path.write_text(TEXT, "utf-8")
    request = policyc.ThpRequest(orders=0x3FC, cgroup="/java/x")
    loaded = policyc.load(path)
    assert loaded.name == "p"
    decision = loaded.decide(request)
    assert decision.allowed_orders == (9,)
    assert decision.rule == policyc.Rule(
        index=1,
        label="first",
        file=str(path),
        line=6,
        text=decision.rule.text if decision.rule else "",
    )
    assert policyc.loads(TEXT.encode()).decide(request).orders == decision.orders


def test_two_policies_have_a_state_each():
    first, second = policyc.loads(TEXT), policyc.loads(TEXT)
    request = policyc.ThpRequest(orders=0x3FC, cgroup="/new/x", cgroup_psi_memory_full_avg10=600)
    first.state.sets["java"].add("/new")
    second.state.params["ceiling"] = "5%"
    assert [first.thp_orders(request), second.thp_orders(request)] == [1 << 9, 0]


def test_errors_carry_every_diagnostic():
    with pytest.raises(policyc.PolicyError) as caught:
        policyc.loads("policy p; thp { deny when vma.size > 200ms; otherwise denny; }", "bad.thp")
    assert caught.value.diagnostics
    assert "bad.thp:1" in str(caught.value)


def test_python_source_is_the_same_policy():
    policy = policyc.loads(TEXT)
    source = policy.python_source(["thp-v9"])
    assert "thp-v7" not in source
    module: dict[str, object] = {"__name__": "nowhere"}
    exec(compile(source, "p.py", "exec", dont_inherit=True), module)
    assert module["POLICY"] == {"name": "p", "file": "<string>"}
