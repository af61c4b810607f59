"""Finding the images that a model has never seen, and refusing those it may have.

In: artifacts, and the folder that the user says they were trained on. Out: the held-out faces, or
None where there are none to be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeface.bench.quality import HeldOut
from edgeface.config import DataSpec
from edgeface.data.calibration import check_calibration
from edgeface.data.manifest import shared_attributes
from edgeface.data.sources import CacheSpec, load_faces, open_data
from edgeface.errors import ArtifactError, BenchmarkError, DataError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.types import Reporter


def find_held_out(
    artifacts: Sequence[Artifact], data: Sequence[Path], reporter: Reporter
) -> HeldOut | None:
    """Divide the data as training did and give the test split.

    Args:
        artifacts: to be measured; those with random weights do not count.
        data: what they were trained on: manifests, folders or tables; empty for drawn faces.
        reporter: is told what is not measured, and why.

    Returns:
        The test split; None if no artifact is trained, or they were trained on data that
        was not given.

    Raises:
        BenchmarkError: the artifacts were trained on unlike data, and some was given.
        DataError: the data is not what the artifacts were trained on, so that its test split may
            hold training images; or calibration images are not in its training split.
        ArtifactError: a sidecar does not say how its data was divided.
    """
    trained = [artifact for artifact in artifacts if artifact.sidecar.provenance.trained]
    if not trained:
        reporter.say("quality: not measured, no model here is trained")
        return None
    sources = {a.sidecar.provenance.manifest_sha256: a for a in trained}
    if len(sources) > 1:
        names = ", ".join(a.sidecar.name for a in sources.values())
        if not data and all(each.sidecar.provenance.data_kind == "folder" for each in trained):
            reporter.say(f"quality: not measured, {names} were trained on unlike data")
            return None
        raise BenchmarkError(
            f"{names}: trained on unlike data or splits, expected one; bench them apart"
        )
    first = trained[0].sidecar
    if first.provenance.data_kind == "folder" and not data:
        reporter.say(
            f"quality: not measured, give --data with {first.provenance.data!r} that the models "
            "were trained on"
        )
        return None
    spec = _data_spec(trained[0])
    manifest = open_data(data, spec, first.provenance.seed, reporter)
    if manifest.sha256 != first.provenance.manifest_sha256:
        hint = (
            "leave --data out, it was trained on drawn faces"
            if first.provenance.data_kind == "drawn"
            else "give the same sets in the same order as in training, or the manifest.json beside "
            "the models"
        )
        raise DataError(
            f"{manifest.label}: not the images that {first.name} was trained on (manifest "
            f"{manifest.sha256[:12]}, expected {first.provenance.manifest_sha256[:12]}): its test "
            f"split could hold training images; {hint}"
        )
    for artifact in trained:
        sidecar = artifact.sidecar
        check_calibration(manifest, sidecar.provenance.calibration_ids, sidecar.name)
    cache = CacheSpec(
        folder=trained[0].path.parent / ".work" / "cache",
        memory_bytes=spec.cache_memory_bytes,
        disk_bytes=spec.cache_disk_bytes,
    )
    attributes = shared_attributes(manifest.sources)
    return HeldOut(
        data=manifest.label,
        split="test",
        manifest_sha256=manifest.sha256,
        load=lambda side_px: load_faces(manifest, "test", side_px, cache, reporter),
        race_names=next((each.classes for each in attributes if each.name == "race"), ()),
        groups={manifest.key(row): row.group for row in manifest.of_split("test")},
    )


def _data_spec(artifact: Artifact) -> DataSpec:
    try:
        return from_mapping(DataSpec, artifact.sidecar.provenance.recipe.get("data", {}))
    except RecordError as err:
        raise ArtifactError(f"{artifact.path}: its sidecar's recipe.data: {err}") from err
