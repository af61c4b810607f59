"""`overlay`: boxes as `draw` draws them, and a graph that shows the frame rates it was given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.runtime.draw import annotate
from edgeface.runtime.overlay import draw_live, graph_points, top_fps
from edgeface.runtime.stage_times import GRAPH_S, FpsSample
from edgeface.types import Contract
from runtime.conftest import TinyModel

FACE = {"box": [200, 60, 120, 120], "age": 31.0, "gender": "female", "p_female": 0.9}


def samples(*fps: float, step_s: float = 0.05) -> list[FpsSample]:
    return [FpsSample(at_s=100 + i * step_s, fps=each) for i, each in enumerate(fps)]


@pytest.fixture(scope="module")
def contract(float_model: TinyModel, tiny_contract: Callable[[TinyModel], Contract]) -> Contract:
    return tiny_contract(float_model)


def test_without_frame_rates_it_is_the_annotated_picture(contract: Contract) -> None:
    picture = np.full((480, 640, 3), 200, np.uint8)
    drawn = draw_live(picture, [FACE], contract, [])
    np.testing.assert_array_equal(drawn, annotate(picture, [FACE], contract))
    assert (drawn != picture).any()


def test_the_graph_changes_its_corner_only(contract: Contract) -> None:
    picture = np.full((480, 640, 3), 200, np.uint8)
    drawn = draw_live(picture, [], contract, samples(20, 30))
    assert (picture == 200).all()  # the frame itself is left alone
    # but for the rim of a letter that happens to have the ground's shade
    assert (drawn[420:, :160] != 200).any(axis=2).mean() > 0.99
    outside = np.ones((480, 640), bool)
    outside[420:, :160] = False
    assert (drawn[outside] == 200).all()


@pytest.mark.parametrize("shape", [(119, 640, 3), (480, 319, 3), (1, 1, 3)])
def test_a_small_picture_has_no_graph(shape: tuple[int, int, int], contract: Contract) -> None:
    picture = np.full(shape, 200, np.uint8)
    np.testing.assert_array_equal(draw_live(picture, [], contract, samples(30)), picture)


def test_the_line_with_visible_arithmetic() -> None:
    """Values of 10, 20 and 40 FPS in 161 px of 10 s: the top is 40 FPS; a second is 16 px wide."""
    points = graph_points(samples(10, 20, 40, step_s=1.0), width_px=161, height_px=41)
    np.testing.assert_array_equal(points, [[160 - 2 * 16, 30], [160 - 16, 20], [160, 0]])
    # the top is a multiple of ten: 41 FPS reaches 41 of 50
    assert graph_points(samples(41), 161, 51)[0].tolist() == [160, 9]
    assert [top_fps(samples(fps)) for fps in (0, 10, 10.1, 41)] == [10, 10, 20, 50]


def test_what_is_too_old_is_left_out() -> None:
    """A frame every 4 s: of five the last three are within 10 s."""
    points = graph_points(samples(40, 40, 10, 20, 40, step_s=4.0), width_px=101, height_px=41)
    np.testing.assert_array_equal(points, [[100 - 80, 30], [100 - 40, 20], [100, 0]])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e4)), min_size=1, max_size=60),
    st.sampled_from([0.01, 0.1, 1.0, 10.0]),
)
@settings(max_examples=40)
def test_every_graph_stays_inside(steps: list[tuple[float, float]], scale: float) -> None:
    at_s = np.cumsum([step for step, _ in steps]) * scale
    fps = [FpsSample(at_s=float(at), fps=rate) for at, (_, rate) in zip(at_s, steps, strict=True)]
    points = graph_points(fps, 160, 60)
    assert len(points) == (at_s[-1] - at_s <= GRAPH_S).sum()
    assert ((points >= 0) & (points <= [159, 59])).all()
    assert (np.diff(points[:, 0]) >= 0).all()
    assert points[-1, 0] == 159


def test_the_overlay_says_the_newest_rate(contract: Contract) -> None:
    picture = np.full((480, 640, 3), 200, np.uint8)
    words = np.s_[420:437, :70]
    history = [60.0] * 60  # three seconds: in the right half of the graph, so beside the words
    one, rounded, other = (
        draw_live(picture, [], contract, samples(*history, fps))[words]
        for fps in (30.0, 30.4, 24.0)
    )
    np.testing.assert_array_equal(one, rounded)
    assert (one != other).any()


def test_the_graph_says_the_rate_at_its_upper_edge(contract: Contract) -> None:
    """A top of 40 and one of 60 FPS, with a line that is elsewhere."""
    picture = np.full((480, 640, 3), 200, np.uint8)
    corner = np.s_[420:434, 125:160]
    low = [*[0.0] * 9]
    one, same, other = (
        draw_live(picture, [], contract, samples(top, *low, step_s=1.0))[corner]
        for top in (31.0, 40.0, 51.0)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
