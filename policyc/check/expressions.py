"""Expressions: names are resolved, types and units agree, and plan nodes come out."""

from __future__ import annotations

from policyc.check.comparisons import check_comparison
from policyc.check.literals import (
    cgroup_path,
    checked_order,
    order_of_size,
    order_range,
    suggest,
    suggest_attribute,
    task_name,
)
from policyc.check.model import AttributeUse, Declarations, Typed
from policyc.check.words import EXAMPLES, WITH_UNIT, arithmetic_type, with_article
from policyc.diagnostics.model import Label
from policyc.hooks.loader import attributes, enumerations
from policyc.hooks.model import AttributeRow
from policyc.plan import nodes as n
from policyc.plan.arithmetic import saturating
from policyc.plan.cases import RESULT, RESULT_HOT_THRESHOLD
from policyc.plan.types import (
    BOOL,
    CGROUP,
    DURATION,
    INT,
    ORDERS,
    PERCENT,
    SIZE,
    STRING,
    Kind,
    Type,
)
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["BUILTINS", "Expressions"]

#: Words that are always constants.
BUILTINS = frozenset({"all", "none", "pmd", "true", "false"})

#: Looking for similar names takes time; a file with more misspelt names has another problem.
_MAX_SUGGESTIONS = 50


class Expressions:
    """Checks expressions against the declarations; an error is reported and gives None.

    `uses` collects the attributes that were met since it was last emptied.
    """

    def __init__(self, declarations: Declarations) -> None:
        self.declarations = declarations
        self.diagnostics = declarations.diagnostics
        self.target = declarations.target
        self.uses: list[AttributeUse] = []
        #: The hook whose answer `result` is, in properties.
        self.result: n.HookName | None = None
        self._unknown_names = 0
        self._spans: dict[int, tuple[n.Expr, Span]] = {}

    def span_of(self, expr: n.Expr) -> Span | None:
        """Where a checked expression stands in the text."""
        entry = self._spans.get(id(expr))
        return entry[1] if entry is not None and entry[0] is expr else None

    # -- entry points

    def condition(self, node: t.Expr) -> Typed | None:
        """A bool, or PC0302."""
        typed = self.check(node, BOOL)
        if typed is None or typed.type == BOOL:
            return typed
        self.diagnostics.add(
            "PC0302",
            f"a condition is wanted here, and this is of type {typed.type}",
            node.span,
            f"of type {typed.type}",
            help="compare it with something, or test it with `has`",
        )
        return None

    def orders(self, node: t.Expr) -> Typed | None:
        """An order set, or PC0304."""
        if isinstance(node, t.LogicalExpr | t.NotExpr):
            self._orders_as_conditions(node)
            return None
        typed = self.check(node, ORDERS)
        if typed is None or typed.type == ORDERS:
            return typed
        self.diagnostics.add(
            "PC0304",
            f"an order set is wanted here, and this is of type {typed.type}",
            node.span,
            f"of type {typed.type}",
            help="write sizes, ranges, `pmd`, `all` or `none`, as in `16K..64K | pmd`",
        )
        return None

    def _orders_as_conditions(self, node: t.LogicalExpr | t.NotExpr) -> None:
        negated = isinstance(node, t.NotExpr)
        self.diagnostics.add(
            "PC0304",
            "an order set is wanted here, and this is a condition",
            node.span,
            help=f"write `all - {node.item.span.text}`"
            if negated
            else "order sets are joined with `|`",
        )

    def check(self, node: t.Expr, want: Type | None = None) -> Typed | None:
        """Any expression. `want` is what the context would take; literals adapt to it."""
        typed = self._check(node, want)
        if typed is not None:
            self._spans[id(typed.expr)] = (typed.expr, node.span)
        return typed

    def _check(  # noqa: C901 - one case for each kind of node
        self, node: t.Expr, want: Type | None
    ) -> Typed | None:
        match node:
            case t.IntegerLiteral(value, span):
                return Typed(n.Const(INT, value), INT, span)
            case t.DurationLiteral(value, span):
                return Typed(n.Const(DURATION, value), DURATION, span)
            case t.PercentLiteral(value, span):
                return Typed(n.Const(PERCENT, value), PERCENT, span)
            case t.StringLiteral():
                return self._string(node, want)
            case t.SizeLiteral(value, span):
                if want == ORDERS:
                    order = order_of_size(value, self.target, span, self.diagnostics)
                    return self._order(order, node)
                return Typed(n.Const(SIZE, value), SIZE, span)
            case t.OrderLiteral(value, span):
                order = checked_order(value, self.target, span, self.diagnostics)
                if want == SIZE and order is not None:
                    return Typed(n.Const(SIZE, self.target.page_size << order), SIZE, span)
                return self._order(order, node)
            case t.NameExpr():
                return self._name(node, want)
            case t.RangeExpr():
                return self._range(node)
            case t.BinaryExpr():
                return self._binary(node, want)
            case t.ComparisonExpr():
                return check_comparison(self, node)
            case t.LogicalExpr(operator, items, span):
                return self._logical(operator, items, node)
            case t.NotExpr(item, span):
                inner = self.condition(item)
                return inner and Typed(n.Not(inner.expr), BOOL, span)
            case t.HasExpr():
                return self._has(node)
            case t.HighestExpr(item, span):
                inner = self.orders(item)
                return inner and Typed(n.Highest(inner.expr), SIZE, span, optional=True)
            case t.ListExpr():
                self.diagnostics.add(
                    "PC0303",
                    "a list in braces stands only on the right of `in` and `under`",
                    node.span,
                    help='write it as in `task.comm in { "a", "b" }`',
                )
                return None

    # -- names and literals

    def _order(self, order: int | None, node: t.Expr) -> Typed | None:
        return None if order is None else Typed(n.Const(ORDERS, 1 << order), ORDERS, node.span)

    def _string(self, node: t.StringLiteral, want: Type | None) -> Typed | None:
        if want == CGROUP:
            path = cgroup_path(node, self.diagnostics)
            return None if path is None else Typed(n.Const(CGROUP, path), CGROUP, node.span)
        name = task_name(node, self.diagnostics)
        return None if name is None else Typed(n.Const(STRING, name), STRING, node.span)

    def _name(self, node: t.NameExpr, want: Type | None) -> Typed | None:
        text, span = node.text, node.span
        declarations = self.declarations
        if want is not None and want.kind is Kind.ENUM:
            members = [member.name for member in enumerations()[want.enum].members]
            if text in members:
                return Typed(n.Const(want, text), want, span)
            if not self.is_known(text):
                self.diagnostics.add(
                    "PC0207",
                    f"`{text}` is not one of the values of {want.enum}",
                    span,
                    help=suggest(text, members),
                )
                return None
        if text in BUILTINS:
            return self._builtin(text, node, want)
        if text in (RESULT, RESULT_HOT_THRESHOLD):
            return self._result(node)
        if text in declarations.params:
            declarations.used.add(text)
            definition = declarations.checked_params[text]
            return definition and Typed(n.Param(definition.type, text), definition.type, span)
        if text in declarations.lets:
            return self._let(text, node)
        if text in attributes():
            return self._attribute(attributes()[text], node)
        if text in declarations.sets:
            self._set_as_value(text, node)
        elif text not in declarations.broken:
            self.unknown(node)
        return None

    def _result(self, node: t.NameExpr) -> Typed | None:
        text, span = node.text, node.span
        if self.result is None:
            self.diagnostics.add(
                "PC0806",
                "`result` is the answer, which only properties can ask for",
                span,
                help='write `property "NAME" for thp: CONDITION;`',
            )
            return None
        if text == RESULT_HOT_THRESHOLD:
            if self.result is n.HookName.NUMA:
                return Typed(n.Attribute(DURATION, text), DURATION, span, optional=True)
            self.diagnostics.add(
                "PC0205",
                f"`{text}` does not exist for {self.result.value}",
                span,
                "only for numa",
                help="`result` is the order set that the answer allows",
            )
            return None
        kind = ORDERS if self.result is n.HookName.THP else BOOL
        return Typed(n.Attribute(kind, text), kind, span)

    def _set_as_value(self, text: str, node: t.NameExpr) -> None:
        declarations = self.declarations
        declarations.used.add(text)
        is_string = declarations.set_types.get(text) == STRING
        self.diagnostics.add(
            "PC0303",
            f"`{text}` is a set, which stands only on the right of `in` and `under`",
            node.span,
            related=(Label(declarations.sets[text].name.span, "declared here"),),
            help=f"write `task.comm in {text}`"
            if is_string
            else f"write `cgroup in {text}` or `cgroup under {text}`",
        )

    def is_known(self, text: str) -> bool:
        """Whether anything that is not an enumerator has that name."""
        declarations = self.declarations
        return (
            text in BUILTINS
            or text in (RESULT, RESULT_HOT_THRESHOLD)
            or text in declarations.params
            or text in declarations.lets
            or text in declarations.sets
            or text in declarations.broken
            or text in attributes()
        )

    def unknown(self, node: t.NameExpr) -> None:
        """Report a name that nothing has, with what was probably meant."""
        declarations = self.declarations
        self._unknown_names += 1
        if self._unknown_names > _MAX_SUGGESTIONS:
            self.diagnostics.add("PC0201", f"nothing is called `{node.text}`", node.span)
            return
        declared = (*declarations.params, *declarations.lets, *declarations.sets)
        known = declarations.known(declared) | set(attributes())
        enumerators = [
            name
            for name, table in enumerations().items()
            if any(member.name == node.text for member in table.members)
        ]
        hint = (
            f"`{node.text}` is a value of {enumerators[0]}; compare it with `is`"
            if enumerators
            else suggest_attribute(node.text) or suggest(node.text, known | BUILTINS)
        )
        self.diagnostics.add(
            "PC0201",
            f"nothing is called `{node.text}`",
            node.span,
            "not declared, and no attribute",
            help=hint or "`policyc attributes` lists the attributes",
        )

    def _builtin(self, text: str, node: t.NameExpr, want: Type | None) -> Typed:
        if text in ("true", "false"):
            return Typed(n.Const(BOOL, text == "true"), BOOL, node.span)
        if text == "pmd" and want == SIZE:
            return Typed(n.Const(SIZE, self.target.pmd_size), SIZE, node.span)
        masks = {"all": n.ALL_ORDERS, "none": 0, "pmd": 1 << self.target.pmd_order}
        return Typed(n.Const(ORDERS, masks[text]), ORDERS, node.span)

    def _let(self, text: str, node: t.NameExpr) -> Typed | None:
        declarations = self.declarations
        declarations.used.add(text)
        checked = declarations.checked_lets.get(text)
        if checked is None:
            return None
        self.uses.extend(
            AttributeUse(use.row, use.span, node.span) for use in declarations.let_uses[text]
        )
        if isinstance(checked.expr, n.Const | n.Attribute | n.Param | n.Local):
            return Typed(checked.expr, checked.type, node.span, checked.optional)
        return Typed(n.Local(checked.type, text), checked.type, node.span, checked.optional)

    def _attribute(self, row: AttributeRow, node: t.NameExpr) -> Typed:
        self.uses.append(AttributeUse(row, node.span))
        if row.derived:
            left, right = (attributes()[name] for name in row.derived)
            expr = n.Arithmetic(
                row.type,
                n.ArithmeticOperator.SUBTRACT,
                n.Attribute(left.type, left.name),
                n.Attribute(right.type, right.name),
            )
            return Typed(expr, row.type, node.span, bool(row.absent))
        return Typed(n.Attribute(row.type, row.name), row.type, node.span, bool(row.absent))

    def _range(self, node: t.RangeExpr) -> Typed | None:
        low = self._range_end(node.low) if node.low is not None else 0
        high = self._range_end(node.high) if node.high is not None else self.target.pmd_order
        if low is None or high is None:
            return None
        low_span = node.low.span if node.low is not None else node.span
        high_span = node.high.span if node.high is not None else node.span
        mask = order_range(low, high, low_span, high_span, self.diagnostics)
        return None if mask is None else Typed(n.Const(ORDERS, mask), ORDERS, node.span)

    def _range_end(self, node: t.Expr) -> int | None:
        match node:
            case t.SizeLiteral(value, span):
                return order_of_size(value, self.target, span, self.diagnostics)
            case t.OrderLiteral(value, span):
                return checked_order(value, self.target, span, self.diagnostics)
            case t.NameExpr("pmd", _):
                return self.target.pmd_order
            case _:
                self.diagnostics.add(
                    "PC0304",
                    "a range goes from one order to another",
                    node.span,
                    "not an order",
                    help="its ends are sizes, `order N` or `pmd`",
                )
                return None

    # -- operators

    def pair(
        self, left: t.Expr, right: t.Expr, want: Type | None = None
    ) -> tuple[Typed, Typed] | None:
        """Both operands, the one that can adapt checked after the one that cannot."""
        if self._adapts(left) and not self._adapts(right):
            second = self.check(right, want)
            first = self.check(left, second.type) if second else None
        else:
            first = self.check(left, want)
            # With the type of the first unknown, what an enumerator means is too.
            known = first is not None or not self._adapts(right)
            second = self.check(right, first.type if first else want) if known else None
        return (first, second) if first and second else None

    def _adapts(self, node: t.Expr) -> bool:
        match node:
            case t.SizeLiteral() | t.OrderLiteral() | t.StringLiteral():
                return True
            case t.NameExpr(text, _):
                return text in BUILTINS or not self.is_known(text)
            case t.BinaryExpr(_, left, right):
                return self._adapts(left) and self._adapts(right)
            case _:
                return False

    def mismatch(self, node: t.BinaryExpr | t.ComparisonExpr, left: Typed, right: Typed) -> None:
        """Report operands of types that do not go together."""
        example = EXAMPLES.get(left.type.kind, "")
        advice = f"the other side of {with_article(left.type)} is {example}" if example else ""
        if left.type.kind is Kind.ENUM and isinstance(node.right, t.StringLiteral):
            advice = f"write {node.right.span.text[1:-1]} without quotes"
        elif left.type == BOOL:
            advice = f"write `{left.span.text}` or `not {left.span.text}` alone"
        elif node.operator == "*":
            advice = "a size or a duration is multiplied by an int"
        elif left.type == SIZE and right.type == INT:
            advice = f"write a size, such as `{right.span.text}B` or `{right.span.text}K`"
        elif left.type == SIZE and right.type == PERCENT:
            advice = "take a share of a size with arithmetic: `memory.max / 100 * 80`"
        self.diagnostics.add(
            "PC0301",
            f"`{node.operator}` cannot take {with_article(left.type)} "
            f"and {with_article(right.type)}",
            node.operator_span if node.operator != "|" else node.span,
            "these two do not fit together",
            related=(
                Label(left.span, f"this is of type {left.type}"),
                Label(right.span, f"this is of type {right.type}"),
            ),
            help=advice,
        )

    def _binary(self, node: t.BinaryExpr, want: Type | None) -> Typed | None:
        if node.operator == "|":
            left, right = self.orders(node.left), self.orders(node.right)
            return left and right and self._set_operation(node, left, right)
        pair = self.pair(node.left, node.right, want if want in (ORDERS, SIZE) else None)
        if pair is None:
            return None
        left, right = pair
        if node.operator == "-" and left.type == ORDERS and right.type == ORDERS:
            return self._set_operation(node, left, right)
        return self._arithmetic(node, left, right)

    def _set_operation(self, node: t.BinaryExpr, left: Typed, right: Typed) -> Typed:
        expr: n.Expr
        if isinstance(left.expr, n.Const) and isinstance(right.expr, n.Const):
            a, b = int(left.expr.value), int(right.expr.value)
            expr = n.Const(ORDERS, a | b if node.operator == "|" else a & ~b)
        elif node.operator == "|":
            expr = n.Union(left.expr, right.expr)
        else:
            expr = n.Difference(left.expr, right.expr)
        return Typed(expr, ORDERS, node.span, left.optional or right.optional)

    def _arithmetic(self, node: t.BinaryExpr, left: Typed, right: Typed) -> Typed | None:
        result = arithmetic_type(node.operator, left.type, right.type)
        if result is None:
            kinds = {left.type.kind, right.type.kind}
            if kinds <= WITH_UNIT:
                self.mismatch(node, left, right)
            else:
                odd = left if left.type.kind not in WITH_UNIT else right
                self.diagnostics.add(
                    "PC0303",
                    f"`{node.operator}` does not work on {with_article(odd.type)}",
                    odd.span,
                    f"of type {odd.type}",
                    help="arithmetic is for int, size and duration"
                    + ("; `-` is also for two order sets" if node.operator == "-" else ""),
                )
            return None
        operator = n.ArithmeticOperator(node.operator)
        if isinstance(right.expr, n.Const):
            if right.expr.value == 0 and node.operator in "/%":
                self.diagnostics.add(
                    "PC0409",
                    f"`{node.operator}` by zero",
                    node.operator_span.to(right.span),
                    help="at run time this would give 0, which is hardly meant",
                )
                return None
            if isinstance(left.expr, n.Const):
                value = saturating(operator, int(left.expr.value), int(right.expr.value))
                return Typed(n.Const(result, value), result, node.span)
        return Typed(
            n.Arithmetic(result, operator, left.expr, right.expr),
            result,
            node.span,
            left.optional or right.optional,
        )

    def _logical(
        self, operator: str, nodes: tuple[t.Expr, ...], node: t.LogicalExpr
    ) -> Typed | None:
        items = [self.condition(item) for item in nodes]
        exprs = tuple(item.expr for item in items if item is not None)
        if len(exprs) != len(items):
            return None
        if operator == "implies":
            premise = n.Not(exprs[0])
            self._spans[id(premise)] = (premise, nodes[0].span)
            return Typed(n.Or((premise, exprs[1])), BOOL, node.span)
        return Typed(n.And(exprs) if operator == "and" else n.Or(exprs), BOOL, node.span)

    def _has(self, node: t.HasExpr) -> Typed | None:
        inner = self.check(node.item)
        if inner is None:
            return None
        if not isinstance(inner.expr, n.Attribute | n.Local | n.Arithmetic):
            self.diagnostics.add(
                "PC0310",
                f"`{node.item.text}` is always there",
                node.item.span,
                help="`has` is for attributes, such as `has cgroup`, and lets over them",
            )
            return None
        return Typed(n.Has(inner.expr), BOOL, node.span)
