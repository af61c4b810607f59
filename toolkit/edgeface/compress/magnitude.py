"""Magnitude pruning: set the smallest weights to zero while the model trains on.

In: a trained model and how to train it. Out: a plain model of the same shape with zeros, and a
count of them.

What it buys: download bytes. A compressed download (app stores and `gzip` do it) of an 80 % sparse
float model is about a third of the dense one's, and so is a float file with
`EXPERIMENTAL_SPARSITY` encoding (`export.convert_tfmot.to_sparse_tflite`). Quantized after
training the zeros stay, and the int8 file's download is about a third too.

What it does not buy: latency, memory, or bytes of a plain `.tflite`, which stores each zero. A
runtime multiplies by zero like by anything else. XNNPACK has sparse kernels for float 1x1
convolutions, but int8 weights are made dense first, x86 with AVX never takes them, and a stock
MobileNetV2 never qualifies, because its strided convolutions pad on two sides only. Nor does "2:4"
run faster on a phone or a Raspberry Pi: it is a format of NVIDIA's accelerators, for models that
are deployed there too, and leaves twice as many weights to download as 75 % unstructured.

Source: docs/field.md, box A (XNNPACK src/subgraph.c, `xnn_subgraph_rewrite_for_nchw`, 2026-08).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgeface.compress.tfmot import Train, heavy_layers, plain, tfmot, wrapped
from edgeface.errors import CompressionError

Pattern = Literal["unstructured", "2:4"]
TWO_OF_FOUR = 0.5

# Source: Zhu & Gupta 2017, To Prune, or Not to Prune (arXiv 1710.01878), section 3: sparsity rises
# by a cubic, and training goes on after the last weight is gone. The share: chosen, because the
# accuracy that the last masks cost is won back in the rest, at the end of a cosine schedule.
RAMP_RATIO = 0.7
_POWER = 3
# Chosen: the same paper finds any interval between masks from 100 to 1000 steps alike, in
# trainings of 100,000s of steps; a fine-tuning has some 1000s, and twenty masks follow the cubic.
_MASKS = 20


@dataclass(frozen=True, kw_only=True)
class LayerSparsity:
    """Zeros of one kernel.

    Attributes:
        name: of the layer.
        weights: of its kernel, counted.
        zeros: among them, counted.
    """

    name: str
    weights: int
    zeros: int

    @property
    def sparsity(self) -> float:
        """Share of zeros, 0 to 1."""
        return self.zeros / self.weights


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """When masks are made while sparsity rises.

    Attributes:
        between_masks: steps from one to the next.
        end_step: of the last one, which has the sparsity asked for.
    """

    between_masks: int
    end_step: int


@dataclass(frozen=True, kw_only=True)
class SparsityReport:
    """What magnitude pruning left.

    Attributes:
        asked_sparsity: share of zeros asked for in each layer, 0 to 1.
        pattern: "unstructured", or "2:4" where of four neighbours two are zero.
        layers: that were pruned, in graph order.
        parameters: of the whole model, as Keras counts them.
    """

    asked_sparsity: float
    pattern: Pattern
    layers: tuple[LayerSparsity, ...]
    parameters: int

    @property
    def sparsity(self) -> float:
        """Share of zeros among the weights of the pruned layers, 0 to 1."""
        return sum(layer.zeros for layer in self.layers) / sum(
            layer.weights for layer in self.layers
        )

    @property
    def model_sparsity(self) -> float:
        """Share of these zeros among all parameters, 0 to 1; what a download can gain by."""
        return sum(layer.zeros for layer in self.layers) / self.parameters


def magnitude_prune(
    model: Any, *, sparsity: float, pattern: Pattern = "unstructured", steps: int, train: Train
) -> tuple[Any, SparsityReport]:
    """Train a model on while its smallest weights become zero.

    Unstructured: the sparsity of every layer rises from 0 to the one asked for over the first
    `RAMP_RATIO` of the steps. 2:4: of each four weights that follow one another along the input
    channels the two smallest are zero from the first step on; TFMOT has no ramp for it.

    Args:
        model: trained, functional; not changed.
        sparsity: share of zeros in each layer of `heavy_layers`, above 0 and below 1; 0.5 for 2:4.
        pattern: which zeros.
        steps: how many batches `train` will train on.
        train: trains the wrapped model in place with the callback given, in batches of a compiled
            `fit`. It may leave the weights of any step after the ramp.

    Returns:
        A plain model with zeros, not compiled, and the counts.

    Raises:
        CompressionError: sparsity, pattern and steps do not go together, no layer can be pruned,
            or the weights that `train` left are from before the end of the ramp.

    Source:
        Zhu & Gupta 2017 (arXiv 1710.01878). 2:4: Mishra et al. 2021, Accelerating Sparse Deep
        Neural Networks (arXiv 2104.08378).
    """
    if steps < 2:
        raise CompressionError(
            f"magnitude pruning: found {steps} training steps, expected 2 or more; train longer"
        )
    names = _layers_to_prune(model, sparsity, pattern)
    plan = ramp(steps)
    settings = _settings(plan, sparsity, pattern)
    training = wrapped(
        model, names, lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, **settings)
    )
    train(training, [tfmot.sparsity.keras.UpdatePruningStep()])
    _check_ramp(model.name, training, 1 if pattern == "2:4" else plan.end_step)
    pruned = plain(model, tfmot.sparsity.keras.strip_pruning(training))
    return pruned, SparsityReport(
        asked_sparsity=sparsity,
        pattern=pattern,
        layers=tuple(_count(pruned.get_layer(name)) for name in names),
        parameters=pruned.count_params(),
    )


def _layers_to_prune(model: Any, sparsity: float, pattern: Pattern) -> tuple[str, ...]:
    if pattern == "2:4" and sparsity != TWO_OF_FOUR:
        raise CompressionError(
            f"2:4 pruning: sparsity is {sparsity:g}, expected {TWO_OF_FOUR}, which is what two of "
            "four are; or take the pattern 'unstructured'"
        )
    if not 0 < sparsity < 1:
        raise CompressionError(
            f"magnitude pruning: sparsity is {sparsity:g}, expected above 0 and below 1"
        )
    names = heavy_layers(model)
    if pattern == "2:4":
        # the first convolution reads three channels, which makes no four
        names = tuple(name for name in names if model.get_layer(name).kernel.shape[-2] % 4 == 0)
    if not names:
        raise CompressionError(
            f"model {model.name!r}: found no convolution or dense layer to prune by {pattern}, "
            "expected one"
        )
    return names


def ramp(steps: int) -> Ramp:
    """Plan when masks are made.

    Args:
        steps: of the whole training, 2 or more.

    Returns:
        The interval and the last step, which is the last multiple of the interval within the first
        `RAMP_RATIO` of the steps: TFMOT makes masks at multiples only, and only the one of the last
        step has the sparsity asked for.
    """
    ramp_steps = int(RAMP_RATIO * steps)
    between_masks = max(1, ramp_steps // _MASKS)
    return Ramp(between_masks=between_masks, end_step=ramp_steps - ramp_steps % between_masks)


def _settings(plan: Ramp, sparsity: float, pattern: Pattern) -> dict[str, Any]:
    if pattern == "2:4":
        return {"sparsity_m_by_n": (2, 4)}
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=sparsity,
        begin_step=0,
        end_step=plan.end_step,
        power=_POWER,
        frequency=plan.between_masks,
    )
    return {"pruning_schedule": schedule}


def _check_ramp(name: str, training: Any, end_step: int) -> None:
    steps = [int(layer.pruning_step) for layer in training.layers if hasattr(layer, "pruning_step")]
    if min(steps) < end_step:
        raise CompressionError(
            f"model {name!r}: the weights that training left are of step {max(0, min(steps))}, but "
            f"sparsity rises until step {end_step}; keep an epoch after it, or give the number of "
            "steps that are trained"
        )


def _count(layer: Any) -> LayerSparsity:
    kernel = layer.kernel.numpy()
    return LayerSparsity(
        name=layer.name, weights=kernel.size, zeros=int(kernel.size - np.count_nonzero(kernel))
    )
