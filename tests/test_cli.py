"""The command line: bad input is one line, the right exit status, and nothing half-written."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgeface.cli import main
from edgeface.records import write_json
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    HeadSpec,
    ImageSpec,
    Sidecar,
    TensorSpec,
)
from support.records import provenance

DRAWN_TALK = "no --data: working on drawn faces; no figure of this run is about real ones"
SMALL_RECIPE = """
data = {drawn_count = 50, drawn_side_px = 32}
model = {width_ratio = 0.35, side_px = 32, weights = "none"}
"""
RECIPE_PROBLEMS = """
seed = "one"
[train]
epoch = 3
batch_size = 1
"""


@dataclass(frozen=True)
class Ended:
    """How one command line ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as info:
            main(arguments)
        assert isinstance(info.value.code, int)
        captured = capsys.readouterr()
        return Ended(info.value.code, captured.out, captured.err)

    return call


def write_sidecar(path: Path, content: bytes) -> None:
    """Write the sidecar of a model that has these bytes."""
    write_json(
        path,
        Sidecar(
            schema_version=SIDECAR_SCHEMA_VERSION,
            name=path.stem,
            backbone="mobilenetv2",
            scheme="float32",
            sha256="0" * 64,
            size_bytes=len(content),
            contract=Contract(
                image=ImageSpec(side_px=8),
                input=TensorSpec(name="image", shape=(1, 8, 8, 3), dtype="float32"),
                outputs=(TensorSpec(name="age", shape=(1, 1), dtype="float32"),),
                heads=(HeadSpec(name="age", kind="regression", tensor="age", unit="years"),),
            ),
            golden=(),
            provenance=provenance(data="none", data_kind="none", trained=False),
            quality=None,
            licence="none",
        ),
    )


@pytest.fixture
def bad_files(tmp_path: Path) -> None:
    """Everything that the table below names."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "unlabelled").mkdir()
    done, png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    assert done
    (tmp_path / "unlabelled" / "portrait.png").write_bytes(png.tobytes())
    (tmp_path / "face.png").write_bytes(png.tobytes())
    (tmp_path / "file").write_text("a regular file")
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    (tmp_path / "wrong.toml").write_text(RECIPE_PROBLEMS)
    (tmp_path / "text.toml").write_text("epochs: 3\n")
    (tmp_path / "text.h5").write_text("weights, or so they say\n")
    (tmp_path / "page.tflite").write_text("<html>404 not found</html>")
    content = b"\x1c\0\0\0TFL3" + bytes(100)
    (tmp_path / "alone.tflite").write_bytes(content)
    (tmp_path / "changed.tflite").write_bytes(content)
    write_sidecar(tmp_path / "changed.json", content)


SMALL = ("compress", "--recipe", "small.toml")
NOT_A_TFLITE = "edgeface: page.tflite: not a .tflite: found b'l>40' at bytes 4 to 8, "
WRONG_HASH = "edgeface: changed.tflite: found sha256 "
NO_MODEL = "edgeface: none.tflite: no such model"


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize(
    ("arguments", "status", "starts", "holds"),
    [
        (
            ("compress", "--recipe", "mobilnet"),
            2,
            "edgeface: recipe 'mobilnet': not found",
            "drawn",
        ),
        (
            ("compress", "--recipe", "wrong.toml"),
            2,
            "edgeface: recipe wrong.toml: seed: found 'one' (str), expected int; "
            "train.epoch: unknown key, expected one of epochs, ",
            "; train.batch_size is 1, expected 2 or more",
        ),
        (("compress", "--recipe", "text.toml"), 2, "edgeface: recipe text.toml: not TOML: ", ""),
        (("compress", "--recipe", "file"), 2, "edgeface: recipe 'file': not found", ".toml file"),
        (("train", "--recipe", "mobilnet"), 2, "edgeface: recipe 'mobilnet': not found", "drawn"),
        (
            ("compress", "--model", "x.keras", "--budget", "size<=1MB"),
            2,
            "edgeface: compress: --model with --budget, expected one of them",
            "",
        ),
        (
            ("compress", "--model", "x.keras", "--budget", "size<=1MB", "--side-px", "96"),
            2,
            "edgeface: compress: --model with --budget, expected one of them",
            "; --side-px with --model, expected one of them: it is built; --side-px with --bud",
        ),
        (
            ("compress", "--side-px", "97", "--width-ratio", "5"),
            2,
            "edgeface: recipe drawn: model.width_ratio is 5.0, expected 0.1 to 2",
            "; model.side_px is 97, expected a multiple of 32",
        ),
        (("bench", "page.tflite"), 1, NOT_A_TFLITE, ""),
        (("bench", "changed.tflite"), 1, WRONG_HASH, f"the sidecar states {'0' * 64}"),
        (("bench", "alone.tflite"), 1, "edgeface: alone.json: no sidecar beside the model", ""),
        (("bench", "none.tflite"), 1, NO_MODEL, ""),
        (("bench", "face.png"), 1, "edgeface: face.png: found the ending '.png'", "NAME.tflite"),
        (("bench", "empty"), 2, "edgeface: empty: holds no .tflite", "edgeface compress"),
        (("bench",), 2, "edgeface: exported: holds no .tflite", "edgeface compress"),
        (
            ("bench", "none.tflite", "--device", "pi"),
            2,
            "edgeface: device 'pi': not known",
            "local",
        ),
        (("bench", "none.tflite", "--threads", "0"), 2, "edgeface: bench: threads is 0, exp", ""),
        (("bench", "none.tflite", "--repeats", "0"), 2, "edgeface: bench: repeats is 0, exp", ""),
        (("predict", "page.tflite", "face.png", "--no-detect"), 1, NOT_A_TFLITE, ""),
        (("predict", "changed.tflite", "face.png", "--no-detect"), 1, WRONG_HASH, ""),
        (("predict", "none.tflite", "face.png", "--no-detect", "--json"), 1, NO_MODEL, ""),
        (("predict", "none.tflite", "face.png"), 1, NO_MODEL, ""),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], status: int, starts: str, holds: str, run: Run, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = run(*arguments)
    assert ended.status == status
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith(starts)
    assert holds in line
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


# TensorFlow is loaded for these.
@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize(
    ("arguments", "talk", "starts", "holds"),
    [
        (
            (*SMALL, "--data", "empty"),
            [],
            "edgeface: empty: no labelled face set found",
            "(utkface)",
        ),
        (
            (*SMALL, "--data", "none"),
            [],
            "edgeface: none: no such folder",
            "give a folder of labelled faces",
        ),
        ((*SMALL, "--data", "file"), [], "edgeface: file: ", ""),
        (
            (*SMALL, "--data", "unlabelled"),
            [],
            "edgeface: unlabelled: no labelled face set found; looked for ",
            "pictures named <age>_<gender>_<race>_<date> (utkface)",
        ),
        (
            (*SMALL, "--weights", "text.h5"),
            [DRAWN_TALK, "drawn faces: 50 images: 35 train, 5 validation, 10 test"],
            "edgeface: weights text.h5: ",
            "expected a tf_keras no-top .h5 file",
        ),
        (
            (*SMALL, "--weights", "none.h5"),
            [DRAWN_TALK, "drawn faces: 50 images: 35 train, 5 validation, 10 test"],
            "edgeface: weights none.h5: no such file",
            "--weights",
        ),
    ],
)
def test_what_compress_cannot_work_with_is_one_line(
    arguments: tuple[str, ...],
    talk: list[str],
    starts: str,
    holds: str,
    run: Run,
    tmp_path: Path,
) -> None:
    ended = run(*arguments, "--out", "made")
    assert ended.status == 1
    assert ended.out == ""
    *others, line = ended.err.splitlines()
    assert others == talk
    assert line.startswith(starts)
    assert holds in line
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize(
    ("budget", "status", "says"),
    [
        ("size<=abc", 2, "edgeface: --budget: character 1, 'size<=abc': not a limit"),
        ("size<=1MB, p50<=8ms@rpi", 1, "edgeface: --budget: no device rpi, expected one of local"),
    ],
)
def test_a_budget_that_cannot_be_searched_for(
    budget: str, status: int, says: str, run: Run, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = run(*SMALL, "--budget", budget, "--out", "made")
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.splitlines()[-1].startswith(says)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


@pytest.mark.usefixtures("bad_files")
def test_a_model_to_compress_that_is_not_there(run: Run) -> None:
    ended = run(*SMALL, "--model", "none.keras", "--out", "made")
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("edgeface: none.keras: none.keras.json is not ")


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize("out", ["file", "file/made"])
def test_an_output_folder_that_cannot_be_made(out: str, run: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    ended = run(*SMALL, "--out", out)
    assert (ended.status, ended.out) == (1, "")
    talk, line = ended.err.splitlines()
    assert talk == DRAWN_TALK
    assert line.startswith(f"edgeface: output folder {out}: cannot be written: ")
    assert line.endswith("; give another --out")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("bad_files")
def test_somebody_elses_model_is_not_replaced(run: Run, tmp_path: Path) -> None:
    theirs = tmp_path / "made" / "mobilenetv2-a35-32px-p30-int8.tflite"
    theirs.parent.mkdir()
    theirs.write_bytes(b"theirs")
    ended = run(*SMALL, "--out", "made")
    assert ended.status == 1
    line = ended.err.splitlines()[-1]
    assert line.startswith(f"edgeface: made/{theirs.name}: is there already and is no whole")
    assert line.endswith("give --overwrite to replace it, or another --out")
    assert {file.name: file.read_bytes() for file in theirs.parent.iterdir()} == {
        theirs.name: b"theirs"
    }


def test_a_line_break_in_a_name_stays_in_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('"a\\nb" = 1\n')
    ended = run("compress", "--recipe", "odd.toml")
    assert ended.status == 2
    assert ended.err.startswith("edgeface: recipe odd.toml: a b: unknown key, expected one of ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("compress", "--speed", "3"),
        ("bench", "--threads", "two"),
        ("predict",),
        ("compress", "extra"),
    ],
)
def test_wrong_usage_ends_with_2_and_points_to_the_help(
    arguments: tuple[str, ...], run: Run
) -> None:
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert "--help" in ended.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("frobnicate",), "usage: No such command 'frobnicate'."),
        (("compress", "--speed", "3"), "usage: No such option: --speed"),
        ((), "usage: Missing command."),
        (("bench", "none.tflite"), "none.tflite: no such model"),
    ],
)
def test_the_options_before_the_command_rule_over_its_errors(
    arguments: tuple[str, ...], text: str, run: Run
) -> None:
    quiet = run("--quiet", *arguments)
    assert quiet.out == ""
    assert quiet.err.startswith(f"edgeface: {text}")
    assert quiet.err.count("\n") == 1
    logged = run("--log-json", *arguments)
    event = json.loads(logged.err)
    assert (logged.status, logged.out) == (quiet.status, "")
    assert (event["event"], event["exit_status"]) == ("error", quiet.status)
    assert f"edgeface: {event['text']}\n" == quiet.err


def test_quiet_and_json_lines_are_not_for_one_run(run: Run) -> None:
    ended = run("-q", "--log-json", "models")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == "edgeface: --quiet: with --log-json, expected one of them\n"


def test_talk_is_dropped_or_made_json_and_data_stay(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    talk = run("models", "none").err
    assert talk.startswith("none: holds no .tflite")
    quiet = run("-q", "models", "none")
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    event = json.loads(run("--log-json", "models", "none").err)
    assert (event["event"], event["text"]) == ("say", talk.rstrip("\n"))


@pytest.mark.usefixtures("stand_in_model")
def test_predictions_are_the_same_however_the_talk_goes(
    run: Run, three_pictures: list[str]
) -> None:
    predict = ("predict", "m.tflite", three_pictures[0], "--no-detect", "--json")
    expected = run(*predict).out
    for option in ("--quiet", "--log-json"):
        ended = run(option, *predict)
        assert (ended.status, ended.out, ended.err) == (0, expected, "")


def test_stopped_is_one_line_in_the_way_that_was_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("edgeface.report.models_table.list_models", interrupt)
    for option in ((), ("--quiet",)):
        ended = run(*option, "models", "none")
        assert (ended.status, ended.out, ended.err) == (143, "", "edgeface: stopped\n")
    event = json.loads(run("--log-json", "models", "none").err)
    assert (event["event"], event["text"], event["exit_status"]) == ("error", "stopped", 143)


@pytest.fixture
def stand_in_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes the mean of a picture for the age."""
    contract = SimpleNamespace(
        heads=(
            HeadSpec(name="age", kind="regression", tensor="age", unit="years"),
            HeadSpec(name="gender", kind="binary", tensor="gender", classes=("male", "female")),
        )
    )

    def predict_faces(predictor: Any, images: list[Any]) -> dict[str, Any]:
        assert predictor.contract is contract
        means = np.array([image.mean() for image in images])
        return {"age": means, "gender": np.full(len(images), 0.75)}

    monkeypatch.setattr("edgeface.runtime.artifact.load_artifact", lambda path: path)
    monkeypatch.setattr(
        "edgeface.runtime.predict.open_predictor",
        lambda artifact: SimpleNamespace(contract=contract),
    )
    monkeypatch.setattr("edgeface.runtime.predict.predict_faces", predict_faces)


@pytest.mark.usefixtures("stand_in_model")
def test_a_model_of_other_crops_is_not_given_whole_faces(
    run: Run, three_pictures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = SimpleNamespace(image=ImageSpec(side_px=32, crop="the eye region"))
    monkeypatch.setattr(
        "edgeface.runtime.predict.open_predictor",
        lambda artifact: SimpleNamespace(contract=contract),
    )
    ended = run("predict", "m.tflite", three_pictures[0])
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "edgeface: predict: the model takes the eye region; no detector here cuts that out, give "
        "such pictures to: edgeface predict --no-detect\n"
    )


@pytest.fixture
def three_pictures(tmp_path: Path) -> list[str]:
    """A good one, a text and another good one, whose name is not UTF-8."""
    names = ["é 40.png", "text.png", os.fsdecode(b"\xff.png")]
    done, png = cv2.imencode(".png", np.full((4, 4, 3), 40, np.uint8))
    assert done
    for name in names:
        (tmp_path / name).write_bytes(png.tobytes())
    (tmp_path / "text.png").write_text("no picture")
    return names


@pytest.mark.usefixtures("stand_in_model")
def test_a_bad_picture_does_not_stop_the_others(run: Run, three_pictures: list[str]) -> None:
    ended = run("predict", "m.tflite", *three_pictures, "--no-detect", "--json")
    assert (ended.status, ended.err) == (1, "")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    face = {"box": None, "age": 40.0, "gender": "female", "p_female": 0.75}
    assert [line["image"] for line in lines] == three_pictures
    assert [line.get("faces") for line in lines] == [[face], None, [face]]
    assert lines[1]["error"].startswith("text.png: not an image: found b'no pictu'")
    assert set(lines[1]) == {"image", "error"}
    ended.out.encode("utf-8")  # raises if a terminal could not print it
    good = run("predict", "m.tflite", three_pictures[0], "--no-detect", "--json")
    assert (good.status, good.err) == (0, "")


@pytest.mark.usefixtures("stand_in_model")
def test_predictions_in_words(run: Run, three_pictures: list[str]) -> None:
    ended = run("predict", "m.tflite", *three_pictures, "--no-detect")
    first, second, third = ended.out.splitlines()
    assert first == "é 40.png: age 40.0, gender female, p_female 0.75"
    assert second.startswith("text.png: error: text.png: not an image: ")
    assert third == "\\udcff.png: age 40.0, gender female, p_female 0.75"


def test_what_is_no_edgeface_error_is_a_bug_and_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("edgeface.runtime.artifact.load_artifact", fail)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        main(["predict", "m.tflite", "x.png", "--no-detect"])
