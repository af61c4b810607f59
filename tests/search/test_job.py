"""A whole search on drawn faces, small: real training, real conversion, real timing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tf_keras as keras

from edgeface.bench.protocol import BenchProtocol
from edgeface.config import DataSpec, ModelSpec, PruneSpec, QuantizeSpec, Recipe, TrainSpec
from edgeface.data.manifest_file import write_manifest
from edgeface.data.sources import open_data
from edgeface.errors import ConfigError, DataError, DeviceError, ExportError
from edgeface.records import from_mapping
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.selftest import self_test
from edgeface.search.answer import Answer
from edgeface.search.budget import parse_budget
from edgeface.search.job import BudgetRequest, compress_to_budget
from edgeface.search.record import SearchRecord
from edgeface.search.space import Space
from edgeface.types import SilentReporter

RECIPE = Recipe(
    seed=1,
    data=DataSpec(drawn_count=120, drawn_side_px=32),
    model=ModelSpec(width_ratio=0.35, side_px=32, weights="none"),
    train=TrainSpec(epochs=1, batch_size=16),
    prune=PruneSpec(fine_tune=TrainSpec(epochs=1, batch_size=16)),
    quantize=QuantizeSpec(calibration_images=8),
)
REFERENCE = "mobilenetv2-a35-32px-float32"
PLAIN, PRUNED = "mobilenetv2-a35-32px-int8", "mobilenetv2-a35-32px-p50-int8"
# the pruned one is the smaller; nothing else is asked, so it is the choice
REQUEST = BudgetRequest(
    budget=parse_budget("size<=1MB, mae<=+60, p50<=1000ms"),
    recipe=RECIPE,
    data=(),
    out=Path("out"),
    overwrite=False,
    space=Space(width_ratios=(0.35,), sides_px=(32,), pruning_ratios=(0.0, 0.5), schemes=("int8",)),
    candidates=2,
    protocol=BenchProtocol(warmup_runs=1, min_runs=5, min_duration_s=0, repeats=1),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def answer(out: Path) -> Answer:
    return compress_to_budget(replace(REQUEST, out=out), SilentReporter())


@pytest.mark.slow
def test_the_answer_is_on_disk_with_figures_of_the_test_split(answer: Answer, out: Path) -> None:
    assert answer.artifact is not None
    assert answer.artifact.path == out / f"{PRUNED}.tflite"
    written = load_artifact(answer.artifact.path)
    assert self_test(written) == ()
    quality = written.sidecar.quality
    assert quality is not None
    assert (quality.split, quality.n) == ("test", 24)
    provenance = written.sidecar.provenance
    assert provenance.pruning_ratio == pytest.approx(0.5, abs=0.1)
    assert len(provenance.calibration_ids) == 8
    assert len(provenance.steps) == 2
    assert answer.final is not None
    assert list(answer.final.qualities) == [REFERENCE, PRUNED]
    assert [each.candidate for each in answer.final.comparisons] == [PRUNED]


@pytest.mark.slow
def test_the_record_holds_every_candidate(answer: Answer, out: Path) -> None:
    record = from_mapping(SearchRecord, json.loads((out / "search.json").read_text()))
    assert record == answer.record
    assert {each.name for each in record.candidates} == {REFERENCE, PLAIN, PRUNED}
    assert record.candidates[0].name == REFERENCE
    by = {each.name: each for each in record.candidates}
    assert (record.chosen, record.reference) == (PRUNED, REFERENCE)
    assert by[PRUNED].verdict == "chosen"
    for each in record.candidates:
        measured = each.measured
        assert each.state == "finished"
        assert measured is not None
        assert measured.images == 12
        assert len(measured.mae_curve_years) == 2, "the plain ones are trained as long"
        assert measured.weights == "none"
        assert set(measured.cost.timings) == {"local"}
    for name in (PLAIN, PRUNED):
        before, after = by[name].cost, by[name].measured
        assert before is not None
        assert after is not None
        # what is known before training: zeros that random weights share cost a little less
        assert (before.parameters, before.macs) == (after.cost.parameters, after.cost.macs)
        assert before.size_bytes == pytest.approx(after.cost.size_bytes, rel=0.03)
    sizes = [by[name].measured.cost.size_bytes for name in (PRUNED, PLAIN, REFERENCE)]  # type: ignore[union-attr]
    assert sizes == sorted(sizes)
    assert [limit.term for limit in record.limits] == ["size<=1MB", "mae<=+60", "p50<=1000ms"]
    assert any("plain MobileNetV2" in sentence for sentence in record.why)


@pytest.mark.slow
def test_the_front_is_kept_as_artifacts_with_figures_of_the_validation_split(
    answer: Answer, out: Path
) -> None:
    assert PRUNED in answer.record.front
    assert sorted(path.stem for path in (out / "front").glob("*.tflite")) == sorted(
        answer.record.front
    )
    for path in answer.front:
        quality = load_artifact(path).sidecar.quality
        assert quality is not None
        assert quality.split == "validation"


@pytest.mark.slow
def test_table_and_plots_are_there(answer: Answer, out: Path) -> None:
    page = (out / "search.md").read_text()
    assert f"**{PRUNED}**" in page
    assert "DRAWN FACES, NOT PHOTOGRAPHS" in page
    for cost in ("size", "p50"):
        assert (out / f"search-{cost}.png").read_bytes().startswith(b"\x89PNG")
        assert PRUNED in (out / f"search-{cost}.svg").read_text()


@pytest.mark.slow
def test_the_same_again_trains_nothing_and_looks_at_no_test_image(
    answer: Answer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it works although all is done")

    monkeypatch.setattr(keras.Model, "fit", refuse)
    monkeypatch.setattr("edgeface.search.final.predict_held_out", refuse)
    monkeypatch.setattr("edgeface.search.timing.measure_latency", refuse)
    again = compress_to_budget(replace(REQUEST, out=out), SilentReporter())
    assert replace(again.record, created_utc="") == replace(answer.record, created_utc="")


def test_what_cannot_be_searched_is_refused_before_any_work(tmp_path: Path) -> None:
    request = replace(REQUEST, out=tmp_path / "out")
    with pytest.raises(DeviceError, match="no device rpi, expected one of local"):
        compress_to_budget(replace(request, budget=parse_budget("p50<=8ms@rpi")), SilentReporter())
    vgg16 = replace(RECIPE, model=ModelSpec(backbone="vgg16", weights="none"))
    with pytest.raises(ConfigError, match=r"model\.backbone is vgg16, expected mobilenetv2"):
        compress_to_budget(replace(request, recipe=vgg16), SilentReporter())
    assert not (tmp_path / "out").exists()


def test_an_artifact_in_the_way_is_refused_before_any_training(tmp_path: Path) -> None:
    (tmp_path / f"{PLAIN}.tflite").write_bytes(b"mine")
    with pytest.raises(ExportError, match="is there already and is no whole artifact"):
        compress_to_budget(replace(REQUEST, out=tmp_path), SilentReporter())
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_data_without_ages_is_refused_before_training(
    split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faces of another head may lack ages; candidates are told apart by them."""
    monkeypatch.setattr(keras.Model, "fit", None)  # a call would fail
    manifest = open_data([], RECIPE.data, RECIPE.seed, SilentReporter())
    rows = (replace(row, age=None) if row.split == split else row for row in manifest.rows)
    write_manifest(tmp_path / "faces.json", replace(manifest, rows=tuple(rows)))
    asked = replace(REQUEST, data=(tmp_path / "faces.json",), out=tmp_path / "out")
    with pytest.raises(DataError, match=f"{split} images has an exact age, expected") as caught:
        compress_to_budget(asked, SilentReporter())
    assert "\n" not in str(caught.value)
