"""Order sets spelled as the sizes of their pages."""

from __future__ import annotations

from policyc.check import check_text
from policyc.lsp.analysis import Analysis
from policyc.lsp.scan import Token, TokenKind
from policyc.plan import nodes as n
from policyc.plan.types import format_size

__all__ = ["orders_around", "spelled"]

_WORDS = frozenset({"pmd", "all", "none", "order"})
_SIGNS = frozenset({"..", "|", "-"})

#: More tokens than that are no order set that somebody wrote by hand.
_LONGEST = 64


def spelled(mask: int, target: n.Target) -> str:
    """The sizes of a mask of orders: `16K, 32K, 64K`; a long run by its ends."""
    orders = [0, *range(2, target.pmd_order + 1)]
    inside = [order for order in orders if mask >> order & 1]
    if inside == orders:
        return "every order"
    return ", ".join(format_size(target.page_size << order) for order in inside) or "none"


def orders_around(document: Analysis, place: int) -> str:
    """What the order set means that a token of it is part of, in Markdown."""
    tokens = document.tokens
    low = high = place
    while low and place - low < _LONGEST and _belongs(tokens[low - 1]):
        low -= 1
    while high + 1 < len(tokens) and high - place < _LONGEST and _belongs(tokens[high + 1]):
        high += 1
    text = document.text[tokens[low].start : tokens[high].end]
    policy = f"policy p;\nthp {{ otherwise allow {text}; }}"
    plan = check_text(policy, "", profiles=["testrun"], target=document.target).plan
    if plan is None or plan.thp is None:
        return ""
    action = plan.thp.blocks[0].rules[0].action
    if not isinstance(action, n.Allow) or not isinstance(action.orders, n.Const):
        return ""
    mask = int(action.orders.value)
    what = f"`{text}` as orders: {spelled(mask, document.target)}"
    if mask.bit_count() == 1 and low == high:
        what = f"`{text}` is a page of order {mask.bit_length() - 1}"
    return f"{what}\n\nwith pages of {format_size(document.target.page_size)}"


def _belongs(token: Token) -> bool:
    return token.kind is TokenKind.NUMBER or token.text in _SIGNS or token.text in _WORDS
