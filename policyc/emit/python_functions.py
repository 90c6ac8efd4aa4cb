"""Writes the decision functions: one block after the other, one `if` for each rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from policyc.emit.python_expressions import ExpressionPrinter, Precedence, Printed, constant
from policyc.emit.python_names import CGROUP, CGROUP_ID, LINEAGE, Names, Operand, operands
from policyc.plan import nodes as n
from policyc.plan.passes.tables import Table, TablePlan
from policyc.plan.types import Kind

__all__ = ["blocks_function", "orders_function", "table_definition"]

_INDENT = "    "


@dataclass(frozen=True, slots=True)
class _Exits:
    """How a function leaves a block: the statements for a rule that applies, and for none.

    For a rule of a table, `rule` is its index and `answer` what it answers, None if it passes.
    """

    rule: Callable[[n.Block, n.Rule], list[str]]
    table: Callable[[n.Block, Table], list[str]]
    outside: str


@dataclass(slots=True)
class _Function:
    """The text of one function while it is written.

    `blocks` are in the order in which the function asks them; `always` are operands that
    it uses besides the blocks.
    """

    plan: n.Plan
    tables: TablePlan
    hook: n.HookPlan
    blocks: tuple[n.Block, ...]
    always: tuple[Operand, ...]
    lines: list[str] = field(default_factory=list[str])
    names: Names = field(init=False)
    printer: ExpressionPrinter = field(init=False)
    _depth: int = 1
    _shared: frozenset[Operand] = field(init=False)
    _assigned: set[Operand] = field(default_factory=set[Operand])

    def __post_init__(self) -> None:
        per_block = [self._uses(self._block_operands(block)) for block in self.blocks]
        blocks_with = Counter(operand for uses in per_block for operand in set(uses))
        self._shared = frozenset(operand for operand, count in blocks_with.items() if count > 1)
        direct = [operand for block in self.blocks for operand in self._block_operands(block)]
        self.names = Names(self.plan, self.hook.hook, [*self._uses(direct), *self.always])
        self.printer = ExpressionPrinter(self.plan, self.names, self.line)

    def _uses(self, direct: Iterable[Operand]) -> list[Operand]:
        """The operands and those of the definitions that they need, each definition once."""
        uses = list(direct)
        needed = {operand.name for operand in uses if operand.kind == "local"}
        for definition in reversed(self.plan.locals) if needed else ():
            if definition.name in needed:
                inner = list(operands(definition.expr))
                uses += inner
                needed |= {operand.name for operand in inner if operand.kind == "local"}
        if LINEAGE in uses:
            uses.append(CGROUP)
        return uses

    def line(self, text: str) -> None:
        """Add a statement at the present depth."""
        self.lines.append(_INDENT * self._depth + text)

    def assign(self, needed: Iterable[Operand]) -> None:
        """Assign the local variables among some operands that are not assigned yet."""
        missing = {
            operand
            for operand in self._uses(needed)
            if self.names.is_held(operand) and operand not in self._assigned
        }
        definitions = {definition.name: definition.expr for definition in self.plan.locals}
        for operand in sorted(missing, key=self.names.rank):
            if operand.kind == "local":
                printed = self.printer.value(definitions[operand.name])
                self.printer.local_absent[operand.name] = printed.absent
                text = printed.text
            else:
                text = self.names.source(operand)
            self.line(f"{self.names.variable(operand)} = {text}")
        self._assigned |= missing

    def block(self, block: n.Block, exits: _Exits, *, last: bool) -> None:
        """Write a block; one that is not the last stands in a loop so that `break` leaves it.

        What several blocks need is assigned in front of it, where the later ones find it too;
        anything else may be assigned on one of the ways through the block only.
        """
        uses = self._block_operands(block)
        self.assign(operand for operand in self._uses(uses) if operand in self._shared)
        if not last:
            self.line(f"while True:  # block {block.index}, line {block.line}")
            self._depth += 1
        self._guards(block, exits.outside)
        for step in self._steps(block):
            if isinstance(step, Table):
                self._table(block, step, exits)
            else:
                self._rule(block, step, exits)
        if not last:
            self._depth -= 1

    def _steps(self, block: n.Block) -> Iterator[n.Rule | Table]:
        """The rules that are asked one after the other, and the tables in place of others."""
        tables = self.tables.of_block(self.hook.hook, block.index)
        place = 0
        while place < len(block.rules):
            table, rule = tables.get(place), block.rules[place]
            yield table or rule
            if rule.condition is None:
                break
            place = table.run.stop if table else place + 1

    def _block_operands(self, block: n.Block) -> list[Operand]:
        """The operands that a block uses, repetitions included."""
        uses: list[Operand] = []
        if block.scope is not None:
            uses.append(LINEAGE)
        if block.rollout is not None:
            # The id is tested for absence and then read.
            uses += [*operands(block.rollout), *operands(CGROUP_ID), *operands(CGROUP_ID)]
        for step in self._steps(block):
            uses += (
                _table_operands(block, step)
                if isinstance(step, Table)
                else _rule_operands(block, step)
            )
        return uses

    def _table(self, block: n.Block, table: Table, exits: _Exits) -> None:
        run = table.run
        self.assign(_table_operands(block, table))
        first, last = run.rules[0], run.rules[-1]
        comment = f"  # rules {first.index} to {last.index}, lines {first.line} to {last.line}"
        name = table_name(table)
        find = f"{name}.find({self.printer.value(run.cgroup).text})"
        found = [f"rule = {find}", "if rule is not None:"]
        found += [f"{_INDENT}answer = {name}_answers[rule - {table.first}]"]
        found += [_INDENT + statement for statement in exits.table(block, table)]
        if run.rest:
            self._when(self.printer.condition(n.And(run.rest)).text, found, comment)
            return
        self.line(found[0] + comment)
        for statement in found[1:]:
            self.line(statement)

    def _guards(self, block: n.Block, outside: str) -> None:
        if block.scope is not None:
            self.assign([LINEAGE])
            path = ascii(self.plan.paths[block.scope])
            self._when(f"{path} not in {self.names.lineage()}", [outside])
        if block.rollout is not None:
            self.assign([*operands(block.rollout), *operands(CGROUP_ID)])
            cgroup_id = self.names.attribute(CGROUP_ID.name)
            share = self.printer.value(block.rollout).within(Precedence.UNION)
            mixed = f"cgroup_mix({cgroup_id}) % 10000 >= {share}"
            self._when(f"{cgroup_id} is None or {mixed}", [outside])

    def _rule(self, block: n.Block, rule: n.Rule, exits: _Exits) -> None:
        comment = f"  # rule {rule.index}, line {rule.line}"
        self.assign(_rule_operands(block, rule))
        if rule.condition is None:
            first, *rest = exits.rule(block, rule)
            self.line(first + comment)
            for statement in rest:
                self.line(statement)
            return
        condition = self.printer.condition(rule.condition)
        self._when(condition.text, exits.rule(block, rule), comment)

    def _when(self, condition: str, statements: list[str], comment: str = "") -> None:
        self.line(f"if {condition}:{comment}")
        for statement in statements:
            self.line(_INDENT + statement)

    def allowed(self, expr: n.Expr, requested: str) -> str:
        """The text of some requested orders that are also in a set."""
        if isinstance(expr, n.Const):
            if expr.value == n.ALL_ORDERS:
                return requested
            if expr.value == 0:
                return "0"
            return f"{requested} & {constant(expr.value, Kind.ORDERS)}"
        printed: Printed = self.printer.value(expr)
        return f"{requested} & {printed.within(Precedence.ADD)}"


def table_name(table: Table) -> str:
    """The name of a table in the module; `_answers` behind it is that of the answers."""
    return f"_table_{table.index}"


def table_definition(plan: n.Plan, table: Table) -> list[str]:
    """The statements that define a table and the answers of its rules."""
    name, run = table_name(table), table.run
    paths = [(ascii(plan.paths[entry.path]), entry) for entry in run.entries]
    itself = [f"{_INDENT * 2}{path}: {entry.itself}," for path, entry in paths]
    below = [
        f"{_INDENT * 2}{path}: {entry.below}," for path, entry in paths if entry.below is not None
    ]
    kind = "int" if table.hook is n.HookName.THP else "bool"
    kind += " | None" if _may_pass(table) else ""
    answers = [f"{_INDENT}{_table_answer(rule.action)}," for rule in run.rules]
    return [
        f"{name} = RuleTable(",
        *[f"{_INDENT}itself={{", *itself, f"{_INDENT}}},"],
        *[f"{_INDENT}below={{", *below, f"{_INDENT}}},"],
        ")",
        *[f"{name}_answers: tuple[{kind}, ...] = (", *answers, ")"],
    ]


def _table_answer(action: n.Action) -> str:
    match action:
        case n.Allow(n.Const(_, value)):
            return constant(value, Kind.ORDERS)
        case n.Balance(on):
            return str(on)
        case _:
            return "None"


def _table_operands(block: n.Block, table: Table) -> list[Operand]:
    uses = [use for expr in (table.run.cgroup, *table.run.rest) for use in operands(expr)]
    if table.hook is n.HookName.NUMA and block.hot_threshold is not None:
        uses += operands(block.hot_threshold)
    return uses


def _may_pass(table: Table) -> bool:
    return any(isinstance(rule.action, n.Pass) for rule in table.run.rules)


def _rule_operands(block: n.Block, rule: n.Rule) -> list[Operand]:
    uses = [] if rule.condition is None else list(operands(rule.condition))
    match rule.action:
        case n.Allow(orders):
            uses += operands(orders)
        case n.Balance():
            uses += [] if block.hot_threshold is None else operands(block.hot_threshold)
        case n.Pass():
            pass
    return uses


def blocks_function(plan: n.Plan, tables: TablePlan, hook: n.HookPlan) -> str:
    """The function that asks every block: which rule fired there, and what it answers.

    Its value is a tuple with an item for each block, outermost scope first: for thp the
    index of the rule and the orders, for numa the index, on or off, and the hot threshold;
    all None where the block does not apply, and only the index where the rule passes.
    """
    thp = hook.hook is n.HookName.THP
    function = _Function(plan, tables, hook, hook.blocks, (_ORDERS, _ORDERS) if thp else ())
    nothing = "(None, None)" if thp else "(None, None, None)"

    def answer(block: n.Block, rule: n.Rule) -> list[str]:
        match rule.action:
            case n.Allow(orders):
                text = f"({rule.index}, {function.allowed(orders, 'orders')})"
            case n.Balance(on):
                threshold = block.hot_threshold
                spelled = "None" if threshold is None else function.printer.value(threshold).text
                text = f"({rule.index}, {on}, {spelled})"
            case n.Pass():
                text = nothing.replace("None", str(rule.index), 1)
        return [f"block_{block.index} = {text}", "break"]

    def table_answer(block: n.Block, table: Table) -> list[str]:
        threshold = block.hot_threshold
        spelled = "None" if threshold is None else function.printer.value(threshold).text
        text = "(rule, orders & answer)" if thp else f"(rule, answer, {spelled})"
        if _may_pass(table):
            text = f"{nothing.replace('None', 'rule', 1)} if answer is None else {text}"
        return [f"block_{block.index} = {text}", "break"]

    if thp:
        function.assign([_ORDERS])
    for block in hook.blocks:
        function.line(f"block_{block.index}: {_BLOCK_TYPES[hook.hook]} = {nothing}")
        function.block(block, _Exits(answer, table_answer, "break"), last=False)
    results = "".join(f"block_{block.index}, " for block in hook.blocks)
    function.line(f"return ({results.rstrip()})")
    request, block_type = _REQUESTS[hook.hook], _BLOCK_TYPES[hook.hook]
    head = f"def _{hook.hook}_blocks(request: {request}) -> tuple[{block_type}, ...]:"
    return "\n".join([head, *function.lines])


def orders_function(plan: n.Plan, tables: TablePlan) -> str:
    """The function that answers with the allowed orders and nothing else."""
    head = "def thp_orders(request: ThpRequest) -> int:"
    text = f'{_INDENT}"""The requested orders that the policy allows, as a mask."""'
    body = (
        [f"{_INDENT}return request.orders"] if plan.thp is None else _orders(plan, tables, plan.thp)
    )
    return "\n".join([head, text, *body])


def _orders(plan: n.Plan, tables: TablePlan, hook: n.HookPlan) -> list[str]:
    meet = hook.combine is n.Combine.MEET
    blocks = hook.blocks[::-1] if hook.combine is n.Combine.NEAREST else hook.blocks
    several = meet and len(blocks) > 1
    function = _Function(plan, tables, hook, blocks, (_ORDERS, _ORDERS))
    function.assign([_ORDERS])
    # What is allowed so far; the name of the request's orders where nothing can narrow them.
    result = "result" if several else "orders"
    if several:
        function.line("result = orders")
    for place, block in enumerate(blocks):
        last = place == len(blocks) - 1
        leave = f"return {result}" if last else "break"

        def exit_with(_: n.Block, rule: n.Rule, last: bool = last, leave: str = leave) -> list[str]:
            if not isinstance(rule.action, n.Allow):
                return [leave]
            allowed = function.allowed(rule.action.orders, result)
            if not meet or last or allowed == "0":
                return [f"return {allowed}"]
            return [leave] if allowed == result else [f"{result} = {allowed}", leave]

        def exit_with_table(
            _: n.Block, table: Table, last: bool = last, leave: str = leave
        ) -> list[str]:
            passes = ["if answer is None:", _INDENT + leave] if _may_pass(table) else []
            allowed = f"{result} & answer"
            if not meet or last:
                return [*passes, f"return {allowed}"]
            return [*passes, f"{result} = {allowed}", leave]

        function.block(block, _Exits(exit_with, exit_with_table, leave), last=last)
    if not blocks:
        function.line("return orders")
    return function.lines


_ORDERS = Operand("attribute", "orders")
_REQUESTS = {n.HookName.THP: "ThpRequest", n.HookName.NUMA: "NumaRequest"}
_BLOCK_TYPES = {n.HookName.THP: "ThpBlock", n.HookName.NUMA: "NumaBlock"}
