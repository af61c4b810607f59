"""The shipped cards are what sidecars and result files give; a card says nothing that is not so."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeface.bench.corruption import CorruptedQuality
from edgeface.bench.latency import LatencySamples, MemoryUse
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.result import BenchEntry, write_result
from edgeface.bench.slices import SliceFigure, SliceQuality
from edgeface.config import Recipe, load_recipe, shipped_recipes
from edgeface.errors import ArtifactError
from edgeface.records import from_mapping, to_mapping, write_json
from edgeface.report.model_card import (
    StartingModel,
    check_card,
    model_card,
    starting_model,
    write_card,
)
from edgeface.report.model_card_words import FIT_FOR, NOT_FOR
from edgeface.report.models_table import list_models
from edgeface.report.recipe_toml import recipe_toml
from edgeface.report.results_page import ResultFile, read_results
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    EpochRecord,
    HeadSpec,
    ImageSpec,
    Metric,
    Quality,
    Sidecar,
    TensorSpec,
)
from support import report_results as reports
from support.records import HOST, PI, provenance

ROOT = Path(__file__).parents[2]
RECIPES = [*shipped_recipes(), *map(str, sorted((ROOT / "benchmarks" / "recipes").glob("*.toml")))]
NAME, BASELINE = "mobilenetv2-a100-128px-bytes34-int8", "vgg16-a100-128px-float32"
CONTENT = b"\0\0\0\0TFL3" + bytes(2_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = Path("models") / f"{NAME}.md"
Edgeface = Callable[..., tuple[int, str, str]]


def metric(name: str, value: float, unit: str = "ratio", n: int = 400) -> Metric:
    task = "age" if unit == "years" else "gender"
    return Metric(
        task=task, name=name, value=value, low=value - 0.01, high=value + 0.01, unit=unit, n=n
    )


METRICS = (
    metric("accuracy", 0.94),
    metric("recall_female", 0.925),
    metric("roc_auc", 0.9876),
    metric("mae", 4.5, "years"),
    metric("true_male_said_female", 12.0, "images"),
)
QUALITY = Quality(
    data="utkface", split="test", manifest_sha256="abcdef0123456789", n=400, metrics=METRICS
)
SIDECAR = Sidecar(
    schema_version=SIDECAR_SCHEMA_VERSION,
    name=NAME,
    backbone="mobilenetv2",
    scheme="int8",
    sha256=SHA256,
    size_bytes=len(CONTENT),
    contract=Contract(
        image=ImageSpec(side_px=128),
        input=TensorSpec(
            name="image", shape=(1, 128, 128, 3), dtype="int8", scale=1.0, zero_point=-128
        ),
        outputs=(
            TensorSpec(name="g", shape=(1, 1), dtype="int8", scale=0.03125, zero_point=2),
            TensorSpec(name="a", shape=(1, 3), dtype="int8", scale=0.0625, zero_point=0),
        ),
        heads=(
            HeadSpec(name="gender", kind="binary", tensor="g", classes=("male", "female")),
            HeadSpec(
                name="age", kind="expectation", tensor="a", bins=(0.0, 1.0, 2.0), unit="years"
            ),
        ),
    ),
    golden=(),
    provenance=provenance(
        run_id="abc",
        recipe=to_mapping(Recipe(teachers=("runs/teacher/big.keras",))),
        seed=7,
        weights="/home/somebody/weights.h5",
        pruning_ratio=0.5,
        parameters=724_134,
        macs=62_243_808,
        versions={"tensorflow": "2.21.0"},
        commit="0123456789abcdef-dirty",
        steps=("52 % of channels pruned",),
    ),
    quality=QUALITY,
    licence="trained on 'utkface': its terms hold",
)


def slices(*given: tuple[Any, str, int, float, float]) -> tuple[SliceQuality, ...]:
    """Groups of (kind, name, images, gender accuracy, age MAE); an interval from 30 images on."""
    made = []
    for by, name, n, accuracy, mae in given:
        figures = [
            SliceFigure(
                task=task,
                name=figure,  # type: ignore[arg-type]
                value=value,
                low=None if n < 30 else value - 0.02,
                high=None if n < 30 else value + 0.02,
                unit=unit,  # type: ignore[arg-type]
                n=n,
            )
            for task, figure, value, unit in (
                ("gender", "accuracy", accuracy, "ratio"),
                ("age", "mae", mae, "years"),
            )
        ]
        made.append(SliceQuality(by=by, name=name, n=n, figures=tuple(figures)))
    return tuple(made)


SLICES = slices(
    ("age", "0-9", 90, 0.76, 2.5),
    ("age", "80-89", 40, 0.9, 10.0),
    ("age", "100-109", 2, 0.5, 35.0),
    ("race", "Asian", 60, 0.91, 3.3),
    ("race", "White", 80, 0.95, 5.2),
    ("age, gender and race", "0-9 male, Asian", 31, 0.57, 2.0),
    ("age, gender and race", "80-89 male, Asian", 3, 0.33, 20.0),
)


def entry(name: str, sha256: str, p50_ms: float, **changes: Any) -> BenchEntry:
    """Of one process, each of whose runs takes as long."""
    samples = LatencySamples(
        name=name, repeats=((p50_ms,) * 3,), load_ms=(1.0,), first_inference_ms=(p50_ms,)
    )
    about: dict[str, Any] = {
        "artifact_sha256": sha256,
        "latency": samples,
        "memory": MemoryUse(peak_rss_bytes=52_000_000, baseline_rss_bytes=40_000_000),
        "quality": QUALITY,
    }
    return reports.entry(name, size_bytes=1_000_000, **(about | changes))


def result(
    *entries: BenchEntry, day: int = 1, device: DeviceInfo = HOST, **changes: Any
) -> ResultFile:
    started = f"2025-01-{day:02}T00:00:00.000001+00:00"
    about: dict[str, Any] = {
        "started_utc": started,
        "device_before": device,
        "device_after": device,
        "protocol": BenchProtocol(threads=1, repeats=1, min_duration_s=1.0),
        "baseline": None,
        "data": "utkface",
        "warnings": (),
    }
    return ResultFile(
        path=Path("benchmarks/results") / f"{started[:10]}_{device.name}_bench.json",
        result=reports.result(*entries, **(about | changes)),
    )


def row(card: str, start: str) -> list[str]:
    """The cells after the first of the one table row that begins so."""
    (line,) = [each for each in card.splitlines() if each.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize(("folder", "least"), [("", 3), ("expression", 1)])
def test_the_shipped_cards_are_what_sidecars_and_results_give(folder: str, least: int) -> None:
    results = read_results(ROOT / "benchmarks" / "results")
    listings = list_models(ROOT / "exported" / folder)
    assert len(listings) >= least
    for each in listings:
        assert each.sidecar is not None, each.error
        path = each.path.with_suffix(".md")
        start = starting_model(each.path, each.sidecar)
        check_card(path, model_card(each.sidecar, results, path, start))


def test_a_card_has_the_figures_of_the_sidecar_with_n_and_interval() -> None:
    card = model_card(SIDECAR, (), PAGE)
    assert row(card, "gender accuracy %") == ["94.0", "93.0–95.0", "400"]
    assert row(card, "recall of female %") == ["92.5", "91.5–93.5", "400"]
    assert row(card, "gender ROC AUC") == ["0.988", "0.978–0.998", "400"]
    assert row(card, "age MAE years") == ["4.50", "4.49–4.51", "400"]
    assert row(card, "labelled male") == ["not measured", "12"]


def test_a_card_states_the_contract() -> None:
    card = model_card(SIDECAR, (), PAGE)
    assert "int8 [1 × 128 × 128 × 3], real = 1 × (q + 128); one picture of 128 × 128" in card
    assert "RGB, 0 (black) to 255 (white)" in card
    assert "a square of 0.99 of its width" in card
    assert row(card, "gender | int8 [1 × 1], real = 0.03125 × (q − 2)")[-1] == (
        "the sigmoid is the probability of female"
    )
    assert row(card, "age | int8 [1 × 3], real = 0.0625 × q")[-1].startswith(
        "softmax, then the mean"
    )


def test_the_worst_groups_are_named_with_their_images_and_few_images_never_win() -> None:
    card = model_card(SIDECAR, [result(entry(NAME, SHA256, 1.0, slices=SLICES))], PAGE)
    assert row(card, "age | 0-9:") == [
        "0-9: 76.0 (74.0–78.0), 90",
        "80-89: 10.00 (9.98–10.02), 40",
    ]
    assert row(card, "race |") == ["Asian: 91.0 (89.0–93.0), 60", "White: 5.20 (5.18–5.22), 80"]
    assert row(card, "age, gender and race |")[0] == "0-9 male, Asian: 57.0 (55.0–59.0), 31"
    assert row(card, "age 100-109") == ["50.0 (too few), 2", "35.00 (too few), 2"]
    assert "1 groups by age, gender and race have fewer" in card


def test_slices_of_other_images_or_another_file_are_not_this_models() -> None:
    other = replace(QUALITY, manifest_sha256="0" * 16)
    files = [
        result(entry(NAME, SHA256, 1.0, slices=SLICES, quality=other)),
        result(entry("stranger-int8", "1" * 64, 2.0, slices=SLICES), day=2),
    ]
    card = model_card(SIDECAR, files, PAGE)
    assert "By group: not measured." in card
    assert "stranger" not in card


def test_latency_is_the_newest_of_each_machine_and_names_it() -> None:
    base = entry(BASELINE, "1" * 64, 80.0)
    files = [
        result(entry(NAME, SHA256, 3.0), day=1),
        result(
            entry(NAME, SHA256, 2.0),
            base,
            day=2,
            baseline=BASELINE,
            warnings=(f"{NAME}: throttled", f"{BASELINE}: slow"),
        ),
    ]
    card = model_card(SIDECAR, files, PAGE)
    cells = row(card, "Some CPU, x86_64, 2 cores; **not a phone and not a Raspberry Pi**")
    assert cells == [
        *("2.00", "2.00", "2.00", "500", "not measured", "52.0", f"40.0× against {BASELINE}"),
        "[2025-01-02](../benchmarks/results/2025-01-02_local_bench.json)",
    ]
    assert "Raspberry Pi and phones: not measured." in card
    assert "- Doubtful: Some CPU: " in card
    assert row(model_card(replace(SIDECAR, sha256="1" * 64), files, PAGE), "Some CPU")[-2] == (
        "it is the baseline"
    )
    assert "slow" not in card.partition("## Latency")[2].partition("## Limits")[0]

    card = model_card(SIDECAR, [*files, result(entry(NAME, SHA256, 9.0), device=PI)], PAGE)
    assert row(card, "Raspberry Pi 4, aarch64, 4 cores; ai-edge-litert")[0] == "9.00"
    assert "Raspberry Pi and phones: not measured" not in card


def test_frames_a_second_with_all_stages_are_told_from_the_model_alone() -> None:
    frames = SimpleNamespace(groups=lambda: (SimpleNamespace(fps=22.2), SimpleNamespace(fps=1.0)))
    files = [result(entry(NAME, SHA256, 2.0, frames=frames))]
    cells = row(model_card(SIDECAR, files, PAGE), "Some CPU")
    assert cells[3:5] == ["500", "22.2"]


def test_an_invalid_run_gives_no_figure_and_says_why() -> None:
    reasons = ("throttled during 3 of 5 runs",)
    bad = result(entry(NAME, SHA256, 1.0), day=2, device=PI, invalid_reasons=reasons)
    card = model_card(SIDECAR, [bad], PAGE)
    assert "Latency and memory: not measured. Raspberry Pi and phones: not measured." in card
    assert "Raspberry Pi 4: the newest run is invalid and not shown: throttled during 3" in card
    card = model_card(SIDECAR, [bad, result(entry(NAME, SHA256, 9.0), day=1, device=PI)], PAGE)
    assert row(card, "Raspberry Pi 4, aarch64")[0] == "9.00"
    assert "the newest run is invalid" in card


def test_what_was_not_measured_says_so() -> None:
    card = model_card(replace(SIDECAR, quality=None), (), PAGE)
    assert "Quality: not measured." in card
    assert "Latency and memory: not measured. Raspberry Pi and phones: not measured." in card
    spoiled = "Spoiled faces (light, blur, noise, JPEG, rotation): not measured."
    assert spoiled in model_card(SIDECAR, (), PAGE)


def test_spoiled_faces_are_shown_clean_and_at_the_strongest() -> None:
    def of(kind: Any, strength: int, accuracy: float) -> CorruptedQuality:
        metrics = (metric("accuracy", accuracy, n=80), metric("mae", 5.0, "years", n=100))
        return CorruptedQuality(kind=kind, strength=strength, n=100, metrics=metrics)

    spoiled = (of("none", 0, 0.94), of("blur", 1, 0.93), of("blur", 3, 0.81))
    card = model_card(SIDECAR, [result(entry(NAME, SHA256, 1.0, corruptions=spoiled))], PAGE)
    assert row(card, "clean") == ["94.0 (93.0–95.0), 80", "5.00 (4.99–5.01), 100"]
    assert row(card, "blur (1, 2, 3: ")[0] == "81.0 (80.0–82.0), 80"
    headings = "| spoiled faces | gender accuracy % (95 %), n | age MAE years (95 %), n |"
    assert headings in card
    assert "not measured." not in card.partition("spoiled at")[2].partition("Other sets")[0]


def test_uses_terms_and_origin_are_those_of_the_training() -> None:
    card = model_card(SIDECAR, (), PAGE)
    ruled_out = [line for needs, line in NOT_FOR if needs != "expression"]
    assert all(line in card for line in (*FIT_FOR, *ruled_out))
    assert "non-commercial research only" in card  # the known terms of the set of that name
    assert "edgeface compress --data faces.json --out mine" in card
    assert "the file `weights.h5`" in card
    assert "`big.keras`" in card
    assert "/home" not in card, "where files lay on another machine is nobody's business"
    assert "commit 0123456789ab-dirty" in card.replace("commit: ", "commit ")
    assert "Whether the network was trained in this run or before is not known." in card

    drawn = replace(SIDECAR.provenance, data="drawn faces", data_kind="drawn")
    card = model_card(replace(SIDECAR, provenance=drawn, licence="free"), (), PAGE)
    assert "What it says of a photograph means nothing" in card
    assert "non-commercial" not in card

    untrained = replace(SIDECAR.provenance, trained=False, data_kind="none", steps=())
    card = model_card(
        replace(SIDECAR, provenance=untrained, quality=None, licence="random"), (), PAGE
    )
    assert "Its weights are random" in card
    assert ".tflite photo.jpg" not in card


def test_a_gender_only_model_is_not_warned_of_for_its_age() -> None:
    contract = replace(SIDECAR.contract, heads=SIDECAR.contract.heads[:1])
    card = model_card(replace(SIDECAR, contract=contract), (), PAGE)
    said = {needs: line in card for needs, line in NOT_FOR}
    assert said == {"": True, "age": False, "gender": True, "expression": False}


def test_a_model_of_expressions_has_its_own_figures_contract_and_warning() -> None:
    head = HeadSpec(name="expression", kind="classes", tensor="e", classes=reports.EXPRESSIONS)
    decades = HeadSpec(
        name="age", kind="decades", tensor="a", bins=tuple(range(5, 110, 10)), unit="years"
    )
    heads = (head, decades)
    contract = replace(SIDECAR.contract, heads=heads)
    quality = replace(QUALITY, metrics=reports.expressions(never="disgust"))
    card = model_card(replace(SIDECAR, contract=contract, quality=quality), (), PAGE)
    assert row(card, "expression balanced accuracy %") == ["50.0", "49.0–51.0", "70"]
    assert row(card, "recall of happy %") == ["50.0", "49.0–51.0", "70"]
    assert row(card, "labelled happy") == ["0", "0", "0", "5", "5", "0", "0"]
    assert "Never predicted: disgust." in card
    assert "expression (angry, disgust, fear, happy, neutral, sad or surprise) and age" in card
    assert row(card, "expression | not known")[-1].startswith("softmax, the probabilities of angry")
    assert "the likeliest of the 11 decades with the middles 5 to 105 years" in card
    assert "Saying what somebody feels." in card
    assert "Saying what gender somebody is." not in card


def about(run: str, manifest: str = "abcdef0123456789") -> StartingModel:
    def epoch(number: int, mae: float, score: float) -> EpochRecord:
        return EpochRecord(
            epoch=number,
            train_loss=2.0,
            validation_loss=None,
            train={},
            validation={"age": mae, "gender": 0.9425},
            score=score,
        )

    return StartingModel(
        schema_version=1,
        sha256="0" * 64,
        spec={},
        run_id=run,
        recipe=to_mapping(Recipe(seed=99)),
        data="utkface",
        manifest_sha256=manifest,
        pruning_ratio=0.0,
        history=(
            epoch(1, 5.5, 6.5),
            epoch(2, 4.875, 6.0),
            epoch(3, 4.75, 6.1),
        ),
        commit="unknown",
    )


def test_the_model_it_was_made_from_is_named_as_far_as_is_known(tmp_path: Path) -> None:
    model = tmp_path / f"{NAME}.tflite"
    assert starting_model(model, SIDECAR) is None
    record = tmp_path / "mobilenetv2-a100-128px.keras.json"

    write_json(record, about("another run"))
    card = model_card(SIDECAR, (), PAGE, starting_model(model, SIDECAR))
    reached = "epoch 2, age MAE 4.88 years, gender 94.2 %"
    assert f"3 epochs, the best on the validation split: {reached}" in card
    assert "in a run of its own" in card
    assert "seed = 99" in card

    write_json(record, about("abc"))
    card = model_card(SIDECAR, (), PAGE, starting_model(model, SIDECAR))
    assert "Trained in this run" in card
    assert "seed = 99" not in card

    write_json(record, about("another run", manifest="of other data"))
    assert starting_model(model, SIDECAR) is None

    record.write_text("{}")
    with pytest.raises(
        ArtifactError, match=r"keras\.json: not the record of a Keras model: .*run_id"
    ):
        starting_model(model, SIDECAR)


def test_the_record_read_here_is_the_one_that_training_writes() -> None:
    from edgeface.model.saved import SavedModel

    names = [
        [field.name for field in dataclasses.fields(each)] for each in (StartingModel, SavedModel)
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("name", RECIPES, ids=lambda name: Path(name).stem)
def test_a_recipe_as_a_card_shows_it_is_the_same_recipe(name: str) -> None:
    recipe = load_recipe(name)
    text = recipe_toml(to_mapping(recipe))
    assert from_mapping(Recipe, tomllib.loads(text)) == recipe
    assert _settings(text) <= _settings(_recipe_text(name)), "what is default is not shown"


def _settings(toml: str) -> int:
    return sum(" = " in line for line in toml.splitlines() if not line.startswith("#"))


def _recipe_text(name: str) -> str:
    shipped = resources.files("edgeface") / "recipes" / f"{name}.toml"
    return (shipped if shipped.is_file() else Path(name)).read_text("utf-8")


def test_a_recipe_of_an_older_edgeface_or_of_anybody_is_shown_as_it_is() -> None:
    assert recipe_toml({"seed": 1, "train": {}}) == ""
    odd = {"seed": 2, "teachers": "no list", "a b": {"x": "\x1b[2J\n```"}, "prune": 3}
    text = recipe_toml(odd)
    assert tomllib.loads(text) == odd
    assert text.isprintable() or all(line.isprintable() for line in text.splitlines())
    card = model_card(
        replace(SIDECAR, provenance=replace(SIDECAR.provenance, recipe=odd)), (), PAGE
    )
    assert "Teachers in this run: none named." in card


def test_names_cannot_write_markup_into_a_card() -> None:
    made = replace(SIDECAR.provenance, data="<b>x</b>\n# head | cell", steps=("`a` *b*",))
    card = model_card(replace(SIDECAR, provenance=made), (), PAGE)
    assert "<b>" not in card.replace("\\<b\\>", "")
    assert "\n# head" not in card
    assert "\\`a\\` \\*b\\*" in card


def test_a_card_that_was_changed_is_noticed_and_what_is_no_card_is_kept(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.md"
    card = model_card(SIDECAR, (), path)
    with pytest.raises(ArtifactError, match=r"cannot be read.*edgeface models .* --cards"):
        check_card(path, card)
    write_card(path, card)
    check_card(path, card)
    path.write_text(path.read_text("utf-8").replace("94.0", "96.0"), "utf-8")
    with pytest.raises(ArtifactError, match="is not what the sidecar and the result files give"):
        check_card(path, card)
    write_card(path, card)
    check_card(path, card)
    path.write_text("my own notes")
    with pytest.raises(ArtifactError, match="is no card"):
        write_card(path, card)
    assert path.read_text() == "my own notes"


def test_the_command_writes_cards_and_checks_them(edgeface: Edgeface, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / f"{NAME}.tflite").write_bytes(CONTENT)
    write_json(folder / f"{NAME}.json", SIDECAR)
    made = result(entry(NAME, SHA256, 2.0))
    write_result(tmp_path / "results" / "one.json", made.result)

    status, _, err = edgeface("models", "models", "--cards")
    assert (status, "benchmarks/results: no such folder" in err) == (1, True)
    for results in ("results", "results/one.json"):
        arguments = ("models", "models", "--cards", "--results", results)
        status, out, err = edgeface(*arguments, "--check")
        assert (status, out) == (1, ""), "there is no card yet"
        assert edgeface(*arguments) == (0, f"models/{NAME}.md\n", "")
        assert edgeface(*arguments, "--check") == (0, "", "")
        (folder / f"{NAME}.md").unlink()

    for wrong in (("--check",), ("--cards", "--json")):
        status, out, err = edgeface("models", "models", *wrong)
        assert (status, out, len(err.splitlines())) == (2, "", 1)


def test_a_damaged_model_does_not_keep_others_from_a_card(
    edgeface: Edgeface, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / f"{NAME}.tflite").write_bytes(CONTENT)
    write_json(tmp_path / f"{NAME}.json", SIDECAR)
    (tmp_path / "broken.tflite").write_bytes(CONTENT)
    (tmp_path / "broken.json").write_text(json.dumps({}))
    status, out, err = edgeface("models", ".", "--cards", "--results", "results")
    assert (status, out) == (1, f"{NAME}.md\n")
    assert "broken" in err
