"""Host blocks: settings, their types and ranges, and settings that defeat the policy."""

from __future__ import annotations

from policyc.check.literals import order_of_size, suggest
from policyc.diagnostics.model import Diagnostics, Label
from policyc.hooks.loader import host_rows
from policyc.hooks.model import HostRow
from policyc.plan import nodes as n
from policyc.plan.types import BOOL, Kind
from policyc.source import Span
from policyc.syntax import tree as t

__all__ = ["CheckedSetting", "check_host"]

CheckedSetting = tuple[n.HostSetting, Span]

_SHRINKER_OFF = 511


def check_host(
    items: list[t.HostItem], target: n.Target, has_thp: bool, diagnostics: Diagnostics
) -> list[CheckedSetting]:
    """The settings of all host blocks; every mistake in them is reported."""
    settings: list[CheckedSetting] = []
    seen: dict[tuple[str, int | None], Span] = {}
    for node in [node for item in items for node in item.settings]:
        setting = _setting(node, target, diagnostics)
        if setting is None:
            continue
        key = (setting.name, setting.argument)
        if key in seen:
            diagnostics.add(
                "PC0506",
                f"`{node.name.text}` is set twice",
                node.span,
                related=(Label(seen[key], "set here first"),),
                help="keep one of them",
            )
            continue
        seen[key] = node.span
        settings.append((setting, node.span))
    _lint(settings, has_thp, diagnostics)
    return settings


def _setting(node: t.Setting, target: n.Target, diagnostics: Diagnostics) -> n.HostSetting | None:
    key = node.name.text + ("[]" if node.argument is not None else "")
    row = host_rows().get(key)
    if row is None:
        _unknown_setting(node, key, diagnostics)
        return None
    argument = None
    if node.argument is not None:
        if not isinstance(node.argument, t.SizeLiteral):
            diagnostics.add(
                "PC0308",
                f"the brackets of `{node.name.text}` hold a page size",
                node.argument.span,
                "this is something else",
                help="write for example `[64K]`",
            )
            return None
        argument = order_of_size(node.argument.value, target, node.argument.span, diagnostics)
        if argument is None:
            return None
    value = _value(node, row, diagnostics)
    if value is None:
        return None
    return n.HostSetting(row.name, argument, value, node.span.line)


def _unknown_setting(node: t.Setting, key: str, diagnostics: Diagnostics) -> None:
    rows = host_rows()
    if key.endswith("[]") and node.name.text in rows:
        advice = "this setting is not per size; leave out the brackets"
    elif key + "[]" in rows:
        advice = f"this setting is per size: write `{key}[64K] = ...`"
    else:
        advice = suggest(key, rows) or "docs/reference/host.md lists the settings"
    known = (key.endswith("[]") and node.name.text in rows) or key + "[]" in rows
    message = (
        f"`{node.name.text}` is {'not ' if key.endswith('[]') else ''}per size"
        if known
        else f"there is no host setting `{node.name.text}`"
    )
    diagnostics.add("PC0206", message, node.name.span, help=advice)


def _wrong_type(
    value: t.Literal | t.Word, wanted: str, row: HostRow, diagnostics: Diagnostics
) -> None:
    text = value.span.text
    examples = {Kind.INT: "409", Kind.SIZE: "256M", Kind.DURATION: "10s"}
    if isinstance(value, t.StringLiteral) and text[1:-1] in (*row.values, "on", "off"):
        advice = f"write `{text[1:-1]}` without quotes"
    elif row.values:
        advice = suggest(text, row.values)
    elif row.type.kind in examples:
        advice = f"write for example `{examples[row.type.kind]}`"
    else:
        advice = ""
    diagnostics.add(
        "PC0308",
        f"`{row.name}` is {wanted}",
        value.span,
        "this is something else",
        help=advice or row.meaning,
    )


def _value(node: t.Setting, row: HostRow, diagnostics: Diagnostics) -> n.ConstValue | None:
    value = node.value
    if row.values:
        if isinstance(value, t.Word) and value.text in row.values:
            return value.text
        choices = ", ".join(f"`{choice}`" for choice in row.values)
        _wrong_type(value, f"one of {choices}", row, diagnostics)
        return None
    if row.type == BOOL:
        if isinstance(value, t.Word) and value.text in ("on", "off"):
            return value.text == "on"
        _wrong_type(value, "`on` or `off`", row, diagnostics)
        return None
    return _number(value, row, diagnostics)


def _number(value: t.Literal | t.Word, row: HostRow, diagnostics: Diagnostics) -> int | None:
    match value, row.type.kind:
        case (
            (t.IntegerLiteral(number), Kind.INT)
            | (t.SizeLiteral(number), Kind.SIZE)
            | (t.DurationLiteral(number), Kind.DURATION)
        ):
            pass
        case _:
            _wrong_type(value, f"of type {row.type}", row, diagnostics)
            return None
    if not row.low <= number <= row.high or number % row.scale:
        low, high = row.low // row.scale, row.high // row.scale
        unit = {Kind.SIZE: " MiB", Kind.DURATION: " ms"}.get(row.type.kind, "")
        diagnostics.add(
            "PC0410",
            f"the kernel takes {low} to {high}{unit} for `{row.name}`",
            value.span,
            "outside" if number % row.scale == 0 else f"not a whole number of{unit}",
            help=row.meaning,
        )
        return None
    return number


def _lint(settings: list[CheckedSetting], has_thp: bool, diagnostics: Diagnostics) -> None:
    by_name = {setting.name: (setting, span) for setting, span in settings}
    enabled = by_name.get("thp.enabled")
    if has_thp and enabled is not None and enabled[0].value == "never":
        diagnostics.add(
            "PC0610",
            "with `thp.enabled = never` no thp rule has any effect",
            enabled[1],
            help="the hooks only narrow what the mode allows; use `madvise` or `always`",
        )
    shrink = by_name.get("thp.shrink_underused")
    empty = by_name.get("khugepaged.max_ptes_none")
    if shrink is None or empty is None:
        return
    if shrink[0].value is True and empty[0].value == _SHRINKER_OFF:
        diagnostics.add(
            "PC0611",
            "with max_ptes_none = 511 the shrinker finds no page underused",
            empty[1],
            related=(Label(shrink[1], "this is switched on"),),
            help="409 splits huge pages of which more than 80% is zero",
        )
