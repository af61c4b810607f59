"""The stages that change weights and leave the channels: zeros, few values, int8.

In: a trained model and its `Run`. Out: the file, and what was done in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.device_parity import evenly_spread
from edgeface.compress.cluster import cluster_weights
from edgeface.compress.magnitude import magnitude_prune
from edgeface.compress.qat import quantization_aware
from edgeface.config import QuantizeSpec, TrainSpec
from edgeface.data.calibration import check_calibration, choose_calibration
from edgeface.data.faces import Faces
from edgeface.data.manifest import Row
from edgeface.export.convert import to_float_tflite
from edgeface.export.convert_tfmot import qat_to_int8_tflite, to_sparse_tflite
from edgeface.export.mixed_precision import MixedLimits, mixed_precision
from edgeface.export.plan import QuantizePlan
from edgeface.export.quantize import quantize
from edgeface.model.heads import head_specs
from edgeface.model.saved import as_teacher
from edgeface.model.training import count_steps, fine_tune
from edgeface.stages import Run

MIXED_IMAGES = 500
"""Validation images that decide which layers stay float. Chosen: 300 to 500 tell layers apart
(`export.sensitivity`), and every layer is run on all of them."""


def thin_stage(model: Any, run: Run) -> tuple[Any, bytes, str]:
    """Set single weights to zero, or draw each layer's weights to few values.

    Returns:
        The model, its float `.tflite`, and what was done in words.
    """
    sparsify, cluster = run.recipe.sparsify, run.recipe.cluster
    spec = sparsify.fine_tune if sparsify.sparsity else cluster.fine_tune
    train, steps = _trainer(model, run, "thinned", spec)
    if sparsify.sparsity:
        thin, zeros = magnitude_prune(
            model, sparsity=sparsify.sparsity, pattern=sparsify.pattern, steps=steps, train=train
        )
        words = f"{100 * zeros.sparsity:.0f} % of kernel weights zero ({sparsify.pattern})"
        return thin, to_sparse_tflite(thin), words
    thin, _ = cluster_weights(model, clusters=cluster.clusters, train=train)
    return thin, to_float_tflite(thin), f"{cluster.clusters} values a layer (clustered)"


def calibration_of(run: Run, name: str) -> tuple[tuple[Row, ...], Faces]:
    """Choose a run's calibration images and make sure that they are training images.

    Args:
        run: its recipe says how many.
        name: of the artifact, for messages.

    Returns:
        Their rows of the manifest, and the faces in the same order.

    Raises:
        DataError: one is not of the training split.
    """
    manifest, spec = run.manifest, run.recipe.quantize
    rows = choose_calibration(manifest, spec.calibration_images, run.recipe.seed)
    place = {id: i for i, id in enumerate(run.train.ids)}
    faces = run.train.take([place[manifest.key(row)] for row in rows])
    check_calibration(manifest, faces.ids, name)
    return rows, faces


def plan_of(spec: QuantizeSpec) -> QuantizePlan:
    """What a recipe asks of quantization after training."""
    return QuantizePlan(
        scheme=spec.scheme,
        equalize=spec.equalize and spec.scheme == "int8",
        ranges=spec.ranges if spec.scheme == "int8" else "extremes",
        correct_biases=spec.correct_biases,
        refit_heads=spec.refit_heads,
        allow_slow=spec.allow_slow,
    )


def quantize_stage(
    model: Any, float_content: bytes, calibration: NDArray[np.uint8], run: Run
) -> tuple[bytes, str]:
    """Make the smaller file that the recipe asks for.

    Args:
        model: that `float_content` was made of.
        float_content: float `.tflite`.
        calibration: uint8 [N, side, side, 3], of the training split.
        run: its recipe's `quantize` says how.

    Returns:
        The `.tflite`, and what was done in words.

    Raises:
        EdgefaceError: the scheme does not fit the network, or loses more than the margins however
            many of the layers allowed stay float.
    """
    spec = run.recipe.quantize
    if spec.method == "qat":
        return _trained_with_rounding(model, run, calibration)
    plan = plan_of(spec)
    if spec.mixed_layers:
        faces = evenly_spread(run.validation, MIXED_IMAGES)  # some of each of several data sets
        heads = head_specs(run.recipe.model)
        limits = MixedLimits(layers=spec.mixed_layers)
        content, layers = mixed_precision(
            float_content, calibration, faces, heads, plan, limits, run.reporter
        )
        return content, f"int8 after training, {len(layers)} layers float32"
    content = quantize(float_content, calibration, plan, run.reporter)
    used = f", {len(calibration)} calibration images" if spec.scheme == "int8" else ""
    return content, f"{spec.scheme} after training{used}"


def _trained_with_rounding(
    model: Any, run: Run, calibration: NDArray[np.uint8]
) -> tuple[bytes, str]:
    spec = run.recipe.quantize.fine_tune
    train, _ = _trainer(model, run, "qat", spec)
    rounded = quantization_aware(model, calibration=calibration, train=train)
    return qat_to_int8_tflite(rounded), f"int8, {spec.epochs} epochs quantization-aware"


def _trainer(
    model: Any, run: Run, folder: str, spec: TrainSpec
) -> tuple[Callable[[Any, Sequence[Any]], None], int]:
    """How TFMOT's wrapped copies of a model are trained, with the model as a teacher; the steps."""
    teachers = (*run.teachers, as_teacher(model, run.recipe.model, f"before {folder}"))
    task = run.task(f"fine-tune {folder}", folder, teachers, spec.distill_ratio)

    def train(wrapped: Any, callbacks: Sequence[Any]) -> None:
        fine_tune(wrapped, task, spec, run.reporter, callbacks=callbacks, keep="last")

    return train, count_steps(task, spec)
