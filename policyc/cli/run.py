"""`policyc run`: a policy attached for as long as the command runs."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from policyc.cli.common import (
    FINE,
    MISSING,
    NO,
    Failure,
    echo,
    plural,
    policy_file,
    profile_option,
    show_diagnostics,
    target_of,
    target_options,
    terminal,
    visible_lines,
)

if TYPE_CHECKING:
    from policyc.diagnostics.model import Diagnostic
    from policyc.hooks.btf.match import Match
    from policyc.hooks.model import Profile
    from policyc.kernel.session import Session
    from policyc.plan.nodes import HookPlan, Plan, Target

__all__ = ["command"]

#: How often it looks for cgroups that have come or gone, in seconds.
_INTERVAL = 1.0

_NO_HOOK = (
    "on an unmodified kernel the module of kmod/ brings the hooks: "
    "`make -C kmod install && modprobe policyc_hooks` (docs/explanation/stock-kernel.md)"
)


@click.command("run", short_help="Attach a policy for as long as this runs.")
@policy_file
@profile_option(
    "Attach it as this; repeatable, and with commas. [default: what this kernel offers]"
)
@click.option(
    "--seconds",
    metavar="N",
    type=click.FloatRange(min=0),
    help="Detach after this time. [default: until it is interrupted]",
)
@target_options
def command(
    file: str,
    *,
    profiles: tuple[str, ...],
    seconds: float | None,
    page_size: str,
    pmd_order: int | None,
) -> int:
    """Attach a policy to the running kernel for as long as this command runs.

    Ctrl-C or SIGTERM detaches it, and the kernel is as it was; so does the kernel itself if
    the command is killed. While it runs, cgroups that the policy names are found when they
    come, within a second. At the end it prints how often each rule has decided. The settings
    of a host block are not applied: `compile --emit host` writes a script for them.

    \b
    Examples:
      policyc run fleet.thp
      policyc run fleet.thp --profile thp-v12 --seconds 60

    \b
    Exit codes:
      0  attached, and detached again
      1  the policy has errors, or the kernel refuses it: another one may be attached
      2  wrong usage, or a file that cannot be read
      3  this kernel has no such hook, or clang, libbpf or the right to attach is missing
    """
    from policyc.cli.files import read_policy
    from policyc.cli.loading import loading, running_kernel
    from policyc.emit.clang import compile_object
    from policyc.kernel.session import Session

    data, name = read_policy(file)
    target = target_of(page_size, pmd_order)
    plan, chosen = _chosen(data, name, profiles, running_kernel(), target)
    with _Stop() as stop, loading(), Session(plan, chosen, compile_object) as session:
        _print_start(name, session)
        stop.wait(seconds, session)
        counters = session.counters()
    _print_end(plan, counters)
    return FINE


class _Stop:
    """Waits for an end: SIGINT, SIGTERM, or a time."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def wait(self, seconds: float | None, session: Session) -> None:
        """Keep the session in step with the cgroups until the end."""
        left = seconds
        while left is None or left > 0:
            step = _INTERVAL if left is None else min(_INTERVAL, left)
            if signal.sigtimedwait(self._SIGNALS, step) is not None:
                return
            session.refresh()
            left = None if left is None else left - step

    def __enter__(self) -> _Stop:
        signal.pthread_sigmask(signal.SIG_BLOCK, self._SIGNALS)
        return self

    def __exit__(self, *_: object) -> None:
        while signal.sigtimedwait(self._SIGNALS, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._SIGNALS)


def _chosen(
    data: bytes, name: str, names: Sequence[str], kernel: Match, target: Target
) -> tuple[Plan, list[tuple[HookPlan, Profile]]]:
    """The plan, and what each hook is attached as: a profile that both sides can use."""
    from policyc.check import check_text
    from policyc.check.kernels import check_kernels
    from policyc.diagnostics.model import Severity
    from policyc.hooks.loader import profiles
    from policyc.plan.nodes import HookName

    _check_names(names, kernel)
    result = check_text(data, name, profiles=names or ["testrun"], target=target)
    if result.plan is None:
        errors = [item for item in result.diagnostics if item.severity is Severity.ERROR]
        _fail(name, errors, NO)
    verdicts, said = check_kernels(result, {"this kernel": kernel}, names)
    able = verdicts[0].hooks
    known, plan = profiles(), result.plan
    if names:
        wanted = [hook for hook in plan.hooks if any(known[x].answers(hook.hook) for x in names)]
    else:
        wanted = list(plan.hooks)
    if not wanted:
        raise Failure(f"{visible_lines(name)} has no block for {', '.join(names)}", NO)
    without = {hook.hook for hook in wanted if not able[hook.hook]}
    if without:
        offered = {known[each].hook for each in kernel.offered}
        code = NO if {HookName(each) for each in offered} >= without else MISSING
        errors = [item for item in said if item.severity is Severity.ERROR]
        _fail(name, errors, code, "" if code == NO else _NO_HOOK)
    return plan, [(hook, known[able[hook.hook][0]]) for hook in wanted]


def _fail(name: str, errors: Sequence[Diagnostic], code: int, advice: str = "") -> NoReturn:
    from policyc.diagnostics.render import summary

    show_diagnostics(errors, "full", err=True)
    raise Failure(f"{name} is not attached: {summary(errors)}", code, advice)


def _check_names(names: Sequence[str], kernel: Match) -> None:
    """At most one profile of a hook, which this kernel offers."""
    from policyc.hooks.loader import profiles

    if "testrun" in names:
        raise click.UsageError("testrun is no hook: nothing in the kernel asks it")
    hooks = Counter(profiles()[name].hook for name in names)
    if any(count > 1 for count in hooks.values()):
        raise click.UsageError("one profile of each hook: a policy is attached as one of them")
    for name in names:
        if not kernel.profiles[name].offered:
            why = "; ".join(kernel.profiles[name].reasons)
            raise Failure(f"this kernel does not offer {name}: {why}", MISSING, _NO_HOOK)


def _print_start(name: str, session: Session) -> None:
    places = [
        (item.hook.hook.value, item.profile.name, item.cgroup) for item in session.attachments
    ]
    for hook, profile in dict.fromkeys((hook, profile) for hook, profile, _ in places):
        cgroups = [where for each, _, where in places if each == hook and where is not None]
        where = "the whole system"
        if cgroups:
            where = cgroups[0] if len(cgroups) == 1 else plural(len(cgroups), "cgroup")
        echo(f"{visible_lines(name)}: {hook} attached as {profile} to {visible_lines(where)}")
    if not places:
        echo(f"{visible_lines(name)}: none of its cgroups is there; attached when one comes")
    echo("Ctrl-C detaches.")


def _print_end(plan: Plan, counters: dict[int, int]) -> None:
    from policyc.cli.tables import Column, count, table

    rows = [
        [count(counters.get(rule.index, 0)), f"{plan.file}:{rule.line}", rule.text]
        for rule in plan.rules
    ]
    columns = [Column("decided", right=True), Column("line"), Column("rule")]
    echo("detached")
    echo("\n" + table(columns, rows, terminal()))
