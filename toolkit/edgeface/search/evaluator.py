"""The evaluator of a real search: trains, cuts, converts, runs the file on the validation split.

In: a candidate. Out: its figures, and the artifact in the folder of the search. Nothing here sees
the test split.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeface.bench.quality import measure_quality
from edgeface.compress.allocate import ratio_of_round
from edgeface.compress.prune import prune
from edgeface.config import Recipe
from edgeface.errors import ExportError
from edgeface.export.artifact import make_artifact, with_quality, write_artifact
from edgeface.export.convert import to_float_tflite
from edgeface.export.download_size import gzip_bytes
from edgeface.export.plan import QuantizePlan
from edgeface.export.provenance import licence_of, trained_on
from edgeface.export.quantize import quantize
from edgeface.model.networks import build_unweighted
from edgeface.model.profile import ModelProfile, profile
from edgeface.pipeline import golden_images
from edgeface.records import write_bytes
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.preprocess import to_input
from edgeface.search.measured import Cost, Measured
from edgeface.search.run import ReportEpoch
from edgeface.search.space import Candidate
from edgeface.search.timing import Timer
from edgeface.search.training import Trained, Trainer, World
from edgeface.stages import pruned_in_words
from edgeface.stages_weights import calibration_of, plan_of
from edgeface.training_specs import AGE, GENDER
from edgeface.types import Quality, SilentReporter

CANDIDATES_FOLDER = "candidates"


class ModelEvaluator:
    """Makes and measures models; one for each worker."""

    def __init__(self, world: World, folder: Path, timers: Mapping[str, Timer]) -> None:
        """Nothing is read yet.

        Args:
            world: recipe, data and where checkpoints go.
            folder: of this search; artifacts go to `candidates` below it.
            timers: by device; a file is timed on all of them.
        """
        self._world = world
        self._folder = folder
        self._timers = timers
        self._trainer = Trainer(world)
        self._costs: dict[Candidate, Cost] = {}

    def cost(self, candidate: Candidate) -> Cost:
        """Build the candidate's file with random weights, and weigh and time it."""
        if candidate not in self._costs:
            recipe = self._world.recipe_of(candidate)
            model = _untrained(recipe)
            content = to_float_tflite(model)
            if candidate.scheme == "int8":
                # ranges of any pictures will do: what is not trained has no accuracy to lose
                pictures = [to_input(face, candidate.side_px) for face in golden_images()]
                content = quantize(content, np.stack(pictures), QuantizePlan(), SilentReporter())
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"{candidate.name}.tflite"
                _write(path, content)
                self._costs[candidate] = self._cost_of(path, content, profile(model))
        return self._costs[candidate]

    def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
        """Train, cut, convert, measure; goes on where an interrupted training stopped.

        Raises:
            EdgefaceError: as the stages do.
        """
        trained = self._trainer.train(candidate, report_epoch)
        if trained is None:
            return None
        content, calibration_ids = self._converted(candidate, trained)
        counts = profile(trained.model)
        artifact = self._artifact(candidate, trained, content, counts, calibration_ids)
        quality = measure_quality(
            artifact,
            trained.run.validation,
            data=self._world.manifest.label,
            split="validation",
            manifest_sha256=self._world.manifest.sha256,
            reporter=self._world.reporter,
        )
        artifact = with_quality(artifact, quality)
        _make_folder(artifact.path.parent)
        write_artifact(artifact)
        return Measured(
            cost=self._cost_of(artifact.path, content, counts),
            mae_years=_value(quality, AGE, "mae"),
            gender_accuracy_ratio=_value(quality, GENDER, "accuracy"),
            images=quality.n,
            mae_curve_years=trained.mae_curve_years,
            weights=Path(trained.run.recipe.model.weights).name,
            pruning_ratio=trained.report.pruning_ratio if trained.report else 0.0,
            name=candidate.name,
            path=str(artifact.path.relative_to(self._folder)),
            sha256=artifact.sidecar.sha256,
        )

    def _converted(self, candidate: Candidate, trained: Trained) -> tuple[bytes, tuple[str, ...]]:
        """The file, and the calibration images that set its ranges."""
        content = to_float_tflite(trained.model)
        if candidate.scheme == "float32":
            return content, ()
        _, calibration = calibration_of(trained.run, candidate.name)
        plan = replace(plan_of(trained.run.recipe.quantize), scheme="int8")
        int8 = quantize(content, calibration.images, plan, self._world.reporter)
        return int8, calibration.ids

    def _artifact(
        self,
        candidate: Candidate,
        trained: Trained,
        content: bytes,
        counts: ModelProfile,
        calibration_ids: tuple[str, ...],
    ) -> Artifact:
        recipe, report = trained.run.recipe, trained.report
        steps = [pruned_in_words(recipe.prune, report)] if report else []
        if calibration_ids:
            steps.append(f"int8 after training, {len(calibration_ids)} calibration images")
        return make_artifact(
            content,
            path=self._folder / CANDIDATES_FOLDER / f"{candidate.name}.tflite",
            spec=recipe.model,
            scheme=candidate.scheme,
            golden_images=golden_images(),
            provenance=trained_on(
                recipe,
                self._world.manifest,
                counts,
                run=searched_id(trained.run.id),
                steps=tuple(steps),
                pruning_ratio=report.pruning_ratio if report else 0.0,
                calibration_ids=calibration_ids,
            ),
            licence=licence_of(self._world.manifest),
        )

    def _cost_of(self, path: Path, content: bytes, counts: ModelProfile) -> Cost:
        return Cost(
            size_bytes=len(content),
            gzip_bytes=gzip_bytes(content),
            parameters=counts.parameters,
            macs=counts.macs,
            timings={device: timer(path) for device, timer in self._timers.items()},
        )


def searched_id(run: str) -> str:
    """Id of what a search makes of a recipe: a plain network trains on, unlike that of `compress`.

    Args:
        run: `run_id` of the recipe and the data.
    """
    return hashlib.sha256(f"search {run}".encode()).hexdigest()


def _untrained(recipe: Recipe) -> Any:
    """The candidate's network with random weights: cut by them, its layers have the same sizes."""
    model = build_unweighted(recipe.model, seed=recipe.seed)
    if recipe.prune.pruning_ratio:
        ratio = ratio_of_round(recipe.prune.pruning_ratio, recipe.prune.rounds)
        for _ in range(recipe.prune.rounds):
            model, _ = prune(
                model,
                pruning_ratio=ratio,
                round_to=recipe.prune.round_to,
                scope=recipe.prune.scope,
            )
    return model


def _value(quality: Quality, head: str, name: str) -> float:
    return next(each.value for each in quality.metrics if (each.task, each.name) == (head, name))


def _write(path: Path, content: bytes) -> None:
    try:
        write_bytes(path, content)
    except OSError as err:
        raise ExportError(f"{path}: cannot be written: {err.strerror}; free space") from err


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ExportError(f"{folder}: cannot be made: {err.strerror}") from err
