"""`record_video`: as long as what was recorded took, there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError
from edgeface.runtime import record_video
from edgeface.runtime.record_video import (
    CODECS,
    USUAL_RATE_HZ,
    Recorder,
    check_target,
    recording,
)


def shade(level: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), (level, level, 0), np.uint8)


def record(path: Path, count: int, after: Callable[[Recorder], object]) -> None:
    """Record some frames, then do something before the recording ends."""
    with recording(path, 30.0) as recorder:
        for i in range(count):
            recorder.show(shade(i), i / 30)
        after(recorder)


def fail(recorder: Recorder) -> None:
    raise ZeroDivisionError


def count_one_more(recorder: Recorder) -> None:
    """OpenCV says nothing when the disk is full."""
    recorder.written_frames += 1


def frames_in(path: Path) -> tuple[float, list[NDArray[np.uint8]]]:
    video = cv2.VideoCapture(str(path))
    rate_hz, frames = video.get(cv2.CAP_PROP_FPS), []
    while (read := video.read())[0]:
        frames.append(np.asarray(read[1][..., ::-1], np.uint8))
    return rate_hz, frames


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_frames_come_back_in_their_order_and_colour(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    with recording(path, 20.0) as recorder:
        for i in range(5):
            assert recorder.show(shade(40 + 40 * i), i / 20)
        assert not path.exists()  # under its name only when it is whole
    rate_hz, frames = frames_in(path)
    assert rate_hz == pytest.approx(20)
    assert len(frames) == recorder.written_frames == 5
    for i, each in enumerate(frames):
        mean = each.reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(mean, (40 + 40 * i, 40 + 40 * i, 0), atol=12)
    assert list(tmp_path.iterdir()) == [path]


def test_a_gap_is_filled_and_a_hurry_left_out(tmp_path: Path) -> None:
    """At 10 Hz, from 7.0 s on: 7.0 is frame 0, 7.3 is 3, 7.33 would be 3 again, 7.4 is 4."""
    path = tmp_path / "out.avi"
    with recording(path, 10.0) as recorder:
        for level, media_s in ((40, 7.0), (120, 7.3), (200, 7.33), (240, 7.4)):
            recorder.show(shade(level), media_s)
    _, frames = frames_in(path)
    levels = [round(float(each[..., 0].mean()), -1) for each in frames]
    # what is left out to be written is still the newest picture, if a gap comes
    assert levels == pytest.approx([40, 40, 40, 120, 240], abs=10)


def test_the_usual_rate_stands_in_for_a_camera_that_says_none(tmp_path: Path) -> None:
    path = tmp_path / "out.avi"
    with recording(path, None) as recorder:
        recorder.show(shade(99), 0.0)
    assert frames_in(path)[0] == pytest.approx(USUAL_RATE_HZ)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(ZeroDivisionError):
        record(path, 2, fail)
    assert list(tmp_path.iterdir()) == []


def test_no_frame_is_no_file(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mp4", 30.0) as recorder:
        pass
    assert recorder.written_frames == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_written_whole_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(DataError, match="5 of 6 frames could be written"):
        record(path, 5, count_one_more)
    assert list(tmp_path.iterdir()) == []


def test_what_came_by_in_the_meantime_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(DataError, match="is there already"):
        record(path, 1, lambda recorder: path.write_text("theirs"))
    assert [each.name for each in tmp_path.iterdir()] == ["out.mp4"]
    assert path.read_text() == "theirs"


def test_a_missing_codec_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(record_video.CODECS, ".mp4", "zzzz")
    path = tmp_path / "out.mp4"
    with pytest.raises(DeviceError, match=r"cannot write zzzz of 64 x 48 px .* \(try \.avi\)"):
        record(path, 1, fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("out.mkv", "no known video format, expected a name that ends in .mp4, .avi"),
        ("there.mp4", "is there already, nothing was recorded"),
        ("none/out.mp4", "there is no folder"),
        ("x" * 300 + ".mp4", "cannot be written"),
    ],
)
def test_a_bad_target_is_refused_before_any_work(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_text("mine")
    with pytest.raises(DataError, match=text):
        check_target(tmp_path / name)
