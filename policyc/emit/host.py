"""Host settings: what a policy needs of the machine, as kernel files and as a script."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.hooks.loader import host_rows
from policyc.plan import nodes as n
from policyc.templating import environment

__all__ = ["HostFile", "emit_host", "host_files"]


@dataclass(frozen=True, slots=True)
class HostFile:
    """One setting as the kernel has it: the file and the text to write into it."""

    name: str
    path: str
    text: str
    line: int


def host_files(plan: n.Plan) -> tuple[HostFile, ...]:
    """The settings of the host block, in its order."""
    return tuple(_file(plan, setting) for setting in plan.host)


def _file(plan: n.Plan, setting: n.HostSetting) -> HostFile:
    row = host_rows()[setting.name]
    path, name = row.path, setting.name
    if setting.argument is not None:
        kib = (plan.target.page_size << setting.argument) >> 10
        path, name = path.format(kib=kib), name.replace("[]", f"[{kib}K]")
    value = setting.value
    text = value if isinstance(value, str) else str(int(value) // row.scale)
    return HostFile(name, path, text, setting.line)


def emit_host(plan: n.Plan) -> str:
    """A POSIX shell script that shows, checks or applies the host settings."""
    template = environment().get_template("host/host.sh.j2")
    return template.render(policy=plan.name, files=host_files(plan))
