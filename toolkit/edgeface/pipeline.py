"""`compress`: the whole job on one page. Labelled faces in, a pruned int8 `.tflite` out."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface import __version__
from edgeface.bench.quality import measure_quality
from edgeface.bench.run import source_commit
from edgeface.compress.prune import PruneReport, prune
from edgeface.config import ModelSpec, Recipe
from edgeface.data.calibration import choose_calibration
from edgeface.data.drawn import draw_face
from edgeface.data.manifest import DrawnSource, Manifest
from edgeface.data.sources import load_faces, open_data
from edgeface.errors import ExportError
from edgeface.export.artifact import (
    artifact_name,
    make_artifact,
    refuse_to_overwrite,
    with_quality,
    write_artifact,
)
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.model.heads import head_specs
from edgeface.model.networks import build_model
from edgeface.model.profile import profile
from edgeface.model.training import TrainingTask, fine_tune, recalibrate_batch_norm
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.types import Provenance, Reporter, Scheme

# Source: docs/seeds.md S0, the model that people start from
BASELINE = ModelSpec(
    backbone="vgg16", width_ratio=1.0, side_px=128, age_head="regression", weights="none"
)
_VERSIONED = ("tensorflow", "tf-keras", "litert-quantizer", "ai-edge-litert", "numpy")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one `compress` is asked.

    Attributes:
        recipe: resolved.
        data: folder of labelled faces; None for drawn faces.
        out: folder that gets the artifacts, and the checkpoints under `.work`.
        overwrite: replace artifacts of other runs.
    """

    recipe: Recipe
    data: Path | None
    out: Path
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one `compress` made.

    Attributes:
        manifest: of the data.
        artifacts: float32, pruned float32, pruned int8, and the VGG16 baseline.
        prune_report: what was cut; None where the recipe prunes nothing.
    """

    manifest: Manifest
    artifacts: tuple[Artifact, ...]
    prune_report: PruneReport | None


def compress(request: Request, reporter: Reporter) -> Outcome:
    """Fine-tune, prune, fine-tune on, quantize, export, and measure on the test split.

    An interrupted run goes on where it was when it is asked the same again.

    Args:
        request: what to do.
        reporter: shows progress.

    Raises:
        EdgefaceError: with one line that says what to do; nothing is half-written.
    """
    recipe = request.recipe
    _check_out(request.out)
    manifest = open_data(request.data, recipe.data, recipe.seed, reporter)
    _say_manifest(manifest, reporter)
    run_id = _run_id(recipe, manifest)
    paths = _paths(request.out, recipe)
    if not request.overwrite:
        for path in paths.values():
            refuse_to_overwrite(path, run_id)
    model = build_model(recipe.model, seed=recipe.seed, reporter=reporter)
    heads = head_specs(recipe.model)
    side_px = recipe.model.side_px
    task = TrainingTask(
        label="fine-tune",
        heads=heads,
        train=load_faces(manifest, "train", side_px, reporter),
        validation=load_faces(manifest, "validation", side_px, reporter),
        folder=request.out / ".work" / run_id[:12] / "train",
        run_id=run_id,
        seed=recipe.seed,
    )
    fine_tune(model, task, recipe.train, reporter)
    calibration = choose_calibration(task.train, recipe.quantize.calibration_images, recipe.seed)
    made = _Maker(request, manifest, run_id)
    artifacts = [made.artifact(paths["float32"], model, to_float_tflite(model), "float32")]
    report = None
    if recipe.prune.pruning_ratio:
        model, report = prune(
            model,
            pruning_ratio=recipe.prune.pruning_ratio,
            round_to=recipe.prune.round_to,
        )
        after = replace(task, label="fine-tune pruned", folder=task.folder.parent / "pruned")
        recalibrate_batch_norm(model, task.train, recipe.prune.fine_tune, seed=recipe.seed)
        fine_tune(model, after, recipe.prune.fine_tune, reporter)
        made = replace(made, pruning_ratio=report.pruning_ratio)
        artifacts.append(made.artifact(paths["pruned"], model, to_float_tflite(model), "float32"))
    reporter.say(f"quantizing with {len(calibration)} calibration images from the training split")
    content = to_int8_tflite(artifacts[-1].content, calibration.images, reporter)
    made = replace(made, calibration_ids=calibration.ids)
    artifacts.append(made.artifact(paths["int8"], model, content, "int8"))
    test = load_faces(manifest, "test", side_px, reporter)
    measured = [
        with_quality(
            artifact,
            measure_quality(
                artifact,
                test,
                data=manifest.source.label,
                split="test",
                manifest_sha256=manifest.sha256,
                reporter=reporter,
            ),
        )
        for artifact in artifacts
    ]
    measured.append(_baseline(paths["baseline"], made, reporter))
    for artifact in measured:
        write_artifact(artifact)
    return Outcome(manifest=manifest, artifacts=tuple(measured), prune_report=report)


@dataclass(frozen=True)
class _Maker:
    """What all artifacts of one run share."""

    request: Request
    manifest: Manifest
    run_id: str
    pruning_ratio: float = 0.0
    calibration_ids: tuple[str, ...] = ()

    def artifact(self, path: Path, model: Any, content: bytes, scheme: Scheme) -> Artifact:
        recipe = self.request.recipe
        drawn = isinstance(self.manifest.source, DrawnSource)
        provenance = self.provenance(
            model,
            data=self.manifest.source.label,
            data_kind="drawn" if drawn else "folder",
            manifest_sha256=self.manifest.sha256,
            weights=recipe.model.weights,
            trained=True,
        )
        licence = (
            "trained on drawn faces: free of rights of others, of no use on real faces"
            if drawn
            else f"trained on {self.manifest.source.label!r}: the terms of that data set and of "
            "the starting weights hold for this model"
        )
        return self.pack(path, content, recipe.model, scheme, provenance, licence)

    def provenance(self, model: Any, **facts: Any) -> Provenance:
        recipe = self.request.recipe
        counts = profile(model)
        return Provenance(
            run_id=self.run_id,
            recipe=to_mapping(recipe),
            seed=recipe.seed,
            calibration_ids=self.calibration_ids,
            pruning_ratio=self.pruning_ratio,
            parameters=counts.parameters,
            macs=counts.macs,
            versions={
                "edgeface": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in _VERSIONED},
            },
            commit=source_commit(),
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            **facts,
        )

    def pack(
        self,
        path: Path,
        content: bytes,
        spec: ModelSpec,
        scheme: Scheme,
        provenance: Provenance,
        licence: str,
    ) -> Artifact:
        return make_artifact(
            content,
            path=path,
            spec=spec,
            scheme=scheme,
            golden_images=golden_images(),
            provenance=provenance,
            licence=licence,
        )


def golden_images() -> tuple[NDArray[np.uint8], ...]:
    """Two drawn faces, free to be given away, for the golden vectors.

    Not of any model's side, so that the resize is checked too; in 16 shades, so that the PNG in
    the sidecar is small.
    """
    faces = (draw_face(seed=0, index=index, side_px=150).image for index in (0, 1))
    return tuple((face & np.uint8(0xF0)) | np.uint8(0x08) for face in faces)


def _baseline(path: Path, made: _Maker, reporter: Reporter) -> Artifact:
    model = build_model(BASELINE, seed=made.request.recipe.seed, reporter=reporter)
    made = replace(made, pruning_ratio=0.0, calibration_ids=())
    provenance = made.provenance(
        model,
        data="none",
        data_kind="none",
        manifest_sha256="",
        weights="none",
        trained=False,
    )
    licence = "random weights: for latency and size only"
    return made.pack(path, to_float_tflite(model), BASELINE, "float32", provenance, licence)


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


def _run_id(recipe: Recipe, manifest: Manifest) -> str:
    weights = Path(recipe.model.weights)
    facts = {
        "recipe": to_mapping(recipe),
        "manifest": manifest.sha256,
        "weights": sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        "edgeface": __version__,
    }
    return sha256(dumps(facts, sort_keys=True).encode()).hexdigest()


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


def _say_manifest(manifest: Manifest, reporter: Reporter) -> None:
    counts = ", ".join(
        f"{len(manifest.of_split(split))} {split}" for split in ("train", "validation", "test")
    )
    reporter.say(f"{manifest.source.label}: {len(manifest.rows)} images: {counts}")
    if manifest.left_out:
        reporter.say(f"left out: {len(manifest.left_out)} images")
