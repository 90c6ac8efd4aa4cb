"""The plan: what a policy means, with nothing left of how it was written.

Values: a bool is a bool; int, size (bytes), duration (nanoseconds) and percent
(hundredths of a percent) are unsigned 64-bit numbers; an order set is a 64-bit mask
with bit N for order N; a string is bytes; an enumerator is its name; a cgroup is a
path. Any attribute that is not always there may be absent, and an expression over an
absent operand is absent, except comparisons and tests, which are then false.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from policyc.frozen import frozen
from policyc.plan.types import Type

if TYPE_CHECKING:
    from policyc.plan.cases import Property, TestCase

__all__ = [
    "ALL_ORDERS",
    "MAX_CGROUP_LEVELS",
    "RESULT",
    "RESULT_HOT_THRESHOLD",
    "Action",
    "Allow",
    "And",
    "Arithmetic",
    "ArithmeticOperator",
    "Attribute",
    "Balance",
    "Block",
    "Combine",
    "Compare",
    "CompareOperator",
    "Const",
    "ConstValue",
    "Contains",
    "Difference",
    "Expr",
    "Has",
    "Highest",
    "HookName",
    "HookPlan",
    "HostSetting",
    "InList",
    "InSet",
    "IsPath",
    "Local",
    "LocalDefinition",
    "Node",
    "Not",
    "Or",
    "Overlaps",
    "Param",
    "ParamDefinition",
    "Pass",
    "Plan",
    "Rule",
    "SetDefinition",
    "Target",
    "UnderPath",
    "UnderSet",
    "Union",
]

#: `all`: every order there is or will be.
ALL_ORDERS = (1 << 64) - 1

#: How many levels `under` and scopes look at: the cgroup itself and its nearest ancestors.
#: The verifier needs a bound; every executor has the same one.
MAX_CGROUP_LEVELS = 32

#: The attribute that is the answer, in properties: an order set (thp) or a bool (numa).
RESULT = "result"

#: The attribute that is the hot threshold of a numa answer, in properties; it may be absent.
RESULT_HOT_THRESHOLD = "result.hot_threshold"

ConstValue: TypeAlias = bool | int | bytes | str


class HookName(StrEnum):
    """The questions that a policy answers."""

    THP = "thp"
    NUMA = "numa"


class Combine(StrEnum):
    """How the decisions of several scopes become one."""

    MEET = "meet"
    NEAREST = "nearest"
    OUTERMOST = "outermost"


class ArithmeticOperator(StrEnum):
    """Unsigned 64-bit saturating arithmetic; division and modulo by zero give 0."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    MODULO = "%"


class CompareOperator(StrEnum):
    """Comparisons; each is false when an operand is absent."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


class Node:
    """What all parts of a plan have in common.

    One repr serves them all: every method that dataclass generates for every class is
    paid for at each start of the compiler.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        values = ", ".join(repr(getattr(self, name)) for name in self.__match_args__)
        return f"{type(self).__name__}({values})"


@frozen(repr=False)
class Const(Node):
    """A constant of the given type."""

    type: Type
    value: ConstValue


@frozen(repr=False)
class Attribute(Node):
    """A value of the request, by the name of its row in attributes.toml."""

    type: Type
    name: str


@frozen(repr=False)
class Param(Node):
    """The current value of a parameter."""

    type: Type
    name: str


@frozen(repr=False)
class Local(Node):
    """The value of a `let`, evaluated once per request."""

    type: Type
    name: str


@frozen(repr=False)
class Arithmetic(Node):
    """A number from two numbers."""

    type: Type
    operator: ArithmeticOperator
    left: Expr
    right: Expr


@frozen(repr=False)
class Compare(Node):
    """A comparison of two values of one type (numbers, enumerators, strings, bools, order sets)."""

    operator: CompareOperator
    left: Expr
    right: Expr


@frozen(repr=False)
class InSet(Node):
    """Membership of a string or of the cgroup itself in a declared set."""

    value: Expr
    set: str


@frozen(repr=False)
class InList(Node):
    """Equality with one of some constants (strings, numbers or enumerators)."""

    value: Expr
    members: tuple[Const, ...]


@frozen(repr=False)
class UnderSet(Node):
    """Whether the cgroup or one of its ancestors is in a declared set."""

    value: Expr
    set: str


@frozen(repr=False)
class UnderPath(Node):
    """Whether the cgroup or one of its ancestors is the path `Plan.paths[path]`."""

    value: Expr
    path: int


@frozen(repr=False)
class IsPath(Node):
    """Whether the cgroup is the path `Plan.paths[path]`."""

    value: Expr
    path: int


@frozen(repr=False)
class Union(Node):
    """The orders in either set."""

    left: Expr
    right: Expr


@frozen(repr=False)
class Difference(Node):
    """The orders of the left set that are not in the right one."""

    left: Expr
    right: Expr


@frozen(repr=False)
class Contains(Node):
    """Whether every order of `inner` is in `outer`."""

    inner: Expr
    outer: Expr


@frozen(repr=False)
class Overlaps(Node):
    """Whether two order sets have an order in common."""

    left: Expr
    right: Expr


@frozen(repr=False)
class Highest(Node):
    """The size of a page of the highest order of a set (saturating); absent for the empty set."""

    orders: Expr


@frozen(repr=False)
class Has(Node):
    """Whether a value is there."""

    value: Expr


@frozen(repr=False)
class And(Node):
    """All of two or more conditions."""

    items: tuple[Expr, ...]


@frozen(repr=False)
class Or(Node):
    """Any of two or more conditions."""

    items: tuple[Expr, ...]


@frozen(repr=False)
class Not(Node):
    """The opposite of a condition; conditions are two-valued, so it is never absent."""

    item: Expr


Expr: TypeAlias = (
    Const
    | Attribute
    | Param
    | Local
    | Arithmetic
    | Compare
    | InSet
    | InList
    | UnderSet
    | UnderPath
    | IsPath
    | Union
    | Difference
    | Contains
    | Overlaps
    | Highest
    | Has
    | And
    | Or
    | Not
)


@frozen(repr=False)
class Allow(Node):
    """thp: the requested orders that are also in `orders`."""

    orders: Expr


@frozen(repr=False)
class Balance(Node):
    """numa: NUMA balancing on or off."""

    on: bool


@frozen(repr=False)
class Pass(Node):
    """No opinion."""


Action: TypeAlias = Allow | Balance | Pass


@frozen(repr=False)
class Rule(Node):
    """A guarded answer.

    `index` is unique in the plan and is the key of the rule's counter; `condition` is
    None for `otherwise`. `line` and `text` (one line, whitespace folded) are for people.
    """

    index: int
    condition: Expr | None
    action: Action
    label: str
    line: int
    text: str


@frozen(repr=False)
class Block(Node):
    """An ordered list of rules for a scope; the first whose condition holds answers.

    `scope` is an index into `Plan.paths`, or None for every request, with or without a
    cgroup. `depth` is the number of path components (0 for none and for "/", which is
    inside the block without a scope). `rollout` is a percent (Const or Param) or None.
    `hot_threshold` is a duration (Const or Param) or None; numa only.
    `index` is the block's place in `HookPlan.blocks`.
    """

    index: int
    scope: int | None
    depth: int
    rollout: Expr | None
    rules: tuple[Rule, ...]
    hot_threshold: Expr | None
    line: int


@frozen(repr=False)
class HookPlan(Node):
    """The blocks of a hook, outermost scope first, and how their decisions become one."""

    hook: HookName
    combine: Combine
    blocks: tuple[Block, ...]


@frozen(repr=False)
class SetDefinition(Node):
    """A set that is edited while the policy runs; members are bytes (string) or paths (cgroup)."""

    name: str
    type: Type
    members: tuple[bytes | str, ...]
    line: int


@frozen(repr=False)
class ParamDefinition(Node):
    """A parameter with its inclusive range; bools have none (0 and 1)."""

    name: str
    type: Type
    default: int
    low: int
    high: int
    line: int


@frozen(repr=False)
class LocalDefinition(Node):
    """A `let`, evaluated at most once per request; refers only to earlier ones."""

    name: str
    expr: Expr
    line: int


@frozen(repr=False)
class HostSetting(Node):
    """A setting of the machine that the policy needs, by the name of its row in host.toml.

    `argument` is the order of a per-size setting, else None. `value` is in the units of
    the language.
    """

    name: str
    argument: int | None
    value: ConstValue
    line: int


@frozen(repr=False)
class Target(Node):
    """The memory geometry that sizes are turned into orders with."""

    page_size: int = 4096
    pmd_order: int = 9

    @property
    def page_shift(self) -> int:
        """log2 of the page size."""
        return self.page_size.bit_length() - 1

    @property
    def large_orders(self) -> int:
        """The orders of large anonymous folios, which a request for `all` asks for."""
        return ((2 << self.pmd_order) - 1) & ~0b11

    @property
    def pmd_size(self) -> int:
        """Bytes that one PMD entry maps."""
        return self.page_size << self.pmd_order


@frozen(repr=False)
class Plan(Node):
    """A whole policy: the waist between its text and its executors.

    `tests` and `properties` say what it promises; no executor looks at them.
    """

    name: str
    file: str
    target: Target
    paths: tuple[str, ...]
    sets: tuple[SetDefinition, ...]
    params: tuple[ParamDefinition, ...]
    locals: tuple[LocalDefinition, ...]
    thp: HookPlan | None
    numa: HookPlan | None
    host: tuple[HostSetting, ...]
    tests: tuple[TestCase, ...] = ()
    properties: tuple[Property, ...] = ()

    @property
    def hooks(self) -> tuple[HookPlan, ...]:
        """The hooks that the policy answers, thp first."""
        return tuple(hook for hook in (self.thp, self.numa) if hook is not None)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule, in the order of its index."""
        rules = [rule for hook in self.hooks for block in hook.blocks for rule in block.rules]
        return tuple(sorted(rules, key=lambda rule: rule.index))
