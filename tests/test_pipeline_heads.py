"""The whole job on models of other heads: three classes beside gender and age, or alone."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from edgeface.bench.held_out import find_held_out
from edgeface.bench.plan import BenchPlan
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run import Probes, bench
from edgeface.config import DataSpec, ModelSpec, PruneSpec, QuantizeSpec, Recipe, TrainSpec
from edgeface.data.manifest import Manifest
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import CacheSpec, load_faces
from edgeface.errors import DataError
from edgeface.export.flatbuffer import float_tensors
from edgeface.pipeline import Outcome, Request, compress
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.runtime.selftest import self_test
from edgeface.types import Advance, SilentReporter
from support.moody_faces import MOOD, moody_faces
from test_pipeline import refuse_to_train

pytestmark = pytest.mark.slow

SHORT = TrainSpec(epochs=1, batch_size=16)
RECIPE = Recipe(
    data=DataSpec(drawn_count=150, drawn_side_px=32),
    model=ModelSpec(
        width_ratio=0.35,
        side_px=32,
        weights="none",
        heads=("gender", "age", "mood"),
        classes={"mood": MOOD.classes},
    ),
    train=SHORT,
    prune=PruneSpec(pruning_ratio=0.3, fine_tune=SHORT),
    quantize=QuantizeSpec(calibration_images=16),
)
ALONE = replace(
    RECIPE,
    system="S3",
    model=replace(RECIPE.model, heads=("mood",)),
    prune=PruneSpec(pruning_ratio=0.0),
)


@dataclass
class Listening:
    """A reporter that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        return SilentReporter().track(label, total)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return moody_faces(count=150, side_px=32)


def request_of(
    folder: Path, manifest: Manifest, recipe: Recipe, start: Path | None = None
) -> Request:
    write_manifest(folder / "faces.json", manifest)
    return Request(
        recipe=recipe,
        data=(folder / "faces.json",),
        out=folder / "out",
        calibration_out=folder / "calibration",
        overwrite=False,
        start=start,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Outcome:
    folder = tmp_path_factory.mktemp("whole")
    return compress(request_of(folder, manifest, RECIPE), SilentReporter())


def test_three_heads_with_masked_labels_go_the_whole_way(
    whole: Outcome, manifest: Manifest, tmp_path: Path
) -> None:
    plain, pruned, int8, baseline = whole.artifacts
    cache = CacheSpec(folder=tmp_path, memory_bytes=10**7, disk_bytes=0)
    faces = load_faces(manifest, "test", 32, cache, SilentReporter())
    labelled = {name: int((of >= 0).sum()) for name, of in faces.classes.items()}
    assert 0 < labelled["gender"] < len(faces)
    assert 0 < labelled["mood"] < len(faces)
    for artifact in (plain, pruned, int8):
        assert self_test(artifact) == ()
        quality = artifact.sidecar.quality
        assert quality is not None
        found = {(each.task, each.name): each for each in quality.metrics}
        assert {task for task, _ in found} == {"gender", "age", "mood"}
        assert found["mood", "accuracy"].n == labelled["mood"]
        assert found["gender", "accuracy"].n == labelled["gender"]
        said = predict_faces(open_predictor(artifact), faces.images)
        assert said["mood"].shape == (len(faces), 3)
        known = faces.classes["mood"] >= 0
        right = said["mood"].argmax(axis=1)[known] == faces.classes["mood"][known]
        assert found["mood", "accuracy"].value == pytest.approx(right.mean())
    assert float_tensors(int8.content) == ()
    (mood,) = (each for each in int8.sidecar.contract.heads if each.name == "mood")
    shapes = {each.name: each.shape for each in int8.sidecar.contract.outputs}
    assert (mood.kind, mood.classes, shapes[mood.tensor]) == ("classes", MOOD.classes, (1, 3))
    for comparison in whole.comparisons:
        assert [each.task for each in comparison.tasks] == ["age", "gender", "mood"]
    assert baseline.sidecar.name == "vgg16-a100-128px-float32"
    assert [each.name for each in baseline.sidecar.contract.heads] == ["gender", "age", "mood"]


def test_bench_measures_the_same_figures_of_the_same_file(
    whole: Outcome, manifest: Manifest, tmp_path: Path
) -> None:
    int8 = whole.artifacts[2]
    write_manifest(tmp_path / "faces.json", manifest)
    held_out = find_held_out([int8], [tmp_path / "faces.json"], SilentReporter())
    assert held_out is not None
    assert set(held_out.groups) == set(held_out.load(32).ids)
    result = bench(
        [int8],
        plan=BenchPlan(protocol=BenchProtocol(), timed=False),
        held_out=replace(held_out, corruption_images=5),
        reporter=SilentReporter(),
        probes=Probes(delegation=lambda _: None),
    )
    (entry,) = result.entries
    assert entry.quality == int8.sidecar.quality
    assert {each.task for part in entry.slices for each in part.figures} == {
        *("gender", "age", "mood")
    }
    assert {each.n for each in entry.corruptions} == {5}
    assert all(
        {m.task for m in each.metrics} <= {"gender", "age", "mood"} for each in (entry.corruptions)
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Outcome:
    folder = tmp_path_factory.mktemp("alone")
    return compress(request_of(folder, manifest, ALONE), SilentReporter())


def test_a_model_without_gender_and_age_goes_the_whole_way(alone: Outcome) -> None:
    plain, int8, baseline = alone.artifacts
    for artifact in (plain, int8):
        quality = artifact.sidecar.quality
        assert quality is not None
        assert {each.task for each in quality.metrics} == {"mood"}
        assert artifact.sidecar.provenance.recipe["system"] == "S3"
        assert artifact.sidecar.provenance.start_sha256 == ""
    (comparison,) = alone.comparisons
    assert [each.task for each in comparison.tasks] == ["mood"]
    assert [each.name for each in baseline.sidecar.contract.heads] == ["mood"]
    # the published VGG16 has two branches of 512 * 4 * 4 * 256 + 256 and a unit each; it has one,
    # with three units
    branch = 512 * 4 * 4 * 256 + 256
    assert baseline.sidecar.provenance.parameters == 18_910_018 - branch - 2 * 257 + 3 * 257


def test_a_run_says_which_model_it_started_from(
    alone: Outcome, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    start = alone.artifacts[0].path.with_name("mobilenetv2-a35-32px.keras")
    made = compress(request_of(tmp_path, manifest, ALONE, start), SilentReporter())
    digest = sha256(start.read_bytes()).hexdigest()
    plain, int8, baseline = (each.sidecar.provenance.start_sha256 for each in made.artifacts)
    assert (plain, int8, baseline) == (digest, digest, "")
    loaded = load_artifact(made.artifacts[1].path)
    assert loaded.sidecar.provenance.start_sha256 == digest


def without(manifest: Manifest, split: str, *, mood: bool = True) -> Manifest:
    """A split's rows without moods, or without all but moods."""

    def keep(classes: dict[str, int]) -> dict[str, int]:
        return {name: of for name, of in classes.items() if (name == "mood") != mood}

    rows = (
        replace(row, classes=keep(row.classes), age=row.age if mood else None)
        if row.split == split
        else row
        for row in manifest.rows
    )
    return replace(manifest, rows=tuple(rows))


def test_a_test_split_without_any_label_is_refused_before_training(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    blind = without(manifest, "test")
    with pytest.raises(DataError, match="test images has a label of mood") as caught:
        compress(request_of(tmp_path, blind, ALONE), SilentReporter())
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*.tflite"))


def test_a_head_without_test_labels_is_trained_not_measured_and_that_is_said_once(
    manifest: Manifest, tmp_path: Path
) -> None:
    heard = Listening()
    model = replace(RECIPE.model, backbone="cnn3", width_ratio=1.0)
    recipe = replace(RECIPE, model=model, prune=PruneSpec(pruning_ratio=0.0))
    made = compress(request_of(tmp_path, without(manifest, "test"), recipe), heard)
    told = [line for line in heard.said if "not measured" in line]
    assert len(told) == 1
    assert "mood not measured, none of 30 faces has such a label" in told[0]
    quality = made.artifacts[1].sidecar.quality
    assert quality is not None
    assert {each.task for each in quality.metrics} == {"gender", "age"}
    assert [each.task for each in made.comparisons[0].tasks] == ["age", "gender"]


def test_classes_in_another_order_than_the_data_s_are_refused(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_train(monkeypatch)
    turned = replace(ALONE.model, classes={"mood": MOOD.classes[::-1]})
    with pytest.raises(DataError, match="calm, glad, sad in the data and sad, glad, calm in the m"):
        compress(request_of(tmp_path, manifest, replace(ALONE, model=turned)), SilentReporter())
