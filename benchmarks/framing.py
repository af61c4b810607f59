"""How much a detector's crop costs: the same test faces as the data set cut them, and as found.

    python benchmarks/framing.py MODELS --data MANIFEST [--images N] [--json FILE]

Benchmarks measure on pictures as the data set cut them; on a device `edgeface predict` cuts them
around what the Haar detector found. Here both are measured on the test faces that it found, with
the paired difference and its 95 % interval. Where a crop reaches beyond the picture, the picture is
mirrored, as on a device. Pictures are made 200 px first, UTKFace's own size, because the detector
looks for faces of 64 px and more. Those sets are cut already, a face a picture: this says how much
the detector's jitter costs, not what a turned or badly lit face in the open would.
"""

from __future__ import annotations

import argparse
import datetime
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from edgeface.bench.device_parity import evenly_spread
from edgeface.bench.held_out import find_held_out
from edgeface.bench.quality import HeldOut, predict_in_chunks
from edgeface.bench.verdict import Comparison, Predictions, compare
from edgeface.bench.verdict_rule import PRUNED_INT8_MARGINS as MARGINS
from edgeface.commit import source_commit
from edgeface.console import TerminalReporter, table_console
from edgeface.data.faces import Faces
from edgeface.records import write_json
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.crop import Box, crop
from edgeface.runtime.detect import open_haar
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.runtime.preprocess import to_input
from edgeface.types import Reporter

PACKAGES = ("ai-edge-litert", "numpy", "opencv-python-headless")
PICTURE_PX = 200


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run: what the JSON file holds.

    Attributes:
        faces: of the test split.
        found: of them, by the detector.
        models: each on its crops (candidate) against the whole pictures (reference); verdicts by
            what a cut network may lose.
    """

    schema_version: int
    date_utc: str
    commit: str
    versions: dict[str, str]
    data: str
    manifest_sha256: str
    faces: int
    found: int
    models: tuple[Comparison, ...]


def main() -> None:
    """Measure, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help=".tflite with its sidecar beside it")
    parser.add_argument("--data", type=Path, required=True, action="append", help="as for bench")
    parser.add_argument("--images", type=int, help="test faces, evenly spread; all by default")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    reporter = TerminalReporter()
    artifacts = [load_artifact(path) for path in arguments.models]
    held_out = find_held_out(artifacts, arguments.data, reporter)
    if held_out is None:
        parser.error("no trained model among those given")
    faces = held_out.load(PICTURE_PX)
    if arguments.images:
        faces = evenly_spread(faces, arguments.images)
    boxes = find_boxes(faces.images, reporter)
    if not boxes:
        parser.error(f"no face was found in {len(faces)} pictures of {held_out.data}")
    found = faces.take(list(boxes))
    result = Result(
        schema_version=1,
        date_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        commit=source_commit(),
        versions={name: version(name) for name in PACKAGES},
        data=held_out.data,
        manifest_sha256=held_out.manifest_sha256,
        faces=len(faces),
        found=len(found),
        models=tuple(
            compare_framings(artifact, found, list(boxes.values()), held_out, reporter)
            for artifact in artifacts
        ),
    )
    show(result)
    if arguments.json:
        write_json(arguments.json, result)
        reporter.say(f"wrote {arguments.json}")


def find_boxes(images: NDArray[np.uint8], reporter: Reporter) -> dict[int, Box]:
    """Find the largest face of each picture: by index, the square that a model would get."""
    detector = open_haar()
    boxes = {}
    with reporter.track("detecting", len(images)) as advance:
        for i, image in enumerate(images):
            if found := detector.find(image):
                boxes[i] = found[0].crop
            advance(1)
    return boxes


def compare_framings(
    artifact: Artifact, found: Faces, boxes: list[Box], held_out: HeldOut, reporter: Reporter
) -> Comparison:
    """Hold a model on the detector's crops against the same model on the whole pictures."""
    name, contract = artifact.sidecar.name, artifact.sidecar.contract
    predictor = open_predictor(artifact)

    def predicted(what: str, pictures: list[NDArray[np.uint8]]) -> Predictions:
        images = np.stack([to_input(each, contract.image.side_px) for each in pictures])
        values = predict_in_chunks(
            lambda some: predict_faces(predictor, some),
            images,
            label=f"{name}, {what}",
            reporter=reporter,
        )
        return Predictions(name=f"{name}, {what}", heads=contract.heads, values=values)

    cut = [crop(image, box) for image, box in zip(found.images, boxes, strict=True)]
    return compare(
        predicted("crops", cut),
        predicted("pictures", list(found.images)),
        found.without_images(),
        margins=MARGINS,
        groups=[held_out.groups.get(id, id) for id in found.ids],
    )


def show(result: Result) -> None:
    """Print a row for each model and head."""
    table = Table(
        title=f"{result.data}, test split: a face was found in {result.found:,} of "
        f"{result.faces:,} pictures"
    )
    table.add_column("model, on the detector's crops", no_wrap=True)
    for heading in ("head", "n", "picture", "crop", "difference (95 %)"):
        table.add_column(heading, justify="right")
    for model in result.models:
        for task in model.tasks:
            of = task.overall
            table.add_row(
                model.candidate.partition(",")[0],
                f"{task.task} {'%' if task.unit == 'pp' else task.unit}",
                f"{of.n:,}",
                f"{of.reference:.2f}",
                f"{of.candidate:.2f}",
                f"{of.difference:+.2f} ({of.low:+.2f} to {of.high:+.2f})",
            )
    table_console().print(table)


if __name__ == "__main__":
    main()
