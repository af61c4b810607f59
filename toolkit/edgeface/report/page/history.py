"""How trainings went, epoch by epoch. In: what training leaves beside its models. Out: `Training`.

Two places have a history: `NAME.keras.json`, the description of a trained Keras model, and
`.work/RUN/STAGE/state.json`, the state of a training's checkpoints. Both are read as plain JSON,
because `model.checkpoint` needs TensorFlow; only the epochs in them are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeface.errors import ModelError
from edgeface.records import RecordError, from_mapping
from edgeface.types import EpochRecord, Sidecar


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training.

    Attributes:
        name: of the model, or of the stage and its run.
        run_id: of the run that it was a part of.
        epochs: in order, never empty.
    """

    name: str
    run_id: str
    epochs: tuple[EpochRecord, ...]

    @property
    def best(self) -> EpochRecord:
        """The epoch that was kept: the first with the lowest score."""
        return min(self.epochs, key=lambda epoch: epoch.score)


def read_trainings(folder: Path) -> tuple[Training, ...]:
    """Read the histories that are beside the models of a folder and under its `.work`.

    Args:
        folder: of `compress --out` or `train --out`.

    Returns:
        By name; of equal histories the first, which is that of a model.

    Raises:
        ModelError: a file is not readable, or its epochs are not what training writes.
    """
    models = sorted(folder.glob("*.keras.json"))
    states = sorted((folder / ".work").glob("*/*/state.json"))
    found: list[Training] = []
    for file in (*models, *states):
        run_id, epochs = _read(file)
        name = f"{file.parent.name}, run {run_id[:12]}"
        if file in models:
            name = file.name.removesuffix(".keras.json")
        if epochs and all(each.epochs != epochs for each in found):
            found.append(Training(name=name, run_id=run_id, epochs=epochs))
    return tuple(found)


def trainings_of(
    trainings: Sequence[Training], sidecars: Mapping[str, Sidecar]
) -> tuple[Training, ...]:
    """Keep the trainings that some models come from, and call them by these models.

    Args:
        trainings: of a folder.
        sidecars: of the models, by name; a training whose run none of them names is left out.
    """
    by_run: dict[str, str] = {}
    for name, sidecar in sorted(sidecars.items()):
        by_run.setdefault(sidecar.provenance.run_id, name.rpartition("-")[0] or name)
    return tuple(
        replace(each, name=_called(each, by_run[each.run_id]))
        for each in trainings
        if each.run_id in by_run
    )


def _called(training: Training, model: str) -> str:
    stage, found, _ = training.name.partition(", run ")
    return f"{model}: {stage}" if found else training.name


def _read(file: Path) -> tuple[str, tuple[EpochRecord, ...]]:
    try:
        mapping = json.loads(file.read_text("utf-8"))
        history = mapping["history"]
        return str(mapping["run_id"]), tuple(from_mapping(EpochRecord, _known(e)) for e in history)
    except (OSError, ValueError, KeyError, TypeError, RecordError) as err:
        raise ModelError(
            f"{file}: its history cannot be read: {err}; expected what training writes, make it "
            "again or move the file away"
        ) from err


def _known(epoch: Mapping[str, Any]) -> dict[str, Any]:
    # a newer edgeface may keep more about an epoch than is drawn here
    return {key: value for key, value in epoch.items() if key in EpochRecord.__dataclass_fields__}
