"""Head re-fit: the heads are fitted anew on the features as the quantized backbone gives them.

In: the float `.tflite`, the quantized one made from it, images of the training split. Out: the
quantized bytes with other weights and biases in the heads' last dense layers. Bias correction takes
a shift of the outputs back; this takes back what else of the backbone's error is linear in its
features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.export.constants import (
    read_constant,
    read_scales,
    with_biases,
    with_constants,
    with_scales,
)
from edgeface.export.flatbuffer import KernelLayer, kernel_layers, read_graph
from edgeface.export.graph_edit import expose
from edgeface.export.passes import Outputs, run_each
from edgeface.export.statistics import WHERE
from edgeface.runtime.affine import dequantize
from edgeface.types import Advance, Reporter

RIDGE_RATIOS = 10.0 ** np.arange(-4, 5)
"""Penalties tried, in units of the mean squared length of a centred feature vector. Chosen: from
next to none to one under which the weights hardly move."""

WEIGHT_LEVELS = 127  # Source: TFLite 8-bit quantization specification, weights in [-127, 127]


@dataclass(frozen=True, kw_only=True)
class Refit:
    """A change of a head's weights, and what it is worth on images that it was not fitted on.

    Attributes:
        change: float64 [K, D], to be added to the weights; 0 where no penalty was better.
        left_out_error: mean squared error of the outputs, each image predicted by a fit to the
            others.
        error_unchanged: the same with only the biases fitted.
    """

    change: NDArray[np.float64]
    left_out_error: float
    error_unchanged: float


def refit_heads(
    float_content: bytes, content: bytes, images: NDArray[np.uint8], reporter: Reporter
) -> bytes:
    """Fit the heads' last dense layers to the float model's outputs, on quantized features.

    Ridge regression in closed form that holds to the float weights: few images are enough, and
    where they do not help on left-out images, the weights stay as they are and only the biases are
    fitted.

    Args:
        float_content: the float model.
        content: quantized from it; heads without biases are left alone.
        images: uint8 [N, side, side, 3], of the training split.
        reporter: is told what the fit is worth.

    Returns:
        `content` with other weights, their scales and biases; of the same length.

    Raises:
        ExportError: two heads share their weights.

    Source:
        Hoerl & Kennard 1970, Ridge Regression, around the float weights instead of 0.
    """
    heads = _heads(content)
    outputs_of = {layer.output_name for layer in _heads(float_content)}
    tensors = read_graph(content).tensors
    inputs = {layer.output_name: tensors[layer.input].name.decode() for layer in heads}
    with reporter.track("what the heads see and give", 2 * len(images)) as advance:
        wanted = _values(float_content, outputs_of, images, advance)
        features = _values(content, set(inputs.values()), images, advance)
    floats = {layer.output_name: layer for layer in kernel_layers(float_content)}
    for layer in heads:
        name = layer.output_name
        original = floats[name]
        weights = read_constant(float_content, original.kernel).astype(np.float64)
        given, outputs = features[inputs[name]], wanted[name]
        fit = ridge_change(given, outputs - given @ weights.T)
        reporter.say(
            f"head {name}: squared error on left-out images {fit.error_unchanged:.3g}, fitted "
            f"anew {fit.left_out_error:.3g}"
        )
        content = _with_weights(content, layer, weights + fit.change, given, outputs)
    return content


def ridge_change(features: NDArray[np.float64], residuals: NDArray[np.float64]) -> Refit:
    """Fit residuals by features with an intercept, the penalty chosen on left-out images.

    Args:
        features: float64 [N, D].
        residuals: float64 [N, K], what is still to be explained.

    Returns:
        The change with the least left-out error; none at all counts as one of the choices.

    Source:
        With centred features F and K = F F^T, the fit is F^T (K + λ I)^-1 R, and the error of image
        i left out is its residual over 1 - h_i, h the diagonal of the hat matrix: Allen 1974, The
        Relationship Between Variable Selection and Data Augmentation (PRESS).
    """
    count = len(features)
    centred = features - features.mean(axis=0)
    left = residuals - residuals.mean(axis=0)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values = np.maximum(values, 0.0)
    in_basis = vectors.T @ left
    unchanged = float(((left / (1 - 1 / count)) ** 2).mean())
    best = Refit(
        change=np.zeros((residuals.shape[1], features.shape[1])),
        left_out_error=unchanged,
        error_unchanged=unchanged,
    )
    for penalty in RIDGE_RATIOS * max(values.mean(), np.finfo(np.float64).tiny):
        shrunk = values / (values + penalty)
        hat = (vectors**2 * shrunk).sum(axis=1) + 1 / count
        misses = (left - vectors @ (shrunk[:, None] * in_basis)) / (1 - hat)[:, None]
        error = float((misses**2).mean())
        if error < best.left_out_error:
            dual = vectors @ (in_basis / (values + penalty)[:, None])
            best = Refit(
                change=(centred.T @ dual).T, left_out_error=error, error_unchanged=unchanged
            )
    return best


def _heads(content: bytes) -> list[KernelLayer]:
    outputs = {int(i) for i in read_graph(content).outputs}
    return [
        layer
        for layer in kernel_layers(content)
        if layer.kind == "dense" and layer.is_linear and layer.output in outputs and layer.bias >= 0
    ]


def _values(
    content: bytes, names: set[str], images: NDArray[np.uint8], advance: Advance
) -> dict[str, NDArray[np.float64]]:
    """What some tensors hold, float64 [N, C] in real units, by name."""

    def measure(outputs: Outputs) -> dict[str, NDArray[np.float64]]:
        return {name: dequantize(value, spec).ravel() for name, (value, spec) in outputs.items()}

    if not names:
        return {}
    tensors = read_graph(content).tensors
    shown = [i for i, tensor in enumerate(tensors) if tensor.name.decode() in names]
    exposed = expose(content, shown)
    rows = list(run_each(exposed, images, measure, where=WHERE, advance=advance))
    return {name: np.stack([row[name] for row in rows]) for name in names}


def _with_weights(
    content: bytes,
    layer: KernelLayer,
    weights: NDArray[np.float64],
    features: NDArray[np.float64],
    outputs: NDArray[np.float64],
) -> bytes:
    """Write weights, and the biases that make the mean output right with the rounded weights."""
    values: NDArray[Any]
    bias_scale: NDArray[np.float64] | None
    if read_constant(content, layer.kernel).dtype == np.float32:  # a head that stayed float
        values, bias_scale = weights.astype(np.float32), None
        rounded = values.astype(np.float64)
    else:
        scales = np.maximum(np.abs(weights).max(axis=1), np.finfo(np.float32).tiny) / WEIGHT_LEVELS
        scales = scales.astype(np.float32).astype(np.float64)
        values = np.clip(np.round(weights / scales[:, None]), -WEIGHT_LEVELS, WEIGHT_LEVELS)
        rounded = values * scales[:, None]
        content = with_scales(content, layer.kernel, scales)
        content = with_scales(content, layer.bias, scales * read_scales(content, layer.input))
        bias_scale = scales * read_scales(content, layer.input)
    content = with_constants(content, {layer.kernel: values})
    biases = outputs.mean(axis=0) - features.mean(axis=0) @ rounded.T
    if bias_scale is None:
        return with_biases(content, layer, biases.astype(np.float32))
    limits = np.iinfo(np.int32)
    steps = np.clip(np.round(biases / bias_scale), limits.min, limits.max)
    return with_biases(content, layer, steps.astype(np.int32))
