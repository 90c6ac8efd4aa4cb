"""Random plans and requests, built without the parser: every node, and values that hurt."""

from __future__ import annotations

from random import Random
from typing import TypeVar

from policyc.plan import nodes as n
from policyc.plan.types import (
    BOOL,
    CGROUP,
    DURATION,
    INT,
    ORDERS,
    PERCENT,
    SIZE,
    STRING,
    U64_MAX,
    Kind,
    Type,
)
from policyc.runtime.requests import NumaRequest, ThpRequest

EVENT = Type(Kind.ENUM, "event")
DEEP = "".join(f"/{level}" for level in range(40))
PATHS = ("/", "/a", "/a/b", "/a/bc", "/a/b/c", "/kühl/ß", "/\udc80", DEEP, DEEP[:20], "/0")
COMMS = (b"", b"x", b"redis-server", b"exactly15bytes!", b"\xff\xfe", "ä".encode())
NUMBERS = (0, 1, 2, 3, 4096, 65536, 10_000, 1 << 32, 1 << 63, U64_MAX - 1, U64_MAX)
MASKS = (0, 1, 1 << 9, 0x3FC, 0x10, 0x210, 1 << 63, U64_MAX)
EVENTS = ("smaps", "pagefault", "khugepaged", "forced_collapse", "swap_pagefault")

#: Attributes by type; some of them a numa request does not have.
NUMERIC = {
    SIZE: ("vma.size", "mm.rss", "memory.usage", "memory.max", "memory.free"),
    INT: ("task.uid", "task.pid", "cgroup.depth", "node.count"),
    PERCENT: ("cgroup.psi.memory.full.avg10", "psi.cpu.some.avg60"),
}


class PlanMaker:
    """Makes the parts of one plan."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.locals: list[n.LocalDefinition] = []
        self.local_types: dict[str, Type] = {}
        self.hook = n.HookName.THP
        self.next_rule = 0

    def known_local(self, type: Type) -> n.Local | None:
        known = [name for name, of in self.local_types.items() if of == type]
        if not known or self.random.random() < 0.35:
            return None
        return n.Local(type, self.random.choice(known))

    def number(self, type: Type, depth: int) -> n.Expr:
        choice = self.random.randrange(6 if depth > 0 else 3)
        if choice == 0:
            return n.Const(type, self.random.choice(NUMBERS))
        if choice == 1 or (choice == 2 and type == INT):
            return n.Attribute(type, self.random.choice(NUMERIC[type]))
        if choice == 2:
            param = n.Param(type, "share" if type == PERCENT else "room")
            return self.known_local(type) or param
        if choice == 3 and type == SIZE:
            return n.Highest(self.orders(depth - 1))
        operator = self.random.choice(list(n.ArithmeticOperator))
        return n.Arithmetic(
            type, operator, self.number(type, depth - 1), self.number(type, depth - 1)
        )

    def orders(self, depth: int) -> n.Expr:
        choice = self.random.randrange(4 if depth > 0 else 2)
        if choice == 0 or (choice == 1 and self.hook is n.HookName.NUMA):
            return n.Const(ORDERS, self.random.choice(MASKS))
        if choice == 1:
            return n.Attribute(ORDERS, "orders")
        node = n.Union if choice == 2 else n.Difference
        return node(self.orders(depth - 1), self.orders(depth - 1))

    def test(self, depth: int) -> n.Expr:
        """A condition without `and`, `or` and `not`."""
        choose = self.random.choice
        cgroup, comm = n.Attribute(CGROUP, "cgroup"), n.Attribute(STRING, "task.comm")
        match self.random.randrange(12):
            case 0 | 1:
                sort = choose([SIZE, INT, PERCENT])
                left, right = self.number(sort, depth), self.number(sort, depth)
                return n.Compare(choose(list(n.CompareOperator)), left, right)
            case 2:
                bound = n.Const(SIZE, choose(NUMBERS))
                highest = n.Highest(self.orders(depth))
                return n.Compare(choose(list(n.CompareOperator)), highest, bound)
            case 3:
                return choose([n.InSet(comm, "names"), n.InSet(cgroup, "groups")])
            case 4:
                some = self.random.sample(COMMS, 2)
                return n.InList(comm, tuple(n.Const(STRING, member) for member in some))
            case 5:
                return n.UnderSet(cgroup, "groups")
            case 6:
                return choose([n.UnderPath, n.IsPath])(cgroup, self.random.randrange(len(PATHS)))
            case 7:
                node = choose([n.Contains, n.Overlaps])
                return node(self.orders(depth), self.orders(depth))
            case 8:
                return self.known_local(BOOL) or n.Param(BOOL, "switch")
            case 9:
                return n.Has(self.number(choose([SIZE, PERCENT]), depth))
            case 10:
                value: tuple[n.Expr, n.Expr] = (
                    n.Attribute(EVENT, "event"),
                    n.Const(EVENT, choose(EVENTS)),
                )
            case _:
                value = (comm, n.Const(STRING, choose(COMMS)))
        return n.Compare(choose([n.CompareOperator.EQUAL, n.CompareOperator.NOT_EQUAL]), *value)

    def condition(self, depth: int) -> n.Expr:
        choice = self.random.randrange(6) if depth > 0 else 5
        if choice == 0:
            return n.Not(self.condition(depth - 1))
        if choice in (1, 2):
            items = [self.condition(depth - 1) for _ in range(self.random.randint(2, 3))]
            return (n.And if choice == 1 else n.Or)(tuple(items))
        return self.test(depth - 1)

    def action(self) -> n.Action:
        if self.random.random() < 0.3:
            return n.Pass()
        if self.hook is n.HookName.NUMA:
            return n.Balance(self.random.random() < 0.6)
        return n.Allow(self.orders(self.random.randrange(3)))

    def rule(self, *, last: bool) -> n.Rule:
        index = self.next_rule
        self.next_rule += 1
        condition = None if last else self.condition(self.random.randrange(4))
        return n.Rule(index, condition, self.action(), "", index + 1, f"rule {index}")

    def block(self, index: int, scope: int | None) -> n.Block:
        rollout = self.random.choice(
            [None, None, n.Param(PERCENT, "share"), n.Const(PERCENT, 5_000)]
        )
        count = self.random.randint(1, 5)
        rules = tuple(self.rule(last=place == count - 1) for place in range(count))
        threshold = None
        if self.hook is n.HookName.NUMA:
            threshold = self.random.choice(
                [None, n.Const(DURATION, 200_000_000), n.Param(DURATION, "hot")]
            )
        depth = 0 if scope is None else PATHS[scope].count("/")
        return n.Block(index, scope, depth, rollout, rules, threshold, index + 1)

    def hook_plan(self, hook: n.HookName) -> n.HookPlan:
        self.hook = hook
        scopes: list[int | None] = [None, 0, 1, 2, 3, 4, 7, 8]
        kept = [scope for scope in scopes if self.random.random() < 0.35] or [None]
        blocks = tuple(self.block(index, scope) for index, scope in enumerate(kept))
        return n.HookPlan(hook, self.random.choice(list(n.Combine)), blocks)

    def define_locals(self) -> None:
        # Shared by both hooks, so without what only one of them has.
        self.hook = n.HookName.NUMA
        for index in range(self.random.randrange(5)):
            name = f"let{index}" if index % 2 else f"class.{index}"
            sort = self.random.choice([BOOL, SIZE, PERCENT])
            expr = self.condition(2) if sort == BOOL else self.number(sort, 2)
            self.locals.append(n.LocalDefinition(name, expr, index + 1))
            self.local_types[name] = sort

    def plan(self) -> n.Plan:
        self.define_locals()
        return n.Plan(
            name="random",
            file="random.thp",
            target=self.random.choice([n.Target(), n.Target(65536, 13)]),
            paths=PATHS,
            sets=(
                n.SetDefinition("names", STRING, COMMS[:3], 1),
                n.SetDefinition("groups", CGROUP, ("/a/b", "/kühl"), 2),
            ),
            params=(
                n.ParamDefinition("room", SIZE, 8 << 20, 0, U64_MAX, 3),
                n.ParamDefinition("share", PERCENT, 2_500, 0, 10_000, 4),
                n.ParamDefinition("hot", DURATION, 10**8, 0, U64_MAX, 5),
                n.ParamDefinition("switch", BOOL, 1, 0, 1, 6),
            ),
            locals=tuple(self.locals),
            thp=self.hook_plan(n.HookName.THP),
            numa=self.hook_plan(n.HookName.NUMA),
            host=(),
        )


def random_plan(seed: int) -> n.Plan:
    """A plan that answers both hooks."""
    return PlanMaker(seed).plan()


Asked = TypeVar("Asked", ThpRequest, NumaRequest)


def random_request(random: Random, cls: type[Asked]) -> Asked:
    """A request in which about a third of what can be absent is."""
    values: dict[str, object] = {}
    for attribute in cls.attributes:
        if attribute.optional and random.random() < 0.3:
            continue
        match attribute.kind:
            case "orders":
                value: object = random.choice([*MASKS, random.getrandbits(10)])
            case "bool":
                value = random.random() < 0.5
            case "percent":
                value = random.choice([0, 1, 2_500, 9_999, 10_000])
            case "string":
                value = random.choice(COMMS)
            case "cgroup":
                tail = random.choice(["", "", "/x", "/b", "/deep" * random.choice([1, 31, 32, 33])])
                value = "/" + (random.choice(PATHS) + tail).strip("/")
            case "enum":
                value = random.choice(attribute.members)
            case _:
                value = random.choice([*NUMBERS, random.getrandbits(64)])
        values[attribute.name] = value
    return cls.from_values(values)
