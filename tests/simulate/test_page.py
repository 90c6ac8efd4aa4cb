"""The page of a report: that it stands alone, and what it does in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from policyc.simulate.report.page import page
from policyc.simulate.results import RuleCount, Timeline
from policyc.simulate.workload.specification import GIB
from tests.simulate.browser import Browser, find_browser, opened
from tests.simulate.made import column, figures, policy_run, report, run, timeline

EVIL = (
    "</script><script>window.evil = 1</script><img src=x onerror='evil()'>&\"'\u2028\x00{{ 7 * 7 }}"
)


def usual_report() -> str:
    return page(
        report(
            policy_run(figures(memory=4 * GIB, huge={9: 2 * GIB, 4: GIB})),
            column("never", run("never", figures(memory=3 * GIB, seconds=70))),
            column("always", run("always", figures(memory=5 * GIB, seconds=50, oom_kill=1))),
            failed=("oom > 0: fleet has 1 > 0",),
        )
    )


class Reader(HTMLParser):
    """What a page refers to, and whether its elements are closed in order."""

    EMPTY = ("meta", "link", "br", "img", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "data")
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_sound_and_refers_to_nothing() -> None:
    text = usual_report()
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert [address for address in reader.addresses if not address.startswith("data:")] == []
    assert not re.search(r"@import|url\((?!#)", text.replace("url(#${clip})", ""))
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_the_same_runs_give_the_same_page() -> None:
    assert usual_report() == usual_report()


def hostile_report() -> str:
    rule = RuleCount(hook="thp", index=0, label=EVIL, line=3, text=EVIL, decisions=5)
    made = run(
        EVIL,
        policy=True,
        rules=(rule,),
        notes=(EVIL,),
        cgroups={f"/{EVIL}": figures()},
        timeline=Timeline(seconds=(0.0, 1.0), series={f"cgroup./{EVIL}": (1.0, 2.0)}),
    )
    return page(
        report(
            column(EVIL, made, baseline=False, setting=((EVIL, EVIL),)),
            column("never", run("never")),
            workload=EVIL,
            description=EVIL,
            policy=EVIL,
            file=EVIL,
            failed=(EVIL,),
        )
    )


def test_no_name_becomes_markup() -> None:
    text = hostile_report()
    assert text.count("<script") == 2
    assert "<img" not in text
    assert "49" not in re.findall(r"<title>.*</title>", text)[0]
    data = re.search(r'id="data">(.*?)</script>', text)
    assert data is not None
    assert json.loads(data[1])["runs"][0]["setting"] == {EVIL: EVIL}


def test_long_timelines_are_thinned() -> None:
    long = run("long", timeline=timeline(50_000))
    data = re.search(r'id="data">(.*?)</script>', page(report(column("long", long))))
    assert data is not None
    seconds = json.loads(data[1])["runs"][0]["seconds"]
    assert len(seconds) <= 2000
    assert seconds[0] == 0
    assert seconds[-1] > 49_900


def test_only_the_largest_cgroups_have_a_line() -> None:
    series = {f"cgroup./pod-{number}": (0.0, float(number)) for number in range(1000)}
    made = run("many", timeline=Timeline(seconds=(0.0, 1.0), series=series))
    data = re.search(r'id="data">(.*?)</script>', page(report(column("many", made))))
    assert data is not None
    shown = json.loads(data[1])["runs"][0]["series"]
    assert sorted(shown) == [f"cgroup./pod-{number}" for number in range(992, 1000)]


def test_runs_without_figures_make_a_page() -> None:
    empty = run("never", figures(memory=0, seconds=0, touches=0), timeline=Timeline(), cgroups={})
    assert "stock settings" in page(report(column("never", empty), policy="", file="", profile=""))


needs_browser = pytest.mark.skipif(
    find_browser() is None, reason="no Chromium: as root, apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with opened() as found:
        yield found


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Browser:
    """The usual page in a window."""
    path = tmp_path / "page.html"
    path.write_text(usual_report(), "utf-8")
    browser.messages.clear()
    browser.requests.clear()
    browser.open(path)
    return browser


def times(browser: Browser, chart: str = "memory") -> list[str]:
    """The labels of the time axis of a chart."""
    return browser.texts(f"#chart-{chart} svg text.time")


def middle(browser: Browser, chart: str, across: float = 0.5) -> tuple[float, float]:
    """A place in the plot of a chart: a share of the way from its left to its right edge."""
    left, top, width, height = browser.box(f"#chart-{chart} svg")
    return left + 64 + (width - 74) * across, top + height / 2


@needs_browser
def test_hovering_shows_the_values(shown: Browser) -> None:
    assert shown.texts(".readout") == []
    shown.mouse("mouseMoved", *middle(shown, "memory"))
    assert shown.texts("#chart-memory .readout b") == ["30.0 s"]
    rows = shown.texts("#chart-memory .readout div")
    # At 30 s: 30 * 64 MiB of base pages, 30 * 16 MiB of 64K, 10 * 64 MiB of 2M.
    assert rows == ["2M640 MiB", "64K480 MiB", "4K pages1.88 GiB", "together2.97 GiB"]
    # Every chart shows where it is, and only the one below the mouse has a read-out.
    charts = len(shown.texts("#charts figure"))
    assert charts == 8
    assert len(shown.texts(".readout")) == 1
    assert shown.value("document.querySelectorAll('#charts .cursor').length") == charts
    shown.mouse("mouseMoved", 5, 5)
    assert shown.texts(".readout") == []


@needs_browser
def test_dragging_zooms_all_charts_and_the_button_goes_back(shown: Browser) -> None:
    whole = times(shown)
    assert whole[0] == "0 s"
    assert whole[-1] == "60 s"
    assert shown.value("document.getElementById('reset').disabled")
    start = middle(shown, "memory", 0.25)
    shown.drag(start, (middle(shown, "memory", 0.5)[0], start[1]))
    seconds = [float(text.removesuffix(" s")) for text in times(shown)]
    assert 14.9 <= seconds[0] <= 18
    assert 27 <= seconds[-1] <= 30.1
    assert times(shown, "pressure") == times(shown)
    left, top, width, height = shown.box("#reset")
    at = (left + width / 2, top + height / 2)
    shown.mouse("mousePressed", *at, button="left", clickCount=1)
    shown.mouse("mouseReleased", *at, button="left", clickCount=1)
    assert times(shown) == whole


@needs_browser
def test_the_wheel_zooms_with_control_only(shown: Browser) -> None:
    whole = times(shown)
    at = middle(shown, "memory")
    shown.mouse("mouseWheel", *at, deltaX=0, deltaY=-240)
    assert times(shown) == whole
    at = middle(shown, "memory")
    shown.mouse("mouseWheel", *at, deltaX=0, deltaY=-240, modifiers=2)
    assert times(shown) != whole


@needs_browser
def test_the_keyboard_does_it_all(shown: Browser) -> None:
    whole = times(shown)
    shown.value("document.querySelector('#chart-memory svg').focus()")
    shown.press("ArrowRight")
    assert shown.texts("#chart-memory .readout b") == ["31.0 s"]
    assert shown.texts("#said")[0].startswith("31.0 s, 2M 704 MiB")
    shown.press("+")
    assert times(shown) != whole
    assert shown.texts("#chart-memory .readout b") == ["31.0 s"]
    shown.press("Home")
    assert shown.texts("#chart-memory .readout b") == ["0 s"]
    assert times(shown)[0] == "0 s"
    shown.press("0")
    assert times(shown) == whole


@needs_browser
def test_another_run_can_be_chosen(shown: Browser) -> None:
    assert shown.texts("#run option") == ["fleet", "never", "always"]
    shown.value(
        "(() => { const run = document.getElementById('run'); run.value = '1';"
        " run.dispatchEvent(new Event('change')); })()"
    )
    label = "document.querySelector('#chart-memory svg').getAttribute('aria-label')"
    assert ", never, " in shown.value(label)


@needs_browser
def test_the_trade_off_tells_what_a_point_is(shown: Browser) -> None:
    left, top, width, height = shown.box("#tradeoff circle")
    shown.mouse("mouseMoved", left + width / 2, top + height / 2)
    assert shown.texts("#tradeoff .readout b") == ["fleet"]
    assert "4.00 GiB" in shown.texts("#tradeoff .readout")[0]


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_and_can_be_read(shown: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    shown.open(tmp_path / "page.html", width=width, dark=dark)
    assert shown.value("document.documentElement.scrollWidth") <= width
    style = "getComputedStyle(document.body)"
    ink, paper = (
        [int(part) for part in re.findall(r"\d+", color)[:3]]
        for color in shown.value(f"[{style}.color, {style}.backgroundColor]")
    )
    assert (sum(ink) > sum(paper)) is dark
    assert abs(sum(ink) - sum(paper)) > 500


@needs_browser
def test_nothing_is_loaded_and_nothing_goes_wrong(shown: Browser, tmp_path: Path) -> None:
    shown.mouse("mouseMoved", *middle(shown, "memory"))
    assert shown.messages == []
    loaded = [address for address in shown.requests if not address.startswith("data:")]
    assert loaded == [(tmp_path / "page.html").resolve().as_uri()]


@needs_browser
def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(hostile_report(), "utf-8")
    browser.messages.clear()
    browser.open(path)
    assert browser.value("typeof window.evil") == "undefined"
    assert browser.value("document.querySelectorAll('img, script').length") == 2
    assert browser.texts("#run option")[0].startswith("</script><script>")
    assert browser.messages == []
