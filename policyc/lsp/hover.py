"""What there is to say about the word under the cursor."""

from __future__ import annotations

from lsprotocol import types

from policyc.emit.layout import is_pressure, pressure_text
from policyc.hooks.loader import attributes, enumerations, host_rows, profiles, profiles_with
from policyc.hooks.model import AttributeRow, HostRow
from policyc.lsp.analysis import Analysis
from policyc.lsp.orders import orders_around, spelled
from policyc.lsp.outline import Declaration, Role
from policyc.lsp.scan import Token, TokenKind
from policyc.plan import nodes as n
from policyc.plan.types import BOOL, ORDERS, SIZE, Kind, Type

__all__ = ["WORDS", "declaration_text", "hover"]

#: What the words of the language do, in a line.
WORDS = {
    "policy": "names the policy",
    "set": "a set of cgroups or task names that can be edited while the policy runs",
    "param": "a value that can be changed while the policy runs, within its range",
    "let": "a name for an expression",
    "combine": "how the decisions of nested scopes become one",
    "meet": "every scope must agree: the orders that all of them allow",
    "nearest": "the innermost scope that has an opinion decides",
    "outermost": "the outermost scope that has an opinion decides",
    "host": "settings of the machine that the policy needs",
    "thp": "which page orders an allocation may use",
    "numa": "whether a task is NUMA balanced",
    "allow": "the requested orders that are also in this set, and no others",
    "deny": "no order at all, which means base pages; the same as `allow none`",
    "pass": "no opinion: another scope may have one",
    "balance": "NUMA balancing is on for the task",
    "off": "NUMA balancing is off for the task",
    "otherwise": "the answer where no rule above holds; required, and last",
    "when": "the rule decides where this condition holds, if no rule above it does",
    "rollout": "the block has an opinion in this share of the cgroups only",
    "hot_threshold": "pages touched again within this time are hot (needs memory tiering)",
    "has": "whether the value is there; comparisons with an absent value are false",
    "highest": "the size of the largest page of an order set",
    "under": "the cgroup or one of its ancestors",
    "in": "membership; of order sets, whether all of the left one are in the right one",
    "overlaps": "whether two order sets have an order in common",
    "is": "the same as `==`, for values that have names",
    "order": "the pages of this order: page size times two to its power",
    "all": "every order",
    "none": "no order, or no advice",
    "pmd": "the order of a PMD page",
    "import": "the definitions of another file",
    "test": "requests, and what is expected of the policy for them",
    "property": "what must hold for every request",
    "given": "the attributes of a request; those not named are absent or zero",
    "expect": "the decision that the request must get",
    "implies": "the right side holds wherever the left one does",
    "result": "what the policy decided",
}


def hover(document: Analysis, offset: int) -> types.Hover | None:
    """A few lines of Markdown about a place, None where there is nothing to say."""
    place = document.index_at(offset)
    if place is None:
        return None
    token = document.tokens[place]
    text = _text(document, place, token)
    if not text:
        return None
    content = types.MarkupContent(types.MarkupKind.Markdown, text)
    return types.Hover(content, document.lines.range(token.start, token.end))


def _text(document: Analysis, place: int, token: Token) -> str:
    if token.kind is TokenKind.NAME:
        return _word(document, token)
    if token.kind is TokenKind.NUMBER or token.text in ("..", "|"):
        return orders_around(document, place)
    return ""


def _word(document: Analysis, token: Token) -> str:
    match document.role_of(token):
        case Role.SETTING:
            rows = [
                host_rows()[key] for key in (token.text, token.text + "[]") if key in host_rows()
            ]
            return "\n\n---\n\n".join(map(_setting, rows))
        case Role.USE:
            return _use(document, token)
        case Role.DECLARATION:
            declaration = document.outline.declared(token.text)
            return declaration_text(document, declaration) if declaration else ""
        case Role.HOOK:
            names = [f"`{p.name}`" for p in profiles().values() if p.answers(token.text)]
            return f"**{token.text}**: {WORDS.get(token.text, '')}\n\nprofiles: {', '.join(names)}"
        case Role.KEYWORD | Role.COMBINATION:
            return f"**{token.text}**: {WORDS[token.text]}" if token.text in WORDS else ""
        case Role.LABEL:
            return "a rule's label, by which counters and reports name it"
        case Role.POLICY | Role.TYPE | Role.VALUE | Role.OTHER:
            return ""


def _use(document: Analysis, token: Token) -> str:
    declaration = document.outline.declared(token.text)
    if declaration is not None:
        return declaration_text(document, declaration)
    row = attributes().get(token.text)
    if row is not None:
        return _attribute(row)
    members = [
        f"**{token.text}**: a value of `{table.name}` ({table.meaning})"
        + (f"; `{member.c}` of `{table.c}`" if member.c else "")
        for table in enumerations().values()
        for member in table.members
        if member.name == token.text
    ]
    if token.text in WORDS:
        members.insert(0, f"**{token.text}**: {WORDS[token.text]}")
    return "\n\n".join(members)


def _attribute(row: AttributeRow) -> str:
    parts = [f"**{row.name}**: {row.type}", row.meaning]
    if row.absent:
        parts.append(f"absent if {row.absent}")
    if row.type.kind is Kind.ENUM:
        names = [f"`{member.name}`" for member in enumerations()[row.type.enum].members]
        parts.append("values: " + ", ".join(names))
    for hook in sorted(row.hooks, reverse=True):
        names = [f"`{name}`" for name in profiles_with(row, hook)]
        parts.append(f"{hook}: {', '.join(names) or 'no profile supplies it'}")
    if row.c:
        text = pressure_text(row.name, row.c) if is_pressure(row.name) else row.c
        parts.append(f"```c\n{text}\n```")
    elif row.derived:
        parts.append(f"`{' - '.join(row.derived)}`")
    return "\n\n".join(parts)


def _setting(row: HostRow) -> str:
    values = ", ".join(f"`{value}`" for value in row.values)
    if row.type == BOOL:
        values = "`on`, `off`"
    name = row.name.replace("[]", "[SIZE]")
    parts = [f"**{name}**: {row.meaning}", f"values: {values}" if values else str(row.type)]
    return "\n\n".join([*parts, f"`{row.path}`"])


def declaration_text(document: Analysis, declaration: Declaration) -> str:
    """What a name stands for, in Markdown."""
    statement = declaration.statement
    text = document.text[statement.tokens[0].start : statement.end]
    parts = [f"```policyc\n{text}\n```"]
    if declaration.kind == "let":
        parts.append(_let(document, declaration.name.text))
    return "\n\n".join(part for part in parts if part)


def _let(document: Analysis, name: str) -> str:
    """The type of a let and, if it is a fixed order set, its sizes; from the last good plan."""
    plan = document.checked.plan if document.checked is not None else None
    expr = next((item.expr for item in plan.locals if item.name == name), None) if plan else None
    if expr is None:
        return ""
    if isinstance(expr, n.Const) and expr.type == ORDERS and isinstance(expr.value, int):
        return f"orders: {spelled(expr.value, document.target)}"
    return f"of type {_type(expr)}"


def _type(expr: n.Expr) -> Type:
    match expr:
        case n.Const() | n.Attribute() | n.Param() | n.Local() | n.Arithmetic():
            return expr.type
        case n.Union() | n.Difference():
            return ORDERS
        case n.Highest():
            return SIZE
        case _:
            return BOOL
