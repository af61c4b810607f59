"""What each way to quantize costs, and how long a float `.tflite` takes to an evaluated int8 one.

    python benchmarks/quantization.py FLOAT.tflite --data MANIFEST [--layers] [--json FILE]

1. Accuracy of the float file and of each plan on the validation split: ingredients alone, together.
2. With --layers: what int8 in each layer alone costs each head, and plans that leave the costliest
   one, two and three float.
3. The path that a search walks for each candidate: calibration set, int8 file, predictions on
   the validation images, figures with intervals. Images are loaded before.

Ages are medians of their bins; the figures in LOG.md before 2026-11-30 are of means.
"""

from __future__ import annotations

import argparse
import datetime
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgeface.bench.quality import quality_of
from edgeface.commit import source_commit
from edgeface.config import DataSpec, ModelSpec
from edgeface.data.calibration import choose_calibration
from edgeface.data.faces import Faces
from edgeface.data.manifest import Manifest, Row, Split
from edgeface.data.sources import CacheSpec, load_faces, open_data
from edgeface.export.flatbuffer import read_signature
from edgeface.export.mixed_precision import MixedLimits, cost_of
from edgeface.export.plan import QuantizePlan
from edgeface.export.predictions import Predictions, head_costs, predict
from edgeface.export.quantize import quantize
from edgeface.export.sensitivity import SensitivityReport, sensitivity
from edgeface.model.heads import head_specs
from edgeface.records import write_json
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.types import HeadSpec, SilentReporter

PACKAGES = ("litert-quantizer", "ai-edge-litert", "numpy")
LAYER_IMAGES = 400  # chosen: tells layers apart, and 53 of them take a minute or two
PLAIN = QuantizePlan(correct_biases=False)
TOGETHER = QuantizePlan(equalize=True, ranges="error", refit_heads=True)
PLANS = {
    "int8, plain": PLAIN,
    "biases": QuantizePlan(),
    "equalize": replace(PLAIN, equalize=True),
    "ranges": replace(PLAIN, ranges="error"),
    "heads": replace(PLAIN, refit_heads=True),
    "biases, equalize": QuantizePlan(equalize=True),
    "biases, ranges": QuantizePlan(ranges="error"),
    "biases, heads": QuantizePlan(refit_heads=True),
    "biases, equalize, ranges": QuantizePlan(equalize=True, ranges="error"),
    "together": TOGETHER,
    "float16": QuantizePlan(scheme="float16"),
    "dynamic": QuantizePlan(scheme="dynamic", allow_slow=True),
}


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Time of one piece of work; CPU time is that of all threads, and hardly feels other work."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """One plan on the validation images.

    Attributes:
        plan: what was done; None for the float file.
        age_mae_years: mean absolute error.
        gender_accuracy_ratio: share right.
        age_difference_years: mean |age - float file's age|.
        age_shift_years: mean (age - float file's age).
        p_difference_ratio: mean |p(female) - float file's|.
        size_bytes: of the file.
        quantize: time to make it.
        predict: time to run it on the images, on all cores.
    """

    name: str
    plan: QuantizePlan | None
    age_mae_years: float
    gender_accuracy_ratio: float
    age_difference_years: float
    age_shift_years: float
    p_difference_ratio: float
    size_bytes: int
    quantize: Spent
    predict: Spent


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: what the JSON file holds.

    Attributes:
        path: time from the float file to an evaluated int8 file, by plan.
        load_average: over 1, 5 and 15 minutes before the run, then after it.
    """

    schema_version: int
    date_utc: str
    commit: str
    machine: DeviceInfo
    load_average: tuple[float, ...]
    versions: dict[str, str]
    model: str
    model_sha256: str
    data: str
    manifest_sha256: str
    split: str
    images: int
    calibration_images: int
    plans: tuple[PlanResult, ...]
    path: dict[str, Spent]
    layers: SensitivityReport | None
    layers_time: Spent | None


@dataclass(frozen=True)
class Setting:
    """What all measurements have in common."""

    content: bytes
    calibration: Faces
    faces: Faces
    heads: tuple[HeadSpec, ...]
    reporter: SilentReporter


@dataclass(frozen=True)
class _Made:
    """A file with its predictions, and what both took."""

    content: bytes
    found: Predictions
    quantizing: Spent
    predicting: Spent


def main() -> None:
    """Measure, print the tables, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="float32 .tflite with the heads gender and age")
    parser.add_argument("--data", type=Path, required=True, action="append", help="its manifest")
    parser.add_argument("--images", type=int, default=2000, help="of validation, at most (2000)")
    parser.add_argument("--calibration", type=int, default=300, help="images of training (300)")
    parser.add_argument("--seed", type=int, default=1, help="of the calibration set (1)")
    parser.add_argument("--layers", action="store_true", help="also what each layer costs")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    console = Console()
    load_before = os.getloadavg()
    manifest = open_data(arguments.data, DataSpec(), arguments.seed, SilentReporter())
    setting = _setting(arguments, manifest)
    original, plans = measure_plans(setting, PLANS)
    path = {name: measure_path(setting, manifest, PLANS[name]) for name in ("biases", "together")}
    layers, layers_time = None, None
    if arguments.layers:
        layers, layers_time = _timed(partial(_layers, setting))
        _, left_float = measure_plans(setting, _left_float(layers), original)
        plans += left_float
    result = Result(
        schema_version=1,
        date_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=source_commit(),
        machine=describe_local(),
        load_average=(*load_before, *os.getloadavg()),
        versions={name: version(name) for name in PACKAGES},
        model=arguments.model.name,
        model_sha256=sha256(setting.content).hexdigest(),
        data=manifest.label,
        manifest_sha256=manifest.sha256,
        split="validation",
        images=len(setting.faces),
        calibration_images=len(setting.calibration),
        plans=plans,
        path=path,
        layers=layers,
        layers_time=layers_time,
    )
    _show(console, result)
    if arguments.json:
        write_json(arguments.json, result)
        console.print(f"wrote {arguments.json}")


def measure_plans(
    setting: Setting, plans: dict[str, QuantizePlan], original: Predictions | None = None
) -> tuple[Predictions, tuple[PlanResult, ...]]:
    """Quantize by each plan and compare with the float file, which comes first if not given."""
    results = []
    if original is None:
        original, spent = _timed(partial(_predict, setting, setting.content))
        nothing = Spent(wall_s=0, cpu_s=0)
        made = _Made(setting.content, original, nothing, spent)
        results.append(_row(setting, "float32", None, original, made))
    for name, plan in plans.items():
        content, quantizing = _timed(partial(_quantize, setting, plan))
        found, spent = _timed(partial(_predict, setting, content))
        made = _Made(content, found, quantizing, spent)
        results.append(_row(setting, name, plan, original, made))
    return original, tuple(results)


def measure_path(setting: Setting, manifest: Manifest, plan: QuantizePlan) -> Spent:
    """Time from the float file to an int8 file with figures and intervals."""

    def work() -> None:
        predicted = _predict(setting, _quantize(setting, plan))
        quality_of(
            predicted,
            setting.faces,
            setting.heads,
            data=manifest.label,
            split="validation",
            manifest_sha256=manifest.sha256,
        )

    return _timed(work)[1]


def _setting(arguments: argparse.Namespace, manifest: Manifest) -> Setting:
    content = arguments.model.read_bytes()
    signature = read_signature(content)
    side_px = signature.input.shape[1]
    age_bins = signature.outputs["age"].shape[-1]
    spec = ModelSpec(age_head="median" if age_bins > 1 else "regression")
    calibration = choose_calibration(manifest, arguments.calibration, arguments.seed)
    validation = manifest.of_split("validation")
    kept = validation[:: max(1, len(validation) // arguments.images)][: arguments.images]
    with TemporaryDirectory() as folder:
        load = _loader(manifest, Path(folder), side_px)
        return Setting(
            content=content,
            calibration=load(calibration, "train"),
            faces=load(kept, "validation"),
            heads=head_specs(spec),
            reporter=SilentReporter(),
        )


def _loader(
    manifest: Manifest, folder: Path, side_px: int
) -> Callable[[tuple[Row, ...], Split], Faces]:
    cache = CacheSpec(folder=folder, memory_bytes=10**9, disk_bytes=0)

    def load(rows: tuple[Row, ...], split: Split) -> Faces:
        some = replace(manifest, rows=rows)  # only these are decoded
        return load_faces(some, split, side_px, cache, SilentReporter())

    return load


def _quantize(setting: Setting, plan: QuantizePlan) -> bytes:
    return quantize(setting.content, setting.calibration.images, plan, setting.reporter)


def _predict(setting: Setting, content: bytes) -> Predictions:
    return predict(content, setting.faces.images, setting.heads, where="model")


def _layers(setting: Setting) -> SensitivityReport:
    at = np.linspace(0, len(setting.faces) - 1, min(LAYER_IMAGES, len(setting.faces)))
    return sensitivity(
        setting.content,
        setting.calibration.images,
        setting.faces.take(at.round().astype(np.int64)),
        setting.heads,
        setting.reporter,
    )


def _left_float(report: SensitivityReport) -> dict[str, QuantizePlan]:
    costliest = sorted(report.layers, key=lambda row: -cost_of(row, MixedLimits()))
    return {
        f"together, {count} layers float": replace(
            TOGETHER, float_layers=tuple(row.layer for row in costliest[:count])
        )
        for count in (1, 2, 3)
    }


def _row(
    setting: Setting,
    name: str,
    plan: QuantizePlan | None,
    original: Predictions,
    made: _Made,
) -> PlanResult:
    found = made.found
    costs = {cost.head: cost for cost in head_costs(original, found, setting.faces, setting.heads)}
    ages, genders = setting.faces.exact_age_years, setting.faces.class_of("gender")
    right = (found["gender"] >= 0.5) == genders
    return PlanResult(
        name=name,
        plan=plan,
        age_mae_years=float(np.nanmean(np.abs(found["age"] - ages))),
        gender_accuracy_ratio=float(right[genders >= 0].mean()),
        age_difference_years=costs["age"].difference,
        age_shift_years=costs["age"].shift,
        p_difference_ratio=costs["gender"].difference,
        size_bytes=len(made.content),
        quantize=made.quantizing,
        predict=made.predicting,
    )


def _timed(work: Callable[[], Any]) -> tuple[Any, Spent]:
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    result = work()
    return result, Spent(
        wall_s=time.perf_counter() - start_s, cpu_s=time.process_time() - start_cpu_s
    )


def _show(console: Console, result: Result) -> None:
    table = Table(title=f"{result.model}, {result.images} validation images of {result.data}")
    table.add_column("plan", no_wrap=True)
    headings = ("MAE years", "mean diff.", "shift", "gender %", "p diff. pp", "MB", "s", "CPU s")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in result.plans:
        table.add_row(
            row.name,
            f"{row.age_mae_years:.3f}",
            f"{row.age_difference_years:.3f}",
            f"{row.age_shift_years:+.3f}",
            f"{100 * row.gender_accuracy_ratio:.2f}",
            f"{100 * row.p_difference_ratio:.2f}",
            f"{row.size_bytes / 1e6:.2f}",
            f"{row.quantize.wall_s:.1f}",
            f"{row.quantize.cpu_s:.1f}",
        )
    console.print(table)
    if result.layers:
        _show_layers(console, result.layers, result.layers_time)
    for name, spent in result.path.items():
        console.print(
            f"float .tflite to evaluated int8 ({name}; {result.calibration_images} calibration and "
            f"{result.images} validation images): {spent.wall_s:.1f} s, {spent.cpu_s:.1f} CPU s"
        )


def _show_layers(console: Console, report: SensitivityReport, spent: Spent | None) -> None:
    table = Table(title=f"int8 in one layer alone, {report.images} images, the 15 costliest")
    table.add_column("place", justify="right")
    table.add_column("kind")
    table.add_column("weights")
    heads = [cost.head for cost in report.whole]
    for head in heads:
        for what in ("diff.", "shift", "loss"):
            table.add_column(f"{head} {what}", justify="right")
    costliest = sorted(report.layers, key=lambda row: -cost_of(row, MixedLimits()))[:15]
    rows = [(str(row.position), row.kind, "×".join(map(str, row.shape)), row) for row in costliest]
    for place, kind, shape, row in [*rows, ("all", "", "", None)]:
        costs = [asdict(cost) for cost in (row.costs if row else report.whole)]
        figures = [f"{cost[key]:+.3f}" for cost in costs for key in ("difference", "shift", "loss")]
        table.add_row(place, kind, shape, *figures)
    console.print(table)
    if spent:
        console.print(
            f"{len(report.layers)} layers in {spent.wall_s:.0f} s, {spent.cpu_s:.0f} CPU s"
        )


if __name__ == "__main__":
    main()
