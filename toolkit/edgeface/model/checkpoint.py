"""Checkpoints that survive a kill at any moment: each is whole before it is pointed at.

`state.json` names the checkpoint to go on from and the best one so far. It is replaced last, so a
kill loses at most the epoch it interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from edgeface.errors import ModelError
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.types import EpochRecord


def epochs_since_best(history: Sequence[EpochRecord]) -> int:
    """Count the epochs that came after the first one with the lowest score; 0 without any."""
    scores = [record.score for record in history]
    return len(scores) - 1 - scores.index(min(scores)) if scores else 0


@dataclass(frozen=True, kw_only=True)
class _State:
    run_id: str
    latest: str
    best: str
    history: tuple[EpochRecord, ...]


class Checkpoints:
    """The checkpoints of one training, in one folder."""

    def __init__(
        self, folder: Path, run_id: str, model: Any, optimizer: Any, average: Any = None
    ) -> None:
        """Look at what an earlier run left.

        Args:
            folder: of the checkpoints; made if it is not there.
            run_id: digest of all that determines the training.
            model: that is trained.
            optimizer: of it.
            average: model that averages the trained one's weights. It is what is kept as the best
                epoch then, and goes on where it was too.

        Raises:
            ModelError: the folder cannot be made, or belongs to another run.
        """
        self._folder = folder
        self._run_id = run_id
        trained = {"model": model, "optimizer": optimizer}
        if average is not None:
            trained["average"] = average
        self._training = tf.train.Checkpoint(**trained)
        self._weights = tf.train.Checkpoint(model=model if average is None else average)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise ModelError(f"checkpoint folder {folder}: cannot be made: {err}") from err
        self._state = self._read()

    def restore(self) -> tuple[EpochRecord, ...]:
        """Bring model, optimizer and average to the last whole epoch.

        Returns:
            The epochs so far, none if there is no checkpoint.
        """
        if self._state is None:
            return ()
        self._load(self._training, self._state.latest)
        return self._state.history

    def save(self, record: EpochRecord) -> tuple[EpochRecord, ...]:
        """Keep this epoch, and its weights apart if it is the best so far.

        Raises:
            ModelError: the folder cannot be written; what it held before is still good.
        """
        earlier = self._state
        history = (*(earlier.history if earlier else ()), record)
        latest = f"epoch-{record.epoch:04d}"
        best = f"best-{record.epoch:04d}"
        is_best = record.score == min(r.score for r in history)
        try:
            self._training.write(str(self._folder / latest))
            if is_best or earlier is None:
                self._weights.write(str(self._folder / best))
            else:
                best = earlier.best
            state = _State(run_id=self._run_id, latest=latest, best=best, history=history)
            write_json(self._folder / "state.json", state)
            self._state = state
            self._remove_all_but(latest, best, "state")
        except (OSError, tf.errors.OpError) as err:
            reason = str(err).splitlines()[0]
            raise ModelError(
                f"checkpoint folder {self._folder}: cannot be written: {reason}; "
                "free space, then run the same again"
            ) from err
        return history

    def restore_best(self) -> None:
        """Bring the model, or its average if there is one, to the weights of the best epoch."""
        if self._state is not None:
            self._load(self._weights, self._state.best)

    def _remove_all_but(self, *stems: str) -> None:
        for file in self._folder.iterdir():
            if file.name.split(".")[0] in stems:
                continue
            if file.is_dir():  # TensorFlow's own, left by a kill while it wrote
                shutil.rmtree(file)
            else:
                file.unlink()

    def _load(self, checkpoint: Any, name: str) -> None:
        try:
            checkpoint.read(str(self._folder / name)).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError) as err:
            reason = str(err).splitlines()[0]
            raise ModelError(
                f"checkpoint {self._folder / name}: does not fit this model: {reason}; "
                "delete the folder to start again"
            ) from err

    def _read(self) -> _State | None:
        file = self._folder / "state.json"
        if not file.exists():
            return None
        try:
            state = from_mapping(_State, json.loads(file.read_text("utf-8")))
        except (RecordError, ValueError, OSError) as err:
            raise ModelError(f"{file}: not a checkpoint state: {err}; delete the folder") from err
        if state.run_id != self._run_id:
            raise ModelError(
                f"{self._folder}: holds the checkpoints of another run ({state.run_id[:12]}, "
                f"expected {self._run_id[:12]}); delete the folder or choose another --out"
            )
        return state
