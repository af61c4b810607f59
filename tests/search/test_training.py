"""The order of trainings and what they share, with stages that train nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeface.config import DataSpec, ModelSpec, PruneSpec, Recipe, TrainSpec
from edgeface.data.faces import Faces
from edgeface.data.sources import open_data
from edgeface.errors import ModelError
from edgeface.search import training
from edgeface.search.space import Candidate
from edgeface.search.training import Trainer, World, history_in
from edgeface.stages import Run
from edgeface.types import SilentReporter

RECIPE = Recipe(
    data=DataSpec(drawn_count=60, drawn_side_px=32),
    model=ModelSpec(width_ratio=0.35, side_px=32, weights="none"),
    train=TrainSpec(epochs=3),
    prune=PruneSpec(fine_tune=TrainSpec(epochs=2)),
)
PLAIN = Candidate(width_ratio=0.35, side_px=32, pruning_ratio=0.0, scheme="float32")
PRUNED = replace(PLAIN, pruning_ratio=0.5)


class FakeStages:
    """Trainings that only count: each epoch's MAE is the next of a falling row."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[str] = []
        self.opened = 0
        monkeypatch.setattr(training, "open_run", self.open_run)
        monkeypatch.setattr(training, "train_stage", self.train_stage)
        monkeypatch.setattr(training, "prune_stage", self.prune_stage)
        monkeypatch.setattr(training, "_further", self.further)

    def open_run(self, recipe: Recipe, manifest: Any, out: Path, reporter: Any) -> Run:
        self.opened += 1
        none = np.empty(0, np.int64)
        faces = Faces(
            ids=(),
            images=np.empty((0, 32, 32, 3), np.uint8),
            age_low_years=none,
            age_high_years=none,
            classes={},
        )
        return Run(
            recipe=recipe,
            manifest=manifest,
            id="",
            folder=out,
            teachers=(),
            train=faces,
            validation=faces,
            reporter=reporter,
        )

    def train_stage(self, run: Run) -> tuple[str, None]:
        self.epochs(run, "train", run.recipe.train.epochs, 8.0)
        return "plain model", None

    def prune_stage(self, model: Any, run: Run) -> tuple[str, Any]:
        assert model == "plain model"
        for number in range(1, run.recipe.prune.rounds):
            between = replace(run, after_epoch=None)
            self.epochs(between, f"pruned-{number}", run.recipe.prune.between_epochs, 7.5)
        self.epochs(run, "pruned", run.recipe.prune.fine_tune.epochs, 7.0)
        return "pruned model", SimpleNamespace(pruning_ratio=0.49)

    def further(self, model: Any, run: Run, *, best_before: float) -> str:
        assert model == "plain model"
        self.best_before = best_before
        self.epochs(run, "further", 2, 6.0)
        return "plain model, further"

    def epochs(self, run: Run, folder: str, epochs: int, mae: float) -> None:
        file = run.folder / folder / "state.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        history = json.loads(file.read_text())["history"] if file.exists() else []
        for epoch in range(len(history) + 1, epochs + 1):
            self.trained.append(f"{folder} {epoch}")
            history.append(
                {
                    "epoch": epoch,
                    "train_loss": 1.0,
                    "validation_loss": 1.0,
                    "train": {"gender": 0.9, "age": mae},
                    "validation": {"gender": 0.9, "age": mae - 0.1 * epoch},
                    "score": mae - 0.1 * epoch + 2,
                }
            )
            file.write_text(json.dumps({"history": history}))
            if run.after_epoch and not run.after_epoch(history_in(file.parent)[-1]):
                break


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> FakeStages:
    return FakeStages(monkeypatch)


def trainer(out: Path, recipe: Recipe = RECIPE) -> Trainer:
    manifest = open_data([], recipe.data, recipe.seed, SilentReporter())
    return Trainer(
        World(recipe=recipe, manifest=manifest, out=out, weights={}, reporter=SilentReporter())
    )


class Listening:
    def __init__(self, stop_at: int = 0) -> None:
        self.heard: list[tuple[int, float]] = []
        self.stop_at = stop_at

    def __call__(self, epoch: int, mae_years: float) -> bool:
        self.heard.append((epoch, round(mae_years, 3)))
        return epoch != self.stop_at


BASE = [(1, 7.9), (2, 7.8), (3, 7.7)]


def test_a_plain_network_trains_on_and_a_pruned_one_starts_from_the_same(
    stages: FakeStages, tmp_path: Path
) -> None:
    trainer_ = trainer(tmp_path)
    listening = Listening()
    plain = trainer_.train(PLAIN, listening)
    assert plain is not None
    assert (plain.model, plain.report) == ("plain model, further", None)
    assert listening.heard == [*BASE, (4, 5.9), (5, 5.8)]
    assert plain.mae_curve_years == pytest.approx([7.9, 7.8, 7.7, 5.9, 5.8])
    assert stages.best_before == pytest.approx(7.7 + 2)

    listening = Listening()
    pruned = trainer_.train(PRUNED, listening)
    assert pruned is not None
    assert pruned.model == "pruned model"
    assert pruned.run.recipe.prune.pruning_ratio == 0.5
    assert listening.heard == [*BASE, (4, 6.9), (5, 6.8)], "also of epochs trained earlier"
    assert len(plain.mae_curve_years) == len(pruned.mae_curve_years), "as long"
    assert stages.trained == [
        *("train 1", "train 2", "train 3"),
        *("further 1", "further 2"),
        *("pruned 1", "pruned 2"),
    ], "the plain network once"
    assert stages.opened == 1, "one side, read once"


def test_the_scheme_and_another_trainer_train_nothing_anew(
    stages: FakeStages, tmp_path: Path
) -> None:
    trainer(tmp_path).train(PRUNED, Listening())
    trained = list(stages.trained)
    listening = Listening()
    again = trainer(tmp_path).train(replace(PRUNED, scheme="int8"), listening)
    assert again is not None
    assert len(listening.heard) == 5
    assert stages.trained == trained


@pytest.mark.parametrize("candidate", [PLAIN, PRUNED])
def test_a_training_that_is_stopped_ends_there_and_is_stopped_again_without_training(
    stages: FakeStages, tmp_path: Path, candidate: Candidate
) -> None:
    for stop_at in (2, 4):
        out = tmp_path / str(stop_at)
        stages.trained.clear()
        assert trainer(out).train(candidate, Listening(stop_at)) is None
        assert len(stages.trained) == stop_at
        # another candidate of the same network hears of the epochs that are there, and no more
        listening = Listening(stop_at)
        assert trainer(out).train(replace(candidate, scheme="int8"), listening) is None
        assert len(listening.heard) == stop_at
        assert len(stages.trained) == stop_at
        # one that is not hopeless goes on from there
        assert trainer(out).train(candidate, Listening()) is not None
        assert len(stages.trained) == 5


def test_epochs_between_cuts_count_in_the_curve(stages: FakeStages, tmp_path: Path) -> None:
    spec = PruneSpec(rounds=3, between_epochs=1, fine_tune=TrainSpec(epochs=2))
    recipe = replace(RECIPE, prune=spec)
    listening = Listening()
    pruned = trainer(tmp_path, recipe).train(PRUNED, listening)
    assert pruned is not None
    assert listening.heard == [*BASE, (6, 6.9), (7, 6.8)]
    assert pruned.mae_curve_years == pytest.approx([7.9, 7.8, 7.7, 7.4, 7.4, 6.9, 6.8])


def test_another_side_is_read_anew_and_the_last_one_let_go(
    stages: FakeStages, tmp_path: Path
) -> None:
    trainer_ = trainer(tmp_path)
    for side_px in (32, 32, 64, 32):
        trainer_.train(replace(PLAIN, side_px=side_px), Listening())
    assert stages.opened == 3


def test_a_history_that_is_none_is_empty_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert history_in(tmp_path / "nothing") == ()
    for content in ("{", "[]", '{"history": [{"epoch": 1}]}', "{}"):
        (tmp_path / "state.json").write_text(content)
        with pytest.raises(ModelError, match="not a checkpoint state"):
            history_in(tmp_path)
