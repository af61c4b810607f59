"""Saved models: what was written is what is read, and a file brings no code of its own."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.compress.prune import prune
from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.networks import build_model
from edgeface.model.saved import (
    SCHEMA_VERSION,
    SavedModel,
    read_description,
    read_model,
    read_teacher,
    write_model,
)
from edgeface.types import EpochRecord, SilentReporter

SPEC = ModelSpec(width_ratio=0.35, side_px=32, weights="none")
RECORD = EpochRecord(
    epoch=1,
    train_loss=1.0,
    validation_loss=1.5,
    train={"gender": 1.0},
    validation={"gender": 0.9, "age": 5.0},
    score=7.0,
)
ABOUT = SavedModel(
    schema_version=SCHEMA_VERSION,
    sha256="",
    spec=SPEC,
    run_id="a" * 64,
    recipe={"seed": 1},
    data="drawn faces",
    manifest_sha256="b" * 64,
    pruning_ratio=0.0,
    history=(RECORD,),
    commit="unknown",
)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.float32)


def outputs(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = model.predict(IMAGES, verbose=0)
    return found


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    whole = build_model(SPEC, seed=1, reporter=SilentReporter())
    return {"whole": whole, "pruned": prune(whole, pruning_ratio=0.5, round_to=8, scope="all")[0]}


@pytest.fixture
def written(tmp_path: Path, make_tiny_model: Callable[[], Any]) -> Path:
    path = tmp_path / "folder" / "name.keras"
    write_model(path, make_tiny_model(), ABOUT)
    return path


@pytest.mark.parametrize("which", ["whole", "pruned"])
def test_a_model_comes_back_as_it_was(which: str, networks: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "name.keras"
    write_model(path, networks[which], ABOUT)
    model, about = read_model(path)
    expected = outputs(networks[which])
    for name, found in outputs(model).items():
        np.testing.assert_array_equal(found, expected[name])
    assert about == replace(ABOUT, sha256=about.sha256)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["name.keras", "name.keras.json"]


def test_a_saved_model_teaches(written: Path, make_tiny_model: Callable[[], Any]) -> None:
    teacher, about = read_teacher(written)
    assert (teacher.name, teacher.side_px) == ("name", 32)
    assert [head.name for head in teacher.heads] == ["gender", "age"]
    assert about.data == "drawn faces"


def rewritten(path: Path, change: Callable[[Any], None]) -> None:
    """Change the architecture in a file, and make the description agree with it."""
    import hashlib

    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    beside = path.with_name("name.keras.json")
    about = json.loads(beside.read_text())
    about["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    beside.write_text(json.dumps(about))


def to_lambda(config: Any) -> None:
    layer = config["config"]["layers"][1]
    layer.update(class_name="Lambda", config={"name": "evil", "function": "print"})


def to_own_class(config: Any) -> None:
    config["config"]["layers"][1].update(module="os", class_name="system")


def to_registered(config: Any) -> None:
    config["config"]["layers"][1].update(registered_name="package>Own")


def to_initializer(config: Any) -> None:
    layer = config["config"]["layers"][2]["config"]
    layer["kernel_initializer"].update(module="subprocess", class_name="Popen")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (to_lambda, "keras.layers.Lambda"),
        (to_own_class, "os.system"),
        (to_registered, "package>Own"),
        (to_initializer, "subprocess.Popen"),
    ],
)
def test_a_file_with_code_of_its_own_is_refused(
    written: Path, change: Callable[[Any], None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(written, change)

    def build(*_: object, **__: object) -> None:
        raise AssertionError("it is built")

    monkeypatch.setattr(keras.models, "load_model", build)
    with pytest.raises(ModelError, match=says):
        read_model(written)


def test_an_unchanged_rewritten_file_is_read(written: Path) -> None:
    """So that the test above fails for the change and not for the rewriting."""
    rewritten(written, lambda config: None)
    assert read_model(written)[1].data == "drawn faces"


def test_a_file_that_is_not_the_one_described_is_refused(written: Path) -> None:
    content = bytearray(written.read_bytes())
    content[len(content) // 2] ^= 1
    written.write_bytes(content)
    with pytest.raises(ModelError, match="do not belong together"):
        read_model(written)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a model description"),
        ("{}", "schema_version: missing"),
        (None, "is not beside it"),
    ],
)
def test_a_bad_description_is_said(written: Path, text: str | None, says: str) -> None:
    beside = written.with_name("name.keras.json")
    if text is None:
        beside.unlink()
    else:
        beside.write_text(text)
    with pytest.raises(ModelError, match=says):
        read_description(written)


OLD_RECORD = {
    "epoch": 1,
    "train_loss": 1.0,
    "validation_age_mae_years": 5.0,
    "validation_gender_accuracy_ratio": 0.9,
    "score": 7.0,
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"schema_version": 1, "history": [OLD_RECORD]},
            "schema_version is 1, expected 2: trained by an older edgeface, whose description of a "
            "model is another; train it again",
        ),
        (
            {"schema_version": 3, "mood": "of a version to come"},
            "schema_version is 3, expected 2: trained by a newer edgeface, whose description of a "
            "model is another; update edgeface",
        ),
    ],
)
def test_another_version_is_refused_in_one_line(
    written: Path, changes: dict[str, Any], says: str
) -> None:
    beside = written.with_name("name.keras.json")
    about = json.loads(beside.read_text())
    beside.write_text(json.dumps({**about, **changes}))
    for read in (read_description, read_model, read_teacher):
        with pytest.raises(ModelError) as caught:
            read(written)
        assert str(caught.value) == f"{beside}: {says}"
