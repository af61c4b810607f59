"""Bias correction: take back the shift that rounding the weights gives each channel.

In: the float `.tflite`, the int8 one made from it, calibration images. Out: the int8 bytes with
other biases. Rounded weights times inputs that are mostly positive do not average out: every
channel's mean moves, and with it the predicted age and the share predicted female. The shift is
measured and subtracted, layer by layer from the input on, so that each layer is corrected on what
the corrected layers before it give.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeface.export.flatbuffer import (
    KernelLayer,
    kernel_layers,
    read_biases,
    read_graph,
    with_biases,
)
from edgeface.export.statistics import channel_means
from edgeface.types import Reporter


def correct_biases(
    float_content: bytes, int8_content: bytes, images: NDArray[np.uint8], reporter: Reporter
) -> bytes:
    """Make the mean of each channel of each linear layer equal the float model's.

    Layers with a fused activation are left alone: their means are not linear in the bias, and the
    linear layer that follows takes their shift back too.

    Args:
        float_content: the float model.
        int8_content: quantized from it; its tensors have the same names.
        images: uint8 [N, side, side, 3], of the training split.
        reporter: shows progress.

    Returns:
        `int8_content` with other biases, nothing else changed.

    Source:
        Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction
        (arXiv 1906.04721), section 4.2, the empirical form.
    """
    float_outputs = {layer.output_name: layer.output for layer in kernel_layers(float_content)}
    layers = [
        layer
        for layer in kernel_layers(int8_content)
        if layer.is_linear and layer.bias >= 0 and layer.output_name in float_outputs
    ]
    wanted = channel_means(
        float_content,
        {layer.output_name: float_outputs[layer.output_name] for layer in layers},
        images,
    )
    graph = read_graph(int8_content)
    content = int8_content
    with reporter.track("bias correction", len(layers)) as advance:
        for layer in layers:
            name = layer.output_name
            found = channel_means(content, {name: layer.output}, images)[name]
            steps = np.round((wanted[name] - found) / _bias_scale(graph, layer))
            biases = read_biases(content, layer).astype(np.int64) + steps.astype(np.int64)
            limits = np.iinfo(np.int32)
            content = with_biases(
                content, layer, np.clip(biases, limits.min, limits.max).astype(np.int32)
            )
            advance(1)
    return content


def _bias_scale(graph: object, layer: KernelLayer) -> NDArray[np.float64]:
    # Source: TFLite 8-bit quantization specification: bias scale = input scale * kernel scale
    tensors = graph.tensors  # type: ignore[attr-defined]  # generated code without types
    kernel = np.asarray(tensors[layer.kernel].quantization.scale, np.float64)
    return np.asarray(kernel * float(tensors[layer.input].quantization.scale[0]))
