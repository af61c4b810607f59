"""`balance`: rare faces come more often, by as much as was asked for and never by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.data.balance import epoch_order, sampling_weights
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import DataError


def faces_of(ages: list[int | tuple[int, int] | None], **classes: list[int]) -> Faces:
    bounds = [
        (UNKNOWN, UNKNOWN) if age is None else (age, age) if isinstance(age, int) else age
        for age in ages
    ]
    low, high = np.array(bounds, np.int64).reshape(-1, 2).T
    return Faces(
        ids=tuple(f"{at}.jpg" for at in range(len(ages))),
        images=np.zeros((len(ages), 2, 2, 3), np.uint8),
        age_low_years=low,
        age_high_years=high,
        classes={name: np.array(numbers, np.int64) for name, numbers in classes.items()},
    )


def weights_of(faces: Faces, balance: tuple[str, ...], power: float) -> NDArray[np.float64]:
    found = sampling_weights(faces, balance, power)
    assert found is not None
    assert found.dtype == np.float64
    return found


def test_no_balance_is_none() -> None:
    assert sampling_weights(faces_of([1, 2]), (), 0.5) is None


def test_square_root_by_hand() -> None:
    """Groups of 1 and 4: weights 1 and 1/2, together 1 + 4/2 = 3."""
    found = weights_of(faces_of([5] * 5, gender=[0, 1, 1, 1, 1]), ("gender",), 0.5)
    np.testing.assert_allclose(found, [2 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6], rtol=1e-12)


def test_ages_are_grouped_by_the_decade_of_the_middle() -> None:
    # 19 and 10 to 19 (middle 14.5) in the teens, 20 and 19 to 22 in the twenties, 60+ alone
    ages: list[int | tuple[int, int] | None] = [19, (10, 19), 10, 20, (19, 22), (60, 120)]
    found = weights_of(faces_of(ages), ("age",), 1.0)
    np.testing.assert_allclose(found, [1 / 9, 1 / 9, 1 / 9, 1 / 6, 1 / 6, 1 / 3], rtol=1e-12)


def test_faces_without_the_label_are_drawn_as_often_as_without_balance() -> None:
    """Half of the faces have no age: half of the draws are theirs; the other half is balanced."""
    ages: list[int | tuple[int, int] | None] = [None, None, None, None, 3, 3, 3, 33]
    found = weights_of(faces_of(ages), ("age",), 1.0)
    np.testing.assert_allclose(found, [1 / 8] * 4 + [1 / 12] * 3 + [1 / 4], rtol=1e-12)


def test_a_rare_class_of_one_set_takes_nothing_from_another_set() -> None:
    """As FER2013 with UTKFace: 10 of 30 faces have no expression, and 10 of 30 draws are theirs."""
    expression = [UNKNOWN] * 10 + [0] * 16 + [1] * 4
    for power in (0.0, 0.5, 1.0):
        found = weights_of(faces_of([20] * 30, expression=expression), ("expression",), power)
        np.testing.assert_allclose(found[:10], 1 / 30, rtol=1e-12)
        shares = found[10:26].sum(), found[26:].sum()
        # of the other two thirds: 16 ** (1 - power) to 4 ** (1 - power)
        ratio = (16 / 4) ** (1 - power)
        np.testing.assert_allclose(shares, [2 / 3 * ratio / (ratio + 1), 2 / 3 / (ratio + 1)])


def test_each_face_is_balanced_by_the_labels_that_it_has() -> None:
    """Ages of one set and moods of another, a third of the draws each, and no label at all."""
    ages: list[int | tuple[int, int] | None] = [5, 5, 5, 85] + [None] * 8
    mood = [UNKNOWN] * 4 + [0, 0, 0, 1] + [UNKNOWN] * 4
    found = weights_of(faces_of(ages, mood=mood), ("age", "mood"), 1.0)
    each = [1 / 18] * 3 + [1 / 6]  # a third: half of it to three faces, half to one
    np.testing.assert_allclose(found, each + each + [1 / 12] * 4, rtol=1e-12)


def test_labels_make_groups_together() -> None:
    # (young, 0) twice, (young, 1), (old, 0), (old, 1): four groups, a quarter each
    faces = faces_of([5, 5, 5, 85, 85], gender=[0, 0, 1, 0, 1])
    found = weights_of(faces, ("age", "gender"), 1.0)
    np.testing.assert_allclose(found, [1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 4], rtol=1e-12)


@given(
    labels=st.lists(st.integers(UNKNOWN, 4), min_size=1, max_size=60).filter(
        lambda labels: max(labels) != UNKNOWN
    ),
    power=st.floats(0, 1),
)
def test_a_groups_share_grows_with_its_size_to_one_minus_the_power(
    labels: list[int], power: float
) -> None:
    found = weights_of(faces_of([None] * len(labels), mood=labels), ("mood",), power)
    at = np.array(labels)
    known = at != UNKNOWN
    np.testing.assert_allclose(found[~known], 1 / len(at), rtol=1e-9)
    groups, sizes = np.unique(at[known], return_counts=True)
    shares = np.array([found[at == group].sum() for group in groups])
    scaled = sizes.astype(float) ** (1 - power)
    np.testing.assert_allclose(shares, known.mean() * scaled / scaled.sum(), rtol=1e-9)
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-9)
    if power == 0:
        np.testing.assert_allclose(found, 1 / len(labels))


@pytest.mark.parametrize(
    ("label", "known"), [("mood", "age or gender"), ("age", "gender"), ("race", "age or gender")]
)
def test_a_label_that_no_face_has_is_one_line(label: str, known: str) -> None:
    ages: list[int | tuple[int, int] | None] = [None, None] if label == "age" else [1, 2]
    faces = faces_of(ages, gender=[0, 1], race=[UNKNOWN, UNKNOWN])
    with pytest.raises(DataError) as caught:
        sampling_weights(faces, ("gender", label), 0.5)
    assert str(caught.value) == (
        f"balance: no face of 2 has the label {label}, expected {known}; "
        "change balance in the recipe"
    )


@given(
    count=st.integers(1, 60),
    batch_size=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 1000),
)
def test_without_balance_it_is_the_permutation_of_seed_and_epoch(
    count: int, batch_size: int, seed: int, epoch: int
) -> None:
    steps = count // batch_size
    order = epoch_order(count, batch_size, seed=seed, epoch=epoch, sampling=None)
    assert order.shape == (steps, batch_size)
    assert order.dtype == np.int64
    permutation = np.random.default_rng([seed, epoch]).permutation(count)
    np.testing.assert_array_equal(order.reshape(-1), permutation[: steps * batch_size])


@given(
    raw=st.lists(st.floats(0.01, 1), min_size=4, max_size=80),
    batch_size=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(0, 1000),
)
def test_every_face_comes_as_often_as_expected_but_for_rounding(
    raw: list[float], batch_size: int, seed: int, epoch: int
) -> None:
    sampling = np.array(raw) / sum(raw)
    order = epoch_order(len(raw), batch_size, seed=seed, epoch=epoch, sampling=sampling)
    draws = len(raw) // batch_size * batch_size
    assert order.shape == (draws // batch_size, batch_size)
    assert order.dtype == np.int64
    counts = np.bincount(order.reshape(-1), minlength=len(raw))
    assert counts.shape == (len(raw),), "no index beyond the faces"
    expected = draws * sampling
    # 1e-9: of a sum of 80 weights; a count that is expected to be whole may be either neighbour
    assert (counts >= np.floor(expected - 1e-9)).all()
    assert (counts <= np.ceil(expected + 1e-9)).all()


def test_at_power_one_groups_are_equally_frequent() -> None:
    """90, 9 and 1 faces, 99 draws: 33 of each group, the lone face 33 times."""
    labels = np.repeat([0, 1, 2], [90, 9, 1])
    sampling = sampling_weights(faces_of([None] * 100, mood=labels.tolist()), ("mood",), 1.0)
    order = epoch_order(100, 9, seed=3, epoch=0, sampling=sampling)
    shown = np.bincount(labels[order.reshape(-1)])
    # of nine faces each comes 33 / 9 = 3.7 times: 3 or 4
    assert shown.sum() == 99
    assert shown[2] == 33
    assert 27 <= shown[1] <= 36
    counts = [
        np.bincount(labels[epoch_order(100, 9, seed=3, epoch=epoch, sampling=sampling).reshape(-1)])
        for epoch in range(200)
    ]
    np.testing.assert_allclose(np.mean(counts, axis=0), 33, atol=1)


def test_over_epochs_a_face_comes_as_often_as_expected() -> None:
    """2 draws at 0.1 and 0.9: the rare face in a fifth of the epochs."""
    sampling = np.array([0.1, 0.9])
    seen = [
        (epoch_order(2, 1, seed=1, epoch=epoch, sampling=sampling) == 0).sum()
        for epoch in range(1000)
    ]
    assert abs(np.mean(seen) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 1000)


def test_a_balanced_epoch_can_be_had_again_and_another_is_another() -> None:
    sampling = np.full(50, 1 / 50)

    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(50, 5, seed=seed, epoch=epoch, sampling=sampling).reshape(-1).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_a_face_that_is_often_drawn_is_spread_over_the_epoch() -> None:
    """One face makes up half of 400 draws; sorted, it would fill half of the batches."""
    sampling = np.full(400, 0.5 / 399)
    sampling[0] = 0.5
    order = epoch_order(400, 20, seed=1, epoch=0, sampling=sampling)
    per_batch = (order == 0).sum(axis=1)
    assert per_batch.sum() == 200
    assert per_batch.min() >= 1  # 10 ± 2.2 expected
    assert per_batch.max() <= 19


def test_which_faces_come_together_does_not_depend_on_their_order() -> None:
    """8 faces share 2 of 12 draws, a quarter each: an unshuffled comb never shows neighbours."""
    sampling = np.repeat([2 / 12 / 8, 10 / 12 / 4], [8, 4])
    together = 0
    for epoch in range(300):
        order = epoch_order(12, 12, seed=1, epoch=epoch, sampling=sampling)
        together += bool((order == 0).any() and (order == 1).any())
    # about 300 / 28 (any pair of the eight) are expected
    assert together > 0
