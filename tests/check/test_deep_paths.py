"""A cgroup sees 31 levels above it, so a path farther up is not one that it is under."""

from __future__ import annotations

from policyc.check import check_text
from policyc.plan.evaluate import evaluate
from policyc.plan.promises import first_state

DEEP = "".join(f"/{level}" for level in range(40))
NEAR = "".join(f"/{level}" for level in range(9))
FAR = "".join(f"/{level}" for level in range(8))


def test_path_too_far_above_the_scope_is_never_seen():
    text = f"""policy p;
thp for cgroup "{DEEP}" {{
    deny when cgroup under "{FAR}";
    pass when cgroup under "{NEAR}";
    otherwise allow pmd;
}}
"""
    result = check_text(text, "p.thp", profiles=["testrun"])
    said = [(item.code, item.span.line) for item in result.diagnostics]
    assert said == [("PC0504", 3), ("PC0503", 4)]
    assert result.plan is not None
    assert result.plan.thp is not None
    request = {"orders": 1 << 9, "cgroup": DEEP}
    outcome = evaluate(result.plan, result.plan.thp, request, first_state(result.plan))
    assert [rule and rule.line for rule in outcome.fired] == [4]


def test_article_of_an_import():
    result = check_text('policy p; import "x.thp" as thp; thp { otherwise pass; }', "p.thp")
    assert "an import cannot be called `thp`" in {
        item.message.partition(":")[0] for item in result.diagnostics
    }
