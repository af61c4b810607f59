"""`frames`: whole pictures, stage by stage, on a clock made of numbers and once on a real one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data.drawn import draw_face
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.crop import crop
from edgeface.runtime.detect import MIN_FACE_PX, Detection
from edgeface.runtime.frames import STAGES, run_frame, time_frames
from edgeface.runtime.predict import Predictor, open_predictor, predict_faces

FOUND = (
    Detection(box=(20, 10, 30, 30), crop=(18, 12, 30, 30)),
    Detection(box=(0, 0, 12, 12), crop=(-4, -2, 14, 14)),
)


class FakeDetector:
    def __init__(self, *found: Detection) -> None:
        self.found = found

    def find(self, rgb: NDArray[np.uint8]) -> Tuple[Detection, ...]:
        return self.found


class Ticks:
    """A clock that moves by 1, 2, 3 ... ms from one look to the next."""

    def __init__(self) -> None:
        self.looks = 0
        self.now_ns = 0

    def read(self) -> int:
        self.now_ns += 1_000_000 * self.looks
        self.looks += 1
        return self.now_ns


@pytest.fixture
def predictor(write_artifact: Callable[..., Path], int8_model: Any) -> Predictor:
    return open_predictor(load_artifact(write_artifact(int8_model)))


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (60, 70, 3), dtype=np.uint8)


def test_a_frame_says_what_predict_says(predictor: Predictor, picture: NDArray[np.uint8]) -> None:
    stage_ms, faces, values = run_frame(
        predictor, FakeDetector(*FOUND), lambda: picture, Ticks().read
    )
    assert faces == 2
    expected = predict_faces(predictor, [crop(picture, face.crop) for face in FOUND])
    assert list(values) == list(expected)
    for name, each in values.items():
        np.testing.assert_array_equal(each, expected[name])
    assert list(stage_ms) == [1, 2, 3, 4, 5, 6]  # the clock is read once after each stage
    assert len(stage_ms) == len(STAGES)


def test_without_a_face_the_stages_are_there(
    predictor: Predictor, picture: NDArray[np.uint8]
) -> None:
    stage_ms, faces, values = run_frame(predictor, FakeDetector(), lambda: picture, Ticks().read)
    assert (faces, values) == (0, {})
    assert len(stage_ms) == len(STAGES)


def test_pictures_take_turns_and_each_has_one(
    predictor: Predictor, picture: NDArray[np.uint8]
) -> None:
    looks: List[int] = []

    def between() -> bool:
        looks.append(1)
        return False

    reads = [lambda: picture, lambda: picture[:50], lambda: picture[:40]]
    frames = time_frames(predictor, FakeDetector(FOUND[0]), reads, seconds=0.0, between=between)
    assert [frame.picture for frame in frames] == [0, 1, 2]
    assert [frame.faces for frame in frames] == [1, 1, 1]
    assert len(looks) == 3
    # a frame looks 7 times at the clock and the loop once: 1 + 8 a frame until 1 s is over
    ticks = Ticks()
    frames = time_frames(
        predictor,
        FakeDetector(FOUND[0]),
        reads[:1],
        seconds=1.0,
        between=lambda: False,
        clock_ns=ticks.read,
    )
    assert ticks.looks == 1 + 7 + 8 * (len(frames) - 1) + 1  # the first frame needs no look before
    assert ticks.now_ns >= 1_000_000_000


def run_frames(path: Path, *arguments: str) -> Dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "edgeface.runtime.runner", "frames", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    result: Dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if "error" in result else 0), done.stderr
    return result


def write_png(path: Path, rgb: NDArray[np.uint8]) -> str:
    assert cv2.imwrite(str(path), np.ascontiguousarray(rgb[:, :, ::-1]))
    return str(path)


def test_drawn_faces_end_to_end(
    write_artifact: Callable[..., Path], int8_model: Any, tmp_path: Path
) -> None:
    grey = np.full((200, 240, 3), 128, np.uint8)
    faces = np.full((240, 520, 3), 128, np.uint8)
    for index, x in ((0, 20), (1, 280)):  # the cascade accepts these two of the drawn faces
        faces[10:230, x : x + 220] = draw_face(seed=0, index=index, side_px=220).image
    pictures = [write_png(tmp_path / "grey.png", grey), write_png(tmp_path / "two.png", faces)]
    path = write_artifact(int8_model)
    result = run_frames(path, *pictures, "--seconds", "0", "--sample-interval-s", "5")
    assert list(result) == [
        "runtime",
        "runtime_version",
        "threads",
        "cores",
        "opencv_version",
        "opencv_threads",
        "detector",
        "min_face_px",
        "read_each_frame",
        "pictures",
        "stages",
        "frames",
        "samples",
        "clock_jump_s",
    ]
    assert result["stages"] == list(STAGES)
    assert result["read_each_frame"] is True
    assert (result["threads"], result["opencv_threads"], result["cores"]) == (1, 1, None)
    assert result["min_face_px"] == MIN_FACE_PX
    assert result["pictures"] == [
        {"path": pictures[0], "width_px": 240, "height_px": 200},
        {"path": pictures[1], "width_px": 520, "height_px": 240},
    ]
    assert [(each["picture"], each["faces"]) for each in result["frames"]] == [(0, 0), (1, 2)]
    for frame in result["frames"]:
        assert len(frame["stage_ms"]) == len(STAGES)
        assert all(time_ms > 0 for time_ms in frame["stage_ms"])
    assert len(result["samples"]) == 2


def test_decoded_once_and_larger_faces_only(
    write_artifact: Callable[..., Path], int8_model: Any, tmp_path: Path
) -> None:
    picture = np.full((240, 240, 3), 128, np.uint8)
    picture[10:230, 10:230] = draw_face(seed=0, index=0, side_px=220).image
    file = write_png(tmp_path / "one.png", picture)
    result = run_frames(
        write_artifact(int8_model), file, "--seconds", "0", "--reuse-decoded",
        "--min-face-px", "230",
    )  # fmt: skip
    assert result["read_each_frame"] is False
    assert result["min_face_px"] == 230
    assert [each["faces"] for each in result["frames"]] == [0]  # the head is some 150 px wide
    assert result["samples"] == []


def test_a_picture_that_is_none_is_an_error(
    write_artifact: Callable[..., Path], int8_model: Any, tmp_path: Path
) -> None:
    (tmp_path / "p.png").write_text("no picture")
    result = run_frames(write_artifact(int8_model), str(tmp_path / "p.png"))
    assert "not an image" in result["error"]
