"""An artifact's outputs on a device beside those on this host, for the same faces.

In: an artifact, and something that runs it there. Out: `Parity`, with each head's accuracy or MAE
on both sides where the faces are held out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.device_outputs import DeviceOutputs, predictions_of
from edgeface.bench.parity import MetricAgreement, Parity, compare_figures, compare_outputs
from edgeface.bench.quality import HeldOut, quality_of
from edgeface.data.drawn import draw_face
from edgeface.data.faces import Faces
from edgeface.model.metrics import has_truth
from edgeface.runtime.artifact import Artifact, check_contract
from edgeface.runtime.interpreter import open_model, runtime_name_and_version
from edgeface.runtime.predict import Predictor, predict_raw
from edgeface.runtime.preprocess import to_input
from edgeface.types import Quality

RunThere = Callable[[Artifact, NDArray[np.uint8], int], DeviceOutputs]
"""Runs an artifact on images uint8 [N, side, side, 3] with so many threads."""

_DRAWN_SEED = 6  # chosen: any; outputs of equal computers are equal on every picture


def measure_parity(
    artifact: Artifact,
    *,
    images: int,
    faces: Faces | None,
    held_out: HeldOut | None,
    threads: int,
    run_there: RunThere,
    delegated: bool = True,
) -> Parity:
    """Compare a device with this host.

    Kernels of unlike kinds round unlike: without a delegate tflite-runtime 2.14 gives an int8
    MobileNetV2 up to 4 steps beside XNNPACK's, and at most 1 beside the plain kernels of this host
    (benchmarks/LOG.md). So like is compared with like, and the record says with what.

    Args:
        artifact: that runs on both.
        images: how many faces, spread evenly over those given.
        faces: with labels, of the artifact's side; None takes drawn faces, for outputs alone.
        held_out: where `faces` come from.
        threads: of the runtime, on both sides.
        run_there: the device.
        delegated: whether a delegate runs the model there.

    Raises:
        BenchmarkError: the device's answer is not as agreed, or cannot be compared.
        DeviceError: it does not answer.
    """
    side_px = artifact.sidecar.contract.image.side_px
    where = f"parity of {artifact.sidecar.name}"
    some = None if faces is None else evenly_spread(faces, images)
    pictures = _drawn(images, side_px) if some is None else some.images
    there = run_there(artifact, pictures, threads)
    here = _run_here(artifact, pictures, threads, delegated=delegated)
    metrics: tuple[MetricAgreement, ...] = ()
    heads = artifact.sidecar.contract.heads
    if (
        some is not None
        and held_out is not None
        and artifact.sidecar.provenance.trained
        and any(has_truth(some, head).any() for head in heads)
    ):
        ours, theirs = (
            _figures(artifact, outputs, some, held_out, where) for outputs in (here, there.outputs)
        )
        metrics = compare_figures(ours, theirs, where=where)
    return Parity(
        reference_device="local",
        reference_runtime=" ".join(
            [*runtime_name_and_version(), *([] if delegated else ["without a delegate"])]
        ),
        n=len(pictures),
        tensors=compare_outputs(here, there.outputs, where=where),
        metrics=metrics,
    )


def evenly_spread(faces: Faces, count: int) -> Faces:
    """Take some faces, evenly spread over all; all where there are no more."""
    if count >= len(faces):
        return faces
    return faces.take(np.linspace(0, len(faces) - 1, count).round().astype(np.int64))


def _run_here(
    artifact: Artifact, pictures: NDArray[np.uint8], threads: int, *, delegated: bool
) -> dict[str, NDArray[Any]]:
    model = open_model(
        artifact.content,
        threads=threads,
        where=str(artifact.path),
        reference_kernels=not delegated,
    )
    check_contract(model, artifact)
    contract = artifact.sidecar.contract
    raw = predict_raw(Predictor(model=model, contract=contract), pictures)
    return {spec.name: array for spec, array in zip(contract.outputs, raw, strict=True)}


def _figures(
    artifact: Artifact,
    outputs: dict[str, NDArray[Any]],
    faces: Faces,
    held_out: HeldOut,
    where: str,
) -> Quality:
    return quality_of(
        predictions_of(outputs, artifact.sidecar.contract, where=where),
        faces,
        artifact.sidecar.contract.heads,
        data=held_out.data,
        split=held_out.split,
        manifest_sha256=held_out.manifest_sha256,
    )


def _drawn(images: int, side_px: int) -> NDArray[np.uint8]:
    faces = (draw_face(seed=_DRAWN_SEED, index=each).image for each in range(images))
    return np.stack([to_input(face, side_px) for face in faces])
