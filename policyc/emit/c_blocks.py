"""Prints the blocks of a hook as C functions: the rules in order, each value read when needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from policyc.emit.c_expressions import Need, Printed, Printer, Text, all_of
from policyc.emit.c_tables import TableText, answer_texts, table_name, table_text
from policyc.emit.c_text import comment
from policyc.hooks.loader import attributes
from policyc.plan import nodes as n
from policyc.plan.passes.tables import Table
from policyc.plan.types import BOOL, Kind

__all__ = ["BlockText", "block_text", "c_type"]

_MAX_LINE = 96


@dataclass(frozen=True, slots=True)
class BlockText:
    """The body of a block's function and what it needs from the rest of the file.

    `scope` is the bit of a path or None; `finds_paths` says that the body looks for paths.
    `steps` are the rules and tables that it asks one after the other.
    """

    index: int
    line: int
    scope: int | None
    body: tuple[str, ...]
    needs: frozenset[Need]
    finds_paths: bool
    tables: tuple[TableText, ...]
    steps: int


@dataclass(slots=True)
class _Writer:
    """Lines of one block, and the variables that are already there."""

    plan: n.Plan
    hook: n.HookName
    printer: Printer
    paths_known: bool
    lines: list[str] = field(default_factory=list[str])
    declared: set[Need] = field(default_factory=set[Need])
    needs: set[Need] = field(default_factory=set[Need])
    finds_paths: bool = False

    def inner(self) -> _Writer:
        """A writer of lines that only some requests get to."""
        return _Writer(
            self.plan,
            self.hook,
            self.printer,
            self.paths_known,
            declared=set(self.declared),
            needs=self.needs,
        )

    def provide(self, printed: Printed, text: str) -> None:
        """Declare what a text needs and is not there yet."""
        for need in printed.needs:
            self._provide_one(need, text)

    def _provide_one(self, need: Need, text: str) -> None:
        self.needs.add(need)
        if need in self.declared:
            return
        match need.kind:
            case "attribute":
                row = attributes()[need.name]
                if _mentions(text, row.field) or _mentions(text, f"has_{row.field}"):
                    self.declared.add(need)
                    self.lines += _attribute_lines(self.hook, need.name)
            case "param":
                if _mentions(text, f"param_{need.name}"):
                    self.declared.add(need)
                    self.lines.append(f"u64 param_{need.name} = params.param_{need.name};")
            case "let":
                if _mentions(text, f"let_{need.name}") or _mentions(text, f"has_let_{need.name}"):
                    self.declared.add(need)
                    self._let(need.name)
            case "paths":
                if not self.paths_known and "(paths," in text:
                    self.declared.add(need)
                    self.finds_paths = True
                    self.lines.append(f"{self.hook}_find_paths(request, paths);")
            case _:
                pass

    def _let(self, name: str) -> None:
        definition = next(item for item in self.plan.locals if item.name == name)
        printed = self.printer.print(definition.expr)
        text = " ".join([*printed.present, printed.value.text])
        self.provide(printed, text)
        self.lines.append(f"/* {comment(self.plan.file)}:{definition.line}: let {comment(name)} */")
        self.lines += wrapped(
            f"{_let_type(printed, definition.expr)} let_{name} = {printed.value.text};"
        )
        if printed.present:
            self.lines += wrapped(f"bool has_let_{name} = {' && '.join(printed.present)};")


def _let_type(printed: Printed, expr: n.Expr) -> str:
    match expr:
        case n.Arithmetic() | n.Union() | n.Difference() | n.Highest():
            return "u64"
        case n.Const(type, _) | n.Attribute(type, _) | n.Param(type, _) | n.Local(type, _):
            return c_type(type.kind)
        case _:
            return "bool"


def c_type(kind: Kind) -> str:
    """The C type of a variable that holds a value of that kind."""
    match kind:
        case Kind.BOOL:
            return "bool"
        case Kind.STRING:
            return "struct comm"
        case _:
            return "u64"


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _attribute_lines(hook: n.HookName, name: str) -> list[str]:
    row = attributes()[name]
    kind = c_type(row.type.kind)
    if not row.absent:
        return [f"{kind} {row.field} = {hook}_read_{row.field}(request);"]
    zero = "{}" if kind.startswith("struct") else "0"
    return [
        f"{kind} {row.field} = {zero};",
        f"bool has_{row.field} = {hook}_read_{row.field}(request, &{row.field});",
    ]


def wrapped(line: str) -> list[str]:
    """A long line broken at its `&&` and `||` operators."""
    if len(line) <= _MAX_LINE:
        return [line]
    lines, current = list[str](), ""
    for part in re.split(r"(?<=&&) |(?<=\|\|) ", line):
        if current and len(current) + len(part) + 1 > _MAX_LINE:
            lines.append(current)
            current = "    " + part
        else:
            current = f"{current} {part}" if current else part
    return [*lines, current]


def block_text(
    plan: n.Plan,
    hook: n.HookName,
    block: n.Block,
    printer: Printer,
    *,
    scope: int | None,
    tables: dict[int, Table],
    paths_known: bool,
) -> BlockText:
    """The function of one block; its scope is tested by the caller.

    `scope` is the bit of its path; `tables` are by the place of their first rule.
    """
    writer = _Writer(plan, hook, printer, paths_known)
    if block.rollout is not None:
        _rollout(writer, block.rollout)
    place = steps = 0
    while place < len(block.rules):
        steps += 1
        table = tables.get(place)
        if table is not None:
            _table(writer, block, table)
            place = table.run.stop
            continue
        _rule(writer, block, block.rules[place])
        if block.rules[place].condition is None:
            break
        place += 1
    return BlockText(
        block.index,
        block.line,
        scope,
        tuple(writer.lines),
        _needs_of(writer),
        writer.finds_paths,
        tuple(table_text(plan, table) for table in tables.values()),
        steps,
    )


def _needs_of(writer: _Writer) -> frozenset[Need]:
    """The needs that are left once constant conditions have been folded away."""
    code = "\n".join(line for line in writer.lines if not line.lstrip().startswith("/*"))
    names = set(re.findall(r"\w+", code))
    kept = {need for need in writer.needs if _name_in_c(writer.hook, need) in names}
    for function, calls in (("size_of_highest", "highest_order"), ("under_set", "in_set")):
        if Need("function", function) in kept:
            kept.add(Need("function", calls))
    return frozenset(kept)


def _name_in_c(hook: n.HookName, need: Need) -> str:
    match need.kind:
        case "attribute":
            return f"{hook}_read_{attributes()[need.name].field}"
        case "param":
            return f"param_{need.name}"
        case "let":
            return f"let_{need.name}"
        case "paths":
            return "paths"
        case "function" if need.name in ("under_set", "find_rule"):
            return f"{hook}_{need.name}"
        case _:
            return need.name


def _rollout(writer: _Writer, rollout: n.Expr) -> None:
    share = writer.printer.print(rollout)
    test = f"!has_cgroup || cgroup_mix(cgroup) % 10000 >= {share.value.atom}"
    cgroup = Need("attribute", "cgroup")
    needs = (cgroup, *share.needs, Need("function", "cgroup_mix"))
    writer.provide(Printed(share.value, (), needs), test)
    writer.lines += ["/* rollout */", f"if ({test})", "    return NO_RULE;"]


def _rule(writer: _Writer, block: n.Block, rule: n.Rule) -> None:
    outcome, action = _action(writer, block, rule)
    if rule.condition is None:
        writer.provide(action, outcome)
        _explain(writer, rule)
        writer.lines.append(outcome)
        return
    printed = writer.printer.print(rule.condition)
    condition = printed.condition.text
    writer.provide(printed, condition)
    inner = writer.inner()
    inner.provide(action, outcome)
    _explain(writer, rule)
    writer.lines += wrapped(f"if ({condition})" + (" {" if inner.lines else ""))
    writer.lines += [f"    {line}" for line in [*inner.lines, outcome]]
    if inner.lines:
        writer.lines.append("}")
    writer.finds_paths |= inner.finds_paths


def _table(writer: _Writer, block: n.Block, table: Table) -> None:
    run, first = table.run, table.first
    cgroup = writer.printer.print(run.cgroup)
    rest = writer.printer.print(n.And(run.rest))
    condition = all_of([*map(Text, cgroup.present), rest.condition])
    needs = (*cgroup.needs, *rest.needs, Need("function", "find_rule"))
    writer.provide(Printed(condition, (), needs), condition.text)
    lines = f"{run.rules[0].line} to {run.rules[-1].line}"
    writer.lines.append(f"/* {comment(writer.plan.file)}:{lines}: rules in {table_name(table)} */")
    inner = writer.inner()
    answer = _table_answer(inner, block, table)
    inner.lines.insert(
        0,
        f"u32 place = {writer.hook}_find_rule(request, &{table_name(table)})"
        + (f" - {first};" if first else ";"),
    )
    inner.lines += [f"if (place < {len(run.rules)}) {{", *(f"    {line}" for line in answer), "}"]
    writer.lines += wrapped(f"if ({condition.text}) {{")
    writer.lines += [*(f"    {line}" for line in inner.lines), "}"]
    writer.finds_paths |= inner.finds_paths


def _table_answer(writer: _Writer, block: n.Block, table: Table) -> list[str]:
    """The statements that end the block with the rule at `place` of a table."""
    texts, number = answer_texts(table), f"place + {table.first + 1}"
    if texts["passes"] == "true":
        return [f"return {number};"]
    lines = [f"if ({texts['passes']})", f"    return {number};"]
    lines = [] if texts["passes"] == "false" else lines
    if writer.hook is n.HookName.THP:
        requested = Need("attribute", "orders")
        writer.provide(Printed(Text("orders"), (), (requested,)), "orders")
        return [*lines, f"return thp_answer(opinion, orders & {texts['orders']}, {number});"]
    value = _threshold(writer, block)
    return [*lines, f"return numa_answer(opinion, {texts['on']}, {value}, {number});"]


def _threshold(writer: _Writer, block: n.Block) -> str:
    if block.hot_threshold is None:
        return "NO_THRESHOLD"
    printed = writer.printer.print(block.hot_threshold)
    writer.provide(printed, printed.value.text)
    return printed.value.text


def _explain(writer: _Writer, rule: n.Rule) -> None:
    writer.lines.append(f"/* {comment(writer.plan.file)}:{rule.line}: {comment(rule.text)} */")


def _action(writer: _Writer, block: n.Block, rule: n.Rule) -> tuple[str, Printed]:
    """The statement that ends the block, and what it needs."""
    number = rule.index + 1
    match rule.action:
        case n.Pass():
            return f"return {number};", writer.printer.print(n.Const(BOOL, True))
        case n.Balance(on):
            threshold = block.hot_threshold
            printed = writer.printer.print(threshold or n.Const(BOOL, True))
            value = printed.value.text if threshold else "NO_THRESHOLD"
            on_text = "true" if on else "false"
            return f"return numa_answer(opinion, {on_text}, {value}, {number});", printed
        case n.Allow(orders):
            printed = writer.printer.print(orders)
            requested = Need("attribute", "orders")
            text = _allowed(orders, printed)
            whole = Printed(printed.value, (), (requested, *printed.needs))
            return f"return thp_answer(opinion, {text}, {number});", whole


def _allowed(orders: n.Expr, printed: Printed) -> str:
    match orders:
        case n.Const(_, n.ALL_ORDERS) | n.Attribute(_, "orders"):
            return "orders"
        case n.Const(_, 0):
            return "0"
        case _:
            value = f"orders & {printed.value.atom}"
            if printed.present:
                value = f"{' && '.join(printed.present)} ? {value} : 0"
            return value
