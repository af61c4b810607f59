"""The commands that run one model on pictures: `predict` and `doctor`. Parse, call, print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeface.console import print_line, reporter_of, table_console
from edgeface.errors import ConfigError, DataError, EdgefaceError

if TYPE_CHECKING:  # imported inside the commands, so that `edgeface --help` starts fast
    from edgeface.runtime.detect import Detector
    from edgeface.runtime.predict import Predictor
    from edgeface.types import Contract, Reporter

ModelArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Artifact (.tflite with its .json beside it).")
]
NoDetectOption = Annotated[
    bool, typer.Option("--no-detect", help="Each picture is a face crop already.")
]
DetectorOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YuNet model (.onnx). Default: OpenCV's Haar cascade."),
]
MinFaceOption = Annotated[
    int | None,
    typer.Option("--min-face-px", min=1, help="Smallest face looked for. Default: 64."),
]


def predict(
    context: typer.Context,
    model: ModelArgument,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="Pictures, or folders of them.")
    ],
    no_detect: NoDetectOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a picture.")] = False,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write the pictures there, with boxes and words."),
    ] = None,
    detector: DetectorOption = None,
    min_face_px: MinFaceOption = None,
) -> None:
    """Find the faces in pictures and say age and gender of each."""
    from edgeface.runtime.artifact import load_artifact
    from edgeface.runtime.predict import open_predictor

    _check_detection(no_detect, detector, min_face_px)
    predictor = open_predictor(load_artifact(model))
    reporter = reporter_of(context)
    if not no_detect:
        _check_crop("predict", predictor.contract)
    finder = None if no_detect else _open_detector(detector, min_face_px, reporter)
    pictures = _pictures(images)
    targets = _drawing_targets(draw, [path for path, error in pictures if not error])
    failed = False
    for path, error in pictures:
        line = (
            {"image": str(path), "error": error}
            if error
            # a picture that is named twice is drawn once
            else _predict_one(predictor, finder, path, targets.pop(path, None))
        )
        failed = failed or "error" in line
        print_line(json.dumps(line, ensure_ascii=False) if as_json else _in_words(line))
    if failed:
        raise typer.Exit(1)


def doctor(
    context: typer.Context,
    model: ModelArgument,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Pictures without labels.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Manifest, folder or table of labelled faces: says what fits its labels."
        ),
    ] = None,
    theirs: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="What your own pipeline gives for these pictures, as `predict --json` prints it.",
        ),
    ] = None,
    no_detect: NoDetectOption = False,
    count: Annotated[int, typer.Option(min=1, help="Pictures tried, at most.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object to stdout.")] = False,
) -> None:
    """Say which mistake of preprocessing explains the predictions of your own pipeline."""
    from edgeface.bench.doctor import diagnose
    from edgeface.bench.doctor_pictures import labelled_pictures, pictures_of, read_theirs
    from edgeface.records import to_mapping
    from edgeface.report.doctor_table import doctor_text
    from edgeface.runtime.artifact import load_artifact

    if (images is None) == (data is None):
        raise ConfigError("doctor", ["give either --images FOLDER or --data SET"])
    artifact = load_artifact(model)
    reporter = reporter_of(context)
    wanted = None if theirs is None else read_theirs(theirs, artifact.sidecar.contract)
    names = None if wanted is None else wanted.keys()
    if data is not None:
        cases = labelled_pictures(data, names, count, reporter)
    else:
        assert images is not None  # just checked
        cases = pictures_of(_only_pictures(images), names, count)
    finder = None if no_detect else _open_detector(None, None, reporter)
    diagnosis = diagnose(artifact, cases, detector=finder, theirs=wanted, reporter=reporter)
    if as_json:
        print_line(json.dumps(to_mapping(diagnosis), ensure_ascii=False))
    else:
        table_console().print(doctor_text(diagnosis))
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _check_detection(no_detect: bool, detector: Path | None, min_face_px: int | None) -> None:
    given = [
        name
        for name, value in (("--detector", detector), ("--min-face-px", min_face_px))
        if value is not None
    ]
    if no_detect and given:
        raise ConfigError(
            "predict", [f"--no-detect looks for no faces, so leave out {' and '.join(given)}"]
        )


def _check_crop(command: str, contract: Contract) -> None:
    """Refuse a model that was trained on something else than the detectors cut out."""
    from edgeface.types import WHOLE_FACE

    if contract.image.crop != WHOLE_FACE:
        raise ConfigError(
            command,
            [
                f"the model takes {contract.image.crop}; no detector here cuts that out, give such "
                "pictures to: edgeface predict --no-detect"
            ],
        )


def _open_detector(path: Path | None, min_face_px: int | None, reporter: Reporter) -> Detector:
    from edgeface.runtime.detect import MIN_FACE_PX, open_haar
    from edgeface.runtime.yunet import open_yunet

    least_px = MIN_FACE_PX if min_face_px is None else min_face_px
    if path is None:
        return open_haar(least_px)
    opened = open_yunet(path, least_px)
    reporter.say(f"detector: {path}, sha256 {opened.sha256}")
    return opened


def _pictures(given: Sequence[Path]) -> list[tuple[Path, str]]:
    """List the pictures, those of a folder in order of name; with an error for what is none."""
    from edgeface.data.adapters.paths import IMAGE_SUFFIXES, is_folder

    pictures: list[tuple[Path, str]] = []
    for path in given:
        if not is_folder(path):
            pictures.append((path, ""))
            continue
        try:
            inside = sorted(
                each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES
            )
        except OSError as err:
            pictures.append((path, f"{path}: cannot be listed: {err.strerror}"))
            continue
        pictures += [(each, "") for each in inside]
        if not inside:
            known = ", ".join(IMAGE_SUFFIXES)
            pictures.append((path, f"{path}: holds no picture ({known}); give another folder"))
    return pictures


def _only_pictures(given: Path) -> list[Path]:
    pictures = _pictures([given])
    for _, error in pictures:
        if error:
            raise DataError(error)
    return [path for path, _ in pictures]


def _drawing_targets(folder: Path | None, pictures: Sequence[Path]) -> dict[Path, Path]:
    """Plan where each picture is drawn to, and refuse before any work what would overwrite."""
    from edgeface.runtime.draw import DRAWN_SUFFIXES

    if folder is None:
        return {}
    targets: dict[Path, Path] = {}
    taken: dict[str, Path] = {}
    for path in dict.fromkeys(pictures):
        name = path.name if path.suffix.lower() in DRAWN_SUFFIXES else f"{path.name}.png"
        # two names that differ in case only are one file on Windows, macOS and a Pi's SD card
        if other := taken.get(name.casefold()):
            raise ConfigError(
                f"--draw {folder}",
                [f"{other} and {path} would both be drawn to {name}; draw them one at a time"],
            )
        taken[name.casefold()] = path
        targets[path] = folder / name
    there = [target for target in targets.values() if target.exists()]
    if there:
        raise ConfigError(
            f"--draw {folder}",
            [f"{there[0]} is there already, nothing was drawn; give another folder"],
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise DataError(
            f"--draw {folder}: cannot be made: {err.strerror}; give another folder"
        ) from err
    return targets


def _predict_one(
    predictor: Predictor, detector: Detector | None, path: Path, target: Path | None
) -> dict[str, Any]:
    from edgeface.runtime.predict import describe_picture
    from edgeface.runtime.preprocess import read_image

    try:
        picture = read_image(path)
        faces = describe_picture(predictor, picture, detector)
    except EdgefaceError as err:
        return {"image": str(path), "error": str(err)}
    if target is not None:
        _write_drawing(picture, faces, predictor.contract, target)
    return {"image": str(path), "faces": faces}


def _write_drawing(
    picture: Any, faces: Sequence[dict[str, Any]], contract: Contract, target: Path
) -> None:
    from edgeface.records import write_bytes
    from edgeface.runtime.draw import annotate, encode

    content = encode(annotate(picture, faces, contract), target.suffix, str(target))
    if target.exists():  # it was not when the work began
        raise DataError(f"{target}: is there by now, not overwritten; give another --draw")
    try:
        write_bytes(target, content)
    except OSError as err:
        raise DataError(
            f"{target}: cannot be written: {err.strerror}; give another --draw"
        ) from err


def _in_words(line: dict[str, Any]) -> str:
    """Put one picture into words: a line a face, with nothing in it that could steer a terminal."""
    from edgeface.data.adapters.paths import printable

    if "error" in line:
        said = [f"error: {line['error']}"]
    else:
        said = [_face_in_words(face) for face in line["faces"]] or ["no face found"]
    return "\n".join(printable(f"{line['image']}: {each}") for each in said)


def _face_in_words(face: dict[str, Any]) -> str:
    values = ", ".join(f"{name} {value}" for name, value in face.items() if name != "box")
    if face["box"] is None:
        return values
    x, y, width, height = face["box"]
    return f"face of {width} x {height} px at {x}, {y}: {values}"
