from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.errors import ExportError
from edgeface.report.front_plot import CostName, front_figure, write_front_plot
from edgeface.report.front_tables import BudgetLine, FrontEntry, FrontView
from edgeface.report.points import lower_left

points = st.lists(
    st.tuples(st.integers(1, 5).map(float), st.integers(1, 5).map(float)), min_size=1, max_size=12
)


def entry(name: str, size_bytes: int, mae_years: float | None, **facts: object) -> FrontEntry:
    plain = FrontEntry(
        name=name,
        is_chosen=False,
        is_reference=False,
        is_plain=True,
        scheme="int8",
        on_front=True,
        verdict="fits",
        size_bytes=size_bytes,
        gzip_bytes=None,
        p50_ms=size_bytes / 1e6,
        macs=None,
        mae_years=mae_years,
        gender_accuracy_ratio=0.9,
        weights="none",
    )
    return replace(plain, **facts)  # type: ignore[arg-type]  # fields by name


CHOSEN = entry("m-a50-96px-p30-int8", 500_000, 5.0, is_chosen=True, is_plain=False)
REFERENCE = entry("m-a100-128px-float32", 8_000_000, 4.5, is_reference=True, scheme="float32")
OFF = entry("m-a75-96px-int8", 900_000, 5.4, on_front=False)
STOPPED = entry("m-a75-160px-int8", 950_000, None, on_front=False)
VIEW = FrontView(
    budget="size<=1MB, mae<=5.2",
    entries=(REFERENCE, OFF, STOPPED, CHOSEN),
    front=(CHOSEN.name, REFERENCE.name),
    lines=(
        BudgetLine(quantity="size", most=1_000_000, text="size<=1MB"),
        BudgetLine(quantity="mae", most=5.2, text="mae<=5.2"),
        BudgetLine(quantity="p50", most=0.8, text="p50<=0.8ms"),
    ),
    data="some faces",
    images=2037,
    device="local",
    machine="a processor",
    notes=(),
)


@given(points)
def test_the_line_goes_down_and_nothing_is_below_and_left_of_it(
    given_points: list[tuple[float, float]],
) -> None:
    line = [given_points[i] for i in lower_left(given_points)]
    for (x1, y1), (x2, y2) in pairwise(line):
        assert x1 < x2
        assert y1 > y2
    for x, y in given_points:
        assert any(a <= x and b <= y for a, b in line)


@pytest.mark.parametrize(
    ("cost", "label", "unit"),
    [("size", "size of the .tflite, MB", 1e6), ("p50", "p50 latency, ms on local", 1e6)],
)
def test_every_measured_candidate_is_a_point_with_its_figures(
    cost: CostName, label: str, unit: float
) -> None:
    axes = front_figure(VIEW, cost).axes[0]
    at = {}
    for collection in axes.collections:
        if collection.get_gid():
            at[collection.get_gid()] = tuple(np.asarray(collection.get_offsets())[0].tolist())
    assert at == {
        each.name: (pytest.approx((each.size_bytes or 0) / unit), pytest.approx(each.mae_years))
        for each in (REFERENCE, OFF, CHOSEN)
    }
    assert label in axes.get_xlabel()
    assert axes.get_ylabel().startswith("age MAE, years")


def test_what_is_named_and_where_the_limits_are() -> None:
    axes = front_figure(VIEW, "size").axes[0]
    words = [text.get_text() for text in axes.texts]
    assert "chosen: a50-96px-p30-int8" in words
    assert "reference: a100-128px-float32" in words
    assert {"size<=1MB", "mae<=5.2"} <= set(words)
    assert "p50<=0.8ms" not in words, "of the other axis"
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    xs = [np.asarray(line.get_xdata()).tolist() for line in dashed]
    ys = [np.asarray(line.get_ydata()).tolist() for line in dashed]
    assert [1.0, 1.0] in xs  # MB
    assert [5.2, 5.2] in ys


def test_points_that_are_far_apart_get_a_logarithmic_axis() -> None:
    assert front_figure(VIEW, "size").axes[0].get_xscale() == "log"
    near = replace(VIEW, entries=(CHOSEN, OFF), front=(CHOSEN.name,))
    assert front_figure(near, "size").axes[0].get_xscale() == "linear"


@pytest.mark.parametrize(("data", "title"), [("drawn faces", "DRAWN FACES"), ("x", "x:")])
def test_the_title_says_what_the_faces_are(data: str, title: str) -> None:
    axes = front_figure(replace(VIEW, data=data), "size").axes[0]
    assert axes.get_title("left").startswith(title)
    assert "validation split, n = 2,037" in axes.get_title("left")


def test_pictures_are_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_front_plot(VIEW, tmp_path / f"{name}.svg", "size")
    one, other = (tmp_path / f"{name}.svg" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert f'id="{CHOSEN.name}"' in one.read_text()
    write_front_plot(VIEW, tmp_path / "a.png", "p50")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    assert picture.shape == (840, 1200, 3)
    assert len({path.name for path in tmp_path.iterdir()}) == 3


def test_one_candidate_alone_can_be_drawn() -> None:
    alone = replace(VIEW, entries=(CHOSEN,), front=(CHOSEN.name,), lines=())
    assert front_figure(alone, "size").axes[0].get_xscale() == "linear"


def test_nothing_to_draw_and_nowhere_to_write(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no candidate has an MAE and a p50"):
        front_figure(replace(VIEW, entries=(STOPPED,)), "p50")
    with pytest.raises(ExportError, match="cannot be written"):
        write_front_plot(VIEW, tmp_path / "none" / "a.svg", "size")
