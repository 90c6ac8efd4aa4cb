"""Programs that the interfaces must refuse, and what the verifier says about them."""

from __future__ import annotations

import pytest

from policyc.kernel.errors import Rejected
from policyc.kernel.objects import load
from tests.kernel.guest.modules import offered_signatures
from tests.kernel.policies import Program, c_program

#: The programs for thp_get_order, and the verifier's message.
REFUSED = {
    "SLEEPABLE": "attach to unsupported member thp_get_order of struct bpf_thp_ops",
    "WRITE": "only read is supported",
    "HELPER": "cannot use helper bpf_override_return",
    "LOOP": "infinite loop detected",
    "OUT_OF_BOUNDS": "invalid variable-offset read from stack",
}

#: The interfaces publish that these pointers can be NULL; only a kernel's own types say so
#: to the verifier, a module cannot add it.
UNTESTED = {
    "NULL_MM": "invalid mem access 'trusted_ptr_or_null_'",
    "NULL_OWNER": "invalid mem access 'rcu_ptr_or_null_'",
}


def _thp(name: str) -> dict[str, Program]:
    return {
        signature: c_program("refused.bpf.c", THP=int(signature[1:]), **{name: 1})
        for signature in offered_signatures()
    }


THP = {name: _thp(name) for name in (*REFUSED, *UNTESTED)}
OTHERS = {
    (hook, name): c_program("refused.bpf.c", **{hook: 1, name: 1})
    for hook in ("MTHP", "NUMAB")
    for name in ("SLEEPABLE", "WRITE")
}


def refusal(program: Program) -> str:
    """What the verifier says about a program that it must refuse."""
    with pytest.raises(Rejected) as refused, load(program.object()):
        pass
    return refused.value.log


@pytest.mark.parametrize("name", REFUSED)
def test_the_verifier_refuses(name: str, signature: str) -> None:
    assert REFUSED[name] in refusal(THP[name][signature])


@pytest.mark.parametrize("name", UNTESTED)
def test_pointers_that_can_be_null_must_be_tested(name: str, signature: str, lane: str) -> None:
    program = THP[name][signature]
    if lane == "stock":
        # Accepted, and harmless: a read through NULL gives 0 in a BPF program.
        with load(program.object()) as loaded:
            assert loaded.programs
    else:
        assert UNTESTED[name] in refusal(program)


@pytest.mark.parametrize(("hook", "name"), OTHERS)
def test_the_other_hooks_are_as_strict(hook: str, name: str) -> None:
    member = "mthp_choose of struct bpf_mthp_ops" if hook == "MTHP" else "numab_hook of struct"
    message = f"attach to unsupported member {member}" if name == "SLEEPABLE" else "only read is"
    assert message in refusal(OTHERS[hook, name])
