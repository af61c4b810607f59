"""`edgeface live`: a drawn face that moves through a video, found, followed, recorded, counted."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.cli_live import _stop_on_signals
from edgeface.data.drawn import draw_face
from edgeface.runtime.preprocess import read_image, to_input
from edgeface.runtime.video_source import CvSource
from support.dense_artifact import write_dense_artifact
from support.live_fakes import CAMERA

Run = Callable[..., tuple[int, str, str]]
FACES = Path(__file__).parents[2] / "shared" / "data" / "utkface"
SIZE = (240, 320)  # small, so that detection is quick


def write_video(path: Path, face: NDArray[np.uint8], count: int = 24) -> None:
    """A face of 150 px that moves to the right over a grey ground, at 25 FPS."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, SIZE[::-1])
    assert writer.isOpened()
    side = face.shape[0]
    for i in range(count):
        frame = np.full((*SIZE, 3), 128, np.uint8)
        frame[40 : 40 + side, 20 + 4 * i : 20 + 4 * i + side] = face[..., ::-1]
        writer.write(frame)
    writer.release()


@pytest.fixture
def run(edgeface: Run, tmp_path: Path) -> Run:
    """Run `live` in a folder with a model and a video; drop the runtime's own line."""
    write_dense_artifact(tmp_path)
    write_video(tmp_path / "drawn.avi", draw_face(seed=0, index=1, side_px=150).image)
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "there.mp4").write_text("mine")

    def call(*arguments: str) -> tuple[int, str, str]:
        status, out, err = edgeface("live", *arguments)
        lines = [line for line in err.splitlines() if line.startswith(("edgeface", "recorded"))]
        return status, out, "\n".join(lines)

    return call


FAST = ("dense.tflite", "--source", "drawn.avi", "--headless", "--no-pace")


def test_a_face_is_found_followed_recorded_and_counted(run: Run, tmp_path: Path) -> None:
    status, out, err = run(*FAST, "--detect-every", "6", "--record", "out.avi", "--json")
    assert (status, err) == (0, "")
    said: dict[str, Any] = json.loads(out)
    assert (said["model"], said["source"]) == ("dense.tflite", "drawn.avi")
    assert said["announced_frames"] == said["captured_frames"] == said["processed_frames"] == 24
    assert (said["dropped_frames"], said["detections"], said["faces"]) == (0, 4, 24)
    assert (said["width_px"], said["height_px"]) == SIZE[::-1]
    assert (said["ended_by"], said["error"]) == ("end of source", "")
    assert said["fps"] == pytest.approx(24 / said["wall_s"])
    stages = {each["stage"]: each["frames"] for each in said["stages"]}
    assert stages == {
        "capture": 25,  # the end of the video is read too
        "track": 24,
        "detect": 4,
        "predict": 24,
        "overlay": 24,
        "record": 24,
        "wait": 23,
    }
    assert (said["recorded"], said["recorded_frames"]) == ("out.avi", 24)
    video = cv2.VideoCapture(str(tmp_path / "out.avi"))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (24, 25)
    # the green frame of the box has moved along with the face: 4 px a frame, 23 frames
    lefts = []
    while (read := video.read())[0]:
        bgr = read[1].astype(int)
        green = (bgr[..., 1] > 70) & (bgr[..., 2] < 60) & (bgr[..., 0] < 100)
        lefts.append(int(np.nonzero(green[100:160].sum(axis=0) > 40)[0].min()))
    assert lefts[-1] - lefts[0] == pytest.approx(4 * 23, abs=8)
    assert not list(tmp_path.glob(".*part*"))


def test_the_tables_say_the_same(run: Run) -> None:
    status, out, err = run(*FAST)
    assert (status, err) == (0, "")
    words = " ".join(out.split())
    assert "drawn.avi: ended by end of source" in words
    assert "frames captured │ 24 of 24 announced" in words
    assert "faces a frame │ 1.00" in words
    assert "FPS end to end" in words
    for name in ("capture (beside the others)", "track", "detect", "predict", "wait"):
        assert name in words


def test_a_paced_video_loses_no_frame_uncounted(run: Run) -> None:
    status, out, err = run(*FAST[:-1], "--json", "--record", "out.mp4")
    assert (status, err) == (0, "")
    said = json.loads(out)
    assert said["captured_frames"] == said["processed_frames"] + said["dropped_frames"] == 24
    # drops are filled, but for those before the first frame that was shown
    assert 24 - said["dropped_frames"] <= said["recorded_frames"] <= 24


def test_ctrl_c_keeps_what_was_recorded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the sixth frame is read, of a video that would give more."""
    read, reads = CvSource.read, []

    def interrupted(source: CvSource) -> NDArray[np.uint8] | None:
        reads.append(source)
        if len(reads) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return read(source)

    monkeypatch.setattr(CvSource, "read", interrupted)
    status, out, err = run(*FAST, "--json", "--record", "out.mp4")
    said = json.loads(out)
    assert (status, err, said["ended_by"]) == (0, "", "interrupt")
    assert 4 <= said["processed_frames"] < 24
    video = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == said["processed_frames"]


def test_seconds_end_it_early(run: Run) -> None:
    status, out, _ = run(*FAST[:-1], "--seconds", "0.0001", "--json", "--record", "out.mp4")
    said = json.loads(out)
    assert (status, said["ended_by"]) == (0, "seconds")
    assert said["processed_frames"] <= 1
    assert (said["recorded"] is None) == (said["processed_frames"] == 0)


def test_a_camera_that_goes_away_is_said_after_the_tables(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    video = cv2.VideoCapture(str(tmp_path / "drawn.avi"))
    monkeypatch.setattr(
        "edgeface.runtime.video_source.open_source", lambda text: CvSource(video, CAMERA)
    )
    status, out, err = run("dense.tflite", "--headless", "--json", "--record", "out.avi")
    said = json.loads(out)
    assert status == 1
    assert err == "edgeface: camera 0: gives no frames any more; is it plugged in and unused?"
    assert (said["ended_by"], said["error"]) == ("error", err.removeprefix("edgeface: "))
    assert said["captured_frames"] == said["processed_frames"] + said["dropped_frames"]
    assert (tmp_path / "out.avi").is_file()  # what was seen until then is kept


@pytest.mark.parametrize(
    ("arguments", "status", "starts"),
    [
        (("--source", "none.mp4"), 1, "edgeface: none.mp4: no such file; expected a camera"),
        (("--source", "bad.mp4"), 1, "edgeface: bad.mp4: OpenCV "),
        (("--source", "977"), 1, "edgeface: camera 977: "),
        (("--source", "drawn.avi", "--record", "there.mp4"), 1, "edgeface: there.mp4: is there"),
        (("--source", "drawn.avi", "--record", "out.gif"), 1, "edgeface: out.gif: no known video"),
        (("--source", "drawn.avi", "--seconds", "nan"), 2, "edgeface: live: seconds: found nan"),
        (("--source", "drawn.avi", "--detector", "bad.mp4"), 1, "edgeface: bad.mp4: OpenCV "),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], status: int, starts: str, run: Run, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    ended, out, err = run("dense.tflite", "--headless", *arguments)
    assert (ended, out) == (status, "")
    assert err.startswith(starts)
    assert err.count("\n") == 0
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.mp4").read_text() == "mine"


def test_no_window_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "\n  GUI:   NONE\n")
    status, out, err = run("dense.tflite", "--source", "drawn.avi")
    assert (status, out) == (1, "")
    assert "use --headless, with --record OUT.mp4" in err
    assert err.count("\n") == 0


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_the_end_and_the_handlers_come_back(kind: signal.Signals) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with _stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), kind)
        assert stop.wait(20)
        # a second Ctrl-C ends it at once
        assert signal.getsignal(signal.SIGINT) == before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.faces
def test_a_real_face_is_found_in_every_frame(run: Run, tmp_path: Path) -> None:
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    path = sorted(FACES.glob("*.jpg"))[1234]  # one of the nine in ten that the cascade finds
    write_video(tmp_path / "real.avi", to_input(read_image(path), 150))
    _, out, _ = run("dense.tflite", "--source", "real.avi", "--headless", "--no-pace", "--json")
    assert json.loads(out)["faces"] == 24
