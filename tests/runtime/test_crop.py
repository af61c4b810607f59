"""`crop`: squares by visible arithmetic, and pixels against numpy's own padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.errors import DataError
from edgeface.runtime.crop import (
    EYES_TO_MOUTH_RATIO,
    Framing,
    crop,
    eyes_square,
    haar_square,
    square_around,
)


def test_a_square_is_placed_by_its_framing() -> None:
    framing = Framing(side_ratio=2.0, right_ratio=0.1, down_ratio=0.5)
    # side 2 * 30 = 60; centre (100 + 3, 80 + 15), so its corner is 30 px up and left of that
    assert square_around(100, 80, 30, framing) == (73, 65, 60, 60)
    assert square_around(0, 0, 0.1, framing)[2:] == (1, 1)  # never empty


def test_the_median_box_of_a_200_px_chip_gives_the_chip_back() -> None:
    """The measurement in HAAR_FRAMING: width 1.01, centre (0.495, 0.408) of the chip's side."""
    width = 1.01 * 200
    x, y = 0.495 * 200 - width / 2, 0.408 * 200 - width / 2
    assert haar_square(x, y, width, width) == (0, 0, 200, 200)
    assert haar_square(x + 50, y + 70, width, width) == (50, 70, 200, 200)


def test_the_median_eyes_of_a_200_px_chip_give_the_chip_back() -> None:
    """The measurement in EYES_FRAMING: distance 0.390, middle (0.5, 0.289) of the chip's side."""
    left, right = (100 - 39.0, 57.8), (100 + 39.0, 57.8)
    mouth = (100.0, 57.8 + 78 * EYES_TO_MOUTH_RATIO)
    assert eyes_square(left, right, mouth) == (0, 0, 200, 200)
    assert eyes_square(right, left, mouth) == (0, 0, 200, 200)


def test_a_turned_or_nodding_head_keeps_its_size() -> None:
    down = 78 * EYES_TO_MOUTH_RATIO
    turned = eyes_square((80.0, 57.8), (120.0, 57.8), (100.0, 57.8 + down))  # eyes 40 px apart
    nodding = eyes_square((61.0, 57.8), (139.0, 57.8), (100.0, 57.8 + 40))
    assert turned == nodding == (0, 0, 200, 200)


@settings(max_examples=60)
@given(
    st.integers(-30, 19), st.integers(-30, 13), st.integers(1, 60), st.integers(1, 60), st.data()
)
def test_a_crop_is_numpys_symmetric_padding(
    x: int, y: int, width: int, height: int, data: st.DataObject
) -> None:
    picture = np.random.default_rng(data.draw(st.integers(0, 9))).integers(
        0, 256, (14, 20, 3), dtype=np.uint8
    )
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, 20), min(y + height, 14)
    if left >= right or top >= bottom:
        with pytest.raises(DataError, match="nothing of it lies in the picture of 20 x 14 px"):
            crop(picture, (x, y, width, height))
        return
    expected = np.pad(
        picture[top:bottom, left:right],
        ((top - y, y + height - bottom), (left - x, x + width - right), (0, 0)),
        mode="symmetric",
    )
    found = crop(picture, (x, y, width, height))
    np.testing.assert_array_equal(found, expected)
    assert found.shape == (height, width, 3)
    assert not np.shares_memory(found, picture)
