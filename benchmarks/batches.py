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
from dataclasses import asdict
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

from edgeface.bench.device import describe_local
from edgeface.commit import source_commit
from edgeface.config import AugmentSpec, ModelSpec
from edgeface.data.balance import epoch_order
from edgeface.data.batches import training_batches
from edgeface.data.picture_cache import cached_pictures
from edgeface.model.networks import build_model
from edgeface.records import write_json
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
Labels = dict[str, NDArray[np.float32]]


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
    ratio = _ratio(training)
    _show(console, alone, training, ratio)
    if arguments.json:
        write_json(
            arguments.json,
            {
                "schema_version": 1,
                "date_utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "commit": source_commit(),
                "machine": asdict(describe_local()),
                "load_average_before": load_before,
                "load_average_after": os.getloadavg(),
                "versions": {
                    name: version(name)
                    for name in ("tensorflow", "tf-keras", "numpy", "opencv-python-headless")
                },
                "side_px": SIDE_PX,
                "batch_size": BATCH,
                "augmentations": {name: asdict(spec) for name, spec in AUGMENTATIONS.items()},
                "alone_images_per_s": alone,
                "training_images_per_s": training,
                "training_ratio": ratio,
            },
        )
        console.print(f"wrote {arguments.json}")


def measure_alone(caches: dict[str, NDArray[np.uint8]], rounds: int) -> dict[str, list[float]]:
    """Images/s of whole epochs of 2,048 images, the kinds in turns."""
    samples: dict[str, list[float]] = {}
    for turn in range(rounds):
        for place, images in caches.items():
            for name, spec in AUGMENTATIONS.items():
                batches = _batches(images, _labels({"gender": 1, "age": 101}), spec, 32, turn)
                speed = _images_per_s(32, lambda batches=batches: _drain(batches))
                samples.setdefault(f"{place}, {name}", []).append(speed)
    return samples


def measure_training(images: NDArray[np.uint8], rounds: int, steps: int) -> dict[str, list[float]]:
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
    samples: dict[str, list[float]] = {"repeated batch": []}
    for turn in range(rounds):
        kinds: dict[str, Any] = {"repeated batch": repeated}
        for name, spec in AUGMENTATIONS.items():
            kinds[f"pipeline, {name}"] = _batches(images, labels, spec, steps, turn)
        for kind, batches in kinds.items():
            speed = _images_per_s(
                steps, lambda batches=batches: model.fit(batches, epochs=1, verbose=0)
            )
            samples.setdefault(kind, []).append(speed)
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


def _images_per_s(steps: int, work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return steps * BATCH / (time.perf_counter() - start_s)


def _ratio(training: dict[str, list[float]]) -> dict[str, float]:
    base = median(training["repeated batch"])
    return {kind: median(speeds) / base for kind, speeds in training.items()}


def _show(
    console: Console,
    alone: dict[str, list[float]],
    training: dict[str, list[float]],
    ratio: dict[str, float],
) -> None:
    tables = (("pipeline alone", alone, None), ("MobileNetV2 training", training, ratio))
    for title, samples, ratios in tables:
        table = Table(title=f"{title}, {SIDE_PX} px, batch {BATCH}, images/s")
        for heading in ("what", "median", "lowest", "highest", *(["ratio"] if ratios else [])):
            table.add_column(heading, justify="left" if heading == "what" else "right")
        for kind, speeds in samples.items():
            figures = [f"{value:,.0f}" for value in (median(speeds), min(speeds), max(speeds))]
            table.add_row(kind, *figures, *([f"{ratios[kind]:.3f}"] if ratios else []))
        console.print(table)


if __name__ == "__main__":
    main()
