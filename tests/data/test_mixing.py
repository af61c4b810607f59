"""Mixup: pictures and targets are one and the same convex combination, and the loss is the paper's.

Source: Zhang et al. 2018 (arXiv 1710.09412).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.config import AugmentSpec
from edgeface.data.augment import augment_batch
from edgeface.data.batches import mixed_batches, training_batches
from edgeface.data.mixing import draw_mixing, mixed_targets

NOTHING = AugmentSpec(
    flip=False, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0
)
COUNT, SIZE = 12, 6
ORDER = np.random.default_rng(2).permutation(COUNT).reshape(2, SIZE)
NUMBER = np.arange(COUNT)
# face n has the colour 20·n all over
IMAGES = np.repeat((20 * NUMBER).astype(np.uint8), 4 * 4 * 3).reshape(COUNT, 4, 4, 3)


def mixed_epoch(targets: Any, weights: Any, *, seed: int = 1, epoch: int = 0) -> list[Any]:
    """Batches as training makes them, at alpha 0.7."""
    values, weighed = mixed_targets(targets, weights, 0.7, order=ORDER, seed=seed, epoch=epoch)
    batches = training_batches(
        IMAGES, values, weighed, NOTHING, order=ORDER, seed=seed, epoch=epoch
    )
    return list(mixed_batches(batches, 0.7, seed=seed, epoch=epoch).as_numpy_iterator())


def test_pictures_and_targets_are_the_same_convex_combination() -> None:
    targets = {"which": np.eye(COUNT, dtype=np.float32)}
    weights = {"which": np.full(COUNT, 2, np.float32)}
    unmixed, partners = 0, set()
    for step, (images, target, weight) in enumerate(mixed_epoch(targets, weights)):
        shares = target["which"]  # of each of the 12 faces in each of the 6 pictures
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(weight["which"], 2)
        for at, face in enumerate(ORDER[step]):
            others = set(np.flatnonzero(shares[at])) - {face}
            assert len(others) <= 1
            assert others <= set(ORDER[step])
            partners |= others
            unmixed += not others
        colour = 20 * shares @ NUMBER
        np.testing.assert_allclose(
            images, np.broadcast_to(colour[:, None, None, None], images.shape), rtol=1e-5
        )
    assert len(partners) == COUNT - unmixed, "each face is one other's partner"
    assert unmixed < COUNT / 2


@settings(max_examples=20)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=4, max_size=4),
    seed=st.integers(0, 99),
)
def test_one_target_gives_the_loss_of_both_labels_weighed_by_what_they_count(
    weights: list[float], seed: int
) -> None:
    """Also where one of them, or both, are missing: 0 times a loss."""
    random = np.random.default_rng(seed)
    target = random.dirichlet(np.ones(5), 4).astype(np.float32)
    weight = np.array(weights, np.float32)
    order = np.array([[2, 0], [3, 1]])
    mixed, total = mixed_targets(
        {"age": target}, {"age": weight}, 1.0, order=order, seed=seed, epoch=0
    )
    for step, rows in enumerate(order):
        partners, shares = draw_mixing(2, 1.0, seed=seed, epoch=0, step=step)
        log_p = np.log(random.dirichlet(np.ones(5)))
        loss = weight * -(target * log_p).sum(axis=1)  # of each face by itself
        expected = shares * loss[rows] + (1 - shares) * loss[rows[partners]]
        found = total["age"][step] * -(mixed["age"][step] * log_p).sum(axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        assert np.isfinite(mixed["age"]).all()
        unlabelled = (weight[rows] == 0) & (weight[rows[partners]] == 0)
        assert not mixed["age"][step][unlabelled].any()


def test_an_epoch_that_is_trained_again_is_mixed_again_as_it_was() -> None:
    targets = {"which": np.eye(COUNT, dtype=np.float32)}
    weights = {"which": np.ones(COUNT, np.float32)}
    first, again = mixed_epoch(targets, weights, epoch=3), mixed_epoch(targets, weights, epoch=3)
    for (images, target, _), (images_again, target_again, _) in zip(first, again, strict=True):
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(target["which"], target_again["which"])


def test_another_batch_epoch_or_seed_is_mixed_otherwise() -> None:
    drawn = [
        draw_mixing(8, 1.0, seed=seed, epoch=epoch, step=step)
        for seed, epoch, step in [(1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)]
    ]
    assert len({tuple(mixing.shares) for mixing in drawn}) == 4
    # and the draws are not those of the augmentation of the same batch
    random = np.random.default_rng((1, 0, 1))
    assert np.any(drawn[0].partners != random.permutation(8))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_are_drawn_from_the_symmetric_beta(alpha: float) -> None:
    shares = draw_mixing(40_000, alpha, seed=5, epoch=0, step=0).shares
    # mean 1/2 and variance 1 / (4 (2α + 1)); 5 standard errors of 40,000 draws
    variance = 1 / (4 * (2 * alpha + 1))
    assert shares.mean() == pytest.approx(0.5, abs=5 * np.sqrt(variance / 40_000))
    assert shares.var() == pytest.approx(variance, rel=0.05)
    assert ((shares >= 0) & (shares <= 1)).all()


def test_augmentation_comes_first_and_is_what_it_was() -> None:
    spec = AugmentSpec(erase_ratio=0.5)
    batches = training_batches(IMAGES, {}, {}, spec, order=ORDER, seed=1, epoch=2)
    found = list(mixed_batches(batches, 0.7, seed=1, epoch=2).as_numpy_iterator())
    assert len(found) == 2
    for step, (images, _, _) in enumerate(found):
        alone = augment_batch(IMAGES[ORDER[step]], spec, (1, 2, step + 1))
        partners, shares = draw_mixing(SIZE, 0.7, seed=1, epoch=2, step=step)
        for at in range(SIZE):
            expected = shares[at] * alone[at] + (1 - shares[at]) * alone[partners[at]]
            np.testing.assert_allclose(images[at], expected, rtol=1e-5, atol=1e-4)


def test_shapes_are_known_before_the_first_batch_and_nothing_is_mixed_at_0() -> None:
    targets = {"age": np.zeros((COUNT, 101), np.float32)}
    weights = {"age": np.ones(COUNT, np.float32)}
    batches = training_batches(IMAGES, targets, weights, NOTHING, order=ORDER, seed=1, epoch=0)
    assert mixed_batches(batches, 0.0, seed=1, epoch=0) is batches
    mixed = mixed_batches(batches, 0.7, seed=1, epoch=0)
    assert mixed.element_spec == batches.element_spec
    assert int(mixed.cardinality()) == 2
