"""The whole job once, small: compress, bench and predict, through the command line's own entry."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tf_keras as keras

from edgeface.bench.result import read_result
from edgeface.cli import main
from edgeface.config import load_recipe
from edgeface.data.drawn import draw_face
from edgeface.data.manifest import Manifest
from edgeface.data.manifest_file import read_manifest, write_manifest
from edgeface.data.sources import CacheSpec, load_faces, open_data
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.runtime.selftest import self_test
from edgeface.types import SilentReporter

pytestmark = pytest.mark.slow

RECIPE = """
seed = {seed}

[data]
drawn_count = 200
drawn_side_px = 64

[model]
width_ratio = 0.35
side_px = 32
weights = "none"

[train]
epochs = 1
batch_size = 16

[prune]
pruning_ratio = 0.3

[prune.fine_tune]
epochs = 1
batch_size = 16

[quantize]
calibration_images = 24
"""
FLOAT, PRUNED, INT8, BASELINE = NAMES = (
    "mobilenetv2-a35-32px-float32",
    "mobilenetv2-a35-32px-p30-float32",
    "mobilenetv2-a35-32px-p30-int8",
    "vgg16-a100-128px-float32",
)
KEPT = ("mobilenetv2-a35-32px", "mobilenetv2-a35-32px-p30")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one command left."""

    status: int
    stdout: str
    stderr: str


def edgeface(*arguments: object) -> Ran:
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as done,
    ):
        main([str(argument) for argument in arguments])
    status = done.value.code
    assert status is None or isinstance(status, int)
    return Ran(status=status or 0, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def compress(folder: Path, seed: int = 1) -> Ran:
    recipe = folder / f"tiny-{seed}.toml"
    recipe.write_text(RECIPE.format(seed=seed))
    places = ("--out", folder / "out", "--calibration", folder / "calibration")
    return edgeface("compress", "--recipe", recipe, *places)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*_: object, **__: object) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr(keras.Model, "fit", fit)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture(scope="module")
def compressed(folder: Path) -> Ran:
    return compress(folder)


@pytest.fixture(scope="module")
def artifacts(compressed: Ran, folder: Path) -> dict[str, Artifact]:
    assert compressed.status == 0, compressed.stderr
    return {name: load_artifact(folder / "out" / f"{name}.tflite") for name in NAMES}


@pytest.fixture(scope="module")
def manifest(folder: Path, compressed: Ran) -> Manifest:
    recipe = load_recipe(str(folder / "tiny-1.toml"))
    return open_data([], recipe.data, recipe.seed, SilentReporter())


def test_four_artifacts_with_sidecars_and_their_paths_on_stdout(
    compressed: Ran, artifacts: dict[str, Artifact], folder: Path
) -> None:
    assert compressed.stdout.split() == [str(folder / "out" / f"{name}.tflite") for name in NAMES]
    assert sorted(contents(folder / "out")) == sorted(
        [
            "manifest.json",
            *(f"{name}.{ending}" for name in NAMES for ending in ("json", "tflite")),
            *(f"{name}.{ending}" for name in KEPT for ending in ("keras", "keras.json")),
        ]
    )
    assert "on the test split of drawn faces:" in compressed.stderr
    assert f"Verdicts against {FLOAT}" in compressed.stderr
    for artifact in artifacts.values():
        assert self_test(artifact) == ()


def test_what_the_sidecars_say_of_the_making(
    artifacts: dict[str, Artifact], manifest: Manifest
) -> None:
    made = {name: artifact.sidecar.provenance for name, artifact in artifacts.items()}
    assert len({provenance.run_id for provenance in made.values()}) == 1
    for name in (FLOAT, PRUNED, INT8):
        assert (made[name].data, made[name].data_kind) == ("drawn faces", "drawn")
        assert made[name].manifest_sha256 == manifest.sha256
        assert made[name].trained
        assert made[name].recipe["prune"]["pruning_ratio"] == 0.3
    assert not made[BASELINE].trained
    assert made[BASELINE].parameters == 18_910_018
    assert made[FLOAT].pruning_ratio == 0
    assert made[PRUNED].pruning_ratio == made[INT8].pruning_ratio == pytest.approx(0.3, abs=0.05)
    assert made[INT8].parameters == made[PRUNED].parameters < made[FLOAT].parameters
    assert made[INT8].macs == made[PRUNED].macs < made[FLOAT].macs
    sizes = [artifacts[name].sidecar.size_bytes for name in (INT8, PRUNED, FLOAT, BASELINE)]
    assert sizes == sorted(sizes)


def test_calibration_images_are_training_images_and_no_others(
    artifacts: dict[str, Artifact], manifest: Manifest, folder: Path
) -> None:
    ids = artifacts[INT8].sidecar.provenance.calibration_ids
    assert len(set(ids)) == len(ids) == 24
    splits = {row.id: row.split for row in manifest.rows}
    assert {splits[each] for each in ids} == {"train"}
    record = json.loads((folder / "calibration" / f"{INT8}.json").read_text())
    assert [image["id"] for image in record["images"]] == list(ids)
    assert record["manifest_sha256"] == manifest.sha256
    assert record["stability"]["images"] == 24
    for name in (FLOAT, PRUNED, BASELINE):
        assert artifacts[name].sidecar.provenance.calibration_ids == ()


def test_the_manifest_is_kept_beside_the_models(
    artifacts: dict[str, Artifact], manifest: Manifest, folder: Path
) -> None:
    kept = read_manifest(folder / "out" / "manifest.json")
    assert kept == manifest
    assert kept.sha256 == artifacts[INT8].sidecar.provenance.manifest_sha256


def test_quality_is_that_of_the_file_on_the_test_split(
    artifacts: dict[str, Artifact], manifest: Manifest, tmp_path: Path
) -> None:
    cache = CacheSpec(folder=tmp_path, memory_bytes=10**7, disk_bytes=0)
    faces = load_faces(manifest, "test", 32, cache, SilentReporter())
    assert len(faces) == len(manifest.of_split("test")) == 40
    for name in (FLOAT, PRUNED, INT8):
        quality = artifacts[name].sidecar.quality
        assert quality is not None
        assert (quality.data, quality.split, quality.n) == ("drawn faces", "test", 40)
        assert quality.manifest_sha256 == manifest.sha256
        values = {metric.name: metric.value for metric in quality.metrics}
        predicted = predict_faces(open_predictor(artifacts[name]), faces.images)
        right = (predicted["gender"] >= 0.5) == (faces.class_of("gender") == 1)
        assert values["accuracy"] == pytest.approx(right.mean())
        assert values["mae"] == pytest.approx(
            np.abs(predicted["age"] - faces.exact_age_years).mean()
        )
    assert artifacts[BASELINE].sidecar.quality is None


def test_bench_measures_the_same_figures(artifacts: dict[str, Artifact], folder: Path) -> None:
    file = folder / "bench.json"
    short = ("--repeats", 1, "--min-duration-s", 0.2)
    ran = edgeface("bench", folder / "out", *short, "--json", file)
    assert ran.status == 0, ran.stderr
    result = read_result(file)
    assert result.data == "drawn faces"
    assert result.baseline == BASELINE
    assert [entry.name for entry in result.entries] == sorted(NAMES)
    for entry in result.entries:
        sidecar = artifacts[entry.name].sidecar
        assert entry.quality == sidecar.quality
        assert entry.artifact_sha256 == sidecar.sha256
        assert entry.latency is not None
        assert entry.memory is not None
    # the table's columns may break a name, the beginning of each model's stands
    assert "mobilenetv2" in ran.stdout
    assert "vgg16" in ran.stdout
    assert "drawn faces" in ran.stdout
    assert "not measured" in ran.stdout, "the baseline has random weights"


def test_inspect_finds_nothing_wrong_with_what_compress_made(
    artifacts: dict[str, Artifact],
) -> None:
    for name, artifact in artifacts.items():
        ran = edgeface("inspect", artifact.path, "--json")
        assert ran.status == 0, (name, ran.stdout)
        found = json.loads(ran.stdout)
        assert found["macs"] == artifact.sidecar.provenance.macs
        assert [each for each in found["findings"] if each["severity"] == "error"] == []


def test_predict_says_what_is_in_a_picture_and_what_is_none(
    artifacts: dict[str, Artifact], folder: Path
) -> None:
    face, text = folder / "face.png", folder / "text.png"
    image = draw_face(seed=9, index=0, side_px=96).image
    assert cv2.imwrite(str(face), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    text.write_text("this is no picture")
    model = artifacts[INT8].path
    ran = edgeface("predict", model, text, face, "--no-detect", "--json")
    assert ran.status == 1
    refused, seen = (json.loads(line) for line in ran.stdout.splitlines())
    assert refused.keys() == {"image", "error"}
    assert refused["image"] == str(text)
    assert str(text) in refused["error"]
    assert seen["image"] == str(face)
    (found,) = seen["faces"]
    assert found.keys() == {"box", "age", "gender", "p_female"}
    assert found["box"] is None
    assert 0 <= found["age"] <= 100
    assert found["gender"] == ("female" if found["p_female"] >= 0.5 else "male")
    values = predict_faces(open_predictor(artifacts[INT8]), [image])
    assert found["p_female"] == pytest.approx(values["gender"][0], abs=1e-4)
    assert found["age"] == pytest.approx(values["age"][0], abs=0.051)
    assert edgeface("predict", model, face, "--no-detect", "--json").status == 0


def test_the_same_request_again_trains_nothing_and_gives_the_same_models(
    artifacts: dict[str, Artifact], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    ran = compress(folder)
    assert ran.status == 0, ran.stderr
    assert "goes on after epoch 1 of 1" in ran.stderr
    for name, artifact in artifacts.items():
        again = load_artifact(folder / "out" / f"{name}.tflite")
        assert again.content == artifact.content, name
        provenance = replace(
            again.sidecar.provenance,
            created_utc=artifact.sidecar.provenance.created_utc,
            commit=artifact.sidecar.provenance.commit,
        )
        assert replace(again.sidecar, provenance=provenance) == artifact.sidecar


def test_another_seed_does_not_replace_the_models_unasked(
    artifacts: dict[str, Artifact], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    before = contents(folder / "out")
    ran = compress(folder, seed=2)
    assert ran.status == 1
    assert ran.stdout == ""
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("edgeface: ")
    assert "made by another run; give --overwrite" in last
    assert contents(folder / "out") == before


def test_the_manifest_of_other_models_is_not_replaced_unasked(
    artifacts: dict[str, Artifact], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models of another side have other names; without their manifest the old ones are lost."""
    refuse_to_train(monkeypatch)
    assert artifacts
    before = contents(folder / "out")
    recipe = folder / "other.toml"
    recipe.write_text(RECIPE.format(seed=2).replace("side_px = 32", "side_px = 64"))
    ran = edgeface("compress", "--recipe", recipe, "--out", folder / "out")
    assert ran.status == 1
    last = ran.stderr.splitlines()[-1]
    assert "manifest.json: would be replaced" in last
    assert contents(folder / "out") == before


def test_a_test_split_without_labels_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    (tmp_path / "faces").mkdir()
    lines = ["path,age,gender,split"]
    for i in range(60):
        split = ("train", "train", "train", "validation", "test")[i % 5]
        name = f"{i:02d}.png"
        picture = draw_face(seed=3, index=i, side_px=48).image
        assert cv2.imwrite(str(tmp_path / "faces" / name), picture)
        lines.append(f"{name},{'' if split == 'test' else 20 + i},{i % 2},{split}")
    (tmp_path / "faces" / "labels.csv").write_text("\n".join(lines))
    recipe = RECIPE.format(seed=1).replace("[model]", '[model]\nheads = ["age"]')
    (tmp_path / "tiny.toml").write_text(recipe)
    ran = edgeface(
        *("compress", "--data", tmp_path / "faces", "--recipe", tmp_path / "tiny.toml"),
        *("--out", tmp_path / "out", "--calibration", tmp_path / "calibration"),
    )
    assert ran.status == 1
    last = ran.stderr.splitlines()[-1]
    assert "none of 12 test images has a label of age (an age must be exact)" in last
    assert contents(tmp_path / "out") == {}


def test_bench_of_drawn_faces_says_to_leave_data_out(
    artifacts: dict[str, Artifact], folder: Path, tmp_path: Path
) -> None:
    other = open_data(
        [],
        replace(load_recipe(str(folder / "tiny-1.toml")).data, drawn_count=60),
        9,
        SilentReporter(),
    )
    write_manifest(tmp_path / "other.json", other)
    ran = edgeface(
        *("bench", artifacts[INT8].path, "--data", tmp_path / "other.json"),
        *("--json", tmp_path / "result.json"),
    )
    assert ran.status == 1
    assert "leave --data out, it was trained on drawn faces" in ran.stderr.splitlines()[-1]
