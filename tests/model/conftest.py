"""A model small enough to train in a second, and drawn faces to train it on.

`test_training` also runs this file by its path in a process of its own, to kill that process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.data.drawn import draw_face
from edgeface.data.faces import UNKNOWN, Faces
from edgeface.model.heads import head_specs
from edgeface.model.training import TrainingTask

SIDE_PX = 32
RUN_ID = "a" * 64

Age = int | tuple[int, int] | None
"""In years, or an interval of years, or unknown."""
MakeFaces = Callable[..., Faces]


def tiny_model() -> Any:
    """One convolution, one batch normalization, the two heads; the same weights each time."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, strides=4, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    heads = {"gender": layers.Dense(1, name="gender")(x), "age": layers.Dense(101, name="age")(x)}
    return keras.Model(image, heads, name="tiny")


def labelled_faces(ages: Sequence[Age], genders: Sequence[int | None], images: Any = None) -> Faces:
    """Faces with the labels given; black unless images are given."""
    intervals = [
        (UNKNOWN, UNKNOWN) if age is None else (age, age) if isinstance(age, int) else age
        for age in ages
    ]
    return Faces(
        ids=tuple(f"face-{index}" for index in range(len(ages))),
        images=np.zeros((len(ages), SIDE_PX, SIDE_PX, 3), np.uint8) if images is None else images,
        age_low_years=np.array([low for low, _ in intervals], np.int64),
        age_high_years=np.array([high for _, high in intervals], np.int64),
        classes={"gender": np.array([UNKNOWN if g is None else g for g in genders], np.int64)},
    )


def drawn_faces(start: int, stop: int) -> Faces:
    faces = [draw_face(seed=3, index=index, side_px=SIDE_PX) for index in range(start, stop)]
    return labelled_faces(
        [face.age_years for face in faces],
        [face.gender for face in faces],
        np.stack([face.image for face in faces]),
    )


def tiny_task(folder: Path) -> TrainingTask:
    return TrainingTask(
        label="tiny",
        heads=head_specs(ModelSpec()),
        train=drawn_faces(0, 96),
        validation=drawn_faces(96, 128),
        folder=folder,
        run_id=RUN_ID,
        seed=1,
    )


@pytest.fixture(scope="session")
def make_tiny_model() -> Callable[[], Any]:
    return tiny_model


@pytest.fixture(scope="session")
def make_faces() -> MakeFaces:
    return labelled_faces


@pytest.fixture(scope="session")
def make_task() -> Callable[[Path], TrainingTask]:
    return tiny_task
