"""The heads: what each predicts, what it is trained towards, how its output is read.

In: labels. Out: training targets with masks for the labels that are missing, losses, and the
`HeadSpec`s that the sidecar carries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.config import ModelSpec, TrainSpec
from edgeface.data.age_targets import decade_shares, interval_bins
from edgeface.data.faces import Faces
from edgeface.errors import ModelError
from edgeface.runtime.decode import decode, output_units
from edgeface.training_specs import AGE, GENDER
from edgeface.types import GENDER_CLASSES, Contract, HeadKind, HeadSpec, ImageSpec, TensorSpec

# Source: design.md, "age bins (0..100)"; read as a median and not as the expectation that design.md
# names, because that errs less (benchmarks/LOG.md, 2026-11-30). Older faces count as 100.
AGE_BINS_YEARS = tuple(float(age) for age in range(101))
# Source: docs/seeds.md S3, "age in 11 decades": 0 to 9, ..., 100 and more, here their middles.
DECADES_YEARS = tuple(float(age) for age in range(5, 110, 10))
AGE_BINS: Mapping[HeadKind, tuple[float, ...]] = {
    "median": AGE_BINS_YEARS,
    "expectation": AGE_BINS_YEARS,
    "decades": DECADES_YEARS,
}


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What each face is trained towards, by head.

    Attributes:
        values: float32 [N, units]; 0 in the rows of faces that lack the head's label.
        weights: float32 [N], what each face's loss counts; 0 in those rows, and 1 in all rows where
            nothing is missing.
    """

    values: Mapping[str, NDArray[np.float32]]
    weights: Mapping[str, NDArray[np.float32]]


def head_specs(spec: ModelSpec) -> tuple[HeadSpec, ...]:
    """Describe the heads of a model; each head's tensor has the head's name until export."""
    return tuple(_head(name, spec) for name in spec.heads)


def _head(name: str, spec: ModelSpec) -> HeadSpec:
    if name == AGE:
        return HeadSpec(
            name=AGE,
            kind=spec.age_head,
            tensor=AGE,
            bins=AGE_BINS.get(spec.age_head, ()),
            unit="years",
        )
    classes = GENDER_CLASSES if name == GENDER else spec.classes[name]
    kind: HeadKind = "binary" if len(classes) == 2 else "classes"
    return HeadSpec(name=name, kind=kind, tensor=name, classes=classes)


def head_width(head: HeadSpec) -> int:
    """Count the output units of a head."""
    return output_units(head)


def training_targets(
    faces: Faces,
    heads: tuple[HeadSpec, ...],
    spec: TrainSpec,
    *,
    shares: NDArray[np.float64] | None = None,
) -> Targets:
    """Make what each head is trained towards, with a mask for the labels that are missing.

    A head's weight is 0 for faces without its label and one constant for the others: 1 / (the
    share of drawn faces that have it). Keras divides a batch's weighted loss by the batch size, so
    the mean over an epoch is in expectation the mean loss of the labelled faces, however they fall
    into batches, and a head's loss weight means the same whatever is missing. Dividing each batch
    by its own labelled faces instead would weigh the only one of a batch of 64 like the 64 of
    another batch, and have no value where a batch holds none.

    Args:
        faces: N faces; their images are not used.
        heads: of the model.
        spec: label smoothing and σ.
        shares: how often each face is drawn, [N], in any unit, 0 for faces that are not trained
            on; None draws those that have a label of any head equally often. Balancing by age
            draws labelled faces more often, and their weight must be that much smaller.

    Returns:
        Targets: values [N, 1] smoothed probability (binary), [N, classes] smoothed (classes),
        [N, bins] distribution (median, expectation, decades) or [N, 2] lowest and highest value
        (regression).

    Raises:
        ModelError: a head has no labelled face, or a label is of a class that it does not have.

    Source:
        Masks: the loss of a task is summed over the samples that have its label, e.g. Kokkinos
        2017, UberNet (arXiv 1609.02132), section 3.2.
    """
    known = {head.name: has_label(faces, head) for head in heads}
    drawn = np.any(list(known.values()), axis=0).astype(np.float64) if shares is None else shares
    values, weights = {}, {}
    for head in heads:
        at = known[head.name]
        share = drawn[at].sum()
        if share <= 0:
            raise ModelError(
                f"head {head.name}: found no {head.name} among the labels of {len(faces)} training "
                "faces, expected at least one; give a data set that has it"
            )
        weights[head.name] = np.where(at, drawn.sum() / share, 0).astype(np.float32)
        values[head.name] = _values(faces, head, at, spec)
    return Targets(values=values, weights=weights)


def labelled_rows(faces: Faces, heads: tuple[HeadSpec, ...]) -> NDArray[np.int64]:
    """Indices of the faces that have a label of at least one head, int64, rising."""
    return np.flatnonzero(np.any([has_label(faces, head) for head in heads], axis=0))


def has_label(faces: Faces, head: HeadSpec) -> NDArray[np.bool_]:
    """Where a face can teach a head, bool [N]: a class, or an age, exact or as an interval."""
    return faces.class_of(head.name) >= 0 if head.has_classes else faces.has_age


def _values(
    faces: Faces, head: HeadSpec, at: NDArray[np.bool_], spec: TrainSpec
) -> NDArray[np.float32]:
    low, high = faces.age_low_years[at], faces.age_high_years[at]
    labelled: NDArray[np.float64] | NDArray[np.int64]
    if head.has_classes:
        labelled = _smoothed(head, faces.class_of(head.name)[at], spec.label_smoothing_ratio)
    elif head.kind in ("median", "expectation"):
        labelled = interval_bins(low, high, head.bins, spec.age_sigma_years)
    elif head.kind == "decades":
        labelled = decade_shares(low, high, head.bins)
    else:
        labelled = np.stack([low, high], axis=1)
    # the weight of the other rows is 0, and 0 * loss is 0 only for a finite loss: 0 gives one
    values = np.zeros((len(faces), labelled.shape[1]), np.float32)
    values[at] = labelled
    return values


def _smoothed(
    head: HeadSpec, numbers: NDArray[np.int64], smoothing_ratio: float
) -> NDArray[np.float64]:
    count = len(head.classes)
    if numbers.max() >= count:
        raise ModelError(
            f"head {head.name}: found class {numbers.max()}, expected 0 to {count - 1} "
            f"({', '.join(head.classes)}); name all classes of the data in the recipe"
        )
    one_hot = (numbers[:, None] == np.arange(count)).astype(np.float64)
    smoothed = one_hot * (1 - smoothing_ratio) + smoothing_ratio / count
    return np.asarray(smoothed[:, 1:] if head.kind == "binary" else smoothed)


def losses(heads: tuple[HeadSpec, ...]) -> dict[str, Any]:
    """Keras loss of each head, by head name; all take logits where there are any."""
    import tf_keras as keras

    of_kind: dict[str, Callable[[], Any]] = {
        "binary": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
        "classes": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
        "median": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
        "expectation": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
        "decades": lambda: keras.losses.CategoricalCrossentropy(from_logits=True),
        "regression": lambda: distance_to_interval,
    }
    return {head.name: of_kind[head.kind]() for head in heads}


def distance_to_interval(interval: Any, predicted: Any) -> Any:
    """Keras loss: how far each prediction is from its interval; the absolute error if low = high.

    Args:
        interval: float32 [B, 2], lowest and highest value.
        predicted: float32 [B, 1].

    Returns:
        float32 [B], 0 inside the interval.

    Source:
        chosen: an interval says nothing of where in it the age is, so no place in it costs.
    """
    import tensorflow as tf

    nearest = tf.clip_by_value(predicted, interval[:, :1], interval[:, 1:])
    return tf.abs(predicted - nearest)[:, 0]


def decode_outputs(
    raw: dict[str, NDArray[np.float32]], heads: tuple[HeadSpec, ...], side_px: int
) -> dict[str, NDArray[np.float64]]:
    """Read a Keras model's outputs the way a device reads the `.tflite`'s.

    Args:
        raw: by head, float32 [N, units].
        heads: of the model.
        side_px: of its input.

    Returns:
        By head, as `runtime.decode.decode` gives them.
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
