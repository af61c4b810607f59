"""`overlay`: boxes as `draw` draws them, and a graph that shows the frame rates it was given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.runtime.draw import annotate
from edgeface.runtime.overlay import draw_live, graph_points
from edgeface.runtime.stage_times import FPS_HISTORY
from edgeface.types import Contract
from runtime.conftest import TinyModel

FACE = {"box": [200, 60, 120, 120], "age": 31.0, "gender": "female", "p_female": 0.9}


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
    drawn = draw_live(picture, [], contract, [20.0, 30.0])
    assert (picture == 200).all()  # the frame itself is left alone
    # but for the rim of a letter that happens to have the ground's shade
    assert (drawn[420:, :160] != 200).any(axis=2).mean() > 0.99
    outside = np.ones((480, 640), bool)
    outside[420:, :160] = False
    assert (drawn[outside] == 200).all()


@pytest.mark.parametrize("shape", [(119, 640, 3), (480, 319, 3), (1, 1, 3)])
def test_a_small_picture_has_no_graph(shape: tuple[int, int, int], contract: Contract) -> None:
    picture = np.full(shape, 200, np.uint8)
    np.testing.assert_array_equal(draw_live(picture, [], contract, [30.0]), picture)


def test_the_line_with_visible_arithmetic() -> None:
    """Values of 10, 20 and 40 FPS in 161 px: the top is 40 FPS; a value is 160 / 119 px wide."""
    points = graph_points([10.0, 20.0, 40.0], width_px=161, height_px=41)
    step = 160 / (FPS_HISTORY - 1)
    np.testing.assert_array_equal(
        points, [[round(160 - 2 * step), 30], [round(160 - step), 20], [160, 0]]
    )
    # the top is a multiple of ten: 41 FPS reaches 41 of 50
    assert graph_points([41.0], 161, 51)[0].tolist() == [160, 9]


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=2 * FPS_HISTORY))
def test_every_graph_stays_inside(fps: list[float]) -> None:
    points = graph_points(fps, 160, 60)
    assert len(points) == min(len(fps), FPS_HISTORY)
    assert ((points >= 0) & (points <= [159, 59])).all()
    assert (np.diff(points[:, 0]) > 0).all()
    assert points[-1, 0] == 159


def test_the_overlay_says_the_newest_rate(contract: Contract) -> None:
    picture = np.full((480, 640, 3), 200, np.uint8)
    words = np.s_[420:437, :70]
    history = [60.0] * 60  # in the right half of the graph, so beside the words
    one, rounded, other = (
        draw_live(picture, [], contract, [*history, fps])[words] for fps in (30.0, 30.4, 24.0)
    )
    np.testing.assert_array_equal(one, rounded)
    assert (one != other).any()
