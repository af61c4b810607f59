"""Mixed precision: the few layers whose int8 costs most stay float, until the loss is acceptable.

In: the float `.tflite`, calibration images, labelled faces of the validation split, what may be
lost. Out: the quantized file and the layers left float. Each island of float layers costs a
conversion before and after it, so few layers and few islands are what is sought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import Faces
from edgeface.errors import CompressionError
from edgeface.export.equalization import equalize
from edgeface.export.flatbuffer import KernelLayer, kernel_layers, read_graph
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import HeadCost, head_costs, predict
from edgeface.export.quantize import quantize
from edgeface.export.sensitivity import LayerSensitivity, sensitivity
from edgeface.model.metrics import has_truth
from edgeface.types import HeadSpec, Reporter

AS_GOOD_RATIO = 0.8
"""A layer that needs no conversion of its own is preferred to one that costs up to a quarter more.
Chosen: what layers cost is not known more exactly from a few hundred faces."""


@dataclass(frozen=True, kw_only=True)
class MixedLimits:
    """What a quantized file may lose against the float one, and what may stay float for it.

    Attributes:
        years: rise of the mean absolute error of heads in years.
        ratio: fall of the accuracy of heads of classes.
        layers: most layers that may stay float, those of the plan included.

    Source:
        Issue "Compression", done when (a): 0.05 years and 0.3 points. Layers: chosen, each island
        costs two conversions, and a network with many is better trained with quantization.
    """

    years: float = 0.05
    ratio: float = 0.003
    layers: int = 3

    def excess_ratio(self, cost: HeadCost, value: float) -> float:
        """How many times the head's limit a value in the head's unit is."""
        return value / (self.ratio if cost.unit == "ratio" else self.years)


def mixed_precision(
    float_content: bytes,
    calibration: NDArray[np.uint8],
    faces: Faces,
    heads: tuple[HeadSpec, ...],
    plan: QuantizePlan,
    limits: MixedLimits,
    reporter: Reporter,
) -> tuple[bytes, tuple[str, ...]]:
    """Quantize as planned, and leave layers float one by one until no head loses too much.

    Args:
        float_content: from `to_float_tflite`.
        calibration: uint8 [C, side, side, 3], of the training split.
        faces: of the validation split, with labels of one head or more; what the others lose is
            not known and has no say.
        heads: of the model.
        plan: for the layers that are quantized; its `float_layers` stay float in any case.
        limits: what may be lost, and how many layers may stay float.
        reporter: is told what each step gives.

    Returns:
        The file, and all layers that are float in it, in the order they run; none where int8
        everywhere is good enough.

    Raises:
        CompressionError: no face has a label, or the loss is over the limit with all layers float
            that may be.

    Source:
        Greedy choice by each layer's own cost: Wu et al. 2020, Integer Quantization for Deep
        Learning Inference (arXiv 2004.09602), section 5.1, partial quantization.
    """
    if not any(has_truth(faces, head).any() for head in heads):
        raise CompressionError(
            f"mixed precision: none of {len(faces)} validation faces has a label of "
            f"{', '.join(head.name for head in heads)}, expected at least one: it measures the loss"
        )
    if plan.equalize:  # once: the names stay, and so does what is computed
        float_content = equalize(float_content, calibration, reporter)
        plan = replace(plan, equalize=False)
    original = predict(float_content, faces.images, heads, where="float32 model")
    layers = kernel_layers(float_content)
    names = [layer.output_name for layer in layers]
    outputs = {int(i) for i in read_graph(float_content).outputs}
    costs_of: dict[str, float] = {}
    chosen = list(plan.float_layers)
    while True:
        step = replace(plan, float_layers=tuple(sorted(chosen, key=names.index)))
        content = quantize(float_content, calibration, step, reporter)
        changed = predict(content, faces.images, heads, where="int8 model")
        costs = head_costs(original, changed, faces, heads)
        reporter.say(f"{len(chosen)} layers float: {_said(costs)}")
        if all(limits.excess_ratio(cost, cost.loss) <= 1 for cost in costs if cost.labelled):
            return content, step.float_layers
        may_be_float = {layer.output_name for layer in layers if layer.output not in outputs}
        if len(chosen) >= limits.layers or may_be_float <= set(chosen):
            raise CompressionError(
                f"mixed precision: with {len(chosen)} layers in float32 found {_said(costs)}, "
                f"expected at most {limits.years:g} years and {100 * limits.ratio:g} points; allow "
                "more layers or loss, or train with quantization (QAT)"
            )
        if not costs_of:
            report = sensitivity(float_content, calibration, faces, heads, reporter)
            costs_of = {row.layer: cost_of(row, limits) for row in report.layers}
        chosen.append(next_layer(layers, costs_of, chosen, outputs))


def cost_of(row: LayerSensitivity, limits: MixedLimits) -> float:
    """One figure for a layer: its largest mean |difference| of a head, in limits of that head."""
    return max(limits.excess_ratio(cost, cost.difference) for cost in row.costs)


def next_layer(
    layers: Sequence[KernelLayer],
    costs: dict[str, float],
    chosen: Sequence[str],
    outputs: set[int],
) -> str:
    """Choose the layer to leave float next: the costliest, or one nearly so that is cheaper to run.

    Args:
        layers: of the network, in order.
        costs: of each layer in int8, by output name.
        chosen: layers that are float already, not all.
        outputs: of the graph. Heads stay int8, so that the file's outputs are what its name says.

    Returns:
        Output name of a layer not in `chosen`.
    """
    left = [
        layer for layer in layers if layer.output_name not in chosen and layer.output not in outputs
    ]
    most = max(costs[layer.output_name] for layer in left)
    good = [layer for layer in left if costs[layer.output_name] >= AS_GOOD_RATIO * most]
    floats = [layer for layer in layers if layer.output_name in chosen]
    touching = {layer.output for layer in floats} | {layer.input for layer in floats}

    def adds_no_island(layer: KernelLayer) -> bool:
        return bool({layer.input, layer.output} & touching)

    return max(
        good, key=lambda layer: (adds_no_island(layer), costs[layer.output_name])
    ).output_name


def _said(costs: Sequence[HeadCost]) -> str:
    return ", ".join(
        f"{cost.head} {100 * cost.loss:+.2f} points"
        if cost.unit == "ratio"
        else f"{cost.head} {cost.loss:+.3f} {cost.unit}"
        for cost in costs
        if cost.labelled
    )
