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
from edgeface.model.epochs import TrainingTask
from edgeface.model.heads import head_specs, head_width
from edgeface.types import HeadSpec

SIDE_PX = 32
RUN_ID = "a" * 64

Age = int | tuple[int, int] | None
"""In years, or an interval of years, or unknown."""
MakeFaces = Callable[..., Faces]
GENDER_AND_AGE = head_specs(ModelSpec())


def tiny_model(heads: tuple[HeadSpec, ...] = GENDER_AND_AGE) -> Any:
    """One convolution, one batch normalization, the heads; the same weights each time."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, strides=4, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    outputs = {head.name: layers.Dense(head_width(head), name=head.name)(x) for head in heads}
    return keras.Model(image, outputs, name="tiny")


def labelled_faces(
    ages: Sequence[Age],
    genders: Sequence[int | None],
    images: Any = None,
    **others: Sequence[int | None],
) -> Faces:
    """Faces with the labels given, `others` by attribute; black unless images are given."""
    intervals = [
        (UNKNOWN, UNKNOWN) if age is None else (age, age) if isinstance(age, int) else age
        for age in ages
    ]
    return Faces(
        ids=tuple(f"face-{index}" for index in range(len(ages))),
        images=np.zeros((len(ages), SIDE_PX, SIDE_PX, 3), np.uint8) if images is None else images,
        age_low_years=np.array([low for low, _ in intervals], np.int64),
        age_high_years=np.array([high for _, high in intervals], np.int64),
        classes={
            name: np.array([UNKNOWN if each is None else each for each in numbers], np.int64)
            for name, numbers in {"gender": genders, **others}.items()
        },
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
        heads=GENDER_AND_AGE,
        train=drawn_faces(0, 96),
        validation=drawn_faces(96, 128),
        folder=folder,
        run_id=RUN_ID,
        seed=1,
    )


@pytest.fixture(scope="session")
def make_tiny_model() -> Callable[..., Any]:
    return tiny_model


@pytest.fixture(scope="session")
def make_faces() -> MakeFaces:
    return labelled_faces


@pytest.fixture(scope="session")
def make_task() -> Callable[[Path], TrainingTask]:
    return tiny_task
