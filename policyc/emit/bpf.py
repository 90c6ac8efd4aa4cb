"""Writes a plan as a BPF program in C, for one profile or for one of each hook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policyc.emit.c_blocks import BlockText, block_text
from policyc.emit.c_expressions import Need, Printer
from policyc.emit.c_readers import (
    Enumerators,
    Reader,
    enumerators,
    helpers_of,
    kernel_reader,
    packed_reader,
    roots_of,
)
from policyc.emit.c_text import byte_list, comment, tabbed
from policyc.emit.layout import RequestLayout, answer_layout, is_pressure, request_layout
from policyc.emit.limits import MAX_BLOCKS, MAX_FUNCTIONS, MAX_PATHS, MAX_RULES, PolicyTooLarge
from policyc.emit.records import record_layout
from policyc.emit.uses import Uses, expressions, uses_of
from policyc.hooks.loader import attributes
from policyc.hooks.model import Profile
from policyc.plan import nodes as n
from policyc.plan.cost import has_own_function, is_large
from policyc.plan.passes.tables import TablePlan, tables_of
from policyc.plan.types import Kind
from policyc.templating import render

__all__ = ["emit_bpf", "emit_bpf_many"]


@dataclass(frozen=True, slots=True)
class _Text:
    name: str
    comment: str
    bytes: str


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    line: int
    string: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """What the template of one hook in one profile prints."""

    hook: str
    profile: Profile
    packed: bool
    roots: dict[str, str]
    helpers: frozenset[str]
    layout: RequestLayout | None
    readers: tuple[Reader, ...]
    enumerators: tuple[Enumerators, ...]
    blocks: tuple[BlockText, ...]
    needs: frozenset[Need]
    uses: Uses
    combine: str
    first_scope: int | None
    finds_paths: int
    walks: bool
    under_set: bool
    find_rule: bool
    answers: bool
    large: bool
    own_functions: frozenset[int]
    recorded: int
    answer_size: int
    record_size: int


def emit_bpf(
    plan: n.Plan,
    profile: Profile,
    *,
    hook: n.HookPlan | None = None,
    counters: bool = True,
    record: bool = False,
) -> str:
    """The C of a plan for one profile: of the given hook, or of all that the profile answers.

    With `record` the program also writes each decision to a ring buffer, laid out as
    policyc.emit.records says. That is for tests, and for programs of hooks only.
    """
    if record and profile.attachment == "test-run":
        raise ValueError("a test run tells its answer itself")
    hooks = [hook] if hook else [item for item in plan.hooks if profile.answers(item.hook)]
    return _emit(plan, [(profile, item) for item in hooks], counters, record=record)


def emit_bpf_many(plan: n.Plan, profiles: Sequence[Profile], counters: bool = True) -> str:
    """The C of a plan for several profiles in one object, at most one for each hook."""
    pairs = [(p, hook) for p in profiles for hook in plan.hooks if p.answers(hook.hook)]
    names = [hook.hook for _, hook in pairs]
    if len(set(names)) != len(names):
        raise ValueError("one object has room for one profile of each hook")
    return _emit(plan, pairs, counters)


def _emit(
    plan: n.Plan, pairs: list[tuple[Profile, n.HookPlan]], counters: bool, *, record: bool = False
) -> str:
    if not pairs:
        raise ValueError("the policy has no hook that the profile answers")
    table_plan = tables_of(plan)
    _check_size(plan, table_plan)
    texts = _texts(plan)
    names = {data: text.name for data, text in texts.items()}
    sections = [_section(plan, table_plan, *pair, names, record=record) for pair in pairs]
    needed = {need for section in sections for need in section.needs}
    used_texts = {need.name for need in needed if need.kind == "text"}
    used_sets = {name for section in sections for name in section.uses.sets}
    used_params = {need.name for need in needed if need.kind == "param"}
    paths = any(section.finds_paths for section in sections)
    tables = [table for section in sections for block in section.blocks for table in block.tables]
    sets = [
        _Set(s.name, s.line, s.type.kind is Kind.STRING) for s in plan.sets if s.name in used_sets
    ]
    return render(
        "bpf/policy.bpf.c.j2",
        comment=comment,
        tabbed=tabbed,
        policy=comment(plan.name),
        file=comment(plan.file),
        page_shift=plan.target.page_shift,
        max_levels=n.MAX_CGROUP_LEVELS,
        sections=sections,
        kernel=any(not section.packed for section in sections),
        attributes={name for section in sections for name in section.uses.attributes},
        roots=_declared_roots(sections, record=record),
        helpers={helper for section in sections for helper in section.helpers},
        functions=_functions(sections, needed),
        texts=[text for text in texts.values() if text.name in used_texts],
        sets=sets,
        string_sets=any(item.string for item in sets),
        params=plan.params if used_params else (),
        walks=any(section.walks for section in sections),
        paths=[plan.paths[path] for path in table_plan.mask_paths],
        path_words=(len(table_plan.mask_paths) + 63) // 64 if paths else 0,
        path_entries=2 * len(table_plan.mask_paths),
        tables=tables,
        counters=counters,
        record=record,
        rule_count=max((rule.index for rule in plan.rules), default=0) + 1,
        maps=bool(sets or paths or tables or counters),
    )


def _declared_roots(sections: Iterable[_Section], *, record: bool) -> set[str]:
    """The objects of the kernel whose types are declared; a record tells whose memory it is."""
    roots = {root for section in sections for root in section.roots}
    return roots | {"vma", "mm", "task"} if record else roots


def _check_size(plan: n.Plan, table_plan: TablePlan) -> None:
    paths = len(table_plan.mask_paths)
    if paths > MAX_PATHS:
        raise PolicyTooLarge(
            f"{paths} cgroup paths in scopes and in conditions that do not make a table; "
            f"a program holds {MAX_PATHS}, put more into a set"
        )
    for hook in plan.hooks:
        if len(hook.blocks) > MAX_BLOCKS:
            raise PolicyTooLarge(
                f"{len(hook.blocks)} {hook.hook} blocks; a program holds {MAX_BLOCKS}, "
                "write rules with `cgroup under` instead"
            )
    rules = max((rule.index for rule in plan.rules), default=0) + 1
    if rules > MAX_RULES:
        raise PolicyTooLarge(f"{rules} rules; a program holds {MAX_RULES}")


def _functions(sections: Iterable[_Section], needed: set[Need]) -> frozenset[str]:
    functions = {need.name for need in needed if need.kind == "function"}
    for section in sections:
        read = {need.name for need in section.needs if need.kind == "attribute"}
        read |= section.uses.attributes if section.record_size else set()
        if any(is_pressure(name) for name in read):
            functions.add("percent_of_average")
        if not section.packed and section.profile.answer == "order":
            functions.add("highest_order")
        if _padded(section.needs, section.uses) and any(
            r.field == "task_comm" for r in section.readers
        ):
            functions.add("pad_comm")
        if section.first_scope is not None:
            functions.add("under_path")
    return frozenset(functions)


def _padded(needs: Iterable[Need], uses: Uses) -> bool:
    """Whether the name of the task is a key of a set, which must end in zeroes."""
    return "task.comm" in uses.attributes and Need("function", "in_set") in needs


def _texts(plan: n.Plan) -> dict[bytes, _Text]:
    """The short strings of the plan, as arrays; the longer ones equal no name of a task."""
    found = dict.fromkeys(_strings(plan))
    return {
        data: _Text(
            f"text_{number}", comment(data.decode("latin-1")), byte_list(data.ljust(16, b"\0"))
        )
        for number, data in enumerate(item for item in found if len(item) < 16)
    }


def _strings(plan: n.Plan) -> Iterable[bytes]:
    for expr in expressions(plan):
        match expr:
            case n.Const(type, value) if type.kind is Kind.STRING and isinstance(value, bytes):
                yield value
            case _:
                pass


def _section(
    plan: n.Plan,
    table_plan: TablePlan,
    profile: Profile,
    hook: n.HookPlan,
    texts: dict[bytes, str],
    *,
    record: bool,
) -> _Section:
    uses = uses_of(plan, hook)
    packed = profile.attachment == "test-run"
    blocks = _blocks(plan, table_plan, hook, texts)
    steps = [block.steps for block in blocks]
    own_functions = frozenset(b.index for b in blocks if has_own_function(b.steps, steps))
    if len(own_functions) > MAX_FUNCTIONS:
        raise PolicyTooLarge(
            f"{len(own_functions)} {hook.hook} blocks with more than a few rules; "
            f"a program holds {MAX_FUNCTIONS}"
        )
    needs = frozenset[Need]().union(*(block.needs for block in blocks))
    reads = {need.name for need in needs if need.kind == "attribute"}
    reads |= {"orders"} if hook.hook is n.HookName.THP else set()
    # A record has the way from the cgroup to the root instead of its id.
    recorded = uses.attributes if record else frozenset[str]()
    reads |= recorded - {"cgroup"}
    first_scope = next((block.index for block in blocks if block.scope is not None), None)
    finds_paths = sum(block.finds_paths for block in blocks) + (first_scope is not None)
    under_set = Need("function", "under_set") in needs
    find_rule = Need("function", "find_rule") in needs
    layout = request_layout(plan, hook) if packed or record else None
    answer = answer_layout(plan, hook)
    always = {"orders"} if hook.hook is n.HookName.THP else {"task.pid"}
    return _Section(
        hook=hook.hook.value,
        profile=profile,
        packed=packed,
        roots={} if packed else roots_of(profile, uses.attributes.union(always)),
        helpers=frozenset() if packed else helpers_of(profile, frozenset(reads)),
        layout=layout,
        readers=_readers(profile, layout if packed else None, reads, padded=_padded(needs, uses)),
        enumerators=tuple(enumerators(profile, uses.attributes, uses.enums)),
        blocks=blocks,
        needs=needs,
        uses=uses,
        combine=hook.combine.value,
        first_scope=first_scope,
        finds_paths=finds_paths,
        walks=under_set
        or bool(finds_paths)
        or find_rule
        or (record and "cgroup" in uses.attributes),
        find_rule=find_rule,
        under_set=under_set,
        answers=any(not isinstance(r.action, n.Pass) for b in hook.blocks for r in b.rules),
        large=is_large(steps),
        own_functions=own_functions,
        recorded=answer.blocks,
        answer_size=answer.size,
        record_size=record_layout(plan, hook).size if record else 0,
    )


def _blocks(
    plan: n.Plan, table_plan: TablePlan, hook: n.HookPlan, strings: dict[bytes, str]
) -> tuple[BlockText, ...]:
    bits = {path: bit for bit, path in enumerate(table_plan.mask_paths)}
    printer = Printer(plan, hook.hook, strings, bits)
    texts: list[BlockText] = []
    known = False
    for block in hook.blocks:
        known = known or block.scope is not None
        texts.append(
            block_text(
                plan,
                hook.hook,
                block,
                printer,
                scope=None if block.scope is None else bits[block.scope],
                tables=table_plan.of_block(hook.hook, block.index),
                paths_known=known,
            )
        )
    return tuple(texts)


def _readers(
    profile: Profile, layout: RequestLayout | None, names: set[str], *, padded: bool
) -> tuple[Reader, ...]:
    rows = [row for row in attributes().values() if row.name in names]
    if layout is None:
        return tuple(kernel_reader(profile, row, padded=padded) for row in rows)
    return tuple(packed_reader(layout, row, padded=padded) for row in rows)
