"""The attach plan: which instances a profile needs so that the policy means what it says."""

from __future__ import annotations

from dataclasses import dataclass

from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.paths import is_under

__all__ = ["Instance", "attach_plan"]

_MILLISECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance to attach, or one for each of many cgroups.

    `cgroup` is a path, None for an instance that is not bound to a cgroup. With
    `descendants` there is one for every cgroup below as well, those created later
    included, except at and below the paths in `except_below`. `hot_threshold` is the
    threshold to give it: a duration (Const or Param), None for the system's.
    """

    cgroup: str | None
    descendants: bool = False
    except_below: tuple[str, ...] = ()
    hot_threshold: n.Expr | None = None

    def hot_threshold_ms(self, params: dict[str, int]) -> int:
        """The threshold in milliseconds with these parameter values (ns); 0 for the system's."""
        match self.hot_threshold:
            case n.Const(_, value):
                return int(value) // _MILLISECOND
            case n.Param(_, name):
                return params[name] // _MILLISECOND
            case _:
                return 0


def attach_plan(plan: n.Plan, hook: n.HookPlan, profile: Profile) -> tuple[Instance, ...]:
    """The instances of one profile, outermost cgroup first."""
    match profile.attachment:
        case "global" | "process" | "test-run":
            return (Instance(None),)
        case "cgroup-subtree":
            return (Instance(_common_ancestor(plan, hook)),)
        case "memory-cgroup":
            return _regions(plan, hook)


def _scope(plan: n.Plan, block: n.Block) -> str:
    return "/" if block.scope is None else plan.paths[block.scope]


def _common_ancestor(plan: n.Plan, hook: n.HookPlan) -> str:
    """The deepest cgroup that is above every scope; "/" for a block without a scope."""
    parts = [_components(_scope(plan, block)) for block in hook.blocks]
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return "/" + "/".join(common)


def _components(path: str) -> list[str]:
    return path.split("/")[1:] if path != "/" else []


def _regions(plan: n.Plan, hook: n.HookPlan) -> tuple[Instance, ...]:
    """One region of the tree per distinct scope: its cgroups are in the same blocks."""
    scopes = sorted({_scope(plan, block) for block in hook.blocks}, key=_components)
    return tuple(
        Instance(
            scope,
            descendants=True,
            except_below=tuple(
                other for other in scopes if other != scope and is_under(other, scope)
            ),
            hot_threshold=_threshold(plan, hook, scope),
        )
        for scope in scopes
    )


def _threshold(plan: n.Plan, hook: n.HookPlan, scope: str) -> n.Expr | None:
    """The threshold of a region when every block that holds it has an opinion."""
    holding = [block for block in hook.blocks if is_under(scope, _scope(plan, block))]
    match hook.combine:
        case n.Combine.NEAREST:
            return holding[-1].hot_threshold
        case n.Combine.OUTERMOST:
            return holding[0].hot_threshold
        case n.Combine.MEET:
            params = {param.name: param.default for param in plan.params}
            stated = [block.hot_threshold for block in holding if block.hot_threshold is not None]
            return min(stated, key=lambda expr: _value(expr, params), default=None)


def _value(expr: n.Expr, params: dict[str, int]) -> int:
    match expr:
        case n.Const(_, value):
            return int(value)
        case n.Param(_, name):
            return params[name]
        case _:
            raise TypeError(f"a hot threshold is a constant or a parameter, not {expr!r}")
