"""The stages that `train`, `compress` and `search` are made of, over one run's data and recipe.

In: a `Run`. Out of each stage: a model, and what was done to it in words. A stage that was
interrupted goes on where it was, from the checkpoints in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeface.bench.layer_times import layer_times, read_layer_times, write_layer_times
from edgeface.commit import source_commit
from edgeface.compress.allocate import ratio_of_round
from edgeface.compress.costs import Budget, CostKind, cost, cost_terms, scaled_times
from edgeface.compress.graph import ChannelGraph, channel_graph
from edgeface.compress.importance import Scores
from edgeface.compress.prune import CRITERIA, PruneReport, combined, prune, prune_to_budget
from edgeface.compress.taylor import taylor_scores
from edgeface.config import PruneSpec, Recipe, TrainSpec
from edgeface.data.batches import training_batches
from edgeface.data.faces import Faces
from edgeface.data.labels import check_classes
from edgeface.data.manifest import Manifest, Split
from edgeface.data.sources import CacheSpec, load_faces, open_data
from edgeface.errors import ModelError
from edgeface.export.layer_files import layer_files
from edgeface.export.provenance import run_id
from edgeface.model.distill import Teacher, Teaching
from edgeface.model.heads import head_specs, losses, training_targets
from edgeface.model.judging import loss_weights
from edgeface.model.saved import SCHEMA_VERSION, SavedModel, as_teacher, read_teacher
from edgeface.model.training import TrainingTask, fine_tune, recalibrate_batch_norm
from edgeface.records import to_mapping
from edgeface.stages_start import build_start
from edgeface.types import EpochRecord, HeadSpec, Reporter

LAYER_TIMES_FILE = "layer_times.json"
TAYLOR_BATCHES = 32
"""Batches a Taylor score is averaged over. Chosen: as many as set the batch-norm statistics."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One run: its recipe, its data in memory, and where its checkpoints go.

    Attributes:
        recipe: resolved.
        manifest: of the data.
        id: digest of all that determines it.
        folder: of its checkpoints.
        teachers: read and ready.
        train: faces of the training split, of the model's side.
        validation: those of the validation split.
        reporter: shows progress.
        after_epoch: is told each new epoch of the training and of those after the last cut; where
            it answers False, that training ends there. None: all epochs.
    """

    recipe: Recipe
    manifest: Manifest
    id: str
    folder: Path
    teachers: tuple[Teacher, ...]
    train: Faces
    validation: Faces
    reporter: Reporter
    after_epoch: Callable[[EpochRecord], bool] | None = None

    def task(self, label: str, folder: str, teachers: Sequence[Teacher], ratio: float) -> Any:
        """Describe one training of this run."""
        cache = self.folder.parent / "teachers"
        return TrainingTask(
            label=label,
            heads=head_specs(self.recipe.model),
            train=self.train,
            validation=self.validation,
            folder=self.folder / folder,
            run_id=self.id,
            seed=self.recipe.seed,
            teaching=Teaching(teachers=tuple(teachers), ratio=ratio, cache=cache)
            if ratio
            else None,
        )


def open_manifest(recipe: Recipe, data: Sequence[Path], reporter: Reporter) -> Manifest:
    """Make the manifest of a run and say what is in it.

    Raises:
        DataError: the data cannot be used, or names an attribute's classes unlike the recipe.
    """
    heads = head_specs(recipe.model)
    names = [head.name for head in heads if head.has_classes]
    manifest = open_data(data, recipe.data, recipe.seed, reporter, names)
    counts = ", ".join(
        f"{len(manifest.of_split(split))} {split}" for split in ("train", "validation", "test")
    )
    used = sum(row.split is not None for row in manifest.rows)
    reporter.say(f"{manifest.label}: {used} images: {counts}")
    if manifest.left_out:
        reporter.say(f"left out: {len(manifest.left_out)} images")
    attributes = [each for source in manifest.sources for each in source.attributes]
    check_classes(attributes, heads, manifest.label)
    return manifest


def open_run(
    recipe: Recipe, manifest: Manifest, out: Path, reporter: Reporter, start: Path | None = None
) -> Run:
    """Load what a run needs.

    Args:
        recipe: resolved.
        manifest: of the data.
        out: the run's checkpoints go under `.work` of it.
        reporter: shows progress.
        start: trained model that the run starts from.

    Raises:
        EdgefaceError: data or a teacher cannot be read.
    """
    run = run_id(recipe, manifest, start)
    return Run(
        recipe=recipe,
        manifest=manifest,
        id=run,
        folder=out / ".work" / run[:12],
        teachers=tuple(_teacher(Path(path), manifest) for path in recipe.teachers),
        train=load_split(recipe, manifest, "train", out, reporter),
        validation=load_split(recipe, manifest, "validation", out, reporter),
        reporter=reporter,
    )


def load_split(
    recipe: Recipe, manifest: Manifest, split: Split, out: Path, reporter: Reporter
) -> Faces:
    """Decode one split at the model's side."""
    cache = CacheSpec(
        folder=out / ".work" / "cache",
        memory_bytes=recipe.data.cache_memory_bytes,
        disk_bytes=recipe.data.cache_disk_bytes,
    )
    return load_faces(manifest, split, recipe.model.side_px, cache, reporter)


def train_stage(run: Run) -> tuple[Any, SavedModel]:
    """Build and train the recipe's network.

    Args:
        run: what to train and on what.

    Returns:
        The model with its best validation epoch's weights, and what it is (not yet written).
    """
    recipe = run.recipe
    model = build_start(recipe, run.manifest, run.reporter, partial(_taylor, run))
    task = run.task("fine-tune", "train", run.teachers, recipe.train.distill_ratio)
    history = fine_tune(model, task, recipe.train, run.reporter, after_epoch=run.after_epoch)
    return model, describe(run, history=history)


def describe(run: Run, *, history: Any = (), pruning_ratio: float = 0.0) -> SavedModel:
    """Write down what a model of this run is."""
    return SavedModel(
        schema_version=SCHEMA_VERSION,
        sha256="",
        spec=run.recipe.model,
        run_id=run.id,
        recipe=to_mapping(run.recipe),
        data=run.manifest.label,
        manifest_sha256=run.manifest.sha256,
        pruning_ratio=pruning_ratio,
        history=tuple(history),
        commit=source_commit(),
    )


def prune_stage(model: Any, run: Run) -> tuple[Any, PruneReport]:
    """Cut channels and train on, in as many rounds as the recipe says.

    Args:
        model: trained and unpruned; not changed. It teaches the smaller one.
        run: its recipe's `prune` says what.

    Returns:
        The smaller model and what went.
    """
    spec = run.recipe.prune
    teachers = (*run.teachers, as_teacher(model, run.recipe.model, "the unpruned model"))
    whole = model
    layer_ms = _layer_ms(model, run) if spec.budget == "latency" else None
    reports: list[PruneReport] = []
    for number in range(1, spec.rounds + 1):
        left_ms = scaled_times(layer_ms, whole, model) if layer_ms else None
        model, report = _cut(model, run, left_ms)
        reports.append(report)
        recalibrate_batch_norm(model, run.train, spec.fine_tune, seed=run.recipe.seed)
        if number < spec.rounds:
            between = replace(spec.fine_tune, epochs=spec.between_epochs)
            label = f"fine-tune after cut {number} of {spec.rounds}"
            task = run.task(label, f"pruned-{number}", teachers, between.distill_ratio)
            fine_tune(model, task, between, run.reporter)
    for cycle in range(1, spec.cycles + 1):
        rate = spec.fine_tune.learning_rate / 2 ** (cycle - 1)
        training = replace(spec.fine_tune, learning_rate=rate)
        of = f", cycle {cycle} of {spec.cycles}" if spec.cycles > 1 else ""
        folder = f"pruned-cycle-{cycle}" if cycle > 1 else "pruned"
        task = run.task(f"fine-tune pruned{of}", folder, teachers, training.distill_ratio)
        fine_tune(model, task, training, run.reporter, after_epoch=run.after_epoch)
    return model, combined(reports)


def _cut(model: Any, run: Run, layer_ms: Mapping[str, float] | None) -> tuple[Any, PruneReport]:
    spec = run.recipe.prune
    graph = channel_graph(model)
    scores = (
        _taylor(run, model, graph, head_specs(run.recipe.model))
        if spec.criterion == "taylor"
        else CRITERIA[spec.criterion](model, graph)
    )
    if spec.budget == "none":
        ratio = ratio_of_round(spec.pruning_ratio, spec.rounds)
        return prune(
            model, pruning_ratio=ratio, round_to=spec.round_to, scope=spec.scope, scores=scores
        )
    kind: CostKind = "latency_ms" if spec.budget == "latency" else spec.budget
    budget = Budget(kind=kind, limit=np.inf, layer_ms=layer_ms)
    full = np.array([group.channels for group in graph.groups], np.int64)
    now = cost(cost_terms(model, graph, budget), full)
    # each round leaves the same share of what the last one left
    limit = now * spec.budget_ratio ** (1 / spec.rounds)
    return prune_to_budget(
        model,
        budget=replace(budget, limit=limit),
        round_to=spec.round_to,
        scope=spec.scope,
        scores=scores,
    )


def _taylor(run: Run, model: Any, graph: ChannelGraph, heads: tuple[HeadSpec, ...]) -> Scores:
    recipe = run.recipe
    spec: TrainSpec = recipe.train
    targets = training_targets(run.train, heads, spec)
    size = min(spec.batch_size, len(run.train))
    count = min(TAYLOR_BATCHES, len(run.train) // size)
    order = np.random.default_rng(recipe.seed).permutation(len(run.train))[: count * size]
    batches = training_batches(
        run.train.images,
        targets.values,
        targets.weights,
        spec.augment,
        order=order.reshape(count, size),
        seed=recipe.seed,
        epoch=0,
    )
    run.reporter.say(f"Taylor scores from {count * size} training images")
    return taylor_scores(model, graph, batches, losses(heads), loss_weights(heads, spec))


def _layer_ms(model: Any, run: Run) -> Mapping[str, float]:
    """Read the times that the recipe names, or measure them once a run.

    A resumed run must cut as it did before, so what was measured is kept.
    """
    kept = run.folder / LAYER_TIMES_FILE
    given = run.recipe.prune.layer_times
    if given or kept.exists():
        return read_layer_times(Path(given) if given else kept)
    measured = layer_times(layer_files(model, run.reporter), run.reporter)
    write_layer_times(kept, measured)
    run.reporter.say(f"the time of each layer on this machine: {kept}")
    return measured


def tags_of(recipe: Recipe) -> dict[str, tuple[str, ...]]:
    """What artifact names say of each stage of a recipe, by stage.

    Returns:
        "pruned": "p40" where 40 % of each group's channels go, "macs50" where half of the MACs
        stay; "thinned": besides, "s80" for 80 % zeros or "c32" for 32 values a layer;
        "quantized": besides, "qat" where it was trained with the rounding, "mixed" where layers
        may be float. Empty for a stage that is off.
    """
    prune, quantize = recipe.prune, recipe.quantize
    pruned: tuple[str, ...] = ()
    if prune.budget != "none":
        pruned = (f"{prune.budget}{round(100 * prune.budget_ratio)}",)
    elif prune.pruning_ratio:
        pruned = (f"p{round(100 * prune.pruning_ratio)}",)
    thinned = pruned
    if recipe.sparsify.sparsity:
        thinned = (*pruned, f"s{round(100 * recipe.sparsify.sparsity)}")
    elif recipe.cluster.clusters:
        thinned = (*pruned, f"c{recipe.cluster.clusters}")
    quantized = (*thinned, "qat") if quantize.method == "qat" else thinned
    quantized = (*quantized, "mixed") if quantize.mixed_layers else quantized
    return {"pruned": pruned, "thinned": thinned, "quantized": quantized}


def pruned_in_words(spec: PruneSpec, report: PruneReport) -> str:
    """Say what pruning did, for sidecars and tables."""
    how = f"{100 * report.pruning_ratio:.0f} % of channels pruned ({report.criterion}"
    how += f", to {100 * spec.budget_ratio:.0f} % of {spec.budget}" if spec.budget != "none" else ""
    how += f", {spec.rounds} rounds" if spec.rounds > 1 else ""
    return f"{how}): MACs {report.macs_before / 1e6:.0f} to {report.macs_after / 1e6:.0f} million"


def _teacher(path: Path, manifest: Manifest) -> Teacher:
    teacher, about = read_teacher(path)
    if not manifest.covers(about.manifest_sha256):
        raise ModelError(
            f"teacher {path}: was trained on {about.data!r} divided otherwise, so it may have seen "
            "the test images and tell the student; train it on this manifest"
        )
    return teacher
