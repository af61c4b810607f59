"""A real Chromium opens the page: no complaint, nothing asked for, and it fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.report.page.content import PageContent, find_results
from edgeface.report.page.page import report_page
from support.chromium import Page, browser, program
from support.report_results import full_content

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "results"
pytestmark = pytest.mark.skipif(
    program() is None, reason="Chromium is not installed, so no page can be opened"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report_page(full_content()), "utf-8")
    return path


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shipped") / "report.html"
    path.write_text(report_page(PageContent(files=find_results(BENCHMARKS))), "utf-8")
    assert path.stat().st_size < 6_000_000
    return path


@pytest.mark.parametrize("which", ["full", "shipped"])
@pytest.mark.parametrize("width_px", [360, 1200])
def test_it_opens_without_a_complaint_and_does_not_scroll_sideways(
    chromium: Page, request: pytest.FixtureRequest, which: str, width_px: int
) -> None:
    path: Path = request.getfixturevalue(which)
    chromium.show(path, width_px=width_px, phone=width_px == 360)
    chromium.ask("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert chromium.ask("document.documentElement.scrollWidth") == width_px
    assert chromium.ask("document.querySelectorAll('section').length") > 8
    assert chromium.complaints() == []
    assert [url for url in chromium.requests() if not url.startswith("data:image/jpeg")] == [
        path.as_uri()
    ]


@pytest.mark.parametrize("which", ["full", "shipped"])
def test_no_table_scrolls_sideways_on_a_phone(
    chromium: Page, request: pytest.FixtureRequest, which: str
) -> None:
    chromium.show(request.getfixturevalue(which), width_px=360, phone=True)
    chromium.ask("document.querySelectorAll('details').forEach(each => { each.open = true })")
    wide = """[...document.querySelectorAll('.scroll')]
        .filter(each => each.scrollWidth > each.clientWidth)
        .map(each => each.getAttribute('aria-label'))"""
    assert chromium.ask("document.querySelectorAll('.scroll').length") > 10
    assert chromium.ask(wide) == []


def test_a_row_of_many_columns_is_a_list_on_a_phone_and_a_row_elsewhere(
    chromium: Page, full: Path
) -> None:
    label = """(() => { const cell = [...document.querySelectorAll('#headline .stacking td')][0];
        const row = cell.parentElement.getBoundingClientRect();
        return [getComputedStyle(cell, '::before').content, row.height > 100] })()"""
    chromium.show(full, width_px=360, phone=True)
    assert chromium.ask(label) == ['"file MB"', True]
    chromium.show(full, width_px=1200)
    assert chromium.ask(label) == ["none", False]


def test_what_is_wrong_with_a_page_is_seen(chromium: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<meta name=viewport content='width=device-width'><p style='width:50em'>wide"
        "<img src='http://127.0.0.1:9/x.png'><script>console.error('broken')</script>",
        "utf-8",
    )
    chromium.show(bad, width_px=360, phone=True)
    assert chromium.ask("document.documentElement.scrollWidth") > 360
    assert any("broken" in each for each in chromium.complaints())
    assert "http://127.0.0.1:9/x.png" in chromium.requests()


def test_no_text_is_outside_the_screen_of_a_phone(chromium: Page, full: Path) -> None:
    chromium.show(full, width_px=360, phone=True)
    outside = """[...document.querySelectorAll('h1,h2,h3,p,li,summary,figcaption,svg,img')]
        .filter(each => !each.closest('.scroll, nav') && each.getBoundingClientRect().width)
        .filter(each => each.getBoundingClientRect().right > 360)
        .map(each => each.textContent.slice(0, 60))"""
    assert chromium.ask(outside) == []


def test_every_picture_is_decoded_and_has_a_text(chromium: Page, full: Path) -> None:
    chromium.show(full, width_px=1200)
    # those far below are decoded when they come near
    chromium.ask("document.querySelectorAll('img').forEach(each => { each.loading = 'eager' })")
    decoded = "Promise.all([...document.images].map(each => each.decode())).then(all => all.length)"
    answer = chromium.call(
        "Runtime.evaluate", expression=decoded, awaitPromise=True, returnByValue=True
    )
    assert answer["result"]["value"] > 40
    assert chromium.ask("[...document.images].every(each => each.alt.startsWith('Face labelled'))")


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_in_light_and_dark(chromium: Page, full: Path, dark: bool) -> None:
    chromium.show(full, width_px=1200, dark=dark)
    contrasts = """(() => {
        const light = text => { const [r, g, b] = text.match(/[0-9.]+/g).map(v => {
            v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b };
        const card = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
        const found = {};
        const add = (name, colour) => { const a = light(colour);
            found[name] = (Math.max(a, card) + 0.05) / (Math.min(a, card) + 0.05) };
        document.querySelectorAll('.card svg text').forEach(each =>
            { const s = getComputedStyle(each).fill; if (light(s) !== card) add('svg ' + s, s) });
        for (const name of ['good', 'bad', 'doubtful', 'soft'])
            { const e = document.querySelector('.card .' + name);
              if (e) add(name, getComputedStyle(e).color) }
        return found })()"""
    found: dict[str, float] = chromium.ask(contrasts)
    assert len(found) >= 4
    # Source: WCAG 2.2, 1.4.3, contrast of text, level AA; luminance as it defines it
    assert {name: round(ratio, 1) for name, ratio in found.items() if ratio < 4.5} == {}
    picture = cv2.imdecode(np.frombuffer(chromium.picture(whole=False), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert (np.median(picture) < 60) == dark


def test_folded_tables_are_printed_open(chromium: Page, full: Path) -> None:
    chromium.show(full, width_px=1200)
    chromium.call("Emulation.setEmulatedMedia", media="print")
    height = """[...document.querySelectorAll('details table')]
        .map(each => each.getBoundingClientRect().height)"""
    heights = chromium.ask(height)
    chromium.call("Emulation.setEmulatedMedia", media="")
    assert len(heights) >= 4
    assert min(heights) > 20
