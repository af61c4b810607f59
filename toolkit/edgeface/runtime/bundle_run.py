"""The program of a bundle: what its `run.py` calls on the device.

In: the bundle's folder and a command line. Out: JSON, one object a line, on stdout; for an
`EdgefaceError` `{"error": TEXT}` and exit status 1, 2 for wrong usage. Commands: `check` tries the
bundle, `predict` takes pictures and folders, `watch` waits for pictures in a folder. Only argparse:
a device need not have Typer. `edgeface live` is not here, it needs the whole package.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence

from edgeface.errors import EdgefaceError
from edgeface.runtime.bundle_check import check_bundle, missing_package
from edgeface.runtime.bundle_files import LISTING, parse_listing
from edgeface.runtime.watch_folder import WatchedFolder, list_pictures

if TYPE_CHECKING:  # they need numpy and OpenCV, which `check` must be able to miss
    from edgeface.runtime.detect import Detector
    from edgeface.runtime.predict import Predictor

COMMANDS = ("check", "predict", "watch")


def main(folder: Path, arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command of a bundle.

    Args:
        folder: of the bundle.
        arguments: of the command line; those of the process if None.

    Returns:
        Exit status: 0; 1 for an `EdgefaceError`, or if a picture could not be looked at.
    """
    options = parse(arguments)
    try:
        failed = False
        for line in options.work(folder, options):
            failed = failed or "error" in line
            _say(line)
    except EdgefaceError as err:
        _say({"error": str(err)})
        return 1
    except KeyboardInterrupt:  # how a person ends `watch`
        return 0
    return int(failed)


def parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    """Parse a command line of a bundle; ends the process if it is none, as argparse does."""
    parser = argparse.ArgumentParser(prog="edgeface-run", description="Runs this bundle's model.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="verify every file and run the golden vectors")
    check.add_argument("--expect", default="", metavar="ID", help="the bundle that it must be")
    check.set_defaults(work=_check)
    predict = commands.add_parser("predict", help="faces of pictures, one JSON object a picture")
    predict.add_argument("pictures", nargs="+", type=Path, metavar="IMAGE|FOLDER")
    predict.set_defaults(work=_predict)
    watch = commands.add_parser("watch", help="the same for every picture that comes into a folder")
    watch.add_argument("watched", type=Path, metavar="FOLDER")
    watch.add_argument("--interval-s", type=_from(float, 0.05), default=1.0)
    watch.set_defaults(work=_watch)
    for command in (predict, watch):
        command.add_argument(
            "--no-detect", action="store_true", help="each picture is a face crop already"
        )
        command.add_argument(
            "--min-face-px", type=_from(int, 1), help="smallest face looked for; else 64"
        )
    for command in (check, predict, watch):
        command.add_argument("--threads", type=_from(int, 1), default=1)
    return parser.parse_args(arguments)


def _check(folder: Path, options: argparse.Namespace) -> Iterator[Dict[str, Any]]:
    yield asdict(check_bundle(folder, options.expect, options.threads))


def _predict(folder: Path, options: argparse.Namespace) -> Iterator[Dict[str, Any]]:
    describe = _describer(folder, options)
    for given in options.pictures:
        pictures: List[Path] = list_pictures(given) if given.is_dir() else [given]
        if not pictures:
            yield {"image": str(given), "error": f"{given}: holds no picture"}
        for path in pictures:
            yield describe(path)


def _watch(folder: Path, options: argparse.Namespace) -> Iterator[Dict[str, Any]]:
    describe = _describer(folder, options)
    watched = WatchedFolder(options.watched)
    while True:
        for path in watched.look():
            yield describe(path)
        time.sleep(options.interval_s)


def _describer(folder: Path, options: argparse.Namespace) -> Callable[[Path], Dict[str, Any]]:
    """Open the bundle's model once, for one JSON object a picture as `edgeface predict` gives."""
    listing = parse_listing((folder / LISTING).read_bytes(), LISTING)
    try:
        from edgeface.runtime.artifact import load_artifact
        from edgeface.runtime.detect import MIN_FACE_PX, open_haar
        from edgeface.runtime.predict import open_predictor
    except ImportError as err:
        raise missing_package(err) from err
    artifact = load_artifact(folder / f"{listing.model}.tflite")
    predictor = open_predictor(artifact, options.threads)
    detector = None if options.no_detect else open_haar(options.min_face_px or MIN_FACE_PX)
    return lambda path: _described(predictor, detector, path)


def _described(predictor: Predictor, detector: Optional[Detector], path: Path) -> Dict[str, Any]:
    from edgeface.runtime.predict import describe_picture
    from edgeface.runtime.preprocess import read_image

    try:
        return {
            "image": str(path),
            "faces": describe_picture(predictor, read_image(path), detector),
        }
    except EdgefaceError as err:
        return {"image": str(path), "error": str(err)}


def _say(line: Dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()  # a service's lines must not wait for a full buffer


def _from(kind: Callable[[str], Any], least: float) -> Callable[[str], Any]:
    def number(text: str) -> Any:
        value = kind(text)
        if not value >= least:  # also refuses nan
            raise argparse.ArgumentTypeError(f"found {text}, expected {least:g} or more")
        return value

    return number
