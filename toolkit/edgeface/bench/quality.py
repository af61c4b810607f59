"""Quality of an artifact, by running its `.tflite` on held-out faces.

In: an artifact and labelled faces of its side. Out: `Quality`. That the faces are held out is the
caller's word; who cannot name the split has nothing to pass here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeface.data.faces import UNKNOWN, Faces
from edgeface.errors import BenchmarkError
from edgeface.model.metrics import quality_metrics
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.types import Quality, Reporter

HELD_OUT_SPLITS = ("validation", "test")
ATTRIBUTES = ("gender", "age")
CHUNK_IMAGES = 16  # chosen: VGG16 at 128 px took 0.1 s an image here, so the bar moves every 2 s

Predict = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float64]]]
"""Images uint8 [N, side, side, 3] to {"gender": p_female [N], "age": years [N]}."""


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The faces that quality is measured on.

    Attributes:
        data: what they are, e.g. "drawn faces" or the folder's name.
        split: "validation" or "test".
        manifest_sha256: of the manifest that made the split.
        load: gives them as images of a side in pixels; the same faces for every side.
        race_names: by class number, for the names of slices.
        corruption_images: faces that are also measured spoiled, at most; 0 for none.
    """

    data: str
    split: str
    manifest_sha256: str
    load: Callable[[int], Faces]
    race_names: tuple[str, ...] = ()
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

    Those of gender and of age each come from the faces that have the label, which `Metric.n`
    counts; an age interval has no error in years. `Quality.n` counts all faces.

    Args:
        artifact: of a trained model with the heads gender and age.
        faces: images uint8 [N, side, side, 3] of the artifact's side.
        data: what the faces are, e.g. "drawn faces".
        split: "validation" or "test".
        manifest_sha256: of the manifest that made the split.
        reporter: shows progress.
        threads: of the runtime.

    Raises:
        BenchmarkError: the model's weights are random, a head is missing, or the split is not a
            held-out one, the faces have another side, or none has a gender or an exact age.
        ArtifactError: the file cannot be run.
        DataError: no face, or labels that cannot be.
        ModelError: the model gives NaN.
    """
    predicted = predict_held_out(
        artifact, faces, data=data, split=split, reporter=reporter, threads=threads
    )
    return quality_of(predicted, faces, data=data, split=split, manifest_sha256=manifest_sha256)


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
        {"gender": p_female float64 [N], "age": years float64 [N]}.
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
    _check_labels(faces, name, f"{split} faces of {data}")


def quality_of(
    predicted: Mapping[str, NDArray[np.float64]],
    faces: Faces,
    *,
    data: str,
    split: str,
    manifest_sha256: str,
) -> Quality:
    """Compute the figures of what `predict_held_out` gave for the same faces."""
    return Quality(
        data=data,
        split=split,
        manifest_sha256=manifest_sha256,
        n=len(faces),
        metrics=quality_metrics(
            p_female=predicted["gender"],
            gender=faces.class_of("gender"),
            age_pred=predicted["age"],
            age_true=faces.exact_age_years,
        ),
    )


def _check_labels(faces: Faces, name: str, which: str) -> None:
    known = {
        "a gender": faces.class_of("gender") != UNKNOWN,
        "an exact age": ~np.isnan(faces.exact_age_years),
    }
    for label, has in known.items():
        if not has.any():
            raise BenchmarkError(
                f"quality of {name}: none of {len(faces)} {which} has {label}, expected at least "
                "one; measure on a data set that has it"
            )


def predict_in_chunks(
    predict: Predict,
    images: NDArray[np.uint8],
    *,
    label: str,
    reporter: Reporter,
    chunk_images: int = CHUNK_IMAGES,
) -> dict[str, NDArray[np.float64]]:
    """Predict gender and age of many images, a chunk at a time so that a bar can move.

    Args:
        predict: gives each attribute of a chunk of images.
        images: uint8 [N, side, side, 3].
        label: of the bar.
        reporter: shows it.
        chunk_images: in a chunk.

    Returns:
        {"gender": p_female float64 [N], "age": years float64 [N]}.
    """
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ATTRIBUTES}
    with reporter.track(label, len(images)) as advance:
        for start in range(0, len(images), chunk_images):
            chunk = images[start : start + chunk_images]
            predicted = predict(chunk)
            for name in ATTRIBUTES:
                parts[name].append(predicted[name])
            advance(len(chunk))
    return {name: np.concatenate(each) if each else np.empty(0) for name, each in parts.items()}


def check_measurable(artifact: Artifact, split: str) -> None:
    """Refuse what must not get a quality, before time is spent on it.

    Args:
        artifact: to be measured.
        split: the split that its faces would come from.

    Raises:
        BenchmarkError: random weights, a head is missing, or no held-out split.
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
    missing = set(ATTRIBUTES) - {head.name for head in sidecar.contract.heads}
    if missing:
        raise BenchmarkError(
            f"quality of {sidecar.name}: no head {', '.join(sorted(missing))}, expected "
            f"{' and '.join(ATTRIBUTES)}"
        )
