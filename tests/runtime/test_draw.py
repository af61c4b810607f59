"""`draw`: a box and words where they belong, the rest of the picture untouched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Tuple

import numpy as np
import pytest

from edgeface.errors import DataError
from edgeface.runtime.draw import annotate, caption_rows, encode
from edgeface.runtime.preprocess import decode_image
from edgeface.types import Contract, HeadSpec

GREEN = (0, 110, 60)


@pytest.fixture
def contract(tiny_contract: Any, int8_model: Any) -> Contract:
    heads = (
        HeadSpec(name="gender", kind="binary", tensor="g", classes=("male", "female")),
        HeadSpec(name="age", kind="expectation", tensor="a", bins=(0.0, 1.0), unit="years"),
        HeadSpec(name="yaw", kind="regression", tensor="y", unit="degrees"),
    )
    whole: Contract = tiny_contract(int8_model)
    return replace(whole, heads=heads)


def face(box: Any) -> Dict[str, Any]:
    return {"box": box, "gender": "female", "p_female": 0.9, "age": 31.4, "yaw": -2.5}


def test_a_caption_has_every_head(contract: Contract) -> None:
    assert caption_rows(face(None), contract) == ("female, 31 years", "yaw -2.5 degrees")


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (("gender", "age", "expression"), ("female, 31 years", "happy 83 %")),
        (("expression",), ("happy 83 %",)),
        (("decade", "expression"), ("35 years, happy 83 %",)),  # 20 letters
        (("pose", "decade"), ("looking up to the left 55 %", "35 years")),
    ],
)
def test_a_class_is_named_with_its_probability(
    contract: Contract, names: Tuple[str, ...], rows: Tuple[str, ...]
) -> None:
    more = (
        HeadSpec(name="expression", kind="classes", tensor="e", classes=("sad", "calm", "happy")),
        HeadSpec(name="decade", kind="decades", tensor="d", bins=(25.0, 35.0), unit="years"),
        HeadSpec(name="pose", kind="classes", tensor="p", classes=("looking up to the left", "b")),
    )
    said = {
        "expression": "happy",
        "p_expression": {"sad": 0.1, "calm": 0.0688, "happy": 0.8312},
        "decade": 35.0,
        "pose": "looking up to the left",
        "p_pose": {"looking up to the left": 0.55, "b": 0.45},
    }
    heads = {head.name: head for head in (*contract.heads, *more)}
    chosen = replace(contract, heads=tuple(heads[name] for name in names))
    assert caption_rows({**face(None), **said}, chosen) == rows


def test_rows_stand_one_below_the_other(contract: Contract) -> None:
    """One row is as it was with two; a label of two rows is a row higher, and no wider."""
    picture = np.zeros((300, 400, 3), np.uint8)
    two = annotate(picture, [face([100, 120, 80, 90])], contract)
    short = replace(contract, heads=contract.heads[:2])
    one = annotate(picture, [face([100, 120, 80, 90])], short)
    heights = [np.flatnonzero((each == GREEN).all(axis=2).any(axis=1)).min() for each in (two, one)]
    row_px = heights[1] - heights[0]
    assert 11 < row_px < 22  # a letter has 11 px
    white = [np.argwhere((each > 180).all(axis=2)) for each in (two, one)]
    upper = two[heights[0] : heights[1]]
    assert (upper > 180).all(axis=2).any()
    assert (two[heights[1] : 120] > 180).all(axis=2).any()
    assert len(white[0]) > len(white[1])


def test_a_box_is_framed_and_what_is_far_from_it_stays(contract: Contract) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    before = picture.copy()
    drawn = annotate(picture, [face([100, 120, 80, 90])], contract)
    np.testing.assert_array_equal(picture, before)
    for corner in ((120, 100), (209, 179), (120, 140), (165, 100)):
        assert tuple(drawn[corner]) == GREEN
    changed = np.argwhere((drawn != picture).any(axis=2))
    assert changed.min(axis=0)[0] > 120 - 50  # the words stand just above, in two rows
    assert changed.max(axis=0)[0] <= 209 + 2
    np.testing.assert_array_equal(drawn[130:200, 110:170], picture[130:200, 110:170])  # the face


def test_words_stay_in_the_picture(contract: Contract) -> None:
    """At the upper right corner there is no room above nor beside: they go into the box."""
    picture = np.zeros((200, 500, 3), np.uint8)
    drawn = annotate(picture, [face([440, 0, 60, 60])], contract)
    white = np.argwhere((drawn > 180).all(axis=2))
    assert len(white) > 20
    assert white.max(axis=0)[0] < 60
    assert white.max(axis=0)[1] < 500
    assert white.min(axis=0)[1] < 440  # moved to the left


def test_a_crop_gets_words_and_no_frame(contract: Contract) -> None:
    picture = np.full((128, 128, 3), 200, np.uint8)
    drawn = annotate(picture, [face(None)], contract)
    assert (drawn != picture).any()
    np.testing.assert_array_equal(drawn[64:], picture[64:])
    np.testing.assert_array_equal(annotate(picture, [], contract), picture)


def test_the_largest_face_is_drawn_last(contract: Contract) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    large, small = face([50, 100, 150, 150]), face([50, 100, 50, 50])
    both = annotate(picture, [large, small], contract)
    alone = annotate(picture, [large], contract)
    np.testing.assert_array_equal(both[70:98], alone[70:98])  # the words of the large one


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".JPG", b"\xff\xd8\xff")])
def test_encoded_pictures_decode_to_the_same_colours(suffix: str, start: bytes) -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[..., 0], picture[..., 1] = 200, 90
    content = encode(picture, suffix, "x")
    assert content.startswith(start)
    np.testing.assert_allclose(decode_image(content, "x").astype(int), picture, atol=3)


def test_an_unknown_format_is_one_line() -> None:
    with pytest.raises(DataError, match=r"a\.xyz: cannot be written") as info:
        encode(np.zeros((4, 4, 3), np.uint8), ".xyz", "a.xyz")
    assert "\n" not in str(info.value)
