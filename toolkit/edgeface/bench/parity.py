"""Whether a device computes what this host computes.

In: raw outputs of the same artifact on the same images, here and there. Out: `Parity`: differences
in quantization steps for integer outputs, absolute for float ones; and the figures of both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.device_outputs import Arrays
from edgeface.bench.verdict_rule import INT8_MARGINS
from edgeface.errors import BenchmarkError
from edgeface.types import Quality

PARITY_STEPS = 1.0
"""Largest difference of an integer output that still counts as equal.

Source: issue 6, "It is done when". Kernels for other processors may round a half the other way."""

PARITY_FLOAT = 1e-3
"""The same of a float output, absolute.

Chosen: float sums in another order differ by about 1e-6 of the values summed; logits of some tens
and the depth of VGG16 leave this room, and a logit's 1e-3 moves a probability by 0.00025 at most.
"""


_Figure = Literal["accuracy", "mae"]
_FIGURES: tuple[_Figure, ...] = ("accuracy", "mae")  # the main one of a head


@dataclass(frozen=True, kw_only=True)
class TensorParity:
    """One output tensor, there against here.

    Attributes:
        tensor: its name.
        unit: of the differences: "steps" of quantization, or "absolute" for a float tensor.
        values: compared: images times values an image.
        largest: difference of one value, without its sign.
        mean: of all differences, without their signs.
        share_equal_ratio: share of the values that are equal to the bit.
    """

    tensor: str
    unit: Literal["steps", "absolute"]
    values: int
    largest: float
    mean: float
    share_equal_ratio: float

    def __post_init__(self) -> None:
        """Check that these can be differences."""
        if self.values < 1 or not 0 <= self.mean <= self.largest < math.inf:
            raise ValueError(
                f"{self.tensor}: mean and largest difference of {self.values} values are "
                f"{self.mean} and {self.largest}, expected 0 <= mean <= largest"
            )

    @property
    def holds(self) -> bool:
        """Whether no value differs by more than `PARITY_STEPS` or `PARITY_FLOAT`."""
        return self.largest <= (PARITY_STEPS if self.unit == "steps" else PARITY_FLOAT)


@dataclass(frozen=True, kw_only=True)
class MetricAgreement:
    """One quality figure, there and here, of the same images.

    Attributes:
        task: name of the head.
        name: "accuracy" of classes or "mae" of age.
        unit: "ratio" or "years".
        n: images it was computed on.
        here: from the reference's outputs.
        there: from the device's own outputs.
    """

    task: str
    name: _Figure
    unit: str
    n: int
    here: float
    there: float

    @property
    def difference(self) -> float:
        """There minus here."""
        return self.there - self.here

    @property
    def tolerance(self) -> float:
        """Largest difference that counts as agreement, in `unit`.

        Source: the losses that issue 4 allows int8 itself. Of few images, at least one image: a
        single face on the edge may turn, and that is 1 / n.
        """
        if self.name == "accuracy":
            return max(INT8_MARGINS.accuracy_pp(self.task) / 100, 1 / self.n)
        return INT8_MARGINS.age_mae_years

    @property
    def holds(self) -> bool:
        """Whether the difference is within the tolerance."""
        # a float's last digits must not turn one image of 200 into a disagreement
        return abs(self.difference) <= self.tolerance * (1 + 1e-9)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One artifact on a device against the same on a reference.

    Attributes:
        reference_device: that the outputs are held against, e.g. "local".
        reference_runtime: package and version there.
        n: images.
        tensors: each output of the model.
        metrics: figures of both sides; empty where the images have no labels.
    """

    reference_device: str
    reference_runtime: str
    n: int
    tensors: tuple[TensorParity, ...]
    metrics: tuple[MetricAgreement, ...] = ()

    def __post_init__(self) -> None:
        """Check that something was compared."""
        if self.n < 1 or not self.tensors:
            raise ValueError(
                f"parity of {self.n} images and {len(self.tensors)} tensors, expected some"
            )

    @property
    def holds(self) -> bool:
        """Whether every tensor and every figure is within its tolerance."""
        return all(each.holds for each in self.tensors) and all(each.holds for each in self.metrics)


def compare_outputs(here: Arrays, there: Arrays, *, where: str) -> tuple[TensorParity, ...]:
    """Compare the outputs of one artifact on two machines.

    Args:
        here: of the reference.
        there: of the device; the same names, dtypes and shapes.
        where: device and model, for messages.

    Returns:
        One value a tensor, in the order of `here`.

    Raises:
        BenchmarkError: names, dtypes or shapes differ, nothing to compare, or a value that is not
            finite.
    """
    forms = [{name: (str(a.dtype), a.shape) for name, a in side.items()} for side in (here, there)]
    if forms[0] != forms[1] or not all(array.size for array in here.values()):
        raise BenchmarkError(
            f"{where}: outputs there are {forms[1]}, expected those here, {forms[0]}, with at "
            "least one image"
        )
    return tuple(_tensor_parity(name, here[name], there[name], where) for name in here)


def _tensor_parity(name: str, here: NDArray[Any], there: NDArray[Any], where: str) -> TensorParity:
    is_integer = np.issubdtype(here.dtype, np.integer)
    # int8 would wrap round: 127 - -128 is -1
    wide = np.int64 if is_integer else np.float64
    difference = np.abs(there.astype(wide) - here.astype(wide))
    if not np.isfinite(difference).all():
        raise BenchmarkError(f"{where}: {name} holds a value that is not finite")
    return TensorParity(
        tensor=name,
        unit="steps" if is_integer else "absolute",
        values=int(difference.size),
        largest=float(difference.max()),
        mean=min(float(difference.mean()), float(difference.max())),
        share_equal_ratio=float((difference == 0).mean()),
    )


def compare_figures(here: Quality, there: Quality, *, where: str) -> tuple[MetricAgreement, ...]:
    """Set each head's accuracy or MAE on two machines side by side.

    Args:
        here: from the reference's outputs.
        there: from the device's own outputs, on the same images.
        where: device and model, for messages.

    Raises:
        BenchmarkError: the figures are of other images.
    """
    sources = [(q.data, q.split, q.manifest_sha256, q.n) for q in (here, there)]
    if sources[0] != sources[1]:
        raise BenchmarkError(
            f"{where}: figures there are of {sources[1]}, expected of the images here, {sources[0]}"
        )
    there_by_name = {(metric.task, metric.name): metric for metric in there.metrics}
    found = []
    for ours in here.metrics:
        name = next((each for each in _FIGURES if each == ours.name), None)
        theirs = there_by_name.get((ours.task, ours.name))
        if name is not None and theirs is not None and ours.n == theirs.n:
            found.append(
                MetricAgreement(
                    task=ours.task,
                    name=name,
                    unit=ours.unit,
                    n=ours.n,
                    here=ours.value,
                    there=theirs.value,
                )
            )
    if not found:
        raise BenchmarkError(f"{where}: neither accuracy nor MAE on both sides, expected one")
    return tuple(found)
