"""The heads: what each predicts, what it is trained towards, how its output is read.

In: labels. Out: training targets, losses, and the `HeadSpec`s that the sidecar carries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.faces import Faces
from edgeface.runtime.decode import decode
from edgeface.types import GENDER_CLASSES, Contract, HeadSpec, ImageSpec, TensorSpec

# Source: design.md, "age by expectation over age bins (0..100)". Older faces count as 100.
AGE_BINS_YEARS = tuple(float(age) for age in range(101))


def head_specs(spec: ModelSpec) -> tuple[HeadSpec, ...]:
    """Describe the heads of a model; each head's tensor has the head's name until export."""
    if spec.age_head == "expectation":
        age = HeadSpec(
            name="age", kind="expectation", tensor="age", bins=AGE_BINS_YEARS, unit="years"
        )
    else:
        age = HeadSpec(name="age", kind="regression", tensor="age", unit="years")
    gender = HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES)
    return (gender, age)


def head_width(head: HeadSpec) -> int:
    """Count the output units of a head."""
    return len(head.bins) if head.kind == "expectation" else 1


def training_targets(
    faces: Faces, heads: tuple[HeadSpec, ...], spec: TrainSpec
) -> dict[str, NDArray[np.float32]]:
    """Make what each head is trained towards.

    Args:
        faces: N faces.
        heads: of the model.
        spec: label smoothing and σ.

    Returns:
        By head: float32 [N, 1] smoothed probability (binary), [N, bins] distribution
        (expectation) or [N, 1] value (regression).
    """
    targets = {}
    for head in heads:
        if head.kind == "binary":
            smooth = spec.label_smoothing_ratio
            targets[head.name] = (faces.gender * (1 - smooth) + smooth / 2)[:, None]
        elif head.kind == "expectation":
            targets[head.name] = soft_bins(faces.age_years, head.bins, spec.age_sigma_years)
        else:
            targets[head.name] = faces.age_years[:, None]
    return {name: np.asarray(target, np.float32) for name, target in targets.items()}


def soft_bins(
    values: NDArray[np.floating[Any]], bins: tuple[float, ...], sigma: float
) -> NDArray[np.float64]:
    """Spread each value over the bins as a normal distribution.

    Args:
        values: [N]; those outside the bins count as the nearest bin.
        bins: centres.
        sigma: width, in the bins' unit.

    Returns:
        float64 [N, bins]; rows add up to 1.

    Source:
        Gao et al. 2017, Deep Label Distribution Learning (arXiv 1611.01731).
    """
    centres = np.asarray(bins)
    clipped = np.clip(np.asarray(values, np.float64), centres[0], centres[-1])
    weight = np.exp(-0.5 * ((clipped[:, None] - centres) / sigma) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def losses(heads: tuple[HeadSpec, ...]) -> dict[str, Any]:
    """Keras loss of each head, by head name; all take logits where there are any."""
    import tf_keras as keras

    of_kind = {
        "binary": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
        "expectation": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
        "regression": keras.losses.MeanAbsoluteError,
    }
    return {head.name: of_kind[head.kind]() for head in heads}


def decode_outputs(
    raw: dict[str, NDArray[np.float32]], heads: tuple[HeadSpec, ...], side_px: int
) -> dict[str, NDArray[np.float64]]:
    """Read a Keras model's outputs the way a device reads the `.tflite`'s.

    Args:
        raw: by head, float32 [N, units].
        heads: of the model.
        side_px: of its input.

    Returns:
        By head: float64 [N], probability of class 1, or the value in the head's unit.
    """
    outputs = tuple(
        TensorSpec(name=head.name, shape=(1, head_width(head)), dtype="float32") for head in heads
    )
    contract = Contract(
        image=ImageSpec(side_px=side_px),
        input=TensorSpec(name="image", shape=(1, side_px, side_px, 3), dtype="float32"),
        outputs=outputs,
        heads=heads,
    )
    return decode(tuple(raw[head.name] for head in heads), contract)
