"""What a converted file predicts, and how far two files are apart: before there is an artifact.

In: the bytes of a `.tflite`, images, the heads. Out: predictions by head; what a change of the file
costs each head. `bench.quality` measures finished artifacts; this serves the choices before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import Faces
from edgeface.errors import ExportError
from edgeface.export.flatbuffer import read_signature
from edgeface.export.passes import Outputs, run_each
from edgeface.model.metrics import has_truth
from edgeface.runtime.decode import class_numbers, decode
from edgeface.types import Advance, Contract, HeadSpec, ImageSpec

Predictions = dict[str, NDArray[np.float64]]
"""By head, as `runtime.decode.decode` gives them: float64 [N], probability of class 1 or the value
in the head's unit; float64 [N, K] probabilities of several classes."""


@dataclass(frozen=True, kw_only=True)
class HeadCost:
    """What a changed file costs one head, against the file that it was made from.

    Attributes:
        head: its name.
        unit: "years" (or another unit of a head with values), or "ratio" for a head of classes.
        loss: how much worse it is by the labels: rise of the mean absolute error, or fall of the
            accuracy. Below 0 if it is better; NaN without labels.
        difference: mean of |changed - original| over the images, of the value or of the
            probability of class 1; of several classes the mean total variation, half of the sum of
            |changed - original| over them, which is the same of two. Needs no labels and is far
            less noisy than `loss`.
        shift: mean of (changed - original), of the value or of the probability of class 1; of
            several classes of the probability of the one that the original names, so that below 0
            is less sure.
        labelled: images with the head's label.
    """

    head: str
    unit: str
    loss: float
    difference: float
    shift: float
    labelled: int


def predict(
    content: bytes,
    images: NDArray[np.uint8],
    heads: tuple[HeadSpec, ...],
    *,
    where: str,
    advance: Advance | None = None,
) -> Predictions:
    """Run a file on images, on all cores, and decode its outputs as a device does.

    Args:
        content: with an output for each head.
        images: uint8 [N, side, side, 3], 1 or more.
        heads: of the model, as `head_specs` gives them.
        where: names the model in messages.
        advance: moves a progress bar of N steps.

    Raises:
        ExportError: no output for a head.
        DataError: an image is not of the model's size.
        ArtifactError: the model gives values that are not finite.
    """
    signature = read_signature(content)
    missing = [head.name for head in heads if head.name not in signature.outputs]
    if missing:
        raise ExportError(
            f"{where}: no output for {', '.join(missing)}; it has {', '.join(signature.outputs)}"
        )
    outputs = tuple(signature.outputs[head.name] for head in heads)
    contract = Contract(
        image=ImageSpec(side_px=signature.input.shape[1]),
        input=signature.input,
        outputs=outputs,
        heads=tuple(
            replace(head, tensor=spec.name) for head, spec in zip(heads, outputs, strict=True)
        ),
    )

    def measure(found: Outputs) -> list[NDArray[Any]]:
        return [found[spec.name][0] for spec in outputs]

    rows = list(run_each(content, images, measure, where=where, advance=advance))
    return decode(tuple(np.concatenate(column) for column in zip(*rows, strict=True)), contract)


def head_costs(
    original: Mapping[str, NDArray[np.float64]],
    changed: Mapping[str, NDArray[np.float64]],
    faces: Faces,
    heads: tuple[HeadSpec, ...],
) -> tuple[HeadCost, ...]:
    """Compare two files' predictions of the same faces, head by head.

    Args:
        original: of the file that the other was made from.
        changed: of the other.
        faces: with their labels, in the same order.
        heads: of both.
    """
    return tuple(_head_cost(head, original[head.name], changed[head.name], faces) for head in heads)


def _head_cost(
    head: HeadSpec, original: NDArray[np.float64], changed: NDArray[np.float64], faces: Faces
) -> HeadCost:
    known = has_truth(faces, head)
    before, after = (_wrong(head, each, faces)[known] for each in (original, changed))
    moved = changed - original
    if head.kind == "classes":
        named = class_numbers(original, head)
        difference = np.abs(moved).sum(axis=1) / 2
        shift = np.take_along_axis(moved, named[:, None], axis=1)
    else:
        difference, shift = np.abs(moved), moved
    return HeadCost(
        head=head.name,
        unit="ratio" if head.has_classes else head.unit,
        loss=float((after - before).mean()) if known.any() else float("nan"),
        difference=float(difference.mean()),
        shift=float(shift.mean()),
        labelled=int(known.sum()),
    )


def _wrong(head: HeadSpec, said: NDArray[np.float64], faces: Faces) -> NDArray[np.float64]:
    if head.has_classes:
        return np.asarray(class_numbers(said, head) != faces.class_of(head.name), np.float64)
    return np.asarray(np.abs(said - faces.exact_age_years))
