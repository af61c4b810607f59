"""The networks of a search: each plain one is trained once, and all that is cut starts from it.

In: a candidate. Out: its trained network. Checkpoints are kept by what determines them, so that
candidates of other ratios and schemes, other budgets and later runs start where these ended. Every
network is trained as long as every other: a plain one trains on where a pruned one recovers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeface.compress.prune import PruneReport
from edgeface.config import Recipe
from edgeface.data.manifest import Manifest
from edgeface.errors import ModelError
from edgeface.export.provenance import run_id
from edgeface.model.networks import build_unweighted
from edgeface.model.saved import as_teacher
from edgeface.model.training import fine_tune
from edgeface.records import RecordError, from_mapping
from edgeface.search.locks import FileLock
from edgeface.search.recipes import further_epochs, plain_recipe, recipe_of
from edgeface.search.run import ReportEpoch
from edgeface.search.space import Candidate
from edgeface.stages import Run, open_run, prune_stage, train_stage
from edgeface.training_specs import AGE
from edgeface.types import EpochRecord, Reporter


@dataclass(frozen=True, kw_only=True)
class World:
    """What all candidates of a search have in common.

    Attributes:
        recipe: of the search; a candidate sets width, side and pruning ratio.
        manifest: of the data.
        out: folder of the output; checkpoints go under its `.work`.
        weights: starting weights by width, beside those of the recipe.
        reporter: shows progress.
    """

    recipe: Recipe
    manifest: Manifest
    out: Path
    weights: Mapping[float, str]
    reporter: Reporter

    @property
    def folder(self) -> Path:
        """Of all that searches keep."""
        return self.out / ".work" / "search"

    def recipe_of(self, candidate: Candidate) -> Recipe:
        """The recipe that makes a candidate."""
        return recipe_of(self.recipe, candidate, self.weights)

    def recipe_at(self, side_px: int) -> Recipe:
        """The recipe of the search with another side, to load faces by."""
        return replace(self.recipe, model=replace(self.recipe.model, side_px=side_px))


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """The network of a candidate.

    Attributes:
        model: tf_keras, with its best epoch's weights.
        run: with the candidate's recipe and the faces of its side.
        report: what was cut; None for a plain network.
        mae_curve_years: validation MAE after each epoch, the plain network's first.
    """

    model: Any
    run: Run
    report: PruneReport | None
    mae_curve_years: tuple[float, ...]


class Trainer:
    """Trains networks, and keeps teachers and faces of the side it trained last."""

    def __init__(self, world: World) -> None:
        """Nothing is read yet."""
        self._world = world
        self._opened: Run | None = None

    def train(self, candidate: Candidate, report_epoch: ReportEpoch) -> Trained | None:
        """Train the network of a candidate, or what is left of that.

        Args:
            candidate: its scheme plays no part.
            report_epoch: is told each epoch's validation MAE, also of epochs that were trained
                earlier; the plain network's epochs come first.

        Returns:
            None if `report_epoch` answered False.

        Raises:
            EdgefaceError: data or weights cannot be used, or training cannot go on.
        """
        recipe = self._world.recipe_of(candidate)
        watch = _Watch(report_epoch)
        plain = self._run(plain_recipe(recipe), watch)
        with self._alone(plain):
            if not watch.told(history_in(plain.folder / "train")):
                return None
            model, _ = train_stage(plain)
            before = history_in(plain.folder / "train")
        if not watch.told(before):
            return None
        own = self._run(recipe, watch)
        between, last = _folders(own, candidate)
        with self._alone(own):
            watch.begin(len(before) + len(between) * recipe.prune.between_epochs)
            if not watch.told(history_in(last)):
                return None
            report = None
            if candidate.is_plain:
                model = _further(model, own, best_before=min(each.score for each in before))
            else:
                model, report = prune_stage(model, own)
            after = history_in(last)
        if not watch.told(after):
            return None
        rounds = [record for folder in between for record in history_in(folder)]
        curve = tuple(each.validation[AGE] for each in (*before, *rounds, *after))
        return Trained(model=model, run=own, report=report, mae_curve_years=curve)

    def _run(self, recipe: Recipe, watch: _Watch) -> Run:
        world, opened = self._world, self._opened
        if opened is None or opened.recipe.model.side_px != recipe.model.side_px:
            self._opened = None  # faces of two sides at once may not fit in memory
            opened = open_run(recipe, world.manifest, world.out, world.reporter)
            self._opened = opened
        digest = run_id(recipe, world.manifest)
        return Run(
            recipe=recipe,
            manifest=world.manifest,
            id=digest,
            folder=world.folder / "models" / digest[:12],
            teachers=opened.teachers,
            train=opened.train,
            validation=opened.validation,
            reporter=world.reporter,
            after_epoch=watch,
        )

    def _alone(self, run: Run) -> AbstractContextManager[None]:
        """Keep other workers from training the same network; they wait and then find it done."""
        waiting = f"waiting for another worker that trains the same network ({run.folder.name})"
        lock = FileLock(run.folder.with_suffix(".lock"))
        return lock.held(lambda: self._world.reporter.say(waiting))


class _Watch:
    """Counts epochs over both trainings of a candidate, and remembers that it is to stop."""

    def __init__(self, report_epoch: ReportEpoch) -> None:
        self._report_epoch = report_epoch
        self._before = 0  # epochs of trainings that are done
        self._told = 0
        self._goes_on = True

    def begin(self, epochs_before: int) -> None:
        """Go over to the next training."""
        self._before = self._told = epochs_before

    def told(self, history: Sequence[EpochRecord]) -> bool:
        """Report the epochs of this training that were not reported yet; False: stop."""
        for record in history:
            self(record)
        return self._goes_on

    def __call__(self, record: EpochRecord) -> bool:
        epoch = self._before + record.epoch
        if self._goes_on and epoch > self._told:
            self._told = epoch
            self._goes_on = self._report_epoch(epoch, record.validation[AGE])
        return self._goes_on


def history_in(folder: Path) -> tuple[EpochRecord, ...]:
    """Read what a training reached so far from its checkpoints; empty if it has not begun.

    Raises:
        ModelError: `state.json` is not what `model.checkpoint` writes.
    """
    file = folder / "state.json"
    try:
        state = json.loads(file.read_text("utf-8"))
        return tuple(from_mapping(EpochRecord, each) for each in state["history"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, RecordError) as err:
        raise ModelError(f"{file}: not a checkpoint state: {err}; delete the folder") from err


def _folders(run: Run, candidate: Candidate) -> tuple[tuple[Path, ...], Path]:
    """Where the checkpoints of a candidate's trainings are: between cuts, and of the last one."""
    if candidate.is_plain:
        return (), run.folder / "further"
    rounds = range(1, run.recipe.prune.rounds)
    return tuple(run.folder / f"pruned-{number}" for number in rounds), run.folder / "pruned"


def _further(model: Any, run: Run, *, best_before: float) -> Any:
    """Train a plain network on for as long as a pruned one, taught by itself as it was.

    It keeps the weights it had where training on did not make it better on the validation split.
    """
    recipe = run.recipe
    spec = replace(recipe.prune.fine_tune, epochs=further_epochs(recipe))
    # a new one, as a pruned one is: the checkpoints of a model hold the optimizer it was compiled
    # with, and this one has that of its first training
    student = build_unweighted(recipe.model, seed=recipe.seed)
    student.set_weights(model.get_weights())
    teachers = (*run.teachers, as_teacher(model, recipe.model, "the plain model"))
    task = run.task("fine-tune further", "further", teachers, spec.distill_ratio)
    history = fine_tune(student, task, spec, run.reporter, after_epoch=run.after_epoch)
    return student if min(record.score for record in history) < best_before else model
