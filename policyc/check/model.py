"""What the checking stages hand to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policyc.diagnostics.model import Diagnostic, Diagnostics
from policyc.hooks.model import AttributeRow
from policyc.plan import nodes as n
from policyc.plan.types import Type
from policyc.source import Span
from policyc.syntax import tree as t

if TYPE_CHECKING:
    from policyc.check.blocks import CheckedBlock

__all__ = ["AttributeUse", "CheckResult", "Declarations", "Typed"]


@dataclass(frozen=True, slots=True)
class Typed:
    """A checked expression: its plan node, its type, and whether its value may be absent."""

    expr: n.Expr
    type: Type
    span: Span
    optional: bool = False


@dataclass(frozen=True, slots=True)
class AttributeUse:
    """An attribute in the text; `through` is where a let that has it is used, if it is one."""

    row: AttributeRow
    span: Span
    through: Span | None = None


@dataclass(slots=True)
class Declarations:
    """Everything that a policy declares by name, filled in stages.

    `checked_lets` has None for a let with an error. `paths` is the table of cgroup
    paths in the order of the text; `used` collects the names that something refers to,
    `broken` those that were declared but cannot be.
    """

    diagnostics: Diagnostics
    target: n.Target
    sets: dict[str, t.SetItem] = field(default_factory=dict[str, t.SetItem])
    params: dict[str, t.ParamItem] = field(default_factory=dict[str, t.ParamItem])
    lets: dict[str, t.LetItem] = field(default_factory=dict[str, t.LetItem])
    set_types: dict[str, Type] = field(default_factory=dict[str, Type])
    checked_params: dict[str, n.ParamDefinition | None] = field(
        default_factory=dict[str, n.ParamDefinition | None]
    )
    checked_lets: dict[str, Typed | None] = field(default_factory=dict[str, Typed | None])
    let_uses: dict[str, tuple[AttributeUse, ...]] = field(
        default_factory=dict[str, tuple[AttributeUse, ...]]
    )
    let_depths: dict[str, int] = field(default_factory=dict[str, int])
    paths: dict[str, int] = field(default_factory=dict[str, int])
    path_names: list[str] = field(default_factory=list[str])
    broken: set[str] = field(default_factory=set[str])
    used: set[str] = field(default_factory=set[str])

    @property
    def let_exprs(self) -> dict[str, n.Expr]:
        """The expressions of the lets without an error."""
        return {name: let.expr for name, let in self.checked_lets.items() if let is not None}

    def path(self, path: str) -> int:
        """The index of a cgroup path in the table."""
        if path not in self.paths:
            self.paths[path] = len(self.path_names)
            self.path_names.append(path)
        return self.paths[path]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The plan, None if there are errors, and everything that was found.

    `blocks` are what the plan was made of, with their places in the text.
    """

    plan: n.Plan | None
    diagnostics: tuple[Diagnostic, ...]
    blocks: tuple[CheckedBlock, ...] = ()
