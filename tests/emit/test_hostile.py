"""Hostile text wherever text goes: what comes out has the shape that it has without it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policyc.api import Policy
from policyc.check import check_text
from policyc.diagnostics.render import render_concise, render_full, render_json
from policyc.emit.bpf import emit_bpf
from policyc.emit.clang import ToolMissing, compile_object, find_clang
from policyc.emit.manifest import emit_manifest
from policyc.emit.python import emit_python
from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.syntax.printer import format_string
from tests.strategies.pools import NAMES

HOSTILE = (
    "*/ int evil; /*",
    "/* // */",
    "\\",
    "evil \\\n#define evil",
    "\nint evil;\n",
    "\r\n#error evil",
    "\u2028int evil;\u2029",
    "\x85\x0b\x0cint evil;",
    '"; int evil; "',
    '"""\nimport evil\n"""',
    "'''\nimport evil\n'''",
    "' + evil() + '",
    "\\N{DOLLAR SIGN}\\u0041\\x41",
    "${evil} $(evil) `evil`",
    "%s %n %(evil)s %%",
    "{{ evil }} {% evil %} {# evil #}",
    "{evil} {0} {{}}",
    "??/\n??)??<",
    "\x1b[31mevil\x1b[0m\x1b]0;evil\x07",
    "\u202eevil\u2066\u200f",
    "\ufeff\u200b\u00ad",
    "</script><script>evil()</script>",
    "\x7f\x80\x9b31m",
    "\udcff\udc80",
    "名前\U0001f600e\u0301",
    "__import__('os')",
)

#: The same in length of lines and in nothing else.
HARMLESS = "harmless"

PROFILES = [profile for profile in profiles().values() if profile.hook != "numa"]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _component(text: str) -> bytes:
    """What can stand in a path of what can stand anywhere."""
    data = _bytes(text).replace(b"/", b"|").replace(b"\0", b"")[:200]
    return data if data not in (b"", b".", b"..") else b"x"


def _comm(text: str) -> bytes:
    return _bytes(text).replace(b"\0", b"")[:15] or b"x"


def _comment(text: str) -> str:
    """A comment ends with its line; the source is UTF-8."""
    return re.sub(r"[\n\x00]", " ", text).encode("utf-8", "replace").decode()


def policy_with(text: str) -> str:
    """A policy that has the text in its strings and comments."""
    path, comm, comment = _component(text), _comm(text), _comment(text)
    return f"""\
policy hostile; # {comment}
set paths : cgroup = {{ {format_string(b"/set/" + path)} }}; # {comment}
set names : string = {{ {format_string(comm)} }};
param int : size = 1M;
let class = cgroup under {format_string(b"/let/" + path)}; # {comment}
thp {{ # {comment}
    return: deny when task.comm == {format_string(comm)} # {comment}
        or task.comm in {{ {format_string(comm)}, "other" }} or task.comm in names;
    allow pmd when cgroup == {format_string(b"/is/" + path)} or class or cgroup under paths;
    otherwise pass; # {comment}
}} # {comment}
thp for cgroup {format_string(b"/" + path)} {{ otherwise allow pmd; }}
"""


def plan_with(text: str) -> n.Plan:
    """The plan of such a policy, in a file of that name."""
    result = check_text(policy_with(text), _file(text), profiles=["thp-v7"])
    assert result.plan is not None, result.diagnostics
    return result.plan


def _file(text: str) -> str:
    return f"{text}.thp"


# -- C


def _no_clang() -> str:
    try:
        find_clang()
    except ToolMissing as missing:
        return str(missing)
    return ""


NEEDS_CLANG = pytest.mark.skipif(bool(_no_clang()), reason=_no_clang() or "-")


def _preprocessed(c_text: str) -> str:
    """What is left when comments and line splices are gone, without the bytes of texts."""
    command = [find_clang(), "-E", "-P", "-trigraphs", "-target", "bpf", "-std=gnu11", "-"]
    done = subprocess.run(
        command, input=c_text.encode("utf-8", "surrogateescape"), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\b0x[0-9a-f]{2}\b|\btext_[0-9]+, [0-9]+", "TEXT", done.stdout.decode())


@NEEDS_CLANG
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_c_is_what_it_is_without_the_text(text: str) -> None:
    hostile, harmless = plan_with(text), plan_with(HARMLESS)
    for profile in PROFILES:
        if profile.name == "mthp-v2":
            continue  # it cannot supply task.comm
        emitted = emit_bpf(hostile, profile)
        assert all(" " <= char <= "~" or char in "\n\t" for char in emitted)
        assert _preprocessed(emitted) == _preprocessed(emit_bpf(harmless, profile))


@NEEDS_CLANG
@pytest.mark.parametrize("text", HOSTILE[::4], ids=ascii)
def test_c_compiles(text: str) -> None:
    for name in ("testrun", "thp-v12"):
        assert compile_object(emit_bpf(plan_with(text), profiles()[name]))


def _policy_of_names(names: list[str]) -> str:
    first, second, third, fourth = names
    return f"""\
policy {first};
set {first} : string = {{ "a" }};
set {second} : cgroup = {{ }};
param {third} : size = 1M;
let {fourth} = vma.size > {third};
thp {{
    {fourth}: deny when {fourth} and task.comm in {first} or vma.size + {third} == 4K;
    {third}: otherwise pass;
}}
thp for cgroup "/a" {{ {second}: allow pmd when cgroup under {second}; otherwise allow all; }}
"""


NAME_GROUPS = [[*NAMES[start : start + 4]] for start in range(0, len(NAMES) - 3, 2)]


@NEEDS_CLANG
@pytest.mark.parametrize("names", NAME_GROUPS, ids="-".join)
def test_names_of_other_languages_compile(names: list[str]) -> None:
    result = check_text(_policy_of_names(names), "names.thp", profiles=["thp-v7"])
    assert result.plan is not None, result.diagnostics
    for name in ("testrun", "thp-v7"):
        assert compile_object(emit_bpf(result.plan, profiles()[name]))


@pytest.mark.parametrize("names", NAME_GROUPS, ids="-".join)
def test_names_of_other_languages_run_in_python(names: list[str]) -> None:
    result = check_text(_policy_of_names(names), "names.thp", profiles=["thp-v7"])
    assert result.plan is not None
    module = _run(emit_python(result.plan, PROFILES))
    request = module["ThpRequest"](orders=512, vma_size=2 << 20, task_comm=b"a", cgroup="/a")
    assert module["decide"](request).orders == 0
    module["state"].sets[names[0]].discard(b"a")
    assert module["decide"](request).orders == 512


# -- Python


def _run(text: str) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "hostile"}
    exec(compile(text, "<hostile>", "exec", dont_inherit=True), module)
    return module


class _Blank(ast.NodeTransformer):
    """Takes the constants out of a tree, so that two trees differ in code only."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        blank = type(node.value)() if isinstance(node.value, str | bytes) else node.value
        return ast.copy_location(ast.Constant(blank), node)


def _code(text: str) -> str:
    return ast.dump(_Blank().visit(ast.parse(text)))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("standalone", [True, False])
def test_python_is_what_it_is_without_the_text(text: str, standalone: bool) -> None:
    plan = plan_with(text)
    emitted = emit_python(plan, PROFILES, standalone=standalone)
    harmless = emit_python(plan_with(HARMLESS), PROFILES, standalone=standalone)
    assert emitted.isascii()
    assert _code(emitted) == _code(harmless)
    assert emitted.count("\n") == harmless.count("\n")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_python_compares_with_the_text_itself(text: str) -> None:
    plan = plan_with(text)
    policy = Policy(plan)
    module = _run(emit_python(plan, PROFILES))
    path = _component(text).decode("utf-8", "surrogateescape")
    assert module["POLICY"]["file"] == _file(text)
    for place in (f"/is/{path}", f"/let/{path}/below", f"/set/{path}", f"/{path}"):
        request = module["ThpRequest"](orders=0x3FC, cgroup=place)
        assert module["decide"](request).orders == 0x200, place
    for place in ("/is/harmless", f"/is/{path}x", f"/let{path}"):
        request = module["ThpRequest"](orders=0x3FC, cgroup=place)
        assert module["decide"](request).orders == 0x3FC, place
    request = module["ThpRequest"](orders=0x3FC, task_comm=_comm(text))
    assert module["decide"](request).orders == 0
    assert policy.plan is plan


# -- JSON and the terminal


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_the_manifest_is_json_that_has_the_text(text: str) -> None:
    plan = plan_with(text)
    chosen = [profiles()["thp-v7"], profiles()["testrun"]]
    files = {profile.name: f"hostile.{profile.name}.bpf.c" for profile in chosen}
    emitted = emit_manifest(plan, chosen, c_files=files, counters=True)
    assert all(" " <= char <= "~" or char == "\n" for char in emitted)
    data = json.loads(emitted)
    assert data["file"] == _file(text)
    assert data["paths"]["paths"] == list(plan.paths)
    assert data["rules"][0]["text"] == plan.rules[0].text


#: What a terminal acts on: all but text, and the spaces that only move along the line.
def _acts(text: str) -> list[str]:
    return [
        char
        for char in text
        if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]


def _with_mistakes(text: str) -> str:
    """A text with something to report on every line that has hostile text."""
    raw = _comment(text)
    lines = [f"{line} # {raw}" for line in policy_with(text).splitlines()]
    spaced = raw.replace('"', "'").replace("\\", "/")
    return "\n".join([*lines, f'set unused : string = {{ "{spaced}", "twice", "twice" }}; # {raw}'])


SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_the_terminal_gets_nothing_to_act_on(text: str) -> None:
    for source in (_with_mistakes(text), f"policy p; {text}", policy_with(text).replace("==", "=")):
        found = check_text(source, _file(text)).diagnostics
        assert found
        shown = [
            render_concise(found),
            render_full(found, color=False, width=100),
            SGR.sub("", render_full(found, color=True, width=100)),
        ]
        for output in shown:
            assert not _acts(output), ascii(output)
        json.loads(render_json(found))


@settings(max_examples=100)
@given(st.text(max_size=30))
@example("\x1b[2J\u202e")
def test_any_text_is_harmless(text: str) -> None:
    plan = plan_with(text)
    assert _code(emit_python(plan, [], standalone=False)) == _code(
        emit_python(plan_with(HARMLESS), [], standalone=False)
    )
    emitted = emit_bpf(plan, profiles()["testrun"])
    assert all(" " <= char <= "~" or char in "\n\t" for char in emitted)
    found = check_text(_with_mistakes(text), _file(text)).diagnostics
    assert not _acts(render_full(found, color=False, width=100) + render_concise(found))
