"""Sets, parameters and lets: names, types, ranges, and the order that lets are checked in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from policyc.check.expressions import BUILTINS, Expressions
from policyc.check.literals import cgroup_path, suggest, task_name
from policyc.check.model import AttributeUse, Declarations, Typed
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.types import BOOL, CGROUP, DURATION, INT, PERCENT, SIZE, STRING, U64_MAX, Type
from policyc.source import Source, Span
from policyc.syntax import tree as t
from policyc.syntax.build import MAX_NESTING

__all__ = [
    "KEYWORDS",
    "check_constant",
    "check_declarations",
    "check_name",
    "is_reserved",
    "let_order",
    "member_of",
    "report_unused",
    "report_unused_imports",
    "set_definitions",
]

KEYWORDS = frozenset(
    {
        "policy",
        "set",
        "param",
        "let",
        "combine",
        "by",
        "host",
        "thp",
        "numa",
        "for",
        "cgroup",
        "rollout",
        "hot_threshold",
        "when",
        "otherwise",
        "allow",
        "deny",
        "pass",
        "balance",
        "off",
        "not",
        "and",
        "or",
        "in",
        "is",
        "under",
        "overlaps",
        "has",
        "highest",
        "order",
        "import",
        "as",
        "test",
        "property",
        "given",
        "expect",
        "implies",
        "result",
        "on",
    }
)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?![\w.])")
_MAX_NAME = 64

_PARAM_TYPES = {
    "bool": BOOL,
    "int": INT,
    "size": SIZE,
    "duration": DURATION,
    "percent": PERCENT,
}
_SET_TYPES = {"cgroup": CGROUP, "string": STRING}


def check_declarations(file: t.PolicyFile, declarations: Declarations) -> Expressions:
    """Fill the declarations from the file; every mistake in them is reported."""
    _collect(file, declarations)
    for item in declarations.sets.values():
        set_type = _type(item.type, _SET_TYPES, "set", declarations.diagnostics)
        if set_type is not None:
            declarations.set_types[item.name.text] = set_type
    for item in declarations.params.values():
        line = declarations.line(item.name)
        declarations.checked_params[item.name.text] = _param(item, line, declarations.diagnostics)
    expressions = Expressions(declarations)
    for name in let_order(declarations):
        _let(name, declarations, expressions)
    return expressions


def check_name(name: t.Name, what: str, diagnostics: Diagnostics) -> bool:
    """Whether something may be called that; PC0203 if not."""
    reason = ""
    if not _PLAIN_NAME.match(name.text):
        reason = "names of your own have no dots"
    elif name.text in KEYWORDS | BUILTINS:
        reason = "it is a word of the language"
    elif name.text in attributes():
        reason = "it is an attribute"
    elif name.text in _enumerators():
        reason = f"it is a value of {_enumerators()[name.text]}"
    elif len(name.text) > _MAX_NAME:
        reason = f"it is longer than {_MAX_NAME} characters"
    if reason:
        article = "an" if what == "import" else "a"
        diagnostics.add(
            "PC0203",
            f"{article} {what} cannot be called `{name.text[:_MAX_NAME]}`: {reason}",
            name.span,
            help="choose another name",
        )
    return not reason


def is_reserved(name: str) -> bool:
    """Whether a name means something already."""
    return name in KEYWORDS or name in BUILTINS or name in attributes() or name in _enumerators()


@cache
def _enumerators() -> dict[str, str]:
    return {m.name: table.name for table in enumerations().values() for m in table.members}


def _collect(file: t.PolicyFile, declarations: Declarations) -> None:
    first: dict[str, Span] = {}
    for item in file.items:
        match item:
            case t.SetItem(name):
                what, table = "set", declarations.sets
            case t.ParamItem(name):
                what, table = "parameter", declarations.params
            case t.LetItem(name):
                what, table = "let", declarations.lets
            case _:
                continue
        if not check_name(name, what, declarations.diagnostics):
            declarations.broken.add(name.text)
            continue
        if name.text in first:
            declarations.diagnostics.add(
                "PC0202",
                f"`{name.text}` is declared twice",
                name.span,
                "declared again here",
                related=(Label(first[name.text], "first declared here"),),
                help="rename one of them",
            )
            continue
        first[name.text] = name.span
        table[name.text] = item  # pyright: ignore[reportArgumentType]


def _type(name: t.Name, types: dict[str, Type], what: str, diagnostics: Diagnostics) -> Type | None:
    if name.text not in types:
        diagnostics.add(
            "PC0208",
            f"there is no {what} of type `{name.text}`",
            name.span,
            help=suggest(name.text, types),
        )
    return types.get(name.text)


# -- parameters


def _param(item: t.ParamItem, line: int, diagnostics: Diagnostics) -> n.ParamDefinition | None:
    param_type = _type(item.type, _PARAM_TYPES, "parameter", diagnostics)
    if param_type is None:
        return None
    default = check_constant(item.default, param_type, diagnostics)
    low, high = (0, 1 if param_type == BOOL else 10_000 if param_type == PERCENT else U64_MAX)
    if item.range is not None:
        bounds = [check_constant(end, param_type, diagnostics) for end in item.range]
        if bounds[0] is None or bounds[1] is None:
            return None
        low, high = bounds[0], bounds[1]
        if low > high:
            diagnostics.add(
                "PC0404",
                f"the range of `{item.name.text}` is empty",
                item.range[0].span.to(item.range[1].span),
                help=f"write {item.range[1].span.text}..{item.range[0].span.text}",
            )
            return None
    if default is None:
        return None
    if not low <= default <= high:
        diagnostics.add(
            "PC0405",
            f"the default of `{item.name.text}` is outside its range",
            item.default.span,
            "this is outside",
            related=(Label(item.range[0].span.to(item.range[1].span), "the range"),)
            if item.range
            else (),
            help="widen the range or change the default",
        )
        return None
    return n.ParamDefinition(item.name.text, param_type, default, low, high, line)


def check_constant(
    node: t.Literal | t.NameExpr, wanted: Type, diagnostics: Diagnostics
) -> int | None:
    """The value of a parameter, None (reported) if it has another type."""
    found: tuple[Type, int] | None = None
    match node:
        case t.IntegerLiteral(value):
            found = (INT, value)
        case t.SizeLiteral(value):
            found = (SIZE, value)
        case t.DurationLiteral(value):
            found = (DURATION, value)
        case t.PercentLiteral(value):
            found = (PERCENT, value)
        case t.NameExpr("true" | "false" as word):
            found = (BOOL, int(word == "true"))
        case t.NameExpr() | t.StringLiteral():
            pass
    if found is None or found[0] != wanted:
        what = f"of type {found[0]}" if found else "not a constant of that type"
        examples = {
            BOOL: "`true` or `false`, and no range",
            INT: "`3`",
            SIZE: "`8M`",
            DURATION: "`200ms`",
            PERCENT: "`10%`",
        }
        diagnostics.add(
            "PC0307",
            f"the parameter is of type {wanted}, and this is {what}",
            node.span,
            what,
            help=f"write for example {examples[wanted]}",
        )
        return None
    return found[1]


# -- sets


def set_definitions(declarations: Declarations) -> tuple[n.SetDefinition, ...]:
    """The sets with their first members; wrong and repeated members are reported."""
    definitions: list[n.SetDefinition] = []
    for name, item in declarations.sets.items():
        set_type = declarations.set_types.get(name)
        if set_type is None:
            continue
        members: dict[bytes | str, Span] = {}
        for member in item.members:
            value = member_of(set_type, member, declarations.diagnostics)
            if value is None:
                continue
            if value in members:
                declarations.diagnostics.add(
                    "PC0412",
                    f"{member.span.text} is listed twice",
                    member.span,
                    related=(Label(members[value], "listed here first"),),
                    help="leave one of them out",
                )
            members.setdefault(value, member.span)
        line = declarations.line(item.name)
        definitions.append(n.SetDefinition(name, set_type, tuple(members), line))
    return tuple(definitions)


def member_of(
    set_type: Type, member: t.StringLiteral, diagnostics: Diagnostics
) -> bytes | str | None:
    """A member of a set, None (reported) if it cannot be one."""
    if set_type == CGROUP:
        return cgroup_path(member, diagnostics)
    return task_name(member, diagnostics)


# -- lets


def let_order(declarations: Declarations) -> list[str]:
    """The lets so that each comes after those it refers to; cycles are reported and left out."""
    order: list[str] = []
    state: dict[str, bool] = {}
    for root in declarations.lets:
        stack: list[tuple[str, list[t.NameExpr]]] = []
        if root not in state:
            state[root] = False
            stack.append((root, _let_references(root, declarations)))
        while stack:
            name, pending = stack[-1]
            if not pending:
                stack.pop()
                if not state[name]:
                    state[name] = True
                    order.append(name)
                continue
            reference = pending.pop()
            if reference.text not in state:
                state[reference.text] = False
                stack.append((reference.text, _let_references(reference.text, declarations)))
            elif not state[reference.text]:
                _report_cycle(name, reference, declarations)
    return [name for name in order if name not in declarations.checked_lets]


def _report_cycle(name: str, reference: t.NameExpr, declarations: Declarations) -> None:
    if name in declarations.checked_lets:
        return
    target = declarations.lets[reference.text]
    declarations.diagnostics.add(
        "PC0204",
        f"`{name}` needs `{reference.text}`, which needs `{name}`"
        if name != reference.text
        else f"`{name}` is defined by itself",
        reference.span,
        "this closes the circle",
        related=(Label(target.name.span, f"`{reference.text}` is declared here"),),
        help="a let stands for an expression over attributes, parameters and other lets",
    )
    declarations.checked_lets[name] = None


def _let_references(name: str, declarations: Declarations) -> list[t.NameExpr]:
    found: list[t.NameExpr] = []
    stack: list[t.Expr | None] = [declarations.lets[name].expr]
    while stack:
        node = stack.pop()
        match node:
            case t.NameExpr(text, _) if text in declarations.lets:
                found.append(node)
            case t.BinaryExpr(_, left, right) | t.ComparisonExpr(_, left, right):
                stack.extend((left, right))
            case t.LogicalExpr(_, items) | t.ListExpr(items):
                stack.extend(items)
            case t.NotExpr(item) | t.HasExpr(item) | t.HighestExpr(item):
                stack.append(item)
            case t.RangeExpr(low, high):
                stack.extend((low, high))
            case _:
                pass
    return found


def _let(name: str, declarations: Declarations, expressions: Expressions) -> None:
    item = declarations.lets[name]
    used = declarations.used
    if name in declarations.imported:
        declarations.used = declarations.let_needs[name] = set()
    checked = expressions.check(item.expr)
    declarations.used = used
    declarations.checked_lets[name] = checked
    declarations.let_uses[name] = _flat(expressions.uses)
    expressions.uses = []
    if checked is not None:
        _check_depth(name, checked, declarations)


def _flat(uses: list[AttributeUse]) -> tuple[AttributeUse, ...]:
    """One use per attribute, so that chains of lets stay small."""
    return tuple({use.row.name: AttributeUse(use.row, use.span) for use in uses}.values())


def _check_depth(name: str, checked: Typed, declarations: Declarations) -> None:
    """Lets that refer to lets nest too; the executors evaluate them recursively."""
    below = max(
        (declarations.let_depths.get(r.text, 0) for r in _let_references(name, declarations)),
        default=0,
    )
    depth = below + 1 + declarations.lets[name].expr.depth
    declarations.let_depths[name] = depth
    if depth > MAX_NESTING:
        if below <= MAX_NESTING:
            declarations.diagnostics.add(
                "PC0106",
                f"lets and what they refer to are nested more than {MAX_NESTING} levels deep",
                checked.span,
                "this is too deep",
                help="shorten the chain",
            )
        declarations.checked_lets[name] = None


def report_unused(declarations: Declarations, source: Source) -> None:
    """Names that nothing refers to.

    A name that is only in a part that could not be checked, or misspelt there, is used.
    """
    if any(item.code == "PC0201" for item in declarations.diagnostics.items):
        return
    has_errors = declarations.diagnostics.has_errors
    words = Counter(_WORD.findall(source.text)) if has_errors else Counter[str]()
    tables = (
        ("PC0210", "set", declarations.sets),
        ("PC0211", "parameter", declarations.params),
        ("PC0212", "let", declarations.lets),
    )
    for code, what, table in tables:
        for name, item in table.items():
            if name in declarations.imported:
                continue
            if name not in declarations.used and words[name] <= 1:
                declarations.diagnostics.add(
                    code,
                    f"the {what} `{name}` is never used",
                    item.name.span,
                    help="use it or remove it",
                )


def report_unused_imports(
    brought: Iterable[tuple[Span, tuple[str, ...]]], declarations: Declarations
) -> None:
    """Imports, and names listed in them, that nothing refers to; not while names are wrong."""
    if declarations.diagnostics.has_errors:
        return
    for span, names in brought:
        if declarations.used.isdisjoint(names):
            declarations.diagnostics.add(
                "PC0217",
                f"nothing that {span.text} stands for is ever used",
                span,
                help="use it or remove it",
            )
