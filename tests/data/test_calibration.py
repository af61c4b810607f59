"""`calibration`: the set comes from the faces given, no face twice, every stratum in proportion."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeface.data.calibration import choose_calibration
from edgeface.data.faces import Faces

# age and gender of each face
labels = st.lists(st.tuples(st.integers(0, 116), st.integers(0, 1)), min_size=1, max_size=120)
seeds = st.integers(0, 2**32)
# long lists as likely as short ones
many_labels = st.integers(2, 120).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(0, 116), st.integers(0, 1)), min_size=count, max_size=count
    )
)


def faces_of(labels: list[tuple[int, int]]) -> Faces:
    """One 1 x 1 picture a face, whose pixel is the face's index."""
    count = len(labels)
    pixels = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return Faces(
        ids=tuple(f"{index}.jpg" for index in range(count)),
        images=np.repeat(pixels, 3, axis=3),
        age_years=np.array([age for age, _ in labels], np.float32),
        gender=np.array([gender for _, gender in labels], np.int64),
    )


def strata_of(faces: Faces) -> Counter[tuple[int, int]]:
    labels = zip(faces.gender, faces.age_years, strict=True)
    return Counter((int(gender), int(age) // 10) for gender, age in labels)


@given(labels=labels, count=st.integers(1, 150), seed=seeds)
def test_chosen_faces_are_given_ones_each_once_with_their_own_labels(
    labels: list[tuple[int, int]], count: int, seed: int
) -> None:
    chosen = choose_calibration(faces_of(labels), count, seed)
    assert len(chosen) == min(count, len(labels))
    assert len(set(chosen.ids)) == len(chosen)
    rows = [int(name.removesuffix(".jpg")) for name in chosen.ids]
    np.testing.assert_array_equal(chosen.images[:, 0, 0, 0], rows)
    np.testing.assert_array_equal(chosen.age_years, [labels[row][0] for row in rows])
    np.testing.assert_array_equal(chosen.gender, [labels[row][1] for row in rows])


@given(labels=many_labels, share=st.floats(0, 1), seed=seeds)
def test_strata_are_there_in_proportion(
    labels: list[tuple[int, int]], share: float, seed: int
) -> None:
    chosen = choose_calibration(faces_of(labels), 1 + int(share * len(labels)), seed)
    there = Counter((gender, age // 10) for age, gender in labels)
    taken = strata_of(chosen)
    for stratum, available in there.items():
        # evenly spaced picks: a run of the sorted list gets its share rounded down or up
        assert abs(taken[stratum] - len(chosen) * available / len(labels)) < 1


def test_a_fifth_of_each_stratum_by_hand() -> None:
    faces = faces_of([(35, 1)] * 60 + [(24, 0)] * 30 + [(71, 0)] * 10)
    assert strata_of(choose_calibration(faces, 20, 1)) == {(1, 3): 12, (0, 2): 6, (0, 7): 2}


@given(seed=seeds)
def test_only_the_seed_decides(seed: int) -> None:
    faces = faces_of([(30, 0)] * 100)
    chosen = choose_calibration(faces, 20, seed)
    again = choose_calibration(faces, 20, seed)
    assert chosen.ids == again.ids
    # One stratum of 100, 20 of them chosen: the chance that two seeds agree is below 1 in 10^19.
    assert set(chosen.ids) != set(choose_calibration(faces, 20, seed + 1).ids)


def test_the_order_of_the_faces_does_not_matter() -> None:
    generator = np.random.default_rng(1)
    faces = faces_of([(int(age), int(age) % 2) for age in generator.integers(0, 100, 200)])
    order = generator.permutation(200)
    shuffled = Faces(
        ids=tuple(faces.ids[i] for i in order),
        images=faces.images[order],
        age_years=faces.age_years[order],
        gender=faces.gender[order],
    )
    assert choose_calibration(shuffled, 50, 3).ids == choose_calibration(faces, 50, 3).ids
