"""Bias correction: take back the shift that rounding the weights gives each channel.

In: the float `.tflite`, the int8 one made from it, calibration images. Out: the int8 bytes with
other biases. Rounded weights times inputs that are mostly positive do not average out: every
channel's mean moves, and with it the predicted age and the share predicted female. The shift is
measured and subtracted, layer by layer from the input on, so that each layer is corrected on what
the corrected layers before it give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.export.constants import read_biases, read_scales, with_biases
from edgeface.export.flatbuffer import KernelLayer, kernel_layers, read_graph
from edgeface.export.graph_edit import bottlenecks, expose
from edgeface.export.passes import Outputs, run_each, set_raw
from edgeface.export.statistics import WHERE, channel_means, means_of_channels
from edgeface.runtime.interpreter import set_input
from edgeface.types import Reporter


def correct_biases(
    float_content: bytes, int8_content: bytes, images: NDArray[np.uint8], reporter: Reporter
) -> bytes:
    """Make the mean of each channel of each linear layer equal the float model's.

    Layers with a fused activation are left alone: their means are not linear in the bias, and the
    linear layer that follows takes their shift back too. Layers without biases are left alone.

    Args:
        float_content: the float model.
        int8_content: quantized from it; its tensors have the same names.
        images: uint8 [N, side, side, 3], of the training split.
        reporter: shows progress.

    Returns:
        `int8_content` with other biases, nothing else changed.

    Raises:
        ExportError: two layers share their biases.

    Source:
        Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction
        (arXiv 1906.04721), section 4.2, the empirical form.
    """
    wanted = linear_means(float_content, images, reporter)
    return correct_towards(wanted, int8_content, images, reporter)


def linear_means(
    content: bytes, images: NDArray[np.uint8], reporter: Reporter
) -> dict[str, NDArray[np.float64]]:
    """Mean of each channel of each linear layer, by output name; see `channel_means`."""
    linear = [layer for layer in kernel_layers(content) if layer.is_linear]
    tensors = {layer.output_name: layer.output for layer in linear}
    with reporter.track("means of channels", len(images)) as advance:
        return channel_means(content, tensors, images, advance)


def correct_towards(
    wanted: Mapping[str, NDArray[np.float64]],
    content: bytes,
    images: NDArray[np.uint8],
    reporter: Reporter,
) -> bytes:
    """Make the mean of each channel of some linear layers what is wanted.

    Args:
        wanted: float64 [C] by output name; layers that it does not name are left alone.
        content: the quantized model; layers that stayed float are corrected too.
        images: uint8 [N, side, side, 3].
        reporter: shows progress.

    Returns:
        `content` with other biases, nothing else changed.

    Raises:
        ExportError: two layers share their biases.
    """
    layers = [
        layer
        for layer in kernel_layers(content)
        if layer.is_linear and layer.bias >= 0 and layer.output_name in wanted
    ]
    values: NDArray[Any] = images
    with reporter.track("bias correction", len(layers)) as advance:
        for layer, piece in zip(layers, _pieces(content, layers), strict=True):
            means, values = _run_piece(content, layer, piece, values)
            shift = wanted[layer.output_name] - means
            content = with_biases(content, layer, _shifted(content, layer, shift))
            advance(1)
    return content


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """The operators to run so as to see one layer's output.

    Attributes:
        source: tensor that goes in; None for the image.
        first: position of the first operator.
        keep: tensor that goes into the next piece, and its name; None if that is `source` again.
    """

    source: int | None
    first: int
    keep: tuple[int, str] | None


def _pieces(content: bytes, layers: list[KernelLayer]) -> Iterator[_Piece]:
    """Divide the network so that each layer is seen without running all that comes before it.

    The next piece starts at or before the layer just corrected, to run it with its new biases, and
    of the places where one tensor passes, where that tensor is smallest: it is kept for each image.
    """
    tensors = read_graph(content).tensors
    cuts = bottlenecks(content)
    source, first = None, 0
    for layer in layers:
        ahead = [at for at in cuts if first < at <= layer.position]
        if not ahead:
            yield _Piece(source=source, first=first, keep=None)
            continue
        next_first = min(ahead, key=lambda at: (np.prod(tensors[cuts[at]].shape), -at))
        passing = cuts[next_first]
        keep = None if passing == source else (passing, tensors[passing].name.decode())
        yield _Piece(source=source, first=first, keep=keep)
        source, first = passing, next_first


def _run_piece(
    content: bytes, layer: KernelLayer, piece: _Piece, values: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Give the mean of each channel of the layer, and what goes into the next piece."""
    name = layer.output_name
    shown = [layer.output, piece.keep[0]] if piece.keep else [layer.output]

    def measure(outputs: Outputs) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
        means = means_of_channels({name: outputs[name]})[name]
        return means, outputs[piece.keep[1]][0] if piece.keep else None

    found = list(
        run_each(
            expose(content, shown, source=piece.source, first=piece.first),
            values,
            measure,
            where=WHERE,
            feed=set_input if piece.source is None else set_raw,
        )
    )
    total = np.zeros_like(found[0][0])
    for means, _ in found:
        total += means
    kept = [each for _, each in found if each is not None]
    return total / len(values), np.stack(kept) if kept else values


def _shifted(
    content: bytes, layer: KernelLayer, shift: NDArray[np.float64]
) -> NDArray[np.int32] | NDArray[np.float32]:
    biases = read_biases(content, layer)
    if biases.dtype == np.float32:  # a layer that stayed float
        return np.asarray(biases + shift, np.float32)
    # Source: TFLite 8-bit quantization specification: bias scale = input scale * kernel scale
    scale = read_scales(content, layer.kernel) * read_scales(content, layer.input)
    steps = biases.astype(np.int64) + np.round(shift / scale).astype(np.int64)
    limits = np.iinfo(np.int32)
    return np.clip(steps, limits.min, limits.max).astype(np.int32)
