"""`policyc decide`: one decision, explained."""

from __future__ import annotations

import click

from policyc.cli.asking import hook_of, pairs, request_options, state_of, values_of
from policyc.cli.common import FINE, checked_plan, policy_file, target_of, target_options

__all__ = ["command"]


@click.command("decide", short_help="Explain one decision.")
@policy_file
@request_options
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def command(
    file: str,
    assignments: tuple[str, ...],
    *,
    hook: str | None,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    page_size: str,
    pmd_order: int | None,
    as_json: bool,
) -> int:
    """Explain one decision of a policy.

    Says what the answer to a request is, which rule made it, what each block said and why,
    and what each kernel interface makes of it: the value that the compiled program returns
    (raw), and what the kernel goes on with (effective).

    KEY is an attribute (see `policyc attributes`) or cgroup.id, which rollouts use. VALUE
    is written as in a policy: 8M, 12.5%, true, khugepaged, postgres, /kubepods/java; `orders`
    takes an order set such as all, pmd or 16K..64K | 2M. Sizes may be plain bytes. Strings and
    paths need no quotes of the language.

    What is not given is absent, but for these: orders=all, event=pagefault, vma.advice=none,
    vma.kind=anon, vma.size=2M, vma.stack, vma.locked and vma.exec false, node.count=1, node.id=0.
    `all` is every order of large anonymous folios, 16K to 2M with 4K pages. cgroup.depth follows
    from cgroup. Of memory.max, memory.usage and memory.free two give the third, and memory.free
    alone is that of an unused cgroup.

    \b
    Examples:
      policyc decide fleet.thp --hook thp cgroup=/kubepods/java/web-1 event=khugepaged
      policyc decide fleet.thp --hook thp cgroup=/kubepods/batch/7 cgroup.id=4711 \\
          memory.free=8G orders='16K..64K | pmd' cgroup.psi.memory.full.avg10=12.5%
      policyc decide fleet.thp --hook numa cgroup=/kubepods/db/1 task.comm=postgres
      policyc decide fleet.thp --hook thp --param ceiling=50% --set java+=/kubepods/jvm

    \b
    Exit codes:
      0  decided, whatever the decision is
      1  the policy has errors
      2  wrong usage, or a file that cannot be read
    """
    from policyc.cli.decision import print_json, print_text
    from policyc.simulate.explain import explain

    target = target_of(page_size, pmd_order)
    given = pairs(assignments)
    plan = checked_plan(file, target)
    asked = hook_of(plan, hook)
    values = values_of(asked.hook.value, given, target)
    explanation = explain(plan, asked, values, state_of(plan, params, sets))
    (print_json if as_json else print_text)(explanation)
    return FINE
