"""`train` and `compress`: the whole jobs on one page. Labelled faces in, `.tflite` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.bench.device_parity import evenly_spread
from edgeface.bench.quality import predict_held_out, quality_of, say_unmeasured
from edgeface.bench.verdict import Comparison, Predictions, compare_each
from edgeface.bench.verdict_rule import INT8_MARGINS, PRUNED_INT8_MARGINS, Margins
from edgeface.compress.prune import PruneReport
from edgeface.config import ModelSpec, Recipe
from edgeface.data.calibration import (
    calibration_record,
    write_calibration,
)
from edgeface.data.drawn import draw_face
from edgeface.data.faces import Faces
from edgeface.data.manifest import Manifest, Split, shared_attributes
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import check_pictures
from edgeface.errors import DataError
from edgeface.export.artifact import (
    make_artifact,
    with_quality,
    write_artifact,
)
from edgeface.export.calibration_stability import calibration_stability, stability_line
from edgeface.export.convert import to_float_tflite
from edgeface.export.provenance import licence_of, run_id, trained_on, untrained
from edgeface.model.heads import head_specs
from edgeface.model.networks import build_model
from edgeface.model.profile import ModelProfile, profile
from edgeface.model.saved import SavedModel, refuse_to_replace, write_model
from edgeface.outputs import (
    artifact_paths,
    baseline_of,
    check_out,
    model_paths,
    refuse_other_runs,
)
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.fine_lines import with_fine_lines
from edgeface.stages import (
    Run,
    describe,
    load_split,
    open_manifest,
    open_run,
    prune_stage,
    pruned_in_words,
    train_stage,
)
from edgeface.stages_start import check_start, start_stage, started_recipe
from edgeface.stages_weights import calibration_of, plan_of, quantize_stage, thin_stage
from edgeface.types import Reporter, Scheme

PROBE_IMAGES = 2000
"""Validation images that the two halves of the calibration set are compared on, at most, evenly
spread, so that some are of each of several data sets. Chosen: with 500 the shift that is judged had
noise of 0.02 to 0.03 years (benchmarks/LOG.md)."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one `compress` is asked.

    Attributes:
        recipe: resolved.
        data: manifests, folders or tables of labelled faces; empty for drawn faces.
        out: folder that gets the artifacts and the manifest, and the checkpoints under `.work`.
        calibration_out: folder that gets the record of the calibration images.
        overwrite: replace artifacts of other runs.
        start: trained model (`.keras`) to compress; None trains one.
    """

    recipe: Recipe
    data: tuple[Path, ...]
    out: Path
    calibration_out: Path
    overwrite: bool
    start: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one `compress` made.

    Attributes:
        manifest: of the data.
        artifacts: float32, pruned float32, pruned int8, and the VGG16 baseline with its heads.
        prune_report: what was cut; None where the recipe prunes nothing.
        comparisons: of each compressed model with the unpruned float32, on the test split.
    """

    manifest: Manifest
    artifacts: tuple[Artifact, ...]
    prune_report: PruneReport | None
    comparisons: tuple[Comparison, ...]


def train(request: Request, reporter: Reporter) -> Path:
    """Fine-tune one network: the baseline, a teacher or a student.

    An interrupted run goes on where it was when it is asked the same again.

    Args:
        request: what to do; `start` is not used.
        reporter: shows progress.

    Returns:
        The trained Keras model (`.keras`, its description beside it). What it reached is on the
        validation split, in the description's history; nothing is measured on the test split.

    Raises:
        EdgefaceError: with one line that says what to do; nothing is half-written.
    """
    recipe, out = request.recipe, request.out
    check_out(out)
    manifest = open_manifest(recipe, request.data, reporter)
    path = model_paths(out, recipe)["whole"]
    if not request.overwrite:
        refuse_to_replace(path, run_id(recipe, manifest))
    check_start(recipe, manifest)
    run = open_run(recipe, manifest, out, reporter)
    write_manifest(out / "manifest.json", manifest)
    model, about = train_stage(run)
    write_model(path, model, about)
    return path


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
    check_out(out)
    manifest = open_manifest(recipe, request.data, reporter)
    check_pictures(manifest, "test", reporter)  # they are loaded last, after hours of training
    started = start_stage(request.start, manifest) if request.start else None
    if started:
        recipe = started_recipe(recipe, started[1])
    check_test_labels(manifest, recipe.model)
    paths = artifact_paths(out, recipe)
    kept = model_paths(out, recipe)
    if not request.overwrite:
        digest = run_id(recipe, manifest, request.start)
        whole = started[1].run_id if started else digest
        refuse_other_runs(out, recipe, manifest, run=digest, whole_run=whole)
    if not started:  # weights that do not fit are found before anything is written
        check_start(recipe, manifest)
    run = open_run(recipe, manifest, out, reporter, request.start)
    write_manifest(out / "manifest.json", manifest)
    reporter.say(f"every image with its split, or why it is left out: {out / 'manifest.json'}")

    model, about = started or train_stage(run)
    if not started:
        write_model(kept["whole"], model, about)
    exports = [_Export("float32", "float32", to_float_tflite(model), profile(model))]
    report = None
    steps: tuple[str, ...] = ()
    if recipe.prune.cuts:
        model, report = prune_stage(model, run)
        steps = (pruned_in_words(recipe.prune, report),)
        cut = describe(run, pruning_ratio=report.pruning_ratio)
        write_model(kept["pruned"], model, cut)
        content = to_float_tflite(model)
        exports.append(_Export("pruned", "float32", content, profile(model), steps, report))
    if recipe.sparsify.sparsity or recipe.cluster.clusters:
        model, content, thinned = thin_stage(model, run)
        steps = (*steps, thinned)
        exports.append(_Export("thinned", "float32", content, profile(model), steps, report))
    exports.append(_quantized(model, exports[-1], steps, request, run, paths["quantized"]))

    test = load_split(recipe, manifest, "test", out, reporter)
    made = [_artifact(export, paths[export.key], run, about) for export in exports]
    if started:
        made = [_started_from(artifact, about) for artifact in made]
    artifacts, predictions = _measured(made, test, manifest, reporter)
    margins = PRUNED_INT8_MARGINS if steps else INT8_MARGINS
    comparisons = _compared(predictions, test, manifest, margins, reporter)
    if "baseline" in paths:
        artifacts.append(_baseline(paths["baseline"], run, reporter))
    for artifact in artifacts:
        write_artifact(artifact)
    return Outcome(
        manifest=manifest,
        artifacts=tuple(artifacts),
        prune_report=report,
        comparisons=comparisons,
    )


@dataclass(frozen=True)
class _Export:
    """One converted file and how it was made."""

    key: str
    scheme: Scheme
    content: bytes
    profile: ModelProfile
    steps: tuple[str, ...] = ()
    pruned: PruneReport | None = None
    calibration_ids: tuple[str, ...] = ()


def _quantized(
    model: Any,
    floats: _Export,
    steps: tuple[str, ...],
    request: Request,
    run: Run,
    path: Path,
) -> _Export:
    """Choose calibration images and quantize."""
    dense = to_float_tflite(model)  # zeros may be stored sparse in `floats`, which int8 cannot be
    rows, calibration = calibration_of(run, path.stem)
    spec = run.recipe.quantize
    used = f" with {len(calibration)} calibration images of the training split"
    run.reporter.say(f"quantizing to {spec.scheme}{used if spec.scheme == 'int8' else ''}")
    if spec.method == "post_training" and spec.scheme == "int8":
        stability = _stability(dense, calibration, run)
        record = calibration_record(run.manifest, rows, run.recipe.seed, stability)
        listed = write_calibration(request.calibration_out, path.stem, record)
        run.reporter.say(f"listed in {listed}")
    content, how = quantize_stage(model, dense, calibration.images, run)
    ids = calibration.ids if spec.scheme == "int8" else ()
    return _Export(
        "quantized", spec.scheme, content, floats.profile, (*steps, how), floats.pruned, ids
    )


def _artifact(export: _Export, path: Path, run: Run, about: SavedModel) -> Artifact:
    provenance = trained_on(
        run.recipe,
        run.manifest,
        export.profile,
        run=run.id,
        steps=export.steps,
        pruning_ratio=export.pruned.pruning_ratio if export.pruned else 0.0,
        calibration_ids=export.calibration_ids,
    )
    if not export.steps:  # the model that the run started from is what its own run made of it
        provenance = replace(provenance, run_id=about.run_id, recipe=about.recipe)
    return make_artifact(
        export.content,
        path=path,
        spec=run.recipe.model,
        scheme=export.scheme,
        golden_images=golden_images(),
        provenance=provenance,
        licence=licence_of(run.manifest),
    )


def _started_from(artifact: Artifact, about: SavedModel) -> Artifact:
    provenance = replace(artifact.sidecar.provenance, start_sha256=about.sha256)
    return replace(artifact, sidecar=replace(artifact.sidecar, provenance=provenance))


def _measured(
    artifacts: Sequence[Artifact], test: Faces, manifest: Manifest, reporter: Reporter
) -> tuple[list[Artifact], list[Predictions]]:
    data, split = manifest.label, "test"
    say_unmeasured(artifacts[0], test, reporter)  # the others have the same heads
    measured, predictions = [], []
    for artifact in artifacts:
        heads = artifact.sidecar.contract.heads
        predicted = predict_held_out(artifact, test, data=data, split=split, reporter=reporter)
        quality = quality_of(
            predicted, test, heads, data=data, split=split, manifest_sha256=manifest.sha256
        )
        measured.append(with_quality(artifact, quality))
        predictions.append(Predictions(name=artifact.sidecar.name, heads=heads, values=predicted))
    return measured, predictions


def _compared(
    predictions: list[Predictions],
    test: Faces,
    manifest: Manifest,
    margins: Margins,
    reporter: Reporter,
) -> tuple[Comparison, ...]:
    reference, *candidates = predictions
    classes = {each.name: each.classes for each in shared_attributes(manifest.sources)}
    return compare_each(
        candidates,
        reference,
        test.without_images(),
        margins=margins,
        reporter=reporter,
        groups=[row.group for row in manifest.of_split("test")],
        race_names=classes.get("race", ()),
    )


def _stability(float_content: bytes, calibration: Faces, run: Run) -> dict[str, Any]:
    """Test whether the calibration images are enough, and say so."""
    stability = calibration_stability(
        float_content,
        calibration.images,
        evenly_spread(run.validation, PROBE_IMAGES).images,
        head_specs(run.recipe.model),
        run.reporter,
        plan_of(run.recipe.quantize),
    )
    run.reporter.say(stability_line(stability))
    return to_mapping(stability)


def golden_images() -> tuple[NDArray[np.uint8], ...]:
    """Two drawn faces, and one with fine lines on which every resize shows, for golden vectors.

    Free to be given away. Not of any model's side, so that the resize is checked too; in few
    shades, so that the PNGs in the sidecar are small.
    """
    faces = tuple(draw_face(seed=0, index=index, side_px=150).image for index in (0, 1))
    lined = with_fine_lines(draw_face(seed=0, index=1, side_px=32).image)
    return (*((face & np.uint8(0xF0)) | np.uint8(0x08) for face in faces), lined)


def _baseline(path: Path, run: Run, reporter: Reporter) -> Artifact:
    spec, seed = baseline_of(run.recipe.model), run.recipe.seed
    reporter.say("the VGG16 baseline: building and converting")
    model = build_model(spec, seed=seed, reporter=reporter)
    return make_artifact(
        to_float_tflite(model),
        path=path,
        spec=spec,
        scheme="float32",
        golden_images=golden_images(),
        provenance=untrained(run.id, seed, profile(model)),
        licence="random weights: for latency and size only",
    )


def check_test_labels(manifest: Manifest, spec: ModelSpec) -> None:
    """Refuse before training what could not be measured after it.

    Args:
        manifest: of the data.
        spec: of the model.

    Raises:
        DataError: no test image has a label of any of the model's heads.
    """
    if not any(labelled_in(manifest, "test", spec).values()):
        raise DataError(
            f"{manifest.label}: none of {len(manifest.of_split('test'))} test images has a label "
            f"of {', '.join(spec.heads)} (an age must be exact), expected at least one, because "
            "the final figures are of them; add a set that has it with --data"
        )


def labelled_in(manifest: Manifest, split: Split, spec: ModelSpec) -> dict[str, int]:
    """Count the images of a split that each head of a model can be measured on, by head."""
    rows = manifest.of_split(split)
    return {
        head.name: sum(
            head.name in row.classes
            if head.has_classes
            else row.age is not None and row.age.low_years == row.age.high_years
            for row in rows
        )
        for head in head_specs(spec)
    }
