"""Constants as written, turned into the values that the plan has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import attributes
from policyc.plan.nodes import Target
from policyc.plan.types import format_size
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = [
    "cgroup_path",
    "checked_order",
    "order_of_size",
    "order_range",
    "suggest",
    "suggest_attribute",
    "task_name",
]

_MAX_PATH = 4096
_MAX_COMPONENT = 255
_MAX_COMM = 15


def suggest(word: str, known: Iterable[str]) -> str:
    """A help line with the nearest known name, or with all of a few, or nothing."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, 0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return "it can be " + ", ".join(f"`{name}`" for name in names) if 0 < len(names) <= 8 else ""


#: What the kernel or its users call something that is an attribute here.
_OTHER_NAMES = {
    "comm": "task.comm",
    "uid": "task.uid",
    "pid": "task.pid",
    "task.tgid": "task.pid",
    "memory.current": "memory.usage",
    "memory.limit": "memory.max",
    "rss": "mm.rss",
    "advice": "vma.advice",
    "kind": "vma.kind",
    "size": "vma.size",
    "tva_type": "event",
    "nid": "node.id",
}


def suggest_attribute(word: str) -> str:
    """A help line for a word that is nearly an attribute, or what the kernel calls one."""
    lower = word.lower()
    if lower in _OTHER_NAMES:
        return f"the attribute is called `{_OTHER_NAMES[lower]}`"
    if lower in ("cgroup.path", "cgroup.name", "cgroup.id"):
        return 'compare the cgroup itself: `cgroup == "/a"` or `cgroup under "/a"`'
    if lower != word and lower in {*attributes(), "pmd", "all", "none"}:
        return f"write `{lower}`"
    if any(name.startswith(lower + ".") for name in attributes()):
        names = [name for name in attributes() if name.startswith(lower + ".")]
        return f"the attributes below it are `{names[0]}` and so on; see `policyc attributes`"
    return ""


def order_of_size(size: int, target: Target, span: Span, diagnostics: Diagnostics) -> int | None:
    """The order of pages of that size, None (reported) if there is none."""
    pages, rest = divmod(size, target.page_size)
    if rest or pages == 0 or pages & (pages - 1):
        diagnostics.add(
            "PC0401",
            f"{span.text} is not a page size: it is not a power of two times "
            f"{format_size(target.page_size)}",
            span,
            help=f"the sizes are {_sizes(target)}",
        )
        return None
    return checked_order(pages.bit_length() - 1, target, span, diagnostics)


def _sizes(target: Target) -> str:
    orders = [0, *range(2, target.pmd_order + 1)]
    return ", ".join(format_size(target.page_size << order) for order in orders)


def checked_order(order: int, target: Target, span: Span, diagnostics: Diagnostics) -> int | None:
    """The order itself if the kernel can have folios of it, else None, reported."""
    if order == 1:
        diagnostics.add(
            "PC0402",
            f"there are no anonymous folios of order 1 ({format_size(target.page_size * 2)})",
            span,
            help=f"the smallest large folio is {format_size(target.page_size * 4)}, order 2",
        )
        return None
    if order > target.pmd_order:
        diagnostics.add(
            "PC0403",
            f"order {order} is above the PMD order, which is {target.pmd_order} "
            f"({format_size(target.pmd_size)}) with {format_size(target.page_size)} pages",
            span,
            help="`pmd` is the largest order whatever the page size",
        )
        return None
    return order


def order_range(
    low: int, high: int, low_span: Span, high_span: Span, diagnostics: Diagnostics
) -> int | None:
    """The mask of all orders from one to the other, without order 1, which does not exist."""
    if low > high:
        diagnostics.add(
            "PC0404",
            "the range is empty: its first order is above its last",
            low_span.to(high_span),
            related=(Label(low_span, f"order {low}"), Label(high_span, f"order {high}")),
            help=f"write {high_span.text}..{low_span.text}",
        )
        return None
    return ((1 << (high + 1)) - (1 << low)) & ~0b10


def cgroup_path(node: t.StringLiteral, diagnostics: Diagnostics) -> str | None:
    """The path of a cgroup as text (undecodable bytes as surrogates), None if it is not one."""
    path = node.value.decode("utf-8", "surrogateescape")
    reason = _path_error(node.value, path)
    if reason:
        diagnostics.add(
            "PC0408",
            f"this is not a cgroup path: {reason}",
            node.span,
            help='a path starts at the root of the cgroup v2 tree, such as "/kubepods/java"',
        )
        return None
    if "*" in path:
        diagnostics.add(
            "PC0413",
            "`*` stands for itself in a cgroup path",
            node.span,
            help=f'`under "{path.partition("*")[0].rpartition("/")[0] or "/"}"` covers all below',
        )
    return path


def _path_error(data: bytes, path: str) -> str:
    components = path.split("/")[1:]
    if not path.startswith("/"):
        return "it does not start with `/`"
    if path == "/":
        return ""
    if b"\0" in data:
        return "it holds a NUL byte"
    if "" in components:
        return "it has an empty part, or ends with `/`"
    if "." in components or ".." in components:
        return "it has a part `.` or `..`"
    if len(data) >= _MAX_PATH or any(len(c) > _MAX_COMPONENT for c in data.split(b"/")):
        return "it or a part of it is too long"
    if components[0] == "sys" and components[1:3] == ["fs", "cgroup"]:
        return "it is a path of the file system; leave out /sys/fs/cgroup"
    return ""


def task_name(node: t.StringLiteral, diagnostics: Diagnostics) -> bytes | None:
    """The bytes of a task's name, None (reported) if no task can have it."""
    if len(node.value) > _MAX_COMM:
        cut = node.value[:_MAX_COMM].decode("utf-8", "replace")
        diagnostics.add(
            "PC0407",
            f"a task name has at most {_MAX_COMM} bytes, this has {len(node.value)}",
            node.span,
            help=f'the kernel cuts names off; such a task is called "{cut}"',
        )
        return None
    if b"\0" in node.value:
        diagnostics.add(
            "PC0407", "a task name cannot hold a NUL byte", node.span, help="leave it out"
        )
        return None
    return node.value
