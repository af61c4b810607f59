"""Where the files of a run go, and what of other runs they may replace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeface.config import ModelSpec, Recipe
from edgeface.data.manifest import Manifest
from edgeface.errors import ArtifactError, ExportError
from edgeface.export.artifact import artifact_name, refuse_to_overwrite
from edgeface.model.saved import SUFFIX, refuse_to_replace
from edgeface.runtime.artifact import load_artifact
from edgeface.stages import tags_of
from edgeface.types import Scheme

# Source: docs/seeds.md S0, the model that people start from
BASELINE = ModelSpec(
    backbone="vgg16",
    width_ratio=1.0,
    side_px=128,
    age_head="regression",
    branch_units=256,
    weights="none",
)


def baseline_of(spec: ModelSpec) -> ModelSpec:
    """Give the baseline the heads of a model, so that both do the same work for their latency.

    Args:
        spec: of the model that is held against it.
    """
    return replace(BASELINE, heads=spec.heads, classes=spec.classes)


def artifact_paths(out: Path, recipe: Recipe) -> dict[str, Path]:
    """Where each file of the run goes, by the stage that makes it."""
    tags = tags_of(recipe)

    def path(of: tuple[str, ...], scheme: Scheme) -> Path:
        return out / f"{_name(recipe, of, scheme)}.tflite"

    paths = {
        "float32": path((), "float32"),
        "quantized": path(tags["quantized"], recipe.quantize.scheme),
    }
    baseline = artifact_name(BASELINE, scheme="float32")
    # a trained VGG16 is a baseline itself
    if artifact_name(recipe.model, scheme="float32") != baseline:
        paths["baseline"] = out / f"{baseline}.tflite"
    if tags["pruned"]:
        paths["pruned"] = path(tags["pruned"], "float32")
    if tags["thinned"] != tags["pruned"]:
        paths["thinned"] = path(tags["thinned"], "float32")
    return paths


def model_paths(out: Path, recipe: Recipe) -> dict[str, Path]:
    """Where the Keras models of the run go: the whole one, and the pruned one if there is one."""
    tags = tags_of(recipe)["pruned"]
    kept = {"whole": out / f"{_name(recipe, (), None)}{SUFFIX}"}
    if tags:
        kept["pruned"] = out / f"{_name(recipe, tags, None)}{SUFFIX}"
    return kept


def _name(recipe: Recipe, tags: tuple[str, ...], scheme: Scheme | None) -> str:
    return artifact_name(recipe.model, scheme=scheme, tags=tags, variant=recipe.variant)


def check_out(out: Path) -> None:
    """Make the output folder.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".edgeface-can-write.tmp"
        probe.touch()
        probe.unlink()
    except OSError as err:
        raise ExportError(
            f"output folder {out}: cannot be written: {err.strerror}; give another --out"
        ) from err


def refuse_other_runs(
    out: Path, recipe: Recipe, manifest: Manifest, *, run: str, whole_run: str
) -> None:
    """Stop before work is done that would replace what other runs made.

    Args:
        out: folder of the run's files.
        recipe: resolved.
        manifest: of the run's data.
        run: id of the run.
        whole_run: id of the run that trained the whole network.

    Raises:
        EdgefaceError: a file of another run, or something else, is in the way.
    """
    for key, path in artifact_paths(out, recipe).items():
        refuse_to_overwrite(path, whole_run if key == "float32" else run)
    for key, path in model_paths(out, recipe).items():
        refuse_to_replace(path, whole_run if key == "whole" else run)
    check_manifest_is_ours(out, manifest)


def check_manifest_is_ours(out: Path, manifest: Manifest) -> None:
    """Keep the manifest of other models that are here: they cannot be measured without it.

    Raises:
        ExportError: an artifact in `out` was trained on other data or splits.
    """
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
