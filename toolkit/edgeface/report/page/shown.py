"""Faces with what models say of them. In: artifacts and their data. Out: `ShownFaces`.

The one place of the room that runs models: predictions are in no result file, so who wants to see
faces names the models. Nothing is timed, and no figure of a result comes from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeface.bench.held_out import find_held_out
from edgeface.bench.quality import HeldOut, predict_held_out
from edgeface.bench.verdict import Comparison, Predictions, compare
from edgeface.bench.verdict_rule import INT8_MARGINS, PRUNED_INT8_MARGINS
from edgeface.data.faces import Faces
from edgeface.data.manifest_file import SUFFIX, read_manifest
from edgeface.errors import BenchmarkError
from edgeface.runtime.artifact import Artifact
from edgeface.types import Reporter


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownFaces:
    """Faces with what is said of them.

    Attributes:
        faces: N held-out faces with their images, of any side.
        what: they are, e.g. "utkface, test split".
        after: of the candidate.
        before: of the model it was made from; None if there is none to compare with.
    """

    faces: Faces
    what: str
    after: Predictions
    before: Predictions | None = None

    def __post_init__(self) -> None:
        """Check that there is a prediction for each face."""
        for model in (self.after, self.before):
            if model is None:
                continue
            for head in model.heads:
                found = model.values[head.name].shape
                more = (len(head.classes),) if head.kind == "classes" else ()
                if found != (len(self.faces), *more):
                    raise BenchmarkError(
                        f"faces of the report: {model.name} has predictions of {head.name} of "
                        f"shape {found}, expected {(len(self.faces), *more)}, one for each face"
                    )


def show_faces(
    artifacts: Sequence[Artifact], data: Sequence[Path], reporter: Reporter
) -> tuple[ShownFaces, tuple[Comparison, ...]]:
    """Run one model on the held-out faces of its data, or two and compare them.

    Args:
        artifacts: the candidate; or the model before compression, then the candidate.
        data: what they were trained on: manifests, folders or tables; empty for drawn faces.
        reporter: shows progress.

    Returns:
        The faces, at the candidate's side; and the paired verdict where there are two models.
        Copies of one photograph count as one where the data is a manifest, else each image counts.

    Raises:
        BenchmarkError: not one or two models, or there are no held-out faces for them.
        DataError: the data is not what they were trained on.
        ArtifactError: a model cannot be run.
        ModelError: a model gives NaN.
    """
    if len(artifacts) not in (1, 2):
        raise BenchmarkError(
            f"faces of the report: found {len(artifacts)} models, expected the candidate, or the "
            "model before compression and the candidate"
        )
    held_out = find_held_out(artifacts, data, reporter)
    if held_out is None:
        names = ", ".join(each.sidecar.name for each in artifacts)
        raise BenchmarkError(
            f"faces of the report: {names}: no held-out faces; give --data with what they were "
            "trained on, and trained models only"
        )
    predictions = []
    for artifact in artifacts:
        faces = held_out.load(artifact.sidecar.contract.image.side_px)
        predictions.append(_predictions(artifact, faces, held_out, reporter))
    *before, after = predictions
    shown = ShownFaces(
        faces=faces,
        what=f"{held_out.data}, {held_out.split} split",
        after=after,
        before=before[0] if before else None,
    )
    if not before:
        return shown, ()
    pruned = artifacts[-1].sidecar.provenance.pruning_ratio > 0
    comparison = compare(
        after,
        before[0],
        faces.without_images(),
        margins=PRUNED_INT8_MARGINS if pruned else INT8_MARGINS,
        groups=_groups(data, faces),
        race_names=held_out.race_names,
    )
    return shown, (comparison,)


def _predictions(
    artifact: Artifact, faces: Faces, held_out: HeldOut, reporter: Reporter
) -> Predictions:
    predicted = predict_held_out(
        artifact, faces, data=held_out.data, split=held_out.split, reporter=reporter
    )
    return Predictions(
        name=artifact.sidecar.name, heads=artifact.sidecar.contract.heads, values=predicted
    )


def _groups(data: Sequence[Path], faces: Faces) -> list[str] | None:
    """Names of the photographs, in the order of the faces; None where no manifest tells them."""
    if len(data) != 1 or data[0].suffix.lower() != SUFFIX or data[0].is_dir():
        return None
    manifest = read_manifest(data[0])
    groups = {manifest.key(row): row.group for row in manifest.of_split("test")}
    return [groups[id] for id in faces.ids]
