"""`batches`: an epoch can be had again, labels and weights stay with faces, nothing is copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.config import AugmentSpec
from edgeface.data.augment import augment_batch
from edgeface.data.balance import epoch_order
from edgeface.data.batches import plain_batches, training_batches

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Batch = tuple[Floats, dict[str, Floats], dict[str, Floats]]

NOTHING = AugmentSpec(
    flip=False, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0
)
FLIP = AugmentSpec(flip=True, scale_ratio=0.0, shift_ratio=0.0, rotate_degrees=0.0, light_ratio=0.0)
EVERYTHING = AugmentSpec(
    scale_ratio=0.5,
    shift_ratio=0.5,
    rotate_degrees=180.0,
    light_ratio=0.9,
    colour_ratio=0.5,
    shade_ratio=0.5,
    tilt_ratio=0.5,
    erase_ratio=0.5,
    blur_ratio=0.5,
    noise_levels=20.0,
)


def pictures(count: int, side_px: int = 9) -> Pixels:
    shape = (count, side_px, side_px, 3)
    return np.random.default_rng(4).integers(0, 256, shape, np.uint8)


def read(batches: tf.data.Dataset) -> list[Batch]:
    return list(batches.as_numpy_iterator())


def epoch_of(
    count: int, spec: AugmentSpec, *, batch_size: int = 4, seed: int = 1, epoch: int = 0
) -> list[Batch]:
    """One epoch over pictures that all have the colour of their own index."""
    index = np.arange(count, dtype=np.uint8)
    images = np.repeat(index, 6 * 6 * 3).reshape(count, 6, 6, 3)
    number = index.astype(np.float32)
    targets = {
        "gender": number[:, None],
        "age": np.stack([2 * number, 3 * number], axis=1),
    }
    weights = {"age": 5 * number, "gender": 7 * number}  # not in the order of the targets
    order = epoch_order(count, batch_size, seed=seed, epoch=epoch, sampling=None)
    return read(
        training_batches(images, targets, weights, spec, order=order, seed=seed, epoch=epoch)
    )


def order_of(batches: list[Batch]) -> list[int]:
    return [int(index) for _, target, _ in batches for index in target["gender"][:, 0]]


@pytest.mark.parametrize("spec", [NOTHING, EVERYTHING], ids=["plain", "augmented"])
def test_an_epoch_that_is_trained_again_sees_the_same_batches(spec: AugmentSpec) -> None:
    first, again = epoch_of(23, spec, epoch=3), epoch_of(23, spec, epoch=3)
    assert len(first) == len(again) == 23 // 4
    for (image, *labels), (image_again, *labels_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, image_again)
        for found, expected in zip(labels, labels_again, strict=True):
            assert found.keys() == expected.keys() == {"gender", "age"}
            for name in found:
                np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize(("seed", "epoch"), [(1, 1), (2, 0)])
def test_another_epoch_or_seed_is_another_order(seed: int, epoch: int) -> None:
    # 40! orders: no two agree by chance
    assert order_of(epoch_of(40, NOTHING)) != order_of(
        epoch_of(40, NOTHING, seed=seed, epoch=epoch)
    )


def test_another_batch_epoch_or_seed_is_another_augmentation() -> None:
    same_faces = np.repeat(pictures(1), 4, axis=0)  # so that the order cannot tell
    order = np.arange(4).reshape(2, 2)

    def batches(seed: int, epoch: int) -> list[Floats]:
        found = training_batches(
            same_faces, {}, {}, EVERYTHING, order=order, seed=seed, epoch=epoch
        )
        return [images for images, _, _ in read(found)]

    first, *others = [*batches(1, 0), *batches(1, 1), *batches(2, 0)]
    assert len(others) == 5
    for other in others:
        assert np.abs(first - other).max() > 1


def test_a_batch_is_augmented_by_seed_epoch_and_its_number_alone() -> None:
    """Parallel calls may end in any order: each batch is what it would be by itself."""
    images = pictures(64)
    order = epoch_order(64, 4, seed=3, epoch=2, sampling=None)
    found = read(training_batches(images, {}, {}, EVERYTHING, order=order, seed=3, epoch=2))
    assert len(found) == 16
    for step, (batch, _, _) in enumerate(found):
        expected = augment_batch(images[order[step]], EVERYTHING, (3, 2, step + 1))
        np.testing.assert_array_equal(batch, expected)


def test_the_first_batchs_draws_are_not_those_of_the_order() -> None:
    """numpy pads seeds with zeros: (1, 2) and (1, 2, 0) are one seed, so batches count from 1."""
    images = pictures(4)
    order = np.arange(4)[None]
    ((batch, _, _),) = read(
        training_batches(images, {}, {}, EVERYTHING, order=order, seed=1, epoch=2)
    )
    same = augment_batch(images, EVERYTHING, (1, 2, 0))
    np.testing.assert_array_equal(same, augment_batch(images, EVERYTHING, (1, 2)))
    assert np.abs(batch - same).max() > 1


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


def test_batches_come_in_the_order_given_repeats_and_all() -> None:
    images = pictures(5)
    order = np.array([[4, 4, 0], [1, 4, 2]])
    found = read(training_batches(images, {}, {}, NOTHING, order=order, seed=1, epoch=0))
    np.testing.assert_array_equal([batch for batch, _, _ in found], images[order])


@pytest.mark.parametrize(
    "spec", [NOTHING, FLIP, AugmentSpec(light_ratio=0.0)], ids=["plain", "flipped", "moved"]
)
def test_targets_and_weights_follow_their_faces(spec: AugmentSpec) -> None:
    # a face of one colour has that colour wherever it is moved to
    for image, target, weight in epoch_of(40, spec):
        index = target["gender"][:, 0]
        np.testing.assert_array_equal(
            image, np.broadcast_to(index[:, None, None, None], image.shape)
        )
        np.testing.assert_array_equal(target["age"], np.stack([2 * index, 3 * index], axis=1))
        np.testing.assert_array_equal(weight["age"], 5 * index)
        np.testing.assert_array_equal(weight["gender"], 7 * index)


def test_shapes_are_known_before_the_first_batch() -> None:
    """Keras builds its step from them; an unknown one would trace the model anew."""
    targets = {"age": np.zeros((6, 101), np.float32)}
    weights = {"age": np.zeros(6, np.float32)}
    order = np.arange(6).reshape(3, 2)
    batches = training_batches(
        pictures(6), targets, weights, EVERYTHING, order=order, seed=1, epoch=0
    )
    assert batches.element_spec == (
        tf.TensorSpec((2, 9, 9, 3), tf.float32),
        {"age": tf.TensorSpec((2, 101), tf.float32)},
        {"age": tf.TensorSpec((2,), tf.float32)},
    )
    assert int(batches.cardinality()) == 3


class Counted:
    """Pictures that know how many were read at once; as a whole they cannot be had."""

    def __init__(self, images: Pixels) -> None:
        self.images, self.shape, self.largest = images, images.shape, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Any) -> Any:
        found = self.images[key]
        self.largest = max(self.largest, len(found))
        return found

    def __array__(self, *args: object, **kwargs: object) -> Pixels:
        raise AssertionError("copied whole")


def test_a_mapped_file_is_read_batch_by_batch(tmp_path: Path) -> None:
    images = pictures(20)
    images.tofile(tmp_path / "images")
    file: Any = Counted(np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape))
    order = epoch_order(20, 4, seed=1, epoch=0, sampling=None)
    found = read(training_batches(file, {}, {}, NOTHING, order=order, seed=1, epoch=0))
    np.testing.assert_array_equal([batch for batch, _, _ in found], images[order])
    assert file.largest == 4
    file.largest = 0
    plain = list(plain_batches(file, 3).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate(plain), images)
    assert file.largest == 3


def test_plain_batches_are_the_images_in_order() -> None:
    images = pictures(10)
    found = plain_batches(images, batch_size=4)
    assert found.element_spec == tf.TensorSpec((None, 9, 9, 3), tf.float32)
    batches = [np.asarray(batch) for batch in found]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert {batch.dtype for batch in batches} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(np.concatenate(batches), images)


def test_plain_batches_of_nothing_are_none() -> None:
    assert list(plain_batches(pictures(0))) == []
