"""A bundle is tried where it lies: every damage has its line; then its program is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import cv2
import numpy as np
import pytest

from edgeface.errors import ArtifactError, DataError, DeviceError
from edgeface.runtime import bundle_check
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.bundle_check import check_bundle, missing_package
from edgeface.runtime.bundle_files import bundle_id, file_sha256, parse_listing, verify_files
from edgeface.runtime.bundle_run import main, parse
from edgeface.runtime.predict import describe_picture, open_predictor
from edgeface.runtime.watch_folder import WatchedFolder, list_pictures

Run = Callable[..., Tuple[int, List[Dict[str, Any]]]]
NAME = "tiny-a100-8px-int8"


@pytest.fixture
def bundle(write_artifact: Callable[..., Path], int8_model: Any, tmp_path: Path) -> Path:
    """A bundle's folder, written without the host's code."""
    made = write_artifact(int8_model, NAME)
    folder = tmp_path / "bundle"
    folder.mkdir()
    for path in (made, made.with_suffix(".json")):
        path.rename(folder / path.name)
    for name in ("edgeface.zip", "run.py", "edgeface-run"):
        (folder / name).write_text(name)
    write_listing(folder)
    return folder


def write_listing(folder: Path, **changes: Any) -> None:
    members = {
        path.name: {"sha256": file_sha256(path), "size_bytes": path.stat().st_size}
        for path in folder.iterdir()
        if path.name != "bundle.json"
    }
    listing = {
        "schema_version": 1,
        "model": NAME,
        "edgeface_version": "0",
        "members": members,
    }
    (folder / "bundle.json").write_text(json.dumps({**listing, **changes}))


@pytest.fixture
def run(bundle: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Tuple[int, List[Dict[str, Any]]]:
        capsys.readouterr()
        status = main(bundle, arguments)
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def test_a_good_bundle_says_what_ran(run: Run, bundle: Path) -> None:
    id = bundle_id((bundle / "bundle.json").read_bytes())
    status, (line,) = run("check", "--expect", id)
    assert status == 0
    assert (line["bundle"], line["model"], line["vectors"]) == (id, NAME, 3)
    assert (line["runtime"], line["opencv_version"]) == ("ai-edge-litert", cv2.__version__)
    for name in ("interpreter", "previous"):  # what an installation adds
        (bundle / name).write_text("x")
    assert run("check")[0] == 0


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def link(path: Path) -> None:
    target = path.with_name("there")
    path.rename(target)
    path.symlink_to(target)


DAMAGE: List[Tuple[Callable[[Path], object], str]] = [
    (lambda b: flip(b / f"{NAME}.tflite"), f"damaged: {NAME}.tflite has sha256"),
    (lambda b: flip(b / f"{NAME}.json"), f"damaged: {NAME}.json has sha256"),
    (lambda b: flip(b / "edgeface.zip"), "damaged: edgeface.zip has sha256"),
    (lambda b: (b / "run.py").unlink(), "damaged: run.py is missing"),
    (lambda b: (b / "numpy.py").write_text(""), "damaged: 'numpy.py' does not belong to it"),
    (lambda b: link(b / "run.py"), "run.py is a link; 'there' does not belong to it"),
    (lambda b: (b / "sub").symlink_to("/"), "damaged: 'sub' does not belong to it"),
    (lambda b: (b / "bundle.json").unlink(), "cannot be read as a bundle"),
    (lambda b: (b / "bundle.json").write_text("{"), "not JSON"),
    (lambda b: (b / "bundle.json").write_text("[]"), "not the listing of a bundle"),
    (lambda b: write_listing(b, schema_version=2), "found schema_version 2, this edgeface reads 1"),
    (lambda b: write_listing(b, model="other"), "lists no other.tflite; lists no other.json"),
    (lambda b: write_listing(b, members={"../x": {"sha256": "", "size_bytes": 0}}), "'../x'"),
]


@pytest.mark.parametrize(("damage", "said"), DAMAGE, ids=[said for _, said in DAMAGE])
def test_damage_is_one_line(
    run: Run, bundle: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(bundle)
    status, (line,) = run("check")
    assert status == 1
    assert said in line["error"]
    assert "\n" not in line["error"]


def test_another_bundle_than_the_one_wanted(run: Run) -> None:
    status, (line,) = run("check", "--expect", "0" * 16)
    assert status == 1
    assert "expected 0000000000000000" in line["error"]


def test_another_model_with_right_digests_fails_its_vectors(
    run: Run, bundle: Path, tiny_model: Any
) -> None:
    path = bundle / f"{NAME}.tflite"
    path.write_bytes(tiny_model("int8", 4).content)
    sidecar = json.loads((bundle / f"{NAME}.json").read_text())
    sidecar.update(sha256=file_sha256(path), size_bytes=path.stat().st_size)
    (bundle / f"{NAME}.json").write_text(json.dumps(sidecar))
    write_listing(bundle)
    status, (line,) = run("check")
    assert status == 1
    assert f"{NAME}: the self-test failed: golden vector 1: tensor age differs" in line["error"]


def test_a_runtime_that_does_not_fit_is_said_before_it_is_tried(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "numpy 2.1.3 with tflite-runtime 2.14.0, which needs numpy below 2"
    monkeypatch.setattr(bundle_check, "identify", lambda name: {"problem": why, "device": {}})
    with pytest.raises(DeviceError, match=why):
        check_bundle(bundle)


@pytest.mark.parametrize(
    ("missing", "machine", "bits", "said"),
    [
        ("cv2", "aarch64", 64, "this Python has no OpenCV (none): pip install 'opencv-python-head"),
        ("cv2", "armv7l", 32, "has no OpenCV (none): sudo apt install python3-opencv opencv-data"),
        ("cv2", "aarch64", 32, "has no OpenCV (none): sudo apt install python3-opencv"),
        ("numpy.core", "aarch64", 64, "this Python has no numpy (none): pip install numpy"),
        (None, "armv7l", 32, "this Python has no numpy (none): pip install numpy"),
    ],
)
def test_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str, machine: str, bits: int, said: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("sys.maxsize", 2 ** (bits - 1) - 1)
    assert said in str(missing_package(ImportError("none", name=missing)))


def test_a_fault_of_edgefaces_own_is_not_explained_away() -> None:
    with pytest.raises(ImportError, match="mine"):
        missing_package(ImportError("mine", name="edgeface"))


def test_predict_gives_what_the_model_says(run: Run, bundle: Path, tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "b.png"), picture[..., ::-1])
    (folder / "a.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not looked at")
    status, lines = run("predict", "--no-detect", str(folder))
    predictor = open_predictor(load_artifact(bundle / f"{NAME}.tflite"))
    assert status == 1  # for a.jpg
    assert [Path(line["image"]).name for line in lines] == ["a.jpg", "b.png"]
    assert "not an image" in lines[0]["error"]
    assert lines[1]["faces"] == describe_picture(predictor, picture, None)
    assert run("predict", "--no-detect", str(folder / "b.png"))[0] == 0
    assert run("predict", str(folder / "b.png")) == (
        0,
        [{"image": str(folder / "b.png"), "faces": []}],  # noise has no face to find
    )


def test_predict_holds_the_model_to_its_digest(run: Run, bundle: Path) -> None:
    flip(bundle / f"{NAME}.tflite")
    status, (line,) = run("predict", "--no-detect", "any.png")
    assert status == 1
    assert "found sha256" in line["error"]


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["live"],
        ["predict"],
        ["watch"],
        ["predict", "a.png", "--min-face-px", "0"],
        ["watch", ".", "--interval-s", "nan"],
        ["check", "--threads", "0"],
    ],
)
def test_wrong_usage_ends_with_2(line: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line)
    assert ended.value.code == 2


def test_watch_gives_each_picture_once_when_it_is_at_rest(tmp_path: Path) -> None:
    watched = WatchedFolder(tmp_path)
    assert watched.look() == ()
    picture = tmp_path / "a.JPG"
    picture.write_text("half")
    (tmp_path / "a.jpg.part").write_text("")
    assert watched.look() == ()  # may still be written
    picture.write_text("whole")
    assert watched.look() == ()
    assert watched.look() == (picture,)
    assert watched.look() == ()
    picture.write_text("another")
    assert [watched.look() for _ in range(3)] == [(), (picture,), ()]
    picture.unlink()
    assert watched.look() == ()
    picture.write_text("another")  # a new file of the same name
    assert [watched.look() for _ in range(3)] == [(), (picture,), ()]
    with pytest.raises(DataError, match="cannot be listed"):
        list_pictures(tmp_path / "none")


def test_watch_prints_until_it_is_interrupted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    waits: List[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            cv2.imwrite(str(folder / "x.png"), np.zeros((9, 9, 3), np.uint8))
        if len(waits) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", wait)
    status, (line,) = run("watch", "--no-detect", "--interval-s", "0.5", str(folder))
    assert status == 0
    assert line["faces"][0]["gender"] in ("male", "female")
    assert waits == [0.5] * 4


def test_the_listing_must_name_what_a_bundle_is_run_by(bundle: Path) -> None:
    content = (bundle / "bundle.json").read_bytes()
    assert parse_listing(content, "x").model == NAME
    (bundle / "edgeface-run").unlink()
    write_listing(bundle)
    with pytest.raises(ArtifactError, match="lists no edgeface-run"):
        verify_files(bundle)
