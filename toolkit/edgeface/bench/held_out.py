"""Finding the images that a model has never seen, and refusing those it may have.

In: artifacts, and the folder that the user says they were trained on. Out: the held-out faces, or
None where there are none to be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeface.bench.quality import HeldOut
from edgeface.config import DataSpec
from edgeface.data.sources import load_faces, open_data
from edgeface.errors import ArtifactError, BenchmarkError, DataError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.types import Reporter


def find_held_out(
    artifacts: Sequence[Artifact], data: Path | None, reporter: Reporter
) -> HeldOut | None:
    """Divide the data as training did and give the test split.

    Args:
        artifacts: to be measured; those with random weights do not count.
        data: folder that they were trained on; None for drawn faces.
        reporter: is told what is not measured, and why.

    Returns:
        The test split; None if no artifact is trained, or they were trained on a folder that was
        not given.

    Raises:
        BenchmarkError: the artifacts were trained on unlike data.
        DataError: the folder does not hold the images the artifacts were trained on, so that its
            test split may hold training images.
        ArtifactError: a sidecar does not say how its data was divided.
    """
    trained = [artifact for artifact in artifacts if artifact.sidecar.provenance.trained]
    if not trained:
        reporter.say("quality: not measured, no model here is trained")
        return None
    sources = {
        (a.sidecar.provenance.manifest_sha256, a.sidecar.provenance.seed): a for a in trained
    }
    if len(sources) > 1:
        names = ", ".join(a.sidecar.name for a in sources.values())
        raise BenchmarkError(
            f"{names}: trained on unlike data or splits, expected one; bench them apart"
        )
    first = trained[0].sidecar
    if first.provenance.data_kind == "folder" and data is None:
        reporter.say(
            f"quality: not measured, give --data with the folder {first.provenance.data!r} that "
            "the models were trained on"
        )
        return None
    manifest = open_data(data, _data_spec(trained[0]), first.provenance.seed, reporter)
    if manifest.sha256 != first.provenance.manifest_sha256:
        raise DataError(
            f"{data or 'drawn faces'}: not the images that {first.name} was trained on (manifest "
            f"{manifest.sha256[:12]}, expected {first.provenance.manifest_sha256[:12]}): its test "
            "split could hold training images; give the same folder as in training"
        )
    return HeldOut(
        data=manifest.source.label,
        split="test",
        manifest_sha256=manifest.sha256,
        load=lambda side_px: load_faces(manifest, "test", side_px, reporter),
    )


def _data_spec(artifact: Artifact) -> DataSpec:
    try:
        return from_mapping(DataSpec, artifact.sidecar.provenance.recipe.get("data", {}))
    except RecordError as err:
        raise ArtifactError(f"{artifact.path}: its sidecar's recipe.data: {err}") from err
