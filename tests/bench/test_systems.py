"""The published systems beside what was measured: nothing is paired that is not one model's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgeface.bench.frames import Frame, FrameTimes, PictureSize
from edgeface.bench.latency import LatencySamples
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.result import RESULT_SCHEMA_VERSION, BenchEntry, BenchResult
from edgeface.bench.systems import (
    EXPRESSION,
    PUBLISHED,
    PublishedFigure,
    SystemRow,
    system_of,
    system_rows,
)
from edgeface.config import Recipe
from edgeface.records import RecordError, from_mapping, to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.types import HeadSpec, Metric, Quality, Scheme, Sidecar
from support.records import PI

MakeArtifact = Callable[..., Artifact]


def metric(task: str, name: str, value: float, n: int) -> Metric:
    unit = "years" if name in ("mae", "rmse") else "ratio"
    return Metric(task=task, name=name, value=value, low=value, high=value, unit=unit, n=n)


def quality(*metrics: Metric) -> Quality:
    return Quality(data="utkface", split="test", manifest_sha256="m", n=9, metrics=metrics)


@pytest.fixture
def sidecar(make_artifact: MakeArtifact) -> Callable[..., Sidecar]:
    def make(
        name: str,
        scheme: Scheme,
        *metrics: Metric,
        system: str = "S4",
        heads: tuple[str, ...] = ("gender", "age"),
        backbone: str = "cnn3",
        training: str = "first",
        steps: tuple[str, ...] = (),
    ) -> Sidecar:
        runnable = tuple(head for head in heads if head != EXPRESSION)
        base = make_artifact(name, heads=runnable).sidecar
        if EXPRESSION in heads:  # is not run here, only named
            head = HeadSpec(name=EXPRESSION, kind="classes", tensor="x", classes=("a", "b", "c"))
            contract = replace(base.contract, heads=(head, *base.contract.heads))
            base = replace(base, contract=contract)
        recipe = {"system": system, "description": "four blocks"}
        provenance = replace(
            base.provenance, recipe=recipe, steps=steps, run_id=f"{training}, {backbone}"
        )
        return replace(
            base,
            scheme=scheme,
            backbone=backbone,
            sha256=f"sha of {name}",
            size_bytes=len(name),
            provenance=provenance,
            quality=quality(*metrics) if metrics else None,
        )

    return make


def timed(
    sha256: str, ms: float, when: str, *, frame_ms: float = 0.0, invalid: tuple[str, ...] = ()
) -> BenchResult:
    times = (ms, ms, ms)
    frames = FrameTimes(
        threads=1,
        read_each_frame=True,
        detector="haar",
        min_face_px=40,
        pictures=(PictureSize(width_px=640, height_px=480),),
        stages=("detect", "inference"),
        frames=(Frame(picture=0, faces=1, stage_ms=(frame_ms - ms, ms)),),
    ) if frame_ms else None  # fmt: skip
    entry = BenchEntry(
        name="model",
        artifact_sha256=sha256,
        size_bytes=9,
        scheme="int8",
        parameters=1,
        macs=2,
        trained=True,
        latency=LatencySamples(
            name="model", repeats=(times,), load_ms=(1.0,), first_inference_ms=(1.0,)
        ),
        memory=None,
        quality=None,
        frames=frames,
    )
    return BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc=when,
        device_before=PI,
        device_after=PI,
        protocol=BenchProtocol(),
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        edgeface_version="0",
        commit="unknown",
        entries=(entry,),
        baseline=None,
        data=None,
        warnings=(),
        invalid_reasons=invalid,
    )


def of(rows: tuple[SystemRow, ...], system: str) -> list[SystemRow]:
    return [row for row in rows if row.system == system]


def test_what_is_published_is_that_of_the_five_seeds() -> None:
    """The figures of docs/seeds.md, written down a second time."""
    said = {each.id: [figure.text for figure in each.figures] for each in PUBLISHED}
    assert said == {
        "S0": ["98 %", "3.54 years", "5.66 years", "0.94"],
        "S1": ["98 %", "94 %", "95 %", "92 %"],
        "S2": ["91.82 %", "89.3 %"],
        "S3": ["50 %", "58 %", "89 %", "12.86 FPS"],
        "S4": ["87–89 %", "6.7–7.8 years"],
    }
    assert all(each.what and each.data and each.model and each.check for each in PUBLISHED)


def test_without_models_every_published_figure_reads_not_measured() -> None:
    rows = system_rows([])
    assert [(row.system, row.published) for row in rows] == [
        (each.id, figure) for each in PUBLISHED for figure in each.figures
    ]
    measured = {(row.model, row.float32, row.int8, row.size_bytes, row.p50_ms) for row in rows}
    assert measured == {(None, None, None, None, None)}


def test_float_and_int8_figures_of_one_network_stand_in_one_row(
    sidecar: Callable[..., Sidecar],
) -> None:
    plain = sidecar(
        "cnn3-float32",
        "float32",
        metric("gender", "accuracy", 0.9, 7),
        metric("age", "mae", 6.8, 6),
    )
    int8 = sidecar(
        "cnn3-p40-int8",
        "int8",
        metric("gender", "accuracy", 0.89, 7),
        metric("age", "mae", 6.9, 6),
        steps=("40 % of channels pruned", "int8"),
    )
    pruned = sidecar(
        "cnn3-p40-float32",
        "float32",
        metric("gender", "accuracy", 0.1, 7),
        steps=("40 % of channels pruned",),
    )
    gender, age = of(system_rows([pruned, int8, plain]), "S4")
    assert gender.published == PublishedFigure(
        task="gender", name="accuracy", low=87, high=89, unit="%"
    )
    assert gender.float32 is not None
    assert gender.int8 is not None
    assert (gender.float32.value, gender.int8.value) == (0.9, 0.89), "not that of the pruned float"
    assert (gender.model, gender.data, gender.split, gender.n) == (
        *("cnn3-p40-int8", "utkface", "test", 7),
    )
    assert (gender.size_bytes, gender.recipe) == (len("cnn3-p40-int8"), "four blocks")
    assert gender.steps == ("40 % of channels pruned", "int8")
    assert (age.figure, age.n) == ("mae", 6)
    assert (gender.device, gender.p50_ms, gender.fps) == (None, None, None)


def test_models_of_two_trainings_are_not_paired(sidecar: Callable[..., Sidecar]) -> None:
    figure = metric("gender", "accuracy", 0.9, 7)
    plain = sidecar("a-float32", "float32", figure, training="first")
    int8 = sidecar("b-int8", "int8", figure, training="second")
    rows = of(system_rows([plain, int8]), "S4")
    found = {row.model: (row.float32, row.int8) for row in rows if row.figure == "accuracy"}
    assert found == {"a-float32": (figure, None), "b-int8": (None, figure)}


def test_a_figure_of_one_backbone_is_that_backbone_s(sidecar: Callable[..., Sidecar]) -> None:
    figure = metric("gender", "accuracy", 0.9, 7)
    models = [
        sidecar(f"{name}-int8", "int8", figure, system="S1", heads=("gender",), backbone=name)
        for name in ("vgg19", "mobilenetv2")
    ]
    rows = of(system_rows(models), "S1")
    said = [(row.model, row.published.text if row.published else None) for row in rows]
    assert said == [
        ("vgg19-int8", "92 %"),
        ("mobilenetv2-int8", None),  # not one of the four
        (None, "98 %"),
        (None, "94 %"),
        (None, "95 %"),
    ]


def test_an_age_is_held_against_the_figure_that_was_published(
    sidecar: Callable[..., Sidecar],
) -> None:
    """S3 gives the share of right decades, and frames a second of the whole system."""
    made = sidecar(
        "m-int8",
        "int8",
        metric("age", "mae", 4.7, 6),
        metric("age", "decade_accuracy", 0.6, 6),
        system="S3",
        heads=(EXPRESSION, "age", "gender"),
    )
    rows = of(system_rows([made], [timed(made.sha256, 2.0, "2026-01-01", frame_ms=50.0)]), "S3")
    _, age, _, fps = rows
    assert age.int8 is not None
    assert (age.figure, age.int8.value) == ("decade_accuracy", 0.6)
    assert (fps.figure, fps.fps, fps.p50_ms, fps.device) == (
        "fps",
        1000 / 50.0,
        2.0,
        "rpi, Raspberry Pi 4",
    )
    assert fps.published is not None
    assert fps.published.text == "12.86 FPS"


def test_a_figure_of_the_whole_system_is_not_of_a_model_of_one_task(
    sidecar: Callable[..., Sidecar],
) -> None:
    accuracy = metric("gender", "accuracy", 0.9, 7)
    made = sidecar("m-int8", "int8", accuracy, system="S3", heads=("gender",))
    rows = of(system_rows([made], [timed(made.sha256, 2.0, "2026-01-01", frame_ms=50.0)]), "S3")
    found = [(row.model, row.task, row.figure) for row in rows]
    assert found == [
        ("m-int8", "gender", "accuracy"),
        (None, "expression", "accuracy"),
        (None, "age", "decade_accuracy"),
        (None, "", "fps"),
    ]
    assert rows[0].fps == 20.0


def test_the_latest_valid_timing_of_the_same_bytes_counts(
    sidecar: Callable[..., Sidecar],
) -> None:
    made = sidecar("m-int8", "int8", metric("gender", "accuracy", 0.9, 7))
    results = [
        timed(made.sha256, 3.0, "2026-01-02"),
        timed(made.sha256, 2.0, "2026-01-01"),
        timed(made.sha256, 9.0, "2026-01-03", invalid=("throttled",)),
        timed("another file", 1.0, "2026-01-04"),
    ]
    rows = of(system_rows([made], results), "S4")
    assert {row.p50_ms for row in rows} == {3.0}
    assert {row.fps for row in rows} == {None}, "no whole frame was timed"


def test_frames_a_second_outlast_a_later_run_without_frames_on_the_same_machine_alone(
    sidecar: Callable[..., Sidecar],
) -> None:
    made = sidecar("m-int8", "int8", metric("gender", "accuracy", 0.9, 7))
    frames = timed(made.sha256, 2.0, "2026-01-01", frame_ms=50.0)
    later = timed(made.sha256, 3.0, "2026-01-02")
    rows = of(system_rows([made], [frames, later]), "S4")
    assert {(row.p50_ms, row.fps) for row in rows} == {(3.0, 20.0)}

    elsewhere = replace(later, device_before=replace(PI, model="Raspberry Pi 5"))
    rows = of(system_rows([made], [frames, elsewhere]), "S4")
    assert {(row.device, row.p50_ms, row.fps) for row in rows} == {
        ("rpi, Raspberry Pi 5", 3.0, None)
    }


def test_the_recipe_says_which_system_it_repeats(sidecar: Callable[..., Sidecar]) -> None:
    assert system_of(sidecar("a", "int8", system="S2")) == "S2"
    assert system_of(sidecar("b", "int8", system="")) is None
    assert to_mapping(Recipe(system="S4"))["system"] == "S4"
    assert Recipe().system == ""
    with pytest.raises(RecordError, match="system"):
        from_mapping(Recipe, {"system": "S5"})
