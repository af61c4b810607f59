"""The page is one file that asks for nothing, whose plots are to scale, and that trusts no name."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.data.inspection import Inspection, inspect
from edgeface.data.labels import AgeInterval, Attribute, Entry, Listing, Pictures
from edgeface.data.scan import scan
from edgeface.errors import DataError
from edgeface.report.inspection_page import (
    FACES_PER_CONFLICT,
    bar_plot,
    conflict_thumbnails,
    inspection_page,
    y_ticks,
)
from edgeface.types import SilentReporter

GENDER = Attribute(name="gender", classes=("male", "female"))
EVIL = "<script>alert(1)</script>\"'&amp;"


def face(seed: int, shape: tuple[int, int] = (120, 60)) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 3, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def a_set(
    labels: Mapping[str, tuple[int | None, int, int]],
    attribute: Attribute = GENDER,
    left_out: tuple[tuple[str, str], ...] = (),
) -> Listing:
    """A set of (age in years, class, seed of the pixels) by id; the first is in a test split."""
    splits = ["test"] + ["train"] * len(labels)
    return Listing(
        adapter="table",
        root=Path("faces"),
        attributes=(attribute,),
        entries=tuple(
            Entry(
                id=id,
                age=None if age is None else AgeInterval(low_years=age, high_years=age),
                classes={attribute.name: number},
                split=split,
            )
            for (id, (age, number, _)), split in zip(labels.items(), splits, strict=False)
        ),
        left_out=left_out,
        pictures=Pictures(
            content=lambda id: id.encode(), decode=lambda id, content: face(labels[id][2])
        ),
    )


def inspected(listing: Listing) -> Inspection:
    return inspect(listing, scan(listing, SilentReporter()))


SMALL = {"a.jpg": (26, 0, 1), "b.jpg": (74, 1, 1), "c.jpg": (31, 0, 2), "d.jpg": (30, 0, 3)}


class Reader(HTMLParser):
    """Collects tags with attributes and the text, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_asks_for_nothing() -> None:
    listing = a_set(SMALL, left_out=(("e.jpg", "bad name"),))
    inspection = inspected(listing)
    page = inspection_page(inspection, conflict_thumbnails(listing, inspection))
    reader = read(page)
    assert page.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in reader.tags}
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert "href" not in attributes
        if "src" in attributes:
            assert tag == "img"
            assert (attributes["src"] or "").startswith("data:image/jpeg;base64,")
    assert "//" not in re.sub(r'src="data:[^"]*"', "", page)
    assert "url(" not in page
    assert "@import" not in page
    policy = next(
        attributes["content"]
        for tag, attributes in reader.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert sum(tag == "img" for tag, _ in reader.tags) == 2
    for expected in (
        "1 group of copies with labels that disagree (age 1, gender 1)",
        "Ages by gender",
        "Exact ages, year by year",
        "age 26 and 74; gender male and female",
        "26 years, male",
        "74 years, female",
        "(test)",
        "bad name",
        "Size of the groups of copies",
        "Age gap of the groups whose ages disagree",
    ):
        assert expected in reader.text, expected
    # the findings stand before all else
    assert page.index("<h2>Findings") < page.index("<h2>What is there") < page.index("<svg")


def test_plots_are_well_formed_and_have_titles_on_their_axes() -> None:
    inspection = inspected(a_set(SMALL))
    svgs = re.findall(r"<svg viewBox.*?</svg>", inspection_page(inspection, {}), re.DOTALL)
    assert len(svgs) == 4
    texts = [[element.text for element in ElementTree.fromstring(svg).iter("text")] for svg in svgs]
    assert [text[-2:] for text in texts] == [
        ["age in years", "images"],
        ["age in years", "images"],
        ["images in a group", "groups"],
        ["years between the youngest and the oldest label", "groups"],
    ]
    tips = [element.text for element in ElementTree.fromstring(svgs[1]).iter("title")]
    # ages that end in 0 or 5 have their own colour
    assert tips == [
        "30, ending in 0 or 5: 1",
        "26, other ages: 1",
        "31, other ages: 1",
        "74, other ages: 1",
    ]
    assert "46–50: 1" in svgs[3]  # 74 - 26 = 48


def test_age_gaps_are_counted_by_five_years() -> None:
    faces = {"a": (10, 0, 1), "b": (15, 0, 1), "c": (10, 0, 2), "d": (16, 0, 2), "e": (10, 0, 3)}
    page = inspection_page(inspected(a_set(faces | {"f": (11, 0, 3)})), {})
    assert re.findall(r"<title>(\d+–\d+: \d)</title>", page)[-2:] == ["1–5: 2", "6–10: 1"]


def test_untrusted_names_are_text() -> None:
    listing = a_set(
        {f"{EVIL}1.jpg": (1, 0, 1), "x\u2028<b>.jpg": (9, 1, 1)},
        Attribute(name=f"mood{EVIL}", classes=(EVIL, "<img src=x onerror=y>")),
        left_out=((f"{EVIL}odd", f"reason {EVIL}"),),
    )
    listing = replace(listing, root=Path("<i>faces"))
    inspection = inspected(listing)
    reader = read(inspection_page(inspection, conflict_thumbnails(listing, inspection)))
    assert not any(tag == "script" or "onerror" in given for tag, given in reader.tags)
    assert all(
        (attributes.get("src") or "data:").startswith("data:") for _, attributes in reader.tags
    )
    for expected in (
        f"{EVIL}1.jpg",
        r"x\u2028<b>.jpg",
        f"mood{EVIL}",
        "<img src=x onerror=y>",
        f"{EVIL}odd",
        f"reason {EVIL}",
        "<i>faces",
    ):
        assert expected in reader.text, expected


def test_a_face_without_thumbnail_is_named() -> None:
    reader = read(inspection_page(inspected(a_set(SMALL)), {}))
    assert not any(tag == "img" for tag, _ in reader.tags)
    assert reader.text.count("no picture") == 2


def test_a_set_without_defects_has_no_empty_parts() -> None:
    listing = a_set({"a.jpg": (None, 0, 1), "b.jpg": (None, 1, 2)})
    text = read(inspection_page(inspected(listing), {})).text
    assert "Nothing found." in text
    for absent in ("Copies", "Ages", "Not usable", "Odd pictures"):
        assert absent not in text


def test_thumbnails_are_small_and_of_the_worst_groups() -> None:
    labels: dict[str, tuple[int | None, int, int]] = {
        f"a{number:02}": (10 + number, 0, 1) for number in range(12)
    }
    labels |= {"b1": (50, 0, 2), "b2": (99, 0, 2), "c1": (5, 0, 3), "c2": (6, 0, 3)}
    listing = a_set(labels)
    inspection = inspected(listing)
    thumbnails = conflict_thumbnails(listing, inspection, 2)
    # gaps: b 49, a 11, c 1
    assert list(thumbnails) == ["b1", "b2", *sorted(labels)[:FACES_PER_CONFLICT]]
    decoded = cv2.imdecode(np.frombuffer(thumbnails["b1"], np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (96, 48, 3)  # of 120 x 60
    small = cv2.resize(face(2), (48, 96), interpolation=cv2.INTER_AREA)
    difference = np.abs(decoded[..., ::-1].astype(int) - small.astype(int)).mean()
    # a few grey levels are JPEG's; exchanged colours would be tens
    assert difference < 6
    text = read(inspection_page(inspection, thumbnails)).text
    assert f"{FACES_PER_CONFLICT} of 12 images" in text


def test_small_pictures_are_not_enlarged() -> None:
    listing = a_set({"a": (1, 0, 1), "b": (9, 0, 1)})
    listing = replace(
        listing, pictures=replace(listing.pictures, decode=lambda id, content: face(1, (20, 30)))
    )
    (first, _) = conflict_thumbnails(listing, inspected(listing)).values()
    decoded = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (20, 30, 3)


def test_without_jinja2_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    inspection = inspected(a_set(SMALL))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DataError, match=r"jinja2 .*pip install 'edgeface\[data\]'"):
        inspection_page(inspection, {})


def test_bars_are_to_scale() -> None:
    plot = bar_plot("t", ("x", "y"), ["a", "b"], [("one", [40, 0]), ("two", [20, 10])])
    assert plot.y_marks[0].text == "0"
    assert plot.y_marks[-1].text == "40"
    heights = {bar.text: bar.height for bar in plot.bars}
    assert list(heights) == ["a, one: 40", "a, two: 20", "b, two: 10"]  # none for 0
    room = plot.y_marks[0].at - plot.y_marks[-1].at
    np.testing.assert_allclose(list(heights.values()), [room, room / 2, room / 4], atol=0.01)
    for bar in plot.bars:
        assert bar.y + bar.height == pytest.approx(plot.bottom, abs=0.02)
    one, two, _ = plot.bars
    assert two.x == pytest.approx(one.x + one.width, abs=0.02)
    laid_over = bar_plot(
        "t", ("x", "y"), ["a", "b"], [("one", [4, 0]), ("two", [0, 1])], overlaid=True
    )
    middles = [bar.x + bar.width / 2 for bar in laid_over.bars]
    np.testing.assert_allclose(middles, [mark.at for mark in laid_over.x_marks], atol=0.02)


def test_a_bar_of_one_among_thousands_is_seen() -> None:
    plot = bar_plot("t", ("x", "y"), ["a", "b"], [("one", [50_000, 1])])
    assert plot.bars[1].height == 1.0


def test_labels_are_left_out_where_they_would_touch() -> None:
    ages = [f"{age}" for age in range(117)]
    plot = bar_plot("t", ("x", "y"), ages, [("one", [1] * 117)])
    assert [mark.text for mark in plot.x_marks] == [f"{age}" for age in range(0, 117, 10)]
    few = bar_plot("t", ("x", "y"), ages[:9], [("one", [1] * 9)])
    assert [mark.text for mark in few.x_marks] == ages[:9]


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (6, [0, 2, 4, 6]),
        (11, [0, 5, 10, 15]),
        (787, [0, 200, 400, 600, 800]),
        (3917, [0, 1000, 2000, 3000, 4000]),
    ],
)
def test_ticks(largest: int, ticks: list[int]) -> None:
    assert y_ticks(largest) == ticks


@given(st.integers(0, 10**9))
def test_ticks_reach_the_largest(largest: int) -> None:
    ticks = y_ticks(largest)
    assert ticks[-1] >= largest
    assert 2 <= len(ticks) <= 6
    assert len({b - a for a, b in pairwise(ticks)}) == 1
