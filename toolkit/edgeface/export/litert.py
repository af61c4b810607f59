"""litert-quantizer, wrapped: float `.tflite` bytes to quantized bytes, by measured ranges.

In: a float file. Out: a quantized one, checked to be what was asked. Measures nothing and corrects
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from litert_quantizer import quantizer as litert_quantizer
from litert_quantizer import recipe as litert_recipe
from litert_quantizer import recipe_manager as litert_recipes

from edgeface.errors import CompressionError, ExportError
from edgeface.export.flatbuffer import (
    float_tensors,
    kernel_layers,
    operators,
    read_graph,
    read_signature,
)
from edgeface.export.graph_edit import without_output_conversions
from edgeface.export.quiet import quiet
from edgeface.export.statistics import Range

PIXEL_RANGE = (0.0, 255.0)
"""Of the input. Source: the contract (`types.ImageSpec`); a scale of 1 makes each pixel exact."""

_CONVERSIONS = {"QUANTIZE", "DEQUANTIZE"}


def static_int8(
    float_content: bytes, ranges: Mapping[str, Range], float_layers: Sequence[str] = ()
) -> bytes:
    """Quantize weights per channel and activations per tensor to int8.

    Args:
        float_content: from `to_float_tflite`.
        ranges: (low, high) of every activation by name; 0 is within or made so. The input's is
            `PIXEL_RANGE` whatever is given.
        float_layers: output tensors of the kernel layers that stay float32, with a conversion
            before and after each; an output of the file that one of them makes is float32.

    Raises:
        CompressionError: `float_layers` names no kernel layer.
        ExportError: a tensor between input and output is float that was not to be.

    Source:
        Recipe `static_wi8_ai8` of litert-quantizer.
    """
    check_layer_names(float_content, float_layers)
    recipe = [*litert_recipe.static_wi8_ai8(), *map(_left_alone, float_layers)]
    content = _quantized(float_content, recipe, _by_tensor(float_content, ranges))
    if float_layers:  # a head among them says what it has to say in float
        content = without_output_conversions(content, float_layers)
    _check_int8(content, float_layers)
    return content


def static_int8_alone(float_content: bytes, ranges: Mapping[str, Range], layer: str) -> bytes:
    """Quantize one kernel layer, its input and its output to int8, and leave the rest float32.

    Args:
        float_content: from `to_float_tflite`.
        ranges: as for `static_int8`.
        layer: name of its output tensor.

    Raises:
        CompressionError: it is no kernel layer.
    """
    check_layer_names(float_content, [layer])
    recipe = [{**entry, "regex": _scope(layer)} for entry in litert_recipe.static_wi8_ai8()]
    return _quantized(float_content, recipe, _by_tensor(float_content, ranges))


def float16_weights(float_content: bytes) -> bytes:
    """Store the weights as float16; the runtime makes them float32 when it loads the file.

    Source:
        Weight-only recipe with algorithm `float_casting` of litert-quantizer: IEEE 754 binary16,
        round to nearest even.
    """
    manager = litert_recipes.RecipeManager()
    manager.add_weight_only_config(
        regex=".*",
        operation_name="*",
        num_bits=16,
        algorithm_key=litert_recipes.AlgorithmName.FLOAT_CASTING,
    )
    return _quantized(float_content, manager.get_quantization_recipe(), None)


def dynamic_range(float_content: bytes) -> bytes:
    """Store the weights as int8 per channel; kernels quantize float activations as they run.

    Source:
        Recipe `dynamic_wi8_afp32` of litert-quantizer.
    """
    return _quantized(float_content, litert_recipe.dynamic_wi8_afp32(), None)


def check_layer_names(content: bytes, names: Sequence[str]) -> None:
    """Refuse names that are not the output of a convolution or dense layer.

    Raises:
        CompressionError: with the first of them.
    """
    known = {layer.output_name for layer in kernel_layers(content)}
    strangers = [name for name in names if name not in known]
    if strangers:
        raise CompressionError(
            f"float_layers: found {strangers[0]!r}, expected output tensors of convolutions or "
            f"dense layers, e.g. {min(known, default='none is there')!r}; `sensitivity` lists them"
        )


def _scope(name: str) -> str:
    # litert-quantizer calls an operator by its outputs, each followed by a semicolon
    return f"^{re.escape(name)};?$"


def _left_alone(name: str) -> dict[str, Any]:
    return {
        "regex": _scope(name),
        "operation": "*",
        "algorithm_key": litert_recipes.AlgorithmName.NO_QUANTIZE,
        "op_config": {},
    }


def _by_tensor(content: bytes, ranges: Mapping[str, Range]) -> dict[str, Any]:
    measured = {**ranges, read_signature(content).input.name: PIXEL_RANGE}
    return {
        # one range for the whole tensor, of any rank
        name: {"min": np.full((1, 1), low, "f4"), "max": np.full((1, 1), high, "f4")}
        for name, (low, high) in measured.items()
    }


def _quantized(float_content: bytes, recipe: Any, ranges: dict[str, Any] | None) -> bytes:
    quantizer = litert_quantizer.Quantizer(float_content, recipe)
    with quiet():
        return bytes(quantizer.quantize(ranges).quantized_model)


def _check_int8(content: bytes, float_layers: Sequence[str]) -> None:
    """Walk the operators: only the layers that were left alone, and conversions, touch floats."""
    floats = set(float_tensors(content))
    tensors = read_graph(content).tensors
    wrong = []
    for operator in operators(content):
        names = [tensors[i].name.decode() for i in (*operator.inputs, *operator.outputs) if i >= 0]
        left_alone = names[-1] in float_layers or (float_layers and operator.name in _CONVERSIONS)
        if not left_alone:
            wrong += [name for name in names if name in floats]
    if wrong:
        raise ExportError(
            f"int8 model: {len(wrong)} tensors are still float, e.g. {wrong[0]}; expected none"
        )
