"""Which layer's int8 costs which head: one layer is quantized at a time, the rest stays float.

In: the float `.tflite`, calibration images, labelled faces of the validation split. Out: a row a
layer. The rows do not add up to what the whole costs: errors of layers cancel and add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import Faces
from edgeface.export.bias_correction import correct_towards, linear_means
from edgeface.export.flatbuffer import KernelLayer, Kind, kernel_layers, read_graph
from edgeface.export.litert import static_int8, static_int8_alone
from edgeface.export.predictions import HeadCost, head_costs, predict
from edgeface.export.statistics import evenly, value_ranges
from edgeface.types import HeadSpec, Reporter, SilentReporter

CORRECTION_IMAGES = 100
"""Calibration images that a layer's shift is taken back with. Chosen: a mean over 100 images and
all positions is off by less than the rounding that is looked for, and takes a third of the time of
300."""


@dataclass(frozen=True, kw_only=True)
class LayerSensitivity:
    """What int8 in one layer alone costs.

    Attributes:
        layer: name of its output tensor, as `QuantizePlan.float_layers` takes it.
        kind: "conv", "depthwise" or "dense".
        position: among the convolutions and dense layers, from 0, in the order they run.
        shape: of its weights.
        costs: one a head, in the order of the heads.
    """

    layer: str
    kind: Kind
    position: int
    shape: tuple[int, ...]
    costs: tuple[HeadCost, ...]


@dataclass(frozen=True, kw_only=True)
class SensitivityReport:
    """What int8 costs in each layer alone.

    Attributes:
        calibration_images: that set the ranges.
        images: that the costs were measured on.
        whole: the costs with all layers in int8 at once.
        layers: in the order they run.
    """

    calibration_images: int
    images: int
    whole: tuple[HeadCost, ...]
    layers: tuple[LayerSensitivity, ...]


def sensitivity(
    float_content: bytes,
    calibration_images: NDArray[np.uint8],
    faces: Faces,
    heads: tuple[HeadSpec, ...],
    reporter: Reporter,
) -> SensitivityReport:
    """Quantize each layer alone, with its input and output, and measure what it costs each head.

    As in a whole int8 model, the shift that a layer gives its channels is taken back in the next
    linear layer, itself if it is one: what is left is what bias correction cannot mend.

    Args:
        float_content: from `to_float_tflite`.
        calibration_images: uint8 [C, side, side, 3], of the training split, 1 or more.
        faces: of the validation split, 1 or more; 300 to 500 tell layers apart.
        heads: of the model.
        reporter: shows progress.

    Raises:
        ExportError: the model has no output for a head.
        DataError: an image is not of the model's size.
    """
    with reporter.track("ranges of activations", len(calibration_images)) as advance:
        ranges = value_ranges(float_content, calibration_images, advance)
    some = evenly(calibration_images, CORRECTION_IMAGES)
    means = linear_means(float_content, some, reporter)
    original = predict(float_content, faces.images, heads, where="float32 model")
    layers = kernel_layers(float_content)
    graph = read_graph(float_content)
    outputs = {int(i) for i in graph.outputs}

    def costs(content: bytes, corrected: set[str]) -> tuple[HeadCost, ...]:
        wanted = {name: mean for name, mean in means.items() if name in corrected}
        content = correct_towards(wanted, content, some, SilentReporter())
        changed = predict(content, faces.images, heads, where="int8 model")
        return head_costs(original, changed, faces, heads)

    rows = []
    with reporter.track("sensitivity of layers", len(layers)) as advance:
        for position, layer in enumerate(layers):
            rows.append(
                LayerSensitivity(
                    layer=layer.output_name,
                    kind=layer.kind,
                    position=position,
                    shape=tuple(int(size) for size in graph.tensors[layer.kernel].shape),
                    costs=costs(
                        static_int8_alone(float_content, ranges, layer.output_name),
                        _next_linear(layers[position:], outputs),
                    ),
                )
            )
            advance(1)
    return SensitivityReport(
        calibration_images=len(calibration_images),
        images=len(faces),
        whole=costs(static_int8(float_content, ranges), set(means)),
        layers=tuple(rows),
    )


def _next_linear(layers: Sequence[KernelLayer], outputs: set[int]) -> set[str]:
    """The first linear layer, or all heads where that is a head."""
    linear = [layer for layer in layers if layer.is_linear]
    heads = {layer.output_name for layer in linear if layer.output in outputs}
    first = {layer.output_name for layer in linear[:1]}
    return heads if first & heads else first
