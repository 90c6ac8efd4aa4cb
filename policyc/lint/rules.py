"""The table of rules, in the order of their codes. docs/lint has a page for each."""

from __future__ import annotations

from policyc.lint import answers, interfaces, machine, names, precedence, values
from policyc.lint.model import LintRule, TextRule

__all__ = ["BY_PROFILE", "FIXING", "RULES", "SELF_CONTAINED", "TEXT_RULES"]

RULES = (
    LintRule("PL001", machine.threshold_without_tiering),
    LintRule("PL002", machine.shrinker_without_work),
    LintRule("PL003", machine.creeping_collapse),
    LintRule("PL004", answers.shared_memory),
    LintRule("PL005", interfaces.one_order),
    LintRule("PL006", answers.pmd_only),
    LintRule("PL007", interfaces.inner_cgroup),
    LintRule("PL008", machine.open_range),
    LintRule("PL009", machine.size_in_vain),
    LintRule("PL010", machine.switched_off),
    LintRule("PL011", names.unused, fixes=True),
    LintRule("PL013", values.settled_rollout, fixes=True),
    LintRule("PL014", answers.smaps_only),
    LintRule("PL016", answers.collapse_denied),
    LintRule("PL018", answers.late_pressure),
    LintRule("PL019", answers.answers_like_otherwise),
    LintRule("PL024", precedence.behind_an_outer_cgroup),
)

#: Rules for files of definitions too.
TEXT_RULES = (
    TextRule("PL012", names.near_name),
    TextRule("PL015", values.beyond_the_kernel),
    TextRule("PL017", names.cut_off_name),
    TextRule("PL020", values.compared_with_a_truth, fixes=True),
    TextRule("PL023", names.unused_import, fixes=True),
)

#: Of these, those that look at one file only: who imports it finds nothing more in it.
SELF_CONTAINED = frozenset(rule.code for rule in TEXT_RULES) - {"PL012"}

#: Rules that find different things for different kernel interfaces.
BY_PROFILE = frozenset({"PL005", "PL007"})

#: Codes for which there are safe fixes; that of PL021 is about comments.
FIXING = frozenset(r.code for r in (*RULES, *TEXT_RULES) if r.fixes) | {"PL021"}
