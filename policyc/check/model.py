"""What the checking stages hand to one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from policyc.diagnostics.model import Diagnostic, Diagnostics
from policyc.hooks.model import AttributeRow
from policyc.plan import nodes as n
from policyc.plan.types import Type
from policyc.source import Span
from policyc.syntax import tree as t

if TYPE_CHECKING:
    from policyc.check.blocks import CheckedBlock

__all__ = ["AttributeUse", "CheckResult", "Declarations", "Linked", "Read", "Typed"]

#: What gives the bytes of a file by its path; OSError or ValueError if it cannot.
Read: TypeAlias = Callable[[str], bytes]


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
    `broken` those that were declared but cannot be. `imported` has what other files declare
    and the import that brought it; what their lets refer to is in `let_needs`, and used only
    if the let is. `written` has how the policy writes the names that it sees.
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
    imported: dict[str, Span] = field(default_factory=dict[str, Span])
    written: dict[str, str] = field(default_factory=dict[str, str])
    let_needs: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    used: set[str] = field(default_factory=set[str])

    @property
    def let_exprs(self) -> dict[str, n.Expr]:
        """The expressions of the lets without an error."""
        return {name: let.expr for name, let in self.checked_lets.items() if let is not None}

    def use_what_lets_need(self) -> None:
        """Count what imported lets refer to as used, if they are."""
        pending = [name for name in self.let_needs if name in self.used]
        while pending:
            needs = self.let_needs[pending.pop()] - self.used
            self.used |= needs
            pending += [name for name in needs if name in self.let_needs]

    def is_needed(self, name: str) -> bool:
        """Whether a definition belongs to the plan: its own, or an imported one that is used."""
        return name in self.used or name not in self.imported

    def known(self, names: Iterable[str]) -> set[str]:
        """Some names as the policy can write them."""
        return {
            self.written.get(name, name)
            for name in names
            if name in self.written or name not in self.imported
        }

    def line(self, name: t.Name) -> int:
        """The line of the policy that declares a name, or imports it."""
        return self.imported.get(name.text, name.span).line

    def path(self, path: str) -> int:
        """The index of a cgroup path in the table."""
        if path not in self.paths:
            self.paths[path] = len(self.path_names)
            self.path_names.append(path)
        return self.paths[path]


@dataclass(frozen=True, slots=True)
class Linked:
    """A policy with everything that it imports.

    `file` has the definitions of all files in front of its own items. `imported` says for
    each definition of another file by which import of the policy it came; `files` are the
    other files. `brought` has the places of the imports, and for each the definitions that
    the policy can name by it. `written` says how the policy writes a name of the plan, if it
    can. `broken` are names whose import failed.
    """

    file: t.PolicyFile
    imported: dict[str, Span] = field(default_factory=dict[str, Span])
    files: tuple[str, ...] = ()
    brought: tuple[tuple[Span, tuple[str, ...]], ...] = ()
    written: dict[str, str] = field(default_factory=dict[str, str])
    broken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The plan, None if there are errors, and everything that was found.

    `blocks` are what the plan was made of, with their places in the text. `imports` are the
    other files that were read. A file of definitions has no plan; `is_library` says that it
    is one. `file` has the definitions of all files by their names in the plan, and `used` are
    those names that something refers to; both only if there are no errors.
    """

    plan: n.Plan | None
    diagnostics: tuple[Diagnostic, ...]
    blocks: tuple[CheckedBlock, ...] = ()
    imports: tuple[str, ...] = ()
    is_library: bool = False
    file: t.PolicyFile | None = None
    used: frozenset[str] = frozenset()

    @property
    def is_fine(self) -> bool:
        """Whether there are no errors."""
        return self.plan is not None or self.is_library
