"""Answers as each interface spells them, and what the kernel makes of any answer."""

from __future__ import annotations

import pytest

from policyc.hooks.loader import profiles
from policyc.plan import nodes as n
from policyc.plan.encode import effective_orders, raw_answer
from policyc.plan.evaluate import Opinion, Outcome

RULE = n.Rule(0, None, n.Pass(), "", 1, "")
BLOCK = n.Block(0, None, 0, None, (RULE,), None, 1)


def outcome(orders: int, *, opinion: bool = True) -> Outcome:
    opinions = (Opinion(BLOCK, RULE, orders),) if opinion else ()
    return Outcome((RULE,), opinions, RULE, orders=orders)


@pytest.mark.parametrize(
    ("orders", "opinion", "requested", "v7", "v9", "mask"),
    [
        (0x3FE, False, 0x3FE, -1, 9, 0x3FE),
        (0x3FE, True, 0x3FE, -1, 9, 0x3FE),
        (0x010, True, 0x3FE, 4, 4, 0x010),
        (0x210, True, 0x3FE, 9, 9, 0x210),
        (0, True, 0x3FE, 0, 0, 0),
        (0, False, 0, -1, 0, 0),
        (0, True, 0, 0, 0, 0),
        (1, True, 0x3FF, 0, 0, 1),
    ],
)
def test_raw_answers(  # noqa: PLR0917 - the columns of the table
    orders: int, opinion: bool, requested: int, v7: int, v9: int, mask: int
) -> None:
    said = outcome(orders, opinion=opinion)
    assert raw_answer(profiles()["thp-v7"], said, requested) == v7
    assert raw_answer(profiles()["thp-v12"], said, requested) == v7
    assert raw_answer(profiles()["thp-v9"], said, requested) == v9
    assert raw_answer(profiles()["mthp-v2"], said, requested) == mask


def test_numa_answers() -> None:
    profile = profiles()["numab-rfc1"]
    assert raw_answer(profile, Outcome((), (), None, on=True), 0) == 1
    assert raw_answer(profile, Outcome((), (), None, on=False), 0) == 0


# Requested: orders 2, 4 and 9, and order 0, which no later mask of the kernel contains.
REQUESTED = 0x215
KEPT = 0x214


@pytest.mark.parametrize(
    ("raw", "v7", "v9", "v12"),
    [
        (-1, KEPT, 0, KEPT),
        (0, 0, 0, 0),
        (4, 0x10, 0x10, 0x10),
        (9, 0x200, 0x200, 0x200),
        (3, 0x08, 0, 0),
        (10, KEPT, 0, 0),
        (30, KEPT, 0, 0),
        (100, KEPT, 0, 0),
    ],
)
def test_what_the_kernel_makes_of_an_order(raw: int, v7: int, v9: int, v12: int) -> None:
    assert effective_orders(profiles()["thp-v7"], raw, REQUESTED) == v7
    assert effective_orders(profiles()["thp-v9"], raw, REQUESTED) == v9
    assert effective_orders(profiles()["thp-v12"], raw, REQUESTED) == v12


def test_pmd_order_that_was_not_requested() -> None:
    assert effective_orders(profiles()["thp-v7"], 9, 0x1FE) == 0x1FE
    assert effective_orders(profiles()["thp-v9"], 9, 0x1FE) == 0


def test_a_mask_replaces_the_request() -> None:
    assert effective_orders(profiles()["mthp-v2"], 0x1000, 0x200) == 0x1000


@pytest.mark.parametrize("name", ["thp-v7", "thp-v9", "thp-v12"])
def test_no_answer_reaches_outside_the_request(name: str) -> None:
    profile = profiles()[name]
    for requested in range(1, 1 << 6):
        for allowed in range(1 << 6):
            said = outcome(requested & allowed)
            left = effective_orders(profile, raw_answer(profile, said, requested), requested)
            assert left & ~(requested & allowed) == 0
