"""Random well-typed plans and requests, built node by node; nothing here parses text."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random

from policyc.hooks.loader import attributes, enumerations
from policyc.plan import nodes as n
from policyc.plan.cost import expression_cost
from policyc.plan.evaluate import State
from policyc.plan.types import (
    BOOL,
    CGROUP,
    DURATION,
    INT,
    NUMERIC,
    ORDERS,
    PERCENT,
    SIZE,
    STRING,
    U64_MAX,
    Kind,
    Type,
)

__all__ = ["cgroup_id", "random_plan", "random_state", "random_table_plan", "random_values"]

PATHS = (
    "/",
    "/a",
    "/a/b",
    "/a/bc",
    "/a/b/c",
    "/kube\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    "/" + "/".join("d" * 40),
)
NAMES = (b"", b"redis", b"redis-server", b"exactly15bytes!", b"\xff\xfe", b"java")
NUMBERS = (0, 1, 2, 3, 10, 4096, 65536, 10_000, 1 << 31, 1 << 32, 1 << 63, U64_MAX - 1, U64_MAX)
CGROUP_ATTRIBUTE = n.Attribute(CGROUP, "cgroup")


def cgroup_id(path: str) -> int:
    """A 64-bit number for a path, above 2**53 more often than not."""
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")


class _Builder:
    def __init__(self, random: Random, hook: n.HookName) -> None:
        self.random = random
        self.rows = [row for row in attributes().values() if hook in row.hooks]
        self.hook = hook
        self.locals: list[n.LocalDefinition] = []
        self.types: dict[str, Type] = {}
        self.params = [
            n.ParamDefinition("percent", PERCENT, 500, 0, 10_000, 1),
            n.ParamDefinition("int", INT, 3, 0, U64_MAX, 1),
            n.ParamDefinition("bool", BOOL, 0, 0, 1, 1),
            n.ParamDefinition("size", SIZE, 4096, 0, U64_MAX, 1),
            n.ParamDefinition("wait", DURATION, 7, 0, 1000, 1),
        ]

    def leaf(self, type: Type) -> n.Expr:
        choices: list[n.Expr] = [
            n.Attribute(type, row.name) for row in self.rows if row.type == type
        ]
        choices += [n.Param(type, param.name) for param in self.params if param.type == type]
        choices += [
            n.Local(type, item.name) for item in self.locals if self.types[item.name] == type
        ]
        if type.kind is not Kind.CGROUP and (not choices or self.random.random() < 0.4):
            return self.constant(type)
        return self.random.choice(choices)

    def constant(self, type: Type) -> n.Const:
        random = self.random
        match type.kind:
            case Kind.BOOL:
                return n.Const(type, random.random() < 0.5)
            case Kind.ORDERS:
                return n.Const(
                    type, random.choice((0, 0x200, 0x1FC, n.ALL_ORDERS, random.getrandbits(12)))
                )
            case Kind.STRING:
                return n.Const(type, random.choice((*NAMES, b"longer than fifteen bytes")))
            case Kind.ENUM:
                return n.Const(type, random.choice(enumerations()[type.enum].members).name)
            case Kind.PERCENT:
                return n.Const(type, random.choice((0, 1, 500, 5000, 10_000)))
            case _:
                return n.Const(type, random.choice(NUMBERS))

    def value(self, type: Type, depth: int) -> n.Expr:
        if depth <= 0 or self.random.random() < 0.3:
            return self.leaf(type)
        if type.kind is Kind.BOOL:
            return self.condition(depth)
        if type.kind is Kind.ORDERS:
            node = self.random.choice((n.Union, n.Difference))
            return node(self.value(ORDERS, depth - 1), self.value(ORDERS, depth - 1))
        if type.kind is Kind.SIZE and self.hook is n.HookName.THP and self.random.random() < 0.3:
            return n.Highest(self.value(ORDERS, depth - 1))
        if type.kind in NUMERIC:
            operator = self.random.choice(list(n.ArithmeticOperator))
            return n.Arithmetic(
                type, operator, self.value(type, depth - 1), self.value(type, depth - 1)
            )
        return self.leaf(type)

    def types_here(self) -> list[Type]:
        here = [
            INT,
            SIZE,
            PERCENT,
            BOOL,
            STRING,
            *{row.type for row in self.rows if row.type.kind is Kind.ENUM},
        ]
        here.sort(key=str)
        return [*here, ORDERS] if self.hook is n.HookName.THP else here

    def condition(self, depth: int) -> n.Expr:
        random = self.random
        if depth <= 0:
            return self.comparison(0)
        match random.randrange(12):
            case 0 | 1:
                return n.And(tuple(self.condition(depth - 1) for _ in range(random.randint(2, 4))))
            case 2 | 3:
                return n.Or(tuple(self.condition(depth - 1) for _ in range(random.randint(2, 4))))
            case 4:
                return n.Not(self.condition(depth - 1))
            case 5:
                row = random.choice(self.rows)
                return n.Has(n.Attribute(row.type, row.name))
            case 6:
                if random.random() < 0.5:
                    return n.InSet(self.leaf(STRING), "names")
                return random.choice((n.InSet, n.UnderSet))(CGROUP_ATTRIBUTE, "groups")
            case 7:
                node = random.choice((n.UnderPath, n.IsPath))
                return node(CGROUP_ATTRIBUTE, random.randrange(self.path_count))
            case 8:
                kind = random.choice(self.types_here())
                members = tuple(self.constant(kind) for _ in range(random.randint(1, 4)))
                return n.InList(self.value(kind, depth - 1), members)
            case 9 if self.hook is n.HookName.THP:
                node = random.choice((n.Contains, n.Overlaps))
                return node(self.value(ORDERS, depth - 1), self.value(ORDERS, depth - 1))
            case _:
                return self.comparison(depth - 1)

    def comparison(self, depth: int) -> n.Expr:
        compared = self.random.choice(self.types_here())
        operators = (
            list(n.CompareOperator)
            if compared.kind in NUMERIC
            else [n.CompareOperator.EQUAL, n.CompareOperator.NOT_EQUAL]
        )
        return n.Compare(
            self.random.choice(operators), self.value(compared, depth), self.value(compared, depth)
        )

    path_count = len(PATHS)


def random_plan(seed: int, paths: int = len(PATHS)) -> n.Plan:
    """A plan with one hook; more `paths` than there are names get made-up ones."""
    random = Random(seed)
    hook = n.HookName.THP if random.random() < 0.7 else n.HookName.NUMA
    build = _Builder(random, hook)
    build.path_count = paths
    names = PATHS[:paths] + tuple(f"/many/{number}" for number in range(paths - len(PATHS)))
    for number in range(random.randint(0, 4)):
        let_type = random.choice([*build.types_here(), BOOL, BOOL])
        expr = build.value(let_type, 3)
        build.types[f"l{number}"] = let_type
        build.locals.append(n.LocalDefinition(f"l{number}", expr, number + 1))
    blocks: list[n.Block] = []
    index = 0
    for place in range(random.randint(1, 4)):
        scope = random.randrange(paths) if place and random.random() < 0.8 else None
        rules: list[n.Rule] = []
        for _ in range(random.randint(0, 4)):
            rules.append(
                n.Rule(index, build.condition(3), _action(build), "", index, f"rule {index}")
            )
            index += 1
        rules.append(n.Rule(index, None, _action(build), "", index, "otherwise"))
        index += 1
        rollout = random.choice((None, None, n.Const(PERCENT, 5000), n.Param(PERCENT, "percent")))
        threshold = None
        if hook is n.HookName.NUMA:
            threshold = random.choice((None, n.Const(DURATION, 9), n.Param(DURATION, "wait")))
        blocks.append(n.Block(place, scope, place, rollout, tuple(rules), threshold, index))
    plan = n.HookPlan(hook, random.choice(list(n.Combine)), tuple(blocks))
    target = random.choice((n.Target(), n.Target(65536, 13)))
    sets = (n.SetDefinition("names", STRING, (), 1), n.SetDefinition("groups", CGROUP, (), 1))
    thp, numa = (plan, None) if hook is n.HookName.THP else (None, plan)
    return n.Plan(
        "random",
        "random.thp",
        target,
        names,
        sets,
        tuple(build.params),
        tuple(build.locals),
        thp,
        numa,
        (),
    )


def _action(build: _Builder) -> n.Action:
    if build.random.random() < 0.2:
        return n.Pass()
    if build.hook is n.HookName.NUMA:
        return n.Balance(build.random.random() < 0.6)
    return n.Allow(build.value(ORDERS, 2))


def random_state(random: Random) -> State:
    """Members of the sets and values of the parameters of `random_plan`."""
    params = {
        "percent": random.choice((0, 500, 10_000)),
        "int": random.choice(NUMBERS),
        "bool": random.getrandbits(1),
    }
    params |= {"size": random.choice(NUMBERS), "wait": random.randrange(1000)}
    names = frozenset[bytes | str](random.sample(NAMES, 3))
    groups = frozenset[bytes | str](random.sample(PATHS, 3))
    return State({"names": names, "groups": groups}, params)


def random_values(
    random: Random, hook: n.HookName, paths: tuple[str, ...]
) -> dict[str, n.ConstValue | None]:
    """A request; an attribute that may be absent is absent one time in five."""
    values: dict[str, n.ConstValue | None] = {}
    for row in attributes().values():
        if hook in row.hooks:
            absent = row.absent and random.random() < 0.2
            values[row.name] = None if absent else _random_value(random, row.type, paths)
    if values["cgroup"] is not None:
        values["cgroup.id"] = cgroup_id(str(values["cgroup"]))
    return values


def _random_value(random: Random, type: Type, paths: tuple[str, ...]) -> n.ConstValue:
    match type.kind:
        case Kind.BOOL:
            return random.random() < 0.5
        case Kind.ORDERS:
            return random.choice((0, 0x200, 0x1FC, 0x3FE, random.getrandbits(14), 1 << 63, U64_MAX))
        case Kind.STRING:
            return random.choice(NAMES)
        case Kind.ENUM:
            return random.choice(enumerations()[type.enum].members).name
        case Kind.CGROUP:
            return random.choice(paths).rstrip("/") + random.choice(("", "", "/new", "/b/c")) or "/"
        case Kind.PERCENT:
            return random.choice((0, 1, 499, 500, 501, 10_000, random.randrange(10_001)))
        case _:
            return random.choice((*NUMBERS, random.getrandbits(64)))


def random_table_plan(seed: int) -> n.Plan:
    """A plan whose blocks also have runs of rules about places of the cgroup, some of them long."""
    random = Random(seed)
    plan = random_plan(seed, 2 * len(PATHS))
    conditions = [rule.condition for rule in plan.rules if rule.condition is not None]
    # As branches they are asked again for each rule, and the verifier follows each of theirs.
    conditions = [condition for condition in conditions if expression_cost(condition) < 50]
    (hook,) = plan.hooks
    blocks: list[n.Block] = []
    index = 0
    for block in hook.blocks:
        rules: list[n.Rule] = []
        for rule in block.rules:
            if random.random() < 0.6:
                rest = random.choice(conditions) if conditions and random.random() < 0.5 else None
                length = random.choice((1, 2, 3, 20, 40))
                rules += [_place_rule(random, hook.hook, rest) for _ in range(length)]
            rules.append(rule)
        numbered = [replace(r, index=index + i, line=index + i) for i, r in enumerate(rules)]
        blocks.append(replace(block, rules=tuple(numbered)))
        index += len(rules)
    changed = replace(hook, blocks=tuple(blocks))
    return replace(plan, **{hook.hook.value: changed})


def _place_rule(random: Random, hook: n.HookName, rest: n.Expr | None) -> n.Rule:
    tests = tuple(
        random.choice((n.UnderPath, n.IsPath))(CGROUP_ATTRIBUTE, random.randrange(2 * len(PATHS)))
        for _ in range(random.choice((1, 1, 1, 3)))
    )
    condition: n.Expr = tests[0] if len(tests) == 1 else n.Or(tests)
    if rest is not None:
        condition = n.And((condition, rest) if random.random() < 0.5 else (rest, condition))
    if random.random() < 0.2:
        action: n.Action = n.Pass()
    elif hook is n.HookName.NUMA:
        action = n.Balance(random.random() < 0.6)
    else:
        action = n.Allow(n.Const(ORDERS, random.choice((0, 0x200, 0x1FC, n.ALL_ORDERS))))
    return n.Rule(0, condition, action, "", 0, "rule of a run")
