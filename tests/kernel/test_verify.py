"""`policyc verify` on a kernel that has the hooks: it loads the programs for them, and says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyc.kernel import verify
from tests.cli.commands import invoke
from tests.kernel.guest.modules import hooks_loaded, offered_signatures, use_signature
from tests.kernel.policies import c_program, policy

TEXT = """\
policy both;

thp {
    deny when cgroup under "/small";
    otherwise allow all;
}

numa {
    otherwise balance;
}
"""

THP = {s: policy(TEXT, f"thp-{s}") for s in offered_signatures()}
OTHERS = {name: policy(TEXT, name) for name in ("mthp-v2", "numab-rfc1", "testrun")}

#: Refused by every kernel that has the hook.
REFUSED = {
    signature: c_program("refused.bpf.c", THP=int(signature[1:]), OUT_OF_BOUNDS=1)
    for signature in offered_signatures()
}


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Stands in for clang, which is not in the VM: objects by a struct that their C declares."""
    objects = {
        "bpf_mthp_ops": OTHERS["mthp-v2"].object(),
        "bpf_numab_ops": OTHERS["numab-rfc1"].object(),
        "xdp_md": OTHERS["testrun"].object(),
    }

    def compile_object(c_text: str, *, name: str) -> bytes:
        assert name.endswith(".bpf.c")
        (found,) = (data for struct, data in objects.items() if f"struct {struct} {{" in c_text)
        return found

    monkeypatch.setattr(verify, "compile_object", compile_object)
    return objects


@pytest.fixture
def path(tmp_path: Path) -> str:
    found = tmp_path / "both.thp"
    found.write_text(TEXT)
    return str(found)


def test_the_hooks_of_this_kernel_are_found_and_used(
    signature: str, compiled: dict[str, bytes], path: str
) -> None:
    compiled["bpf_thp_ops"] = THP[signature].object()
    result = invoke("verify", path, "--json")
    assert result.exit_code == 0, result.output
    verified = json.loads(result.stdout)["verified"]
    assert [(item["profile"], item["loaded_as"], item["why"]) for item in verified] == [
        (name, name, "") for name in (f"thp-{signature}", "mthp-v2", "numab-rfc1")
    ]
    programs = [program for item in verified for program in item["programs"]]
    assert [item["name"] for item in programs] == ["thp_get_order", "mthp_choose", "numab_hook"]
    for program in programs:
        assert program["instructions"] > 0
        assert 0 < program["verified_instructions"] < 5_000
        assert program["states"] >= program["peak_states"] > 0
        assert program["verification_ns"] > 0
    shown = invoke("verify", path).stdout
    assert f"thp as thp-{signature}: this kernel has the hook (bpf_thp_ops)" in shown


def test_another_signature_is_not_there(
    signature: str, compiled: dict[str, bytes], path: str
) -> None:
    del compiled["bpf_numab_ops"]
    other = "v9" if signature == "v7" else "v7"
    result = invoke("verify", path, "--json", "--profile", f"thp-{other}")
    assert result.exit_code == 0, result.output
    (item,) = json.loads(result.stdout)["verified"]
    assert (item["profile"], item["loaded_as"]) == (f"thp-{other}", "testrun")
    assert "the function is int thp_get_order(" in item["why"]


def test_a_refusal_by_the_hook_is_told(
    signature: str, compiled: dict[str, bytes], path: str, tmp_path: Path
) -> None:
    compiled["bpf_thp_ops"] = REFUSED[signature].object()
    log = tmp_path / "log"
    result = invoke("verify", path, "--profile", f"thp-{signature}", "--log", str(log))
    assert result.exit_code == 1
    assert "error[PC0705]" in result.stderr
    assert "invalid variable-offset read from stack" in result.stderr
    assert "The verifier's last lines, in " in result.stderr
    assert "processed" in log.read_text()


def test_without_the_module_nothing_is_offered(
    lane: str, compiled: dict[str, bytes], path: str
) -> None:
    if lane != "stock":
        pytest.skip("the patched kernel has the hooks built in")
    del compiled["bpf_mthp_ops"]
    loaded = hooks_loaded()
    use_signature(None)
    try:
        result = invoke("verify", path, "--json")
    finally:
        use_signature(loaded)
    assert result.exit_code == 0, result.output
    verified = json.loads(result.stdout)["verified"]
    assert [item["loaded_as"] for item in verified] == ["testrun", "testrun"]
    assert [item["why"] for item in verified] == [
        "no struct bpf_thp_ops",
        "no struct bpf_numab_ops",
    ]
