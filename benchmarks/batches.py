"""How fast batches come, alone and beside training. No faces needed: the pictures are random.

    python benchmarks/batches.py [--json FILE]

1. The pipeline alone: images/s from the cache in memory and on disk, with the default
   augmentation and with every step on.
2. A fine-tune step of MobileNetV2 1.0 at 128 px, batch 64, through `model.fit`: on one repeated
   batch in memory and through the pipeline, in turns (A B A B ...), so that a busy machine slows
   both; what counts is the ratio of the two medians.
"""

from __future__ import annotations

import argparse
import datetime
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgeface.commit import source_commit
from edgeface.config import AugmentSpec, ModelSpec
from edgeface.data.balance import epoch_order
from edgeface.data.batches import training_batches
from edgeface.data.picture_cache import cached_pictures
from edgeface.model.networks import build_model
from edgeface.records import write_json
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.types import SilentReporter

SIDE_PX, BATCH, COUNT = 128, 64, 4096
EVERYTHING = AugmentSpec(
    rotate_degrees=15.0,
    colour_ratio=0.1,
    shade_ratio=0.3,
    tilt_ratio=0.15,
    erase_ratio=0.5,
    blur_ratio=0.3,
    noise_levels=8.0,
)
AUGMENTATIONS = {"default": AugmentSpec(), "everything": EVERYTHING}
PACKAGES = ("tensorflow", "tf-keras", "numpy", "opencv-python-headless")
Labels = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One slice."""

    images_per_s: float
    cpu_ms_per_image: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: what the JSON file holds, samples in the order in which they were taken.

    Attributes:
        load_average: over 1, 5 and 15 minutes before the run, then after it.
        speed_ratio: median images/s against the repeated batch.
        cpu_ratio: median processor time of an image against the repeated batch; it hardly feels
            other processes.
    """

    schema_version: int
    date_utc: str
    commit: str
    machine: DeviceInfo
    load_average: tuple[float, ...]
    versions: dict[str, str]
    side_px: int
    batch_size: int
    augmentations: dict[str, AugmentSpec]
    alone: dict[str, list[Sample]]
    training: dict[str, list[Sample]]
    speed_ratio: dict[str, float]
    cpu_ratio: dict[str, float]


def main() -> None:
    """Measure, print two tables, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write every raw sample there")
    parser.add_argument("--rounds", type=int, default=8, help="slices of each kind (8)")
    parser.add_argument("--steps", type=int, default=20, help="steps a slice of training (20)")
    arguments = parser.parse_args()
    console = Console()
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        caches = {
            "memory": _pictures(Path(folder), COUNT * SIDE_PX * SIDE_PX * 3),
            "disk": _pictures(Path(folder), 0),
        }
        alone = measure_alone(caches, arguments.rounds)
        training = measure_training(caches["memory"], arguments.rounds, arguments.steps)
        del caches
    result = Result(
        schema_version=1,
        date_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=source_commit(),
        machine=describe_local(),
        load_average=(*load_before, *os.getloadavg()),
        versions={name: version(name) for name in PACKAGES},
        side_px=SIDE_PX,
        batch_size=BATCH,
        augmentations=AUGMENTATIONS,
        alone=alone,
        training=training,
        speed_ratio=_ratios(training, lambda sample: sample.images_per_s),
        cpu_ratio=_ratios(training, lambda sample: sample.cpu_ms_per_image),
    )
    _show(console, result)
    if arguments.json:
        write_json(arguments.json, result)
        console.print(f"wrote {arguments.json}")


def measure_alone(caches: dict[str, NDArray[np.uint8]], rounds: int) -> dict[str, list[Sample]]:
    """Images/s of whole epochs of 2,048 images, the kinds in turns."""
    samples: dict[str, list[Sample]] = {}
    for turn in range(rounds):
        for place, images in caches.items():
            for name, spec in AUGMENTATIONS.items():
                batches = _batches(images, _labels({"gender": 1, "age": 101}), spec, 32, turn)
                sample = _measured(32, partial(_drain, batches))
                samples.setdefault(f"{place}, {name}", []).append(sample)
    return samples


def measure_training(images: NDArray[np.uint8], rounds: int, steps: int) -> dict[str, list[Sample]]:
    """Images/s of `model.fit`, start included, on a repeated batch and through the pipeline."""
    model = build_model(ModelSpec(weights="none"), seed=1, reporter=SilentReporter())
    widths = {name: int(output.shape[-1]) for name, output in model.output.items()}
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-4),
        loss={
            name: keras.losses.BinaryCrossentropy(from_logits=True)
            if width == 1
            else keras.losses.CategoricalCrossentropy(from_logits=True)
            for name, width in widths.items()
        },
    )
    labels = _labels(widths)
    (first,) = _batches(images, labels, AugmentSpec(), 1, 0)
    repeated = tf.data.Dataset.from_tensors(first).repeat(steps)
    model.fit(repeated.take(3), verbose=0)  # traces the step
    samples: dict[str, list[Sample]] = {"repeated batch": []}
    for turn in range(rounds):
        kinds: dict[str, Any] = {"repeated batch": repeated}
        for name, spec in AUGMENTATIONS.items():
            kinds[f"pipeline, {name}"] = _batches(images, labels, spec, steps, turn)
        for kind, batches in kinds.items():
            sample = _measured(steps, partial(model.fit, batches, epochs=1, verbose=0))
            samples.setdefault(kind, []).append(sample)
    return samples


def _pictures(folder: Path, memory_bytes: int) -> NDArray[np.uint8]:
    def fill(pictures: NDArray[np.uint8]) -> None:
        random = np.random.default_rng(1)
        pictures[...] = random.integers(0, 256, pictures.shape, np.uint8)

    return cached_pictures(
        COUNT,
        SIDE_PX,
        fill,
        key="random",
        folder=folder,
        memory_bytes=memory_bytes,
        disk_bytes=10**9,
    )


def _labels(widths: dict[str, int]) -> Labels:
    return {
        name: np.full((COUNT, width), 1 / width if width > 1 else 0.5, np.float32)
        for name, width in widths.items()
    }


def _batches(
    images: NDArray[np.uint8], labels: Labels, spec: AugmentSpec, steps: int, epoch: int
) -> Any:
    order = epoch_order(COUNT, BATCH, seed=1, epoch=epoch, sampling=None)[:steps]
    weights = {name: np.ones(COUNT, np.float32) for name in labels}
    return training_batches(images, labels, weights, spec, order=order, seed=1, epoch=epoch)


def _drain(batches: Any) -> None:
    for _ in batches:
        pass


def _measured(steps: int, work: Callable[[], object]) -> Sample:
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    work()
    spent_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    images = steps * BATCH
    return Sample(images_per_s=images / spent_s, cpu_ms_per_image=1000 * cpu_s / images)


def _ratios(
    training: dict[str, list[Sample]], value: Callable[[Sample], float]
) -> dict[str, float]:
    medians = {kind: median(map(value, samples)) for kind, samples in training.items()}
    return {kind: found / medians["repeated batch"] for kind, found in medians.items()}


def _show(console: Console, result: Result) -> None:
    both = [result.speed_ratio, result.cpu_ratio]
    parts = [
        ("pipeline alone", result.alone, []),
        ("MobileNetV2 training", result.training, both),
    ]
    for title, kinds, ratios in parts:
        table = Table(title=f"{title}, {SIDE_PX} px, batch {BATCH}")
        table.add_column("what", no_wrap=True)
        names = ("images/s", "lowest", "highest", "CPU ms", "speed ratio", "CPU ratio")
        for heading in names[: 4 + len(ratios)]:
            table.add_column(heading, justify="right")
        for what, samples in kinds.items():
            speeds = [sample.images_per_s for sample in samples]
            cpu_ms = median(sample.cpu_ms_per_image for sample in samples)
            table.add_row(
                what,
                *(f"{value:,.0f}" for value in (median(speeds), min(speeds), max(speeds))),
                f"{cpu_ms:.2f}",
                *(f"{of[what]:.3f}" for of in ratios),
            )
        console.print(table)


if __name__ == "__main__":
    main()
