"""The tree: a policy as it was written, every node with its span.

Nodes are equal only to themselves: two at different places never mean the same. They have
no repr of their own either, as each generated method costs start-up time; print them with
`policyc.syntax.printer`.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from policyc.frozen import frozen
from policyc.source import Source, Span

__all__ = [
    "Action",
    "Assignment",
    "BinaryExpr",
    "BlockItem",
    "CombineItem",
    "ComparisonExpr",
    "DurationLiteral",
    "Entry",
    "ExpectStep",
    "Expr",
    "GivenStep",
    "HasExpr",
    "HighestExpr",
    "HostItem",
    "HotThresholdEntry",
    "ImportItem",
    "IntegerLiteral",
    "Item",
    "LetItem",
    "ListExpr",
    "Literal",
    "LogicalExpr",
    "Name",
    "NameExpr",
    "NotExpr",
    "OrderLiteral",
    "ParamItem",
    "ParamStep",
    "PercentLiteral",
    "PolicyFile",
    "PropertyItem",
    "RangeExpr",
    "RolloutEntry",
    "RuleEntry",
    "SetItem",
    "SetStep",
    "Setting",
    "SizeLiteral",
    "Step",
    "StringLiteral",
    "TestItem",
    "Word",
]


@frozen(eq=False, repr=False)
class Name:
    """A word that names something."""

    text: str
    span: Span


@frozen(eq=False, repr=False)
class IntegerLiteral:
    """A whole number."""

    value: int
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class SizeLiteral:
    """Bytes; an order where an order set is wanted."""

    value: int
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class DurationLiteral:
    """Nanoseconds."""

    value: int
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class PercentLiteral:
    """Hundredths of a percent."""

    value: int
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class StringLiteral:
    """The bytes between the quotes, escapes resolved."""

    value: bytes
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class NameExpr:
    """A parameter, let, set, attribute, enumerator or one of all, none, pmd, true, false."""

    text: str
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class OrderLiteral:
    """`order N`."""

    value: int
    span: Span
    depth: ClassVar[int] = 0


@frozen(eq=False, repr=False)
class RangeExpr:
    """Orders from one end to the other, both included; None is open."""

    low: Expr | None
    high: Expr | None
    span: Span
    depth: int = 1


@frozen(eq=False, repr=False)
class ListExpr:
    """Constants in braces, on the right of `in`."""

    items: tuple[Expr, ...]
    span: Span
    depth: int = 1


@frozen(eq=False, repr=False)
class BinaryExpr:
    """`+ - * / %` on numbers, `-` and `|` on order sets."""

    operator: str
    left: Expr
    right: Expr
    operator_span: Span
    span: Span
    depth: int


@frozen(eq=False, repr=False)
class ComparisonExpr:
    """`== != < <= > >= is in under overlaps`."""

    operator: str
    left: Expr
    right: Expr
    operator_span: Span
    span: Span
    depth: int


@frozen(eq=False, repr=False)
class LogicalExpr:
    """Two or more conditions joined by `and` or by `or`, or two by `implies`."""

    operator: str
    items: tuple[Expr, ...]
    span: Span
    depth: int


@frozen(eq=False, repr=False)
class NotExpr:
    """`not CONDITION`."""

    item: Expr
    span: Span
    depth: int


@frozen(eq=False, repr=False)
class HasExpr:
    """`has NAME`."""

    item: NameExpr
    span: Span
    depth: int


@frozen(eq=False, repr=False)
class HighestExpr:
    """`highest(ORDERS)`."""

    item: Expr
    span: Span
    depth: int


Literal: TypeAlias = IntegerLiteral | SizeLiteral | DurationLiteral | PercentLiteral | StringLiteral

Expr: TypeAlias = (
    Literal
    | NameExpr
    | OrderLiteral
    | RangeExpr
    | ListExpr
    | BinaryExpr
    | ComparisonExpr
    | LogicalExpr
    | NotExpr
    | HasExpr
    | HighestExpr
)


@frozen(eq=False, repr=False)
class ImportItem:
    """`import "FILE";`, `import "FILE" as NAME;` or `import "FILE" (NAME, ...);`

    `names` is None where all names are meant.
    """

    path: StringLiteral
    alias: Name | None
    names: tuple[Name, ...] | None
    span: Span


@frozen(eq=False, repr=False)
class SetItem:
    """`set NAME : TYPE = { "...", ... };`"""

    name: Name
    type: Name
    members: tuple[StringLiteral, ...]
    span: Span


@frozen(eq=False, repr=False)
class ParamItem:
    """`param NAME : TYPE = DEFAULT in LOW..HIGH;`"""

    name: Name
    type: Name
    default: Literal | NameExpr
    range: tuple[Literal, Literal] | None
    span: Span


@frozen(eq=False, repr=False)
class LetItem:
    """`let NAME = EXPR;`"""

    name: Name
    expr: Expr
    span: Span


@frozen(eq=False, repr=False)
class CombineItem:
    """`combine HOOK by MODE;`"""

    hook: Name
    mode: Name
    span: Span


@frozen(eq=False, repr=False)
class Word:
    """A choice of a host setting; `+` may join its parts."""

    text: str
    span: Span


@frozen(eq=False, repr=False)
class Setting:
    """`NAME = VALUE;` or `NAME[SIZE] = VALUE;`"""

    name: Name
    argument: Literal | None
    value: Literal | Word
    span: Span


@frozen(eq=False, repr=False)
class HostItem:
    """`host { SETTINGS }`"""

    settings: tuple[Setting, ...]
    span: Span


@frozen(eq=False, repr=False)
class Action:
    """`allow ORDERS`, `deny`, `pass`, `balance` or `off`; `orders` only for allow."""

    word: str
    orders: Expr | None
    span: Span


@frozen(eq=False, repr=False)
class RuleEntry:
    """A rule; `condition` is None without `when`, `otherwise` tells if it says so."""

    label: Name | None
    action: Action
    condition: Expr | None
    otherwise: bool
    span: Span


@frozen(eq=False, repr=False)
class RolloutEntry:
    """`rollout SHARE by cgroup;`"""

    share: PercentLiteral | NameExpr
    span: Span


@frozen(eq=False, repr=False)
class HotThresholdEntry:
    """`hot_threshold = DURATION;`"""

    value: DurationLiteral | NameExpr
    span: Span


Entry: TypeAlias = RuleEntry | RolloutEntry | HotThresholdEntry


@frozen(eq=False, repr=False)
class BlockItem:
    """`thp { ... }` or `numa for cgroup "..." { ... }`; `header` spans all before the brace."""

    hook: Name
    scope: StringLiteral | None
    entries: tuple[Entry, ...]
    header: Span
    close: Span
    span: Span


@frozen(eq=False, repr=False)
class Assignment:
    """`ATTRIBUTE = VALUE` after `given`."""

    name: Name
    value: Expr
    span: Span


@frozen(eq=False, repr=False)
class GivenStep:
    """`given ATTRIBUTE = VALUE, ...;`"""

    assignments: tuple[Assignment, ...]
    span: Span


@frozen(eq=False, repr=False)
class ExpectStep:
    """`expect ANSWER;` or `expect ANSWER, hot_threshold = DURATION;`"""

    action: Action
    hot_threshold: Expr | None
    span: Span


@frozen(eq=False, repr=False)
class SetStep:
    """`set NAME = { "...", ... };` in a test."""

    name: Name
    members: tuple[StringLiteral, ...]
    span: Span


@frozen(eq=False, repr=False)
class ParamStep:
    """`param NAME = VALUE;` in a test."""

    name: Name
    value: Literal | NameExpr
    span: Span


Step: TypeAlias = GivenStep | ExpectStep | SetStep | ParamStep


@frozen(eq=False, repr=False)
class TestItem:
    """`test "NAME" for HOOK { ... }`; `header` spans all before the brace."""

    __test__ = False  # pytest would take it for one of its own

    name: StringLiteral
    hook: Name
    steps: tuple[Step, ...]
    header: Span
    close: Span
    span: Span


@frozen(eq=False, repr=False)
class PropertyItem:
    """`property "NAME" for HOOK: CONDITION;`"""

    name: StringLiteral
    hook: Name
    condition: Expr
    span: Span


Item: TypeAlias = (
    ImportItem
    | SetItem
    | ParamItem
    | LetItem
    | CombineItem
    | HostItem
    | BlockItem
    | TestItem
    | PropertyItem
)


@frozen(eq=False, repr=False)
class PolicyFile:
    """A whole file; one without `policy NAME;` holds definitions and imports only."""

    name: Name | None
    items: tuple[Item, ...]
    source: Source
