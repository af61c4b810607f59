"""`averages`: what is said of a face over frames, against means that are written out."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.runtime.averages import Averages
from edgeface.runtime.decode import class_numbers
from edgeface.types import HeadSpec

MOOD = HeadSpec(name="mood", kind="classes", tensor="m", classes=("sad", "calm", "happy"))
GENDER = HeadSpec(name="gender", kind="binary", tensor="g", classes=("male", "female"))
AGE = HeadSpec(name="age", kind="expectation", tensor="a", bins=(0.0, 100.0), unit="years")
DECADE = HeadSpec(name="decade", kind="decades", tensor="d", bins=(5.0, 15.0), unit="years")
HEADS = (MOOD, GENDER, AGE, DECADE)


def values(*faces: Any) -> Dict[str, Any]:
    """Of each face its three probabilities, the one, its age and its decade."""
    columns = list(zip(*faces))  # noqa: B905
    return {head.name: np.array(columns[i], float) for i, head in enumerate(HEADS)}


def test_classes_are_averaged_as_vectors_and_then_named() -> None:
    """Two of three frames name "sad", but the mean of the probabilities names "happy"."""
    averages = Averages(HEADS, 3)
    for mood, female, age, decade in [
        ([0.40, 0.25, 0.35], 0.9, 30, 25),
        ([0.40, 0.25, 0.35], 0.4, 33, 35),
    ]:
        averages.add([7], values((mood, female, age, decade)))
    averaged = averages.add([7], values(([0.10, 0.10, 0.80], 0.5, 36, 85)))
    np.testing.assert_allclose(averaged["mood"], [[0.3, 0.2, 0.5]])
    assert MOOD.classes[class_numbers(averaged["mood"], MOOD)[0]] == "happy"
    np.testing.assert_allclose(averaged["gender"], [0.6])
    np.testing.assert_allclose(averaged["age"], [33.0])
    np.testing.assert_array_equal(averaged["decade"], [35.0])  # of 25, 35, 85
    assert {name: array.shape for name, array in averaged.items()} == {
        "mood": (1, 3),
        "gender": (1,),
        "age": (1,),
        "decade": (1,),
    }


def test_of_an_even_number_of_decades_the_lower_is_kept() -> None:
    averages = Averages([DECADE], 4)
    averages.add([0], {"decade": np.array([35.0])})
    averaged = averages.add([0], {"decade": np.array([25.0])})
    np.testing.assert_array_equal(averaged["decade"], [25.0])  # 30 would be no bin


def test_each_face_has_its_own_and_the_oldest_frame_is_dropped() -> None:
    averages = Averages([AGE], 2)
    averages.add([1, 2], {"age": np.array([10.0, 50.0])})
    swapped = averages.add([2, 1], {"age": np.array([60.0, 20.0])})
    np.testing.assert_allclose(swapped["age"], [55.0, 15.0])
    third = averages.add([1, 2, 3], {"age": np.array([40.0, 80.0, 7.0])})
    np.testing.assert_allclose(third["age"], [30.0, 70.0, 7.0])


def test_a_face_that_was_away_is_begun_anew() -> None:
    averages = Averages([AGE], 5)
    averages.add([1, 2], {"age": np.array([10.0, 50.0])})
    averages.add([2], {"age": np.array([50.0])})
    back = averages.add([1], {"age": np.array([20.0])})
    np.testing.assert_array_equal(back["age"], [20.0])


@pytest.mark.parametrize("frames", [1, 4])
@settings(max_examples=20)
@given(data=st.data())
def test_probabilities_stay_probabilities_and_one_frame_is_itself(
    frames: int, data: st.DataObject
) -> None:
    averages = Averages([MOOD, GENDER], frames)
    share = st.floats(0.01, 1)
    for _ in range(data.draw(st.integers(1, 6))):
        moods: List[List[float]] = data.draw(
            st.lists(st.lists(share, min_size=3, max_size=3), min_size=2, max_size=2)
        )
        mood = np.array(moods) / np.sum(moods, axis=1, keepdims=True)
        female = np.array(data.draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))
        averaged = averages.add([0, 1], {"mood": mood, "gender": female})
        np.testing.assert_allclose(averaged["mood"].sum(axis=1), 1.0)
        assert ((averaged["gender"] >= 0) & (averaged["gender"] <= 1)).all()
        if frames == 1:
            np.testing.assert_array_equal(averaged["mood"], mood)
            np.testing.assert_array_equal(averaged["gender"], female)
