"""`compress`: the whole job on one page. Labelled faces in, a pruned int8 `.tflite` out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.quality import predict_held_out, quality_of
from edgeface.bench.verdict import Comparison, Predictions, compare
from edgeface.bench.verdict_rule import INT8_MARGINS, PRUNED_INT8_MARGINS, Margins
from edgeface.compress.prune import PruneReport, prune
from edgeface.config import ModelSpec, Recipe
from edgeface.data.adapters.listing import GENDER
from edgeface.data.calibration import (
    calibration_record,
    check_calibration,
    choose_calibration,
    write_calibration,
)
from edgeface.data.drawn import draw_face
from edgeface.data.faces import Faces
from edgeface.data.manifest import SPLITS, Manifest, Split, shared_attributes
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import CacheSpec, check_pictures, load_faces, open_data
from edgeface.errors import ArtifactError, DataError, ExportError
from edgeface.export.artifact import (
    artifact_name,
    make_artifact,
    refuse_to_overwrite,
    with_quality,
    write_artifact,
)
from edgeface.export.calibration_stability import calibration_stability, stability_line
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.export.provenance import licence_of, run_id, trained_on, untrained
from edgeface.model.heads import head_specs
from edgeface.model.networks import build_model
from edgeface.model.profile import ModelProfile, profile
from edgeface.model.training import TrainingTask, fine_tune, recalibrate_batch_norm
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.types import Reporter, Scheme

# Source: docs/seeds.md S0, the model that people start from
BASELINE = ModelSpec(
    backbone="vgg16", width_ratio=1.0, side_px=128, age_head="regression", weights="none"
)

PROBE_IMAGES = 2000
"""Validation images that the two halves of the calibration set are compared on, at most. Chosen:
with 500 the shift that is judged had noise of 0.02 to 0.03 years (benchmarks/LOG.md)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one `compress` is asked.

    Attributes:
        recipe: resolved.
        data: manifests, folders or tables of labelled faces; empty for drawn faces.
        out: folder that gets the artifacts and the manifest, and the checkpoints under `.work`.
        calibration_out: folder that gets the record of the calibration images.
        overwrite: replace artifacts of other runs.
    """

    recipe: Recipe
    data: tuple[Path, ...]
    out: Path
    calibration_out: Path
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one `compress` made.

    Attributes:
        manifest: of the data.
        artifacts: float32, pruned float32, pruned int8, and the VGG16 baseline.
        prune_report: what was cut; None where the recipe prunes nothing.
        comparisons: of each compressed model with the unpruned float32, on the test split.
    """

    manifest: Manifest
    artifacts: tuple[Artifact, ...]
    prune_report: PruneReport | None
    comparisons: tuple[Comparison, ...]


def compress(request: Request, reporter: Reporter) -> Outcome:
    """Fine-tune, prune, fine-tune on, quantize, export, and measure on the test split.

    An interrupted run goes on where it was when it is asked the same again.

    Args:
        request: what to do.
        reporter: shows progress.

    Raises:
        EdgefaceError: with one line that says what to do; nothing is half-written.
    """
    recipe, out = request.recipe, request.out
    _check_out(out)
    manifest = open_data(request.data, recipe.data, recipe.seed, reporter)
    _say_manifest(manifest, reporter)
    _check_test_labels(manifest)
    check_pictures(manifest, "test", reporter)  # they are loaded last, after hours of training
    run = run_id(recipe, manifest)
    paths = _paths(out, recipe)
    if not request.overwrite:
        for path in paths.values():
            refuse_to_overwrite(path, run)
        _check_manifest_is_ours(out, manifest)

    def load(split: Split) -> Faces:
        cache = CacheSpec(
            folder=out / ".work" / "cache",
            memory_bytes=recipe.data.cache_memory_bytes,
            disk_bytes=recipe.data.cache_disk_bytes,
        )
        return load_faces(manifest, split, recipe.model.side_px, cache, reporter)

    model = build_model(recipe.model, seed=recipe.seed, reporter=reporter)
    write_manifest(out / "manifest.json", manifest)
    reporter.say(f"every image with its split, or why it is left out: {out / 'manifest.json'}")
    task = TrainingTask(
        label="fine-tune",
        heads=head_specs(recipe.model),
        train=load("train"),
        validation=load("validation"),
        folder=out / ".work" / run[:12] / "train",
        run_id=run,
        seed=recipe.seed,
    )
    fine_tune(model, task, recipe.train, reporter)
    exports = [_Export("float32", "float32", to_float_tflite(model), profile(model))]

    pruned = None
    if recipe.prune.pruning_ratio:
        model, pruned = prune(
            model,
            pruning_ratio=recipe.prune.pruning_ratio,
            round_to=recipe.prune.round_to,
            scope=recipe.prune.scope,
        )
        recalibrate_batch_norm(model, task.train, recipe.prune.fine_tune, seed=recipe.seed)
        after = replace(task, label="fine-tune pruned", folder=task.folder.with_name("pruned"))
        fine_tune(model, after, recipe.prune.fine_tune, reporter)
        exports.append(_Export("pruned", "float32", to_float_tflite(model), profile(model), pruned))

    calibration = _calibrate(request, manifest, exports[-1].content, task, paths["int8"], reporter)
    int8 = to_int8_tflite(exports[-1].content, calibration.images, reporter)
    exports.append(_Export("int8", "int8", int8, profile(model), pruned, calibration.ids))

    test = load("test")
    artifacts: list[Artifact] = []
    predictions: list[Predictions] = []
    for export in exports:
        artifact = _artifact(export, paths[export.key], recipe, manifest, run)
        measured, predicted = _measured(artifact, test, manifest, reporter)
        artifacts.append(measured)
        predictions.append(predicted)
    margins = PRUNED_INT8_MARGINS if pruned else INT8_MARGINS
    comparisons = _compared(predictions, test, manifest, margins)
    artifacts.append(_baseline(paths["baseline"], run, recipe.seed, reporter))
    for artifact in artifacts:
        write_artifact(artifact)
    return Outcome(
        manifest=manifest,
        artifacts=tuple(artifacts),
        prune_report=pruned,
        comparisons=comparisons,
    )


@dataclass(frozen=True)
class _Export:
    """One converted file and how it was made."""

    key: str
    scheme: Scheme
    content: bytes
    profile: ModelProfile
    pruned: PruneReport | None = None
    calibration_ids: tuple[str, ...] = ()


def _artifact(
    export: _Export, path: Path, recipe: Recipe, manifest: Manifest, run: str
) -> Artifact:
    return make_artifact(
        export.content,
        path=path,
        spec=recipe.model,
        scheme=export.scheme,
        golden_images=golden_images(),
        provenance=trained_on(
            recipe,
            manifest,
            export.profile,
            run=run,
            pruning_ratio=export.pruned.pruning_ratio if export.pruned else 0.0,
            calibration_ids=export.calibration_ids,
        ),
        licence=licence_of(manifest),
    )


def _measured(
    artifact: Artifact, test: Faces, manifest: Manifest, reporter: Reporter
) -> tuple[Artifact, Predictions]:
    data, split = manifest.label, "test"
    predicted = predict_held_out(artifact, test, data=data, split=split, reporter=reporter)
    quality = quality_of(predicted, test, data=data, split=split, manifest_sha256=manifest.sha256)
    predictions = Predictions(
        name=artifact.sidecar.name, p_female=predicted["gender"], age_years=predicted["age"]
    )
    return with_quality(artifact, quality), predictions


def _compared(
    predictions: list[Predictions], test: Faces, manifest: Manifest, margins: Margins
) -> tuple[Comparison, ...]:
    reference, *candidates = predictions
    classes = {each.name: each.classes for each in shared_attributes(manifest.sources)}
    return tuple(
        compare(
            candidate,
            reference,
            test.without_images(),
            margins=margins,
            groups=[row.group for row in manifest.of_split("test")],
            race_names=classes.get("race", ()),
        )
        for candidate in candidates
    )


def _calibrate(
    request: Request,
    manifest: Manifest,
    float_content: bytes,
    task: TrainingTask,
    path: Path,
    reporter: Reporter,
) -> Faces:
    """Choose the calibration images, test whether they are enough, and put down which they are."""
    recipe = request.recipe
    rows = choose_calibration(manifest, recipe.quantize.calibration_images, recipe.seed)
    place = {id: i for i, id in enumerate(task.train.ids)}
    chosen = task.train.take([place[manifest.key(row)] for row in rows])
    check_calibration(manifest, chosen.ids, path.stem)
    reporter.say(f"quantizing with {len(chosen)} calibration images from the training split")
    stability = calibration_stability(
        float_content,
        chosen.images,
        task.validation.images[:PROBE_IMAGES],
        task.heads,
        reporter,
    )
    reporter.say(stability_line(stability))
    record = calibration_record(manifest, rows, recipe.seed, to_mapping(stability))
    reporter.say(f"listed in {write_calibration(request.calibration_out, path.stem, record)}")
    return chosen


def golden_images() -> tuple[NDArray[np.uint8], ...]:
    """Two drawn faces, free to be given away, for the golden vectors.

    Not of any model's side, so that the resize is checked too; in 16 shades, so that the PNG in
    the sidecar is small.
    """
    faces = (draw_face(seed=0, index=index, side_px=150).image for index in (0, 1))
    return tuple((face & np.uint8(0xF0)) | np.uint8(0x08) for face in faces)


def _baseline(path: Path, run: str, seed: int, reporter: Reporter) -> Artifact:
    model = build_model(BASELINE, seed=seed, reporter=reporter)
    return make_artifact(
        to_float_tflite(model),
        path=path,
        spec=BASELINE,
        scheme="float32",
        golden_images=golden_images(),
        provenance=untrained(run, seed, profile(model)),
        licence="random weights: for latency and size only",
    )


def _paths(out: Path, recipe: Recipe) -> dict[str, Path]:
    ratio = recipe.prune.pruning_ratio

    def path(spec: ModelSpec, pruning_ratio: float, scheme: Scheme) -> Path:
        return out / f"{artifact_name(spec, pruning_ratio=pruning_ratio, scheme=scheme)}.tflite"

    paths = {
        "float32": path(recipe.model, 0.0, "float32"),
        "int8": path(recipe.model, ratio, "int8"),
        "baseline": path(BASELINE, 0.0, "float32"),
    }
    if ratio:
        paths["pruned"] = path(recipe.model, ratio, "float32")
    return paths


def _check_out(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".edgeface-can-write.tmp"
        probe.touch()
        probe.unlink()
    except OSError as err:
        raise ExportError(
            f"output folder {out}: cannot be written: {err.strerror}; give another --out"
        ) from err


def _check_manifest_is_ours(out: Path, manifest: Manifest) -> None:
    """Keep the manifest of other models that are here: they cannot be measured without it."""
    for path in sorted(out.glob("*.tflite")):
        try:
            provenance = load_artifact(path).sidecar.provenance
        except ArtifactError:  # somebody else's file: no manifest here is its
            continue
        if provenance.trained and provenance.manifest_sha256 != manifest.sha256:
            raise ExportError(
                f"{out / 'manifest.json'}: would be replaced, and {path.name} beside it was trained"
                " on other data or splits; give another --out, or --overwrite"
            )


def _check_test_labels(manifest: Manifest) -> None:
    """Refuse before training what could not be measured after it."""
    rows = manifest.of_split("test")
    known = {
        "a gender": any(GENDER.name in row.classes for row in rows),
        "an exact age": any(row.age and row.age.low_years == row.age.high_years for row in rows),
    }
    for label, found in known.items():
        if not found:
            raise DataError(
                f"{manifest.label}: none of {len(rows)} test images has {label}, expected at least "
                "one, because the final figures are of them; add a set that has it with --data"
            )


def _say_manifest(manifest: Manifest, reporter: Reporter) -> None:
    counts = ", ".join(f"{len(manifest.of_split(split))} {split}" for split in SPLITS)
    used = sum(row.split is not None for row in manifest.rows)
    reporter.say(f"{manifest.label}: {used} images: {counts}")
    if manifest.left_out:
        reporter.say(f"left out: {len(manifest.left_out)} images")
