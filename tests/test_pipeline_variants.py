"""Train once, then compress that model in other ways: each says in name and sidecar what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from edgeface.compress.tfmot import heavy_layers
from edgeface.export.flatbuffer import float_tensors
from edgeface.model.saved import read_model
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.selftest import self_test
from test_pipeline import Ran, edgeface, refuse_to_train

pytestmark = pytest.mark.slow

NETWORK = """
[data]
drawn_count = 120
drawn_side_px = 64

[model]
width_ratio = 0.35
side_px = 32
weights = "none"

[train]
epochs = 1
batch_size = 16
"""
SHORT = "epochs = 1\nbatch_size = 16\ndistill_ratio = 0.5\n"
SPARSE = f"""
prune = {{budget = "latency", budget_ratio = 0.7, criterion = "taylor", rounds = 2, cycles = 2}}
quantize.calibration_images = 24

[sparsify]
sparsity = 0.75

[sparsify.fine_tune]
{SHORT.replace("epochs = 1", "epochs = 2")}
"""
CLUSTERED = f"""
prune.pruning_ratio = 0
quantize.calibration_images = 24

[cluster]
clusters = 16

[cluster.fine_tune]
{SHORT}
"""
QAT = f"""
prune.pruning_ratio = 0

[quantize]
method = "qat"
calibration_images = 24

[quantize.fine_tune]
{SHORT}
"""
WHOLE = "mobilenetv2-a35-32px"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("variants")


def train(folder: Path) -> Ran:
    recipe = folder / "train.toml"
    recipe.write_text(NETWORK)
    return edgeface("train", "--recipe", recipe, "--out", folder / "trained")


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    ran = train(folder)
    assert ran.status == 0, ran.stderr
    assert ran.stdout.split() == [str(folder / "trained" / f"{WHOLE}.keras")]
    return folder / "trained" / f"{WHOLE}.keras"


def compress(folder: Path, model: Path, name: str, text: str) -> Path:
    recipe = folder / f"{name}.toml"
    recipe.write_text(f"{text.partition('[')[0]}{NETWORK}[{text.partition('[')[2]}")
    ran = edgeface(
        *("compress", "--recipe", recipe, "--model", model),
        *("--out", folder / name, "--calibration", folder / "calibration"),
    )
    assert ran.status == 0, ran.stderr
    return folder / name


def test_the_same_training_again_trains_nothing(
    trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    before = trained.with_name(f"{trained.name}.json").read_text()
    assert train(folder).status == 0
    assert (
        trained.with_name(f"{trained.name}.json").read_text().splitlines()[3:]
        == (before.splitlines()[3:])
    )


def test_a_model_of_another_run_is_not_replaced_unasked(
    trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    recipe = folder / "other.toml"
    recipe.write_text(f"seed = 9\n{NETWORK}")
    ran = edgeface("train", "--recipe", recipe, "--out", trained.parent)
    assert ran.status == 1
    assert "made by another run; give --overwrite" in ran.stderr.splitlines()[-1]


def test_what_was_trained_says_how_it_did_on_validation(trained: Path) -> None:
    _, about = read_model(trained)
    (record,) = about.history
    assert record.validation["age"] > 0
    assert 0 <= record.validation["gender"] <= 1
    assert about.recipe["train"]["epochs"] == 1
    assert about.data == "drawn faces"


def test_pruned_by_latency_and_sparse(trained: Path, folder: Path) -> None:
    out = compress(folder, trained, "sparse", SPARSE)
    whole, pruned, sparse, int8 = (
        load_artifact(out / f"{WHOLE}{of}.tflite")
        for of in (
            "-float32",
            "-latency70-float32",
            "-latency70-s75-float32",
            "-latency70-s75-int8",
        )
    )
    for artifact in (whole, pruned, sparse, int8):
        assert self_test(artifact) == ()
    assert [len(each.sidecar.provenance.steps) for each in (whole, pruned, sparse, int8)] == [
        *(0, 1, 2, 3)
    ]
    steps = int8.sidecar.provenance.steps
    assert "taylor, to 70 % of latency, 2 rounds" in steps[0]
    assert steps[1] == "75 % of kernel weights zero (unstructured)"
    assert steps[2] == "int8 after training, 24 calibration images"
    assert pruned.sidecar.provenance.macs < whole.sidecar.provenance.macs
    assert len(sparse.content) < len(pruned.content), "sparse encoding saves nothing"
    assert float_tensors(int8.content) == ()
    model, about = read_model(out / f"{WHOLE}-latency70.keras")
    assert about.pruning_ratio == pruned.sidecar.provenance.pruning_ratio > 0
    assert model.count_params() == pruned.sidecar.provenance.parameters
    assert list(out.glob(".work/*/layer_times.json"))


def test_clustered(trained: Path, folder: Path) -> None:
    out = compress(folder, trained, "clustered", CLUSTERED)
    artifact = load_artifact(out / f"{WHOLE}-c16-float32.tflite")
    assert artifact.sidecar.provenance.steps == ("16 values a layer (clustered)",)
    assert self_test(load_artifact(out / f"{WHOLE}-c16-int8.tflite")) == ()


def test_trained_with_the_rounding(trained: Path, folder: Path) -> None:
    out = compress(folder, trained, "qat", QAT)
    artifact = load_artifact(out / f"{WHOLE}-qat-int8.tflite")
    assert artifact.sidecar.provenance.steps == ("int8, 1 epochs quantization-aware",)
    assert len(artifact.sidecar.provenance.calibration_ids) == 24
    assert float_tensors(artifact.content) == ()
    assert self_test(artifact) == ()


def test_the_model_itself_was_not_changed(trained: Path) -> None:
    model, _ = read_model(trained)
    assert not any(
        (np.asarray(model.get_layer(name).kernel) == 0).any() for name in heavy_layers(model)
    )
    assert isinstance(model, keras.Model)
