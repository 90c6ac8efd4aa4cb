"""`policyc workload check` and `list`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, environment, invoke, run

GOOD = """description = "One process that fills a gigabyte"
[machine]
[[machine.nodes]]
memory = "16G"
cpus = 8
[[processes]]
name = "p"
[[processes.vmas]]
name = "heap"
size = "1G"
[[processes.phases]]
pattern = "sequential"
passes = 1
rate = "100K/s"
"""

ODD = GOOD + '[[processes.vmas]]\nname = "spare"\nsize = "1G"\n'.replace("spare", "spare")
BAD = GOOD.replace('"1G"', '"1Q"').replace("cpus", "cpu")


def test_a_good_workload(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    result = invoke("workload", "check", str(path))
    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    assert first == f"{path}: ok"
    # 2^18 pages at 100,000 a second
    assert " ".join(" ".join(rest).split()) == (
        "One process that fills a gigabyte. 1 node with 16 GiB and 8 CPUs; 1 process in 0 cgroups, "
        "1 thread, 1 GiB of mappings, about 262,144 page touches in about 2.62 s."
    )


def test_mistakes_have_places_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    result = invoke("workload", "check", str(path))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        (
            f"{path}:5: error: machine.nodes[0].cpu: there is no such key in [[machine.nodes]]; "
            "did you mean 'cpus'?"
        ),
        (
            f"{path}:10: error: processes[0].vmas[0].size: found '1Q', expected a size such as "
            '"64K" or "8G", or a number of bytes'
        ),
        f"{path}: 2 errors",
    ]


def test_warnings_alone_are_fine() -> None:
    text = GOOD.replace("[[processes.phases]]", ODD[len(GOOD) :] + "[[processes.phases]]")
    text = text.replace("passes", 'vma = "heap"\npasses')
    result = invoke("workload", "check", "-", stdin=text)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:2] == [
        "<stdin>:11: warning: processes[0].vmas[1]: VMA 'spare' is never touched",
        "<stdin>: ok, 1 warning",
    ]


def test_json(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    result = invoke("workload", "check", str(good), str(bad), "--json", "--set", "seed=x")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["files"]
    assert (first["errors"], first["warnings"], first["summary"]) == (1, 0, None)
    assert first["findings"] == [
        {
            "severity": "error",
            "path": "seed",
            "line": None,
            "message": "set on the command line: found 'x', expected a whole number",
        }
    ]
    assert (second["file"], second["errors"]) == (str(bad), 3)
    result = invoke("workload", "check", str(good), "--json")
    summary = json.loads(result.stdout)["files"][0]["summary"]
    assert (summary["name"], summary["memory"], summary["touches"]) == ("good", 1 << 30, 1 << 18)


def test_overrides_change_the_summary() -> None:
    result = invoke("workload", "check", "abench", "--set", "size=64G")
    assert result.exit_code == 0
    assert "64 GiB of mappings" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument 'FILE...'"),
        (("absent.toml",), "there is no file and no shipped workload 'absent.toml'"),
        (("redis-bgsav",), "did you mean 'redis-bgsave'?"),
        (("examples",), "there is no file and no shipped workload 'examples'"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    result = invoke("workload", "check", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout


def test_an_unknown_verb_says_which_was_meant() -> None:
    result = invoke("workload", "from-pref")
    assert result.exit_code == 2
    assert "no verb 'from-pref'; did you mean 'from-perf'?" in result.stderr


def test_hostile_names_are_made_visible() -> None:
    text = GOOD.replace("[machine]", '"\\u001b[2J" = 1\n[machine]')
    result = invoke("workload", "check", "-", stdin=text)
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout


def test_the_list_names_them_all() -> None:
    result = invoke("workload", "list")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()[1:] if line[0] != " "]
    files = {path.stem for path in (ROOT / "examples" / "workloads").glob("*.toml")}
    assert set(names) == files
    assert names[0] == "mixed-host"
    document = json.loads(invoke("workload", "list", "--json").stdout)
    assert [each["name"] for each in document["workloads"]] == names
    assert all(Path(each["path"]).is_file() for each in document["workloads"])


def test_neither_needs_numpy() -> None:
    program = (
        "import sys\nfrom policyc.cli.application import run\n"
        "run()\nprint(sorted(m for m in sys.modules if m in ('numpy', 'jinja2', 'lark')))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, "workload", "check", "mixed-host"],
        capture_output=True,
        check=True,
        env=environment(),
        text=True,
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_as_a_process() -> None:
    result = run("workload", "check", "-", stdin=b"\xff")
    assert result.returncode == 1
    assert result.stdout.decode() == (
        "<stdin>:1: error: byte 0xff is not UTF-8: is this a workload?\n<stdin>: 1 error\n"
    )
