"""Results made by hand for the tests of reports: figures are to be worked out
by eye. A test gives what it is about as changes, and takes the rest as it is here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeface.bench.compression import Compression
from edgeface.bench.corruption import CORRUPTIONS, STRENGTHS, CorruptedQuality
from edgeface.bench.delegation import Delegation
from edgeface.bench.frames import Frame, FrameTimes, PictureSize
from edgeface.bench.latency import LatencySamples, MemoryUse
from edgeface.bench.parity import MetricAgreement, Parity, TensorParity
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.result import RESULT_SCHEMA_VERSION, BenchEntry, BenchResult
from edgeface.bench.run_samples import RunSamples
from edgeface.bench.slices import SliceFigure, SliceQuality
from edgeface.bench.soak import Soak, SoakWindow
from edgeface.bench.systems import system_rows
from edgeface.bench.thread_sweep import ThreadLatency
from edgeface.bench.verdict import Predictions, compare
from edgeface.bench.verdict_rule import INT8_MARGINS
from edgeface.data.drawn import draw_face
from edgeface.data.faces import Faces
from edgeface.report.page.content import PageContent
from edgeface.report.page.history import Training
from edgeface.report.page.pruned import LayerChannels, PrunedLayers
from edgeface.report.page.shown import ShownFaces
from edgeface.report.results_page import ResultFile
from edgeface.runtime.telemetry import DeviceSample
from edgeface.types import GENDER_CLASSES, EpochRecord, HeadSpec, Metric, Quality
from support.records import HOST, PI

VGG, FLOAT, INT8 = "vgg16-float32", "mobilenetv2-float32", "mobilenetv2-int8"
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
HEADS = (
    HeadSpec(name="gender", kind="binary", tensor="gender", classes=GENDER_CLASSES),
    HeadSpec(name="age", kind="expectation", tensor="age", bins=(0.0, 1.0), unit="years"),
)
EPOCHS = tuple(
    EpochRecord(
        epoch=number,
        train_loss=3.0 / number,
        validation_loss=2.5 / number,
        train={"gender": 0.92 + number / 100, "age": 7.0 - number},
        validation={"gender": 0.9 + number / 100, "age": 8.0 - number},
        score=10.0 - number,
    )
    for number in (1, 2, 3)
)


def latency(name: str, p50_ms: float) -> LatencySamples:
    """Three processes, medians 0.99, 1 and 1.01 of `p50_ms`."""
    spread = np.linspace(0.9, 1.1, 41)
    return LatencySamples(
        name=name,
        repeats=tuple(tuple(shift * p50_ms * spread) for shift in (0.99, 1.0, 1.01)),
        load_ms=(1.0, 2.0, 3.0),
        first_inference_ms=(4.0, 5.0, 6.0),
    )


def metric(task: str, name: str, value: float, unit: str, n: int = 400) -> Metric:
    """Whose interval is 2 % below and above."""
    return Metric(
        task=task, name=name, value=value, low=0.98 * value, high=1.02 * value, unit=unit, n=n
    )


def quality(accuracy: float, mae: float, data: str = "utkface") -> Quality:
    """Of 200 females and 200 males, of whom 190 and `400 * accuracy - 190` are told right."""
    right_males = round(400 * accuracy) - 190
    counts = {
        "true_male_said_male": right_males,
        "true_male_said_female": 200 - right_males,
        "true_female_said_male": 10,
        "true_female_said_female": 190,
    }
    rates = {
        "accuracy": accuracy,
        "precision_male": right_males / (right_males + 10),
        "recall_male": right_males / 200,
        "f1_male": 2 * right_males / (right_males + 10 + 200),
        "precision_female": 190 / (390 - right_males),
        "recall_female": 190 / 200,
        "f1_female": 380 / (390 - right_males + 200),
        "roc_auc": 0.975,
        "calibration_error": 0.03,
    }
    ages = {"mae": mae, "rmse": 1.5 * mae, "mae_20_29": mae - 1, "mae_30_39": mae + 1}
    return Quality(
        data=data,
        split="test",
        manifest_sha256="abcdef0123456789",
        n=400,
        metrics=(
            *(metric("gender", name, value, "ratio") for name, value in rates.items()),
            *(metric("gender", name, value, "images") for name, value in counts.items()),
            *(metric("age", name, value, "years") for name, value in ages.items()),
            metric("age", "mae_100_109", 30.0, "years", n=3),
            metric("age", "r2", 0.875, "ratio"),
            metric("age", "within_5_years", 0.66, "ratio"),
        ),
    )


def expressions(never: str = "", n: int = 70) -> tuple[Metric, ...]:
    """Of n / 7 faces of each expression, of which half are told right and half called "neutral".

    Nothing is called `never`: all its faces are called "neutral".
    """
    each, found = n // 7, []
    for true in EXPRESSIONS:
        right = 0 if true == never else each if true == "neutral" else each // 2
        found += [
            metric("expression", f"recall_{true}", right / each, "ratio", n=n),
            metric("expression", f"precision_{true}", 1.0 if right else 0.0, "ratio", n=n),
            metric("expression", f"f1_{true}", 2 * right / (right + each), "ratio", n=n),
        ]
        for said in EXPRESSIONS:
            count = right if said == true else each - right if said == "neutral" else 0
            found.append(
                metric("expression", f"true_{true}_said_{said}", float(count), "images", n=n)
            )
    share = sum(m.value for m in found if m.name.startswith("recall_")) / 7
    whole = (("accuracy", share), ("balanced_accuracy", share), ("macro_f1", 0.625))
    return (
        *(metric("expression", name, value, "ratio", n=n) for name, value in whole),
        *found,
    )


def group(by: Any, name: str, accuracy: float, mae: float, n: int = 200) -> SliceQuality:
    few = n < 30
    figures: list[SliceFigure] = []
    for task, figure, unit, value in (
        ("gender", "accuracy", "ratio", accuracy),
        ("age", "mae", "years", mae),
    ):
        ends: Any = (None, None) if few else (0.95 * value, 1.02 * value)
        kind: Any = {"task": task, "name": figure, "unit": unit}
        figures.append(SliceFigure(value=value, low=ends[0], high=ends[1], n=n, **kind))
    return SliceQuality(by=by, name=name, n=n, figures=tuple(figures))


def groups(accuracy: float, mae: float) -> tuple[SliceQuality, ...]:
    return (
        group("age", "20-29", accuracy, mae - 1),
        group("age", "30-39", accuracy - 0.02, mae + 1),
        group("age", "100-109", 0.5, 30.0, n=3),
        group("gender", "male", accuracy + 0.01, mae),
        group("gender", "female", accuracy - 0.01, mae),
        group("age and gender", "20-29 male", accuracy, mae - 1, n=100),
    )


def spoiled(accuracy: float, mae: float) -> tuple[CorruptedQuality, ...]:
    def one(kind: Any, strength: int) -> CorruptedQuality:
        figures = (
            metric("gender", "accuracy", accuracy - 0.05 * strength, "ratio", n=100),
            metric("age", "mae", mae + strength, "years", n=100),
        )
        return CorruptedQuality(kind=kind, strength=strength, n=100, metrics=figures)

    return (
        one("none", 0),
        *(one(kind, strength) for kind in CORRUPTIONS for strength in STRENGTHS),
    )


def entry(name: str, p50_ms: float = 1.0, size_bytes: int = 1, **changes: Any) -> BenchEntry:
    made = BenchEntry(
        name=name,
        artifact_sha256="00",
        size_bytes=size_bytes,
        scheme="int8" if name == INT8 else "float32",
        parameters=2_000_000,
        macs=98_000_000,
        trained=True,
        latency=latency(name, p50_ms),
        memory=MemoryUse(peak_rss_bytes=60_000_000, baseline_rss_bytes=40_000_000),
        quality=None,
        compression=Compression(
            backbone="mobilenetv2", width_ratio=1.0, side_px=128, steps=("int8 after training",)
        ),
        gzip_bytes=1_000_000,
    )
    return replace(made, **changes)


def result(*entries: BenchEntry, **changes: Any) -> BenchResult:
    """By default VGG16 with random weights, the float32 model, and its int8 form."""
    listed = entries or (
        entry(VGG, 80.0, 75_000_000, trained=False),
        entry(FLOAT, 4.0, 9_000_000, quality=quality(0.95, 4.6), slices=groups(0.95, 4.6)),
        entry(INT8, 2.0, 3_000_000, quality=quality(0.94, 4.7), slices=groups(0.94, 4.7)),
    )
    data = next((each.quality.data for each in listed if each.quality is not None), None)
    names = [each.name for each in listed]
    made = BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc="2026-01-02T03:04:05.000000+00:00",
        device_before=HOST,
        device_after=HOST,
        protocol=BenchProtocol(),
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        edgeface_version="0.1.0",
        commit="0123456789abcdef",
        entries=tuple(listed),
        baseline=VGG if VGG in names else None,
        data=data,
        warnings=(f"{INT8}: slowest run is 55 % off the median",),
    )
    return replace(made, **changes)


def full_result() -> BenchResult:
    """With all that a result can hold, measured on a board that grew hot."""
    soak = Soak(
        minutes=10,
        window_s=1.0,
        threads=1,
        windows=tuple(
            SoakWindow(t_s=t, runs=400, p50_ms=at, p90_ms=1.1 * at, max_ms=2 * at)
            for t, at in enumerate([2.0] * 300 + [3.0] * 300)
        ),
    )
    frames = FrameTimes(
        threads=1,
        read_each_frame=True,
        detector="haar",
        min_face_px=64,
        pictures=(PictureSize(width_px=640, height_px=480),),
        stages=("read", "detect", "crop", "inference", "decode"),
        frames=tuple(
            Frame(picture=0, faces=n % 3, stage_ms=(5.0, 30.0, 1.0, 3.0, 1.0)) for n in range(12)
        ),
    )
    parity = Parity(
        reference_device="local",
        reference_runtime="ai-edge-litert 2.3.0",
        n=100,
        tensors=(
            TensorParity(
                tensor="gender",
                unit="steps",
                values=100,
                largest=1.0,
                mean=0.02,
                share_equal_ratio=0.98,
            ),
        ),
        metrics=(
            MetricAgreement(task="age", name="mae", unit="years", n=100, here=4.7, there=4.71),
        ),
    )
    measured = {
        "slices": groups(0.94, 4.7),
        "corruptions": spoiled(0.94, 4.7),
        "soak": soak,
        "frames": frames,
        "parity": parity,
        "delegation": Delegation(delegate="XNNPACK", partitions=1, delegated_ops=60, total_ops=61),
        "sweep": tuple(
            ThreadLatency(threads=n, latency=latency(INT8, 2.0 / n**0.5)) for n in (1, 2, 4)
        ),
    }
    samples = tuple(DeviceSample(t_s=float(t), temperature_c=50.0 + t / 20) for t in range(300))
    return result(
        entry(VGG, 80.0, 75_000_000, quality=quality(0.945, 4.65)),
        entry(
            FLOAT,
            4.0,
            9_000_000,
            quality=quality(0.95, 4.6),
            slices=groups(0.95, 4.6),
            corruptions=spoiled(0.95, 4.6),
        ),
        entry(INT8, 2.0, 3_000_000, quality=quality(0.94, 4.7), **measured),
        device_before=PI,
        device_after=replace(PI, temperature_c=65.0),
        samples=(RunSamples(run=0, what=f"latency of {INT8}", samples=samples),),
    )


def file_of(made: BenchResult, name: str = "2026-01-02T030405Z_local_by-hand.json") -> ResultFile:
    return ResultFile(path=Path(name), result=made)


def drawn_faces(count: int = 60) -> ShownFaces:
    """Drawn faces; before compression all is right, after it ages drift and some genders flip."""
    drawn = [draw_face(seed=5, index=index, side_px=64) for index in range(count)]
    ages = np.array([each.age_years for each in drawn], np.int64)
    said = ages.astype(np.float64)
    genders = np.array([each.gender for each in drawn], np.int64)
    p_right = np.where(genders == 1, 0.9, 0.1)
    is_flipped = np.arange(count) % 10 == 0
    faces = Faces(
        ids=tuple(f"drawn-{index}" for index in range(count)),
        images=np.stack([each.image for each in drawn]),
        age_low_years=ages,
        age_high_years=ages,
        classes={"gender": genders},
    )
    return ShownFaces(
        faces=faces,
        what="drawn faces, test split",
        before=Predictions(name=FLOAT, heads=HEADS, values={"gender": p_right, "age": said + 1}),
        after=Predictions(
            name=INT8,
            heads=HEADS,
            values={
                "gender": np.where(is_flipped, 1 - p_right, p_right),
                "age": said + np.arange(count) % 4 * 4,  # 0, 4, 8 or 12 years too old
            },
        ),
    )


def pruned_layers() -> PrunedLayers:
    """Three layers: a quarter, nothing and a half gone."""
    counts = (("stem", "conv", 32, 24), ("expand", "conv", 96, 96), ("last", "dense", 40, 20))
    layers = tuple(
        LayerChannels(name=name, kind=kind, before=before, after=after)
        for name, kind, before, after in counts
    )
    return PrunedLayers(name=INT8, whole=FLOAT, layers=layers)


def full_content() -> PageContent:
    shown = drawn_faces()
    assert shown.before is not None
    verdict = compare(shown.after, shown.before, shown.faces.without_images(), margins=INT8_MARGINS)
    return PageContent(
        files=[file_of(full_result()), file_of(result(), "2026-01-01T000000Z_local_older.json")],
        trainings=[Training(name="mobilenetv2", run_id="1", epochs=EPOCHS)],
        comparisons=[verdict],
        shown=shown,
        pruned=[pruned_layers()],
        systems=system_rows(()),
    )
