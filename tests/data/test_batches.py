"""`batches`: an epoch can be had again, each face comes at most once, labels stay with faces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.config import AugmentSpec
from edgeface.data.batches import augment_batch, plain_batches, training_batches

Floats = NDArray[np.float32]

NOTHING = AugmentSpec(
    flip=False, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0
)
FLIP = AugmentSpec(flip=True, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0)
EVERYTHING = AugmentSpec(
    flip=True, scale_ratio=0.5, shift_ratio=0.5, rotate_degrees=180.0, light_ratio=0.9
)
# Float32 arithmetic on values up to 255 that should give them back: some units in the last place
# of 255, 1.5e-5 each; a grey level, the smallest real difference, is 1.
SAME = 1e-3


def pictures(count: int, side_px: int = 9) -> NDArray[np.uint8]:
    shape = (count, side_px, side_px, 3)
    return np.random.default_rng(4).integers(0, 256, shape, np.uint8)


def augment(images: NDArray[np.uint8], spec: AugmentSpec, seed: tuple[int, int] = (1, 2)) -> Floats:
    done = augment_batch(tf.constant(images), spec, tf.constant(seed, tf.int64))
    assert done.dtype == tf.float32
    return np.asarray(done)


def epoch_of(
    count: int, spec: AugmentSpec, *, batch_size: int = 4, seed: int = 1, epoch: int = 0
) -> list[tuple[Floats, dict[str, Floats]]]:
    """One epoch over pictures that all have the colour of their own index."""
    index = np.arange(count, dtype=np.uint8)
    images = tf.constant(np.broadcast_to(index[:, None, None, None], (count, 6, 6, 3)))
    targets = {
        "gender": tf.constant(index[:, None], tf.float32),
        "age": tf.constant(np.stack([2.0 * index, 3.0 * index], axis=1), tf.float32),
    }
    batches = training_batches(images, targets, spec, batch_size=batch_size, seed=seed, epoch=epoch)
    return [
        (np.asarray(image), {name: np.asarray(target) for name, target in target.items()})
        for image, target in batches
    ]


def order_of(batches: list[tuple[Floats, dict[str, Floats]]]) -> list[int]:
    return [int(index) for _, target in batches for index in target["gender"][:, 0]]


@pytest.mark.parametrize("spec", [NOTHING, EVERYTHING], ids=["plain", "augmented"])
def test_an_epoch_that_is_trained_again_sees_the_same_batches(spec: AugmentSpec) -> None:
    first, again = epoch_of(23, spec, epoch=3), epoch_of(23, spec, epoch=3)
    assert len(first) == len(again) == 23 // 4
    for (image, target), (image_again, target_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, image_again)
        assert target.keys() == target_again.keys() == {"gender", "age"}
        for name in target:
            np.testing.assert_array_equal(target[name], target_again[name])


@pytest.mark.parametrize(("seed", "epoch"), [(1, 1), (2, 0)])
def test_another_epoch_or_seed_is_another_order(seed: int, epoch: int) -> None:
    # 40! orders: no two agree by chance
    assert order_of(epoch_of(40, NOTHING)) != order_of(
        epoch_of(40, NOTHING, seed=seed, epoch=epoch)
    )


def test_another_batch_epoch_or_seed_is_another_augmentation() -> None:
    same_faces = tf.constant(np.repeat(pictures(1), 4, axis=0))  # so that the order cannot tell

    def batches(seed: int, epoch: int) -> list[Floats]:
        found = training_batches(same_faces, {}, EVERYTHING, batch_size=2, seed=seed, epoch=epoch)
        return [np.asarray(images) for images, _ in found]

    first, *others = [*batches(1, 0), *batches(1, 1), *batches(2, 0)]
    assert len(others) == 5
    for other in others:
        assert np.abs(first - other).max() > 1


@settings(max_examples=10, deadline=None)
@given(count=st.integers(2, 50), batch_size=st.integers(2, 12), epoch=st.integers(0, 1000))
def test_a_face_comes_at_most_once_an_epoch(count: int, batch_size: int, epoch: int) -> None:
    batches = epoch_of(count, NOTHING, batch_size=batch_size, epoch=epoch)
    seen = order_of(batches)
    assert len(batches) == count // batch_size
    assert len(seen) == len(set(seen)) == batch_size * (count // batch_size)
    assert set(seen) <= set(range(count))


def test_over_epochs_every_face_gets_its_turn() -> None:
    # 23 faces in batches of 4 leave three out each epoch, not always the same ones
    seen = {index for epoch in range(4) for index in order_of(epoch_of(23, NOTHING, epoch=epoch))}
    assert seen == set(range(23))


@pytest.mark.parametrize(
    "spec", [NOTHING, FLIP, AugmentSpec(light_ratio=0.0)], ids=["plain", "flipped", "moved"]
)
def test_targets_follow_their_faces(spec: AugmentSpec) -> None:
    # A face of one colour has that colour wherever it is moved to; interpolation between equal
    # values may fall below them by rounding and is then cut to the next lower grey level.
    tolerance = 1 if spec.scale_ratio else SAME
    for image, target in epoch_of(40, spec):
        index = target["gender"][:, 0]
        expected = np.broadcast_to(index[:, None, None, None], image.shape)
        np.testing.assert_allclose(image, expected, atol=tolerance)
        np.testing.assert_array_equal(target["age"], np.stack([2 * index, 3 * index], axis=1))


@pytest.mark.parametrize("side_px", [8, 9], ids=["even", "odd"])
def test_no_augmentation_changes_nothing(side_px: int) -> None:
    images = pictures(16, side_px)
    np.testing.assert_allclose(augment(images, NOTHING), images, atol=SAME)


@pytest.mark.parametrize("side_px", [8, 9], ids=["even", "odd"])
def test_a_flip_is_the_mirror_image_for_about_half(side_px: int) -> None:
    images = pictures(200, side_px)
    mirrored = 0
    for image, done in zip(images, augment(images, FLIP), strict=True):
        is_mirror = bool(np.abs(done - image[:, ::-1]).max() <= SAME)
        expected = image[:, ::-1] if is_mirror else image
        np.testing.assert_allclose(done, expected, atol=SAME)
        mirrored += is_mirror
    # Four standard errors of 200 coins: 4 * sqrt(200) / 2 = 28.
    assert abs(mirrored - 100) < 28


@settings(max_examples=15, deadline=None)
@given(
    scale_ratio=st.floats(0, 0.99),
    shift_ratio=st.floats(0, 0.99),
    rotate_degrees=st.floats(0, 180),
    light_ratio=st.floats(0, 0.99),
    seed=st.integers(0, 2**32),
)
def test_every_augmentation_stays_within_the_range(
    scale_ratio: float, shift_ratio: float, rotate_degrees: float, light_ratio: float, seed: int
) -> None:
    spec = AugmentSpec(
        scale_ratio=scale_ratio,
        shift_ratio=shift_ratio,
        rotate_degrees=rotate_degrees,
        light_ratio=light_ratio,
    )
    done = augment(pictures(8), spec, (seed, 0))
    assert done.shape == (8, 9, 9, 3)
    assert np.isfinite(done).all()
    assert done.min() >= 0
    assert done.max() <= 255


def test_light_is_what_it_says() -> None:
    """Black and white by hand: (x - 127.5) * contrast + 127.5 + lift, both within their bounds."""
    spec = AugmentSpec(
        flip=False, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.2
    )
    grey = np.empty((300, 2, 2, 3), np.uint8)
    grey[:, 0], grey[:, 1] = 100, 155  # 27.5 below and above the middle
    done = augment(grey, spec).astype(np.float64)
    low, high = done[:, 0, 0, 0], done[:, 1, 0, 0]
    contrast, lift = (high - low) / 55, (low + high) / 2 - 127.5
    # 1.2 either way, and a fifth of 127.5; 300 uniform draws come within 5 % of both ends
    assert 1 / 1.2 - SAME <= contrast.min() <= 1 / 1.19
    assert 1.19 <= contrast.max() <= 1.2 + SAME
    assert -25.5 - SAME <= lift.min() <= -24.2
    assert 24.2 <= lift.max() <= 25.5 + SAME
    assert abs(np.corrcoef(contrast, lift)[0, 1]) < 4 / np.sqrt(300), "drawn apart"


def test_a_shift_moves_the_face_and_mirrors_the_edge() -> None:
    spec = AugmentSpec(
        flip=False, scale_ratio=0.0, shift_ratio=0.25, rotate_degrees=0.0, light_ratio=0.0
    )
    ramp = np.arange(0, 160, 10, dtype=np.uint8)
    across = np.broadcast_to(ramp[None, None, :, None], (64, 16, 16, 3))
    middle = augment(across, spec)[:, 8, 8, 0]
    # a quarter of 16 px either way, 10 grey levels a px; a level below by truncation at most
    assert middle.min() >= 80 - 40 - 1
    assert middle.max() <= 80 + 40
    assert middle.min() < 80 - 30
    assert middle.max() > 80 + 30
    assert augment(across, spec).min() >= 0
    assert augment(across, spec).max() <= 150, "no black border, no colour that was not there"


def test_plain_batches_are_the_images_in_order() -> None:
    images = pictures(10)
    batches = [np.asarray(batch) for batch in plain_batches(images, batch_size=4)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(batches), images)


def test_every_draw_is_its_own() -> None:
    """Two equal faces in one batch are not augmented alike."""
    twins = np.repeat(pictures(1), 2, axis=0)
    done: Any = augment(twins, EVERYTHING)
    assert np.abs(done[0] - done[1]).max() > 1
