"""Checkpoints: what a kill between any two files leaves, and what a garbled folder is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.errors import ModelError
from edgeface.model.checkpoint import Checkpoints, epochs_since_best
from edgeface.types import EpochRecord

RUN_ID = "a" * 64


def linear_model(units: int = 2) -> tuple[Any, Any]:
    image = keras.Input((3,))
    model = keras.Model(image, keras.layers.Dense(units, name="dense")(image))
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def record(epoch: int, score: float) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        train_loss=1.0,
        validation_loss=2.0 if epoch > 1 else None,
        train={"gender": 1.0},
        validation={"gender": 1.0, "age": score},
        score=score,
    )


def fill(model: Any, value: float) -> None:
    for variable in model.variables:
        variable.assign(tf.fill(variable.shape, float(value)))


def value_of(model: Any) -> float:
    values = np.unique(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    assert len(values) == 1, "not the weights of one epoch"
    return float(values[0])


def train(folder: Path, scores: list[float], run_id: str = RUN_ID) -> Checkpoints:
    """Save an epoch a score; the weights of epoch n are all n."""
    model, optimizer = linear_model()
    checkpoints = Checkpoints(folder, run_id, model, optimizer)
    checkpoints.restore()
    for epoch, score in enumerate(scores, start=1):
        fill(model, epoch)
        optimizer.iterations.assign(10 * epoch)
        checkpoints.save(record(epoch, score))
    return checkpoints


def train_on(folder: Path, epoch: int, score: float) -> None:
    model, optimizer = linear_model()
    checkpoints = Checkpoints(folder, RUN_ID, model, optimizer)
    checkpoints.restore()
    fill(model, epoch)
    checkpoints.save(record(epoch, score))


def names(folder: Path) -> set[str]:
    return {file.name.split(".")[0] for file in folder.iterdir()}


def refusal(folder: Path) -> str:
    """The one line with which a folder is refused."""
    with pytest.raises(ModelError) as caught:
        Checkpoints(folder, RUN_ID, *linear_model()).restore()
    text = str(caught.value)
    assert "\n" not in text
    assert str(folder) in text
    assert "delete the folder" in text
    return text


def test_a_fresh_process_goes_on_from_the_last_epoch_and_finds_the_best(tmp_path: Path) -> None:
    train(tmp_path, [5.0, 3.0, 4.0])
    model, optimizer = linear_model()
    checkpoints = Checkpoints(tmp_path, RUN_ID, model, optimizer)
    history = checkpoints.restore()
    assert history == (record(1, 5.0), record(2, 3.0), record(3, 4.0))
    assert value_of(model) == 3
    assert int(optimizer.iterations) == 30
    checkpoints.restore_best()
    assert value_of(model) == 2
    assert names(tmp_path) == {"state", "epoch-0003", "best-0002"}


def test_a_new_folder_has_no_history(tmp_path: Path) -> None:
    model, optimizer = linear_model()
    fill(model, 7)
    checkpoints = Checkpoints(tmp_path / "a" / "b", RUN_ID, model, optimizer)
    assert checkpoints.restore() == ()
    checkpoints.restore_best()
    assert value_of(model) == 7


@settings(max_examples=3, deadline=None)
@given(scores=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=5))
def test_best_is_an_epoch_with_the_lowest_score(
    tmp_path_factory: pytest.TempPathFactory, scores: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("scores")
    train(folder, scores)
    model, optimizer = linear_model()
    Checkpoints(folder, RUN_ID, model, optimizer).restore_best()
    assert scores[int(value_of(model)) - 1] == min(scores)


def test_an_average_goes_on_with_the_training_and_is_what_is_kept_as_the_best(
    tmp_path: Path,
) -> None:
    model, optimizer = linear_model()
    average, _ = linear_model()
    checkpoints = Checkpoints(tmp_path, RUN_ID, model, optimizer, average)
    for epoch, score in enumerate([5.0, 3.0, 4.0], start=1):
        fill(model, epoch)
        fill(average, epoch / 2)
        checkpoints.save(record(epoch, score))
    model, optimizer = linear_model()
    average, _ = linear_model()
    checkpoints = Checkpoints(tmp_path, RUN_ID, model, optimizer, average)
    assert len(checkpoints.restore()) == 3
    assert (value_of(model), value_of(average)) == (3, 1.5)
    checkpoints.restore_best()
    assert (value_of(model), value_of(average)) == (3, 1)


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [([], 0), ([5.0], 0), ([5.0, 3.0], 0), ([5.0, 3.0, 4.0, 3.5], 2), ([3.0, 3.0, 3.0], 2)],
)
def test_an_equal_score_is_no_better(scores: list[float], epochs: int) -> None:
    history = [record(epoch, score) for epoch, score in enumerate(scores, start=1)]
    assert epochs_since_best(history) == epochs


def test_killed_before_state_json_it_goes_on_from_the_epoch_before(tmp_path: Path) -> None:
    train(tmp_path, [5.0, 4.0])
    state = (tmp_path / "state.json").read_bytes()
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    train_on(tmp_path, 3, 2.0)
    # both checkpoints of epoch 3 are there, the pointer is not, nothing is deleted yet
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / ".state.json.4711.tmp").write_bytes(state[:50])
    (tmp_path / "epoch-0003_temp").mkdir()
    (
        tmp_path / "epoch-0003_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate4711"
    ).write_bytes(b"half")
    model, optimizer = linear_model()
    checkpoints = Checkpoints(tmp_path, RUN_ID, model, optimizer)
    assert len(checkpoints.restore()) == 2
    assert value_of(model) == 2
    fill(model, 3)
    checkpoints.save(record(3, 6.0))
    checkpoints.restore_best()
    assert value_of(model) == 2
    assert names(tmp_path) == {"state", "epoch-0003", "best-0002"}


def test_killed_before_the_old_files_are_deleted_it_goes_on_from_the_new(tmp_path: Path) -> None:
    train(tmp_path, [5.0])
    kept = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    train_on(tmp_path, 2, 4.0)
    for name, content in kept.items():
        if name != "state.json":
            (tmp_path / name).write_bytes(content)
    model, optimizer = linear_model()
    assert len(Checkpoints(tmp_path, RUN_ID, model, optimizer).restore()) == 2
    assert value_of(model) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x00\xff",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"run_id": 1, "latest": "epoch-0001", "best": "best-0001", "history": []}',
        b'{"run_id": "a", "latest": "epoch-0001", "best": "best-0001", "history": [{"epoch": 1}]}',
        # as an older edgeface wrote it
        b'{"run_id": "a", "latest": "epoch-0001", "best": "best-0001", "history": [{"epoch": 1, '
        b'"train_loss": 1.0, "validation_age_mae_years": 5.0, "score": 5.0}]}',
    ],
)
def test_a_garbled_state_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    train(tmp_path, [5.0])
    (tmp_path / "state.json").write_bytes(content)
    assert "state.json: not a checkpoint state" in refusal(tmp_path)


@settings(max_examples=40, deadline=None)
@given(position=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_changed_byte_of_a_state_gives_another_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("state")
    state = {
        "run_id": RUN_ID,
        "latest": "epoch-0001",
        "best": "best-0001",
        "history": [vars(record(1, 5.0))],
    }
    content = bytearray(json.dumps(state).encode())
    content[position % len(content)] = byte
    (folder / "state.json").write_bytes(content)
    # whatever the byte did, the checkpoint that it names is not there
    refusal(folder)


def test_a_state_whose_checkpoint_is_gone_is_refused(tmp_path: Path) -> None:
    train(tmp_path, [5.0])
    for file in tmp_path.glob("epoch-0001*"):
        file.unlink()
    assert "epoch-0001: does not fit this model" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, suffix: str) -> None:
    train(tmp_path, [5.0])
    file = tmp_path / f"epoch-0001.{suffix}"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "epoch-0001: does not fit this model" in refusal(tmp_path)


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    train(tmp_path, [5.0])
    model, optimizer = linear_model(units=3)
    with pytest.raises(ModelError, match="epoch-0001: does not fit this model") as caught:
        Checkpoints(tmp_path, RUN_ID, model, optimizer).restore()
    assert "\n" not in str(caught.value)


def test_the_folder_of_another_run_is_refused_and_stays(tmp_path: Path) -> None:
    train(tmp_path, [5.0], run_id="b" * 64)
    before = sorted(file.name for file in tmp_path.iterdir())
    assert "holds the checkpoints of another run (bbbbbbbbbbbb" in refusal(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be made"):
        Checkpoints(tmp_path / "file" / "train", RUN_ID, *linear_model())


def test_a_save_that_fails_says_so_and_keeps_the_epoch_before(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    model, optimizer = linear_model()
    checkpoints = Checkpoints(folder, RUN_ID, model, optimizer)
    fill(model, 1)
    checkpoints.save(record(1, 5.0))
    folder.rename(tmp_path / "away")
    folder.write_text("a file where the folder was")
    fill(model, 2)
    with pytest.raises(ModelError, match=r"cannot be written: .*run the same again") as caught:
        checkpoints.save(record(2, 4.0))
    assert "\n" not in str(caught.value)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert len(Checkpoints(folder, RUN_ID, model, optimizer).restore()) == 1
    assert value_of(model) == 1
