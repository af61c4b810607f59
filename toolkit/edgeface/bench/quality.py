"""Quality of an artifact, by running its `.tflite` on held-out faces.

In: an artifact and labelled faces of its side. Out: `Quality`, of those of its heads that a face
has a label of. That the faces are held out is the caller's word; who cannot name the split has
nothing to pass here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError
from edgeface.model.metrics import has_truth, head_metrics
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.types import HeadSpec, Quality, Reporter

HELD_OUT_SPLITS = ("validation", "test")
CHUNK_IMAGES = 16  # chosen: VGG16 at 128 px took 0.1 s an image here, so the bar moves every 2 s

Predict = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float64]]]
"""Images uint8 [N, side, side, 3] to what each head says, float64 [N] or [N, K], by head."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The faces that quality is measured on.

    Attributes:
        data: what they are, e.g. "drawn faces" or the folder's name.
        split: "validation" or "test".
        manifest_sha256: of the manifest that made the split.
        load: gives them as images of a side in pixels; the same faces for every side.
        race_names: by class number, for the names of slices.
        groups: by a face's id, the photograph that it is a copy of; empty where nobody knows.
        corruption_images: faces that are also measured spoiled, at most; 0 for none.
    """

    data: str
    split: str
    manifest_sha256: str
    load: Callable[[int], Faces]
    race_names: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    corruption_images: int = 0


def measure_quality(
    artifact: Artifact,
    faces: Faces,
    *,
    data: str,
    split: str,
    manifest_sha256: str,
    reporter: Reporter,
    threads: int = 1,
) -> Quality:
    """Run an artifact on held-out faces and compute its figures.

    Those of each head come from the faces that have its label, which `Metric.n` counts; an age
    interval has no error in years. A head that no face has a label of is not measured, and the
    reporter is told so. `Quality.n` counts all faces.

    Args:
        artifact: of a trained model.
        faces: images uint8 [N, side, side, 3] of the artifact's side.
        data: what the faces are, e.g. "drawn faces".
        split: "validation" or "test".
        manifest_sha256: of the manifest that made the split.
        reporter: shows progress.
        threads: of the runtime.

    Raises:
        BenchmarkError: the model's weights are random, the split is not a held-out one, the faces
            have another side, or none has a label of any of the model's heads.
        ArtifactError: the file cannot be run.
        DataError: no face, or labels that cannot be.
        ModelError: the model gives NaN.
    """
    predicted = predict_held_out(
        artifact, faces, data=data, split=split, reporter=reporter, threads=threads
    )
    say_unmeasured(artifact, faces, reporter)
    return quality_of(
        predicted,
        faces,
        artifact.sidecar.contract.heads,
        data=data,
        split=split,
        manifest_sha256=manifest_sha256,
    )


def predict_held_out(
    artifact: Artifact,
    faces: Faces,
    *,
    data: str,
    split: str,
    reporter: Reporter,
    threads: int = 1,
    label: str | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Run an artifact on held-out faces; the checks and errors are those of `measure_quality`.

    `label` is what the bar says; None: "quality of NAME".

    Returns:
        By head name, float64 [N] or [N, K], as `runtime.decode.decode` gives them.
    """
    check_predictable(artifact, faces, data=data, split=split)
    predictor = open_predictor(artifact, threads=threads)
    return predict_in_chunks(
        lambda images: predict_faces(predictor, images),
        faces.images,
        label=label or f"quality of {artifact.sidecar.name}",
        reporter=reporter,
    )


def check_predictable(artifact: Artifact, faces: Faces, *, data: str, split: str) -> None:
    """Refuse faces that an artifact cannot be measured on; the errors of `measure_quality`."""
    check_measurable(artifact, split)
    name = artifact.sidecar.name
    side_px = artifact.sidecar.contract.image.side_px
    if faces.images.shape[1:] != (side_px, side_px, 3):
        raise BenchmarkError(
            f"quality of {name}: faces have shape {faces.images.shape[1:]}, expected "
            f"({side_px}, {side_px}, 3); load them at the model's side"
        )
    heads = artifact.sidecar.contract.heads
    if not any(has_truth(faces, head).any() for head in heads):
        raise BenchmarkError(
            f"quality of {name}: none of {len(faces)} {split} faces of {data} has a label of "
            f"{', '.join(head.name for head in heads)}, expected at least one; measure on a data "
            "set that has it"
        )


def say_unmeasured(artifact: Artifact, faces: Faces, reporter: Reporter) -> None:
    """Say which heads of an artifact these faces leave unmeasured; nothing if none."""
    heads = artifact.sidecar.contract.heads
    without = [head.name for head in heads if not has_truth(faces, head).any()]
    if without:
        reporter.say(
            f"quality of {artifact.sidecar.name}: {', '.join(without)} not measured, none of "
            f"{len(faces)} faces has such a label"
        )


def quality_of(
    predicted: Mapping[str, NDArray[np.float64]],
    faces: Faces,
    heads: Sequence[HeadSpec],
    *,
    data: str,
    split: str,
    manifest_sha256: str,
) -> Quality:
    """Compute the figures of what `predict_held_out` gave for the same faces.

    Args:
        predicted: by head.
        faces: N of them, with a label of at least one head.
        heads: of the model.
        data: what the faces are.
        split: "validation" or "test".
        manifest_sha256: of the manifest that made the split.

    Raises:
        DataError: no face has a label of any head, or labels that cannot be.
        ModelError: the model gives NaN.
    """
    return Quality(
        data=data,
        split=split,
        manifest_sha256=manifest_sha256,
        n=len(faces),
        metrics=head_metrics(heads, predicted, faces),
    )


def predict_in_chunks(
    predict: Predict,
    images: NDArray[np.uint8],
    *,
    label: str,
    reporter: Reporter,
    chunk_images: int = CHUNK_IMAGES,
) -> dict[str, NDArray[np.float64]]:
    """Predict the attributes of many images, a chunk at a time so that a bar can move.

    Args:
        predict: gives each head's values of a chunk of images.
        images: uint8 [N, side, side, 3], 1 or more.
        label: of the bar.
        reporter: shows it.
        chunk_images: in a chunk.

    Returns:
        By head, those of all N images.
    """
    parts: dict[str, list[NDArray[np.float64]]] = {}
    with reporter.track(label, len(images)) as advance:
        for start in range(0, len(images), chunk_images):
            chunk = images[start : start + chunk_images]
            for name, values in predict(chunk).items():
                parts.setdefault(name, []).append(values)
            advance(len(chunk))
    return {name: np.concatenate(each) for name, each in parts.items()}


def check_measurable(artifact: Artifact, split: str) -> None:
    """Refuse what must not get a quality, before time is spent on it.

    Args:
        artifact: to be measured.
        split: the split that its faces would come from.

    Raises:
        BenchmarkError: random weights, or no held-out split.
    """
    sidecar = artifact.sidecar
    if split not in HELD_OUT_SPLITS:
        raise BenchmarkError(
            f"quality of {sidecar.name}: split is {split!r}, expected one of "
            f"{', '.join(HELD_OUT_SPLITS)}: figures come from held-out images"
        )
    if not sidecar.provenance.trained:
        raise BenchmarkError(
            f"quality of {sidecar.name}: its weights are random (trained is false), so its "
            "quality means nothing; train it first"
        )
