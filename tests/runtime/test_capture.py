"""`capture` and `video_source`: the newest frame only, every drop counted, a video in its time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError, EdgefaceError
from edgeface.runtime.capture import (
    CAPTURE_STAGE,
    Frame,
    FrameFeed,
    NewestFrame,
    StreamInfo,
    frames_of,
    pace_of,
)
from edgeface.runtime.stage_times import StageTimes
from edgeface.runtime.video_source import CvSource, _camera_number, _without_secrets, open_source
from support.live_fakes import CAMERA, FILE, FakeClock, FakeSource, numbered


def frame(number: int) -> Frame:
    return Frame(np.full((4, 6, 3), number, np.uint8), captured_s=number, media_s=number)


def number_of(one: Frame | None) -> int:
    assert one is not None
    return int(one.rgb[0, 0, 0])


def write_video(path: Path, frames: Sequence[NDArray[np.uint8]], rate_hz: float = 25.0) -> Path:
    """Motion JPEG, which OpenCV writes by itself."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate_hz, (width, height))
    assert writer.isOpened()
    for each in frames:
        writer.write(np.ascontiguousarray(each[..., ::-1]))
    writer.release()
    return path


@given(steps=st.lists(st.booleans(), max_size=30))
@settings(max_examples=40)
def test_what_is_taken_is_always_the_newest(steps: list[bool]) -> None:
    """True puts a frame, False takes one; compared with what a list would say."""
    newest, put, waiting, taken = NewestFrame(), 0, False, 0
    for is_put in steps:
        if is_put:
            newest.put(frame(put))
            put, waiting = put + 1, True
        else:
            one = newest.take(0.0)
            assert (one is not None) == waiting
            if one is not None:
                assert number_of(one) == put - 1
                taken, waiting = taken + 1, False
    counts = newest.counts()
    assert counts.captured == put - waiting
    assert counts.captured == taken + counts.dropped


def test_the_last_frame_comes_before_the_end_and_the_error_after_it() -> None:
    newest = NewestFrame()
    newest.put(frame(1))
    newest.end(DataError("cut off"))
    before = newest.ended
    assert number_of(newest.take(0.0)) == 1
    assert (before, newest.ended) == (False, True)
    with pytest.raises(DataError, match="cut off"):
        newest.take(0.0)
    newest.put(frame(2))  # a source that has not noticed
    assert newest.counts().captured == 1


def test_a_video_is_read_in_its_own_time() -> None:
    clock = FakeClock()
    source = FakeSource(numbered(4))
    frames = list(frames_of(source, StageTimes(clock), threading.Event(), pace_hz=25.0))
    assert [each.captured_s for each in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert [each.media_s for each in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    assert clock.waits_s == pytest.approx([0.04, 0.04, 0.04])


def test_a_late_frame_is_not_waited_for() -> None:
    """The second read takes 0.1 s: frames 1 and 2 are late, 3 is in time again."""
    clock = FakeClock()

    def slow(index: int) -> None:
        clock.s += 0.1 if index == 1 else 0.0

    frames = list(
        frames_of(FakeSource(numbered(4), FILE, slow), StageTimes(clock), threading.Event(), 25.0)
    )
    assert [each.captured_s for each in frames] == pytest.approx([0.0, 0.1, 0.1, 0.12])
    assert [each.media_s for each in frames] == pytest.approx([0.0, 0.04, 0.08, 0.12])


def test_a_camera_has_the_time_of_the_clock() -> None:
    clock = FakeClock()

    def tick(index: int) -> None:
        clock.s += 0.5

    times = StageTimes(clock)
    frames = list(frames_of(FakeSource(numbered(3), CAMERA, tick), times, threading.Event(), None))
    assert [each.media_s for each in frames] == pytest.approx([0.0, 0.5, 1.0])
    assert clock.waits_s == []
    (capture,) = times.summarise(2.0)
    assert (capture.stage, capture.frames, capture.p50_ms) == (CAPTURE_STAGE, 4, 500.0)


def test_stop_ends_the_reading_before_the_next_frame() -> None:
    stop = threading.Event()
    source = FakeSource(numbered(9), FILE, lambda index: stop.set() if index == 2 else None)
    assert len(list(frames_of(source, StageTimes(FakeClock()), stop, None))) == 3
    assert source.reads == 3


def test_without_a_taker_only_the_newest_is_left() -> None:
    source = FakeSource(numbered(7))
    with FrameFeed(source, StageTimes(FakeClock())) as feed:
        feed._thread.join(20)
        assert number_of(feed.take(20)) == 6
        assert feed.take(0.0) is None
        assert feed.ended
        counts = feed.counts()
    assert (counts.captured, counts.dropped) == (7, 6)
    assert source.closed == 1


def test_keep_all_drops_none() -> None:
    source = FakeSource(numbered(20))
    with FrameFeed(source, StageTimes(FakeClock()), keep_all=True) as feed:
        seen = []
        while (one := feed.take(20)) is not None:
            seen.append(number_of(one))
        counts = feed.counts()
    assert seen == list(range(20))
    assert (counts.captured, counts.dropped) == (20, 0)


def test_leaving_early_stops_a_source_that_waits_and_closes_it() -> None:
    source = FakeSource(numbered(200))
    with FrameFeed(source, StageTimes(FakeClock()), keep_all=True) as feed:
        assert number_of(feed.take(20)) == 0
    assert not feed._thread.is_alive()
    assert source.closed == 1
    assert source.reads < 10


def test_an_error_of_the_source_reaches_who_takes() -> None:
    def fail(index: int) -> None:
        if index == 1:
            raise DeviceError("camera 0: gives no frames any more")

    source = FakeSource(numbered(3), CAMERA, fail)
    with FrameFeed(source, StageTimes(FakeClock()), keep_all=True) as feed:
        assert number_of(feed.take(20)) == 0
        with pytest.raises(DeviceError, match="any more"):
            feed.take(20)
    assert source.closed == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_in_the_thread_is_not_taken_for_the_end() -> None:
    def fail(index: int) -> None:
        raise ZeroDivisionError

    source = FakeSource([], CAMERA, fail)
    with (
        FrameFeed(source, StageTimes(FakeClock())) as feed,
        pytest.raises(AssertionError, match="failed, see above"),
    ):
        feed.take(20)
    assert source.closed == 1


def test_only_videos_have_a_pace() -> None:
    assert pace_of(FILE, paced=True) == 25.0
    assert pace_of(FILE, paced=False) is None
    assert pace_of(CAMERA, paced=True) is None
    finite = StreamInfo("http://x", "stream", rate_hz=10.0, announced_frames=5)
    assert pace_of(finite, paced=True) == 10.0
    endless = StreamInfo("rtsp://x", "stream", rate_hz=None, announced_frames=None)
    assert pace_of(endless, paced=True) is None
    with pytest.raises(DataError, match=r"v.h264: does not say its frame rate; give --no-pace"):
        pace_of(StreamInfo("v.h264", "file", None, None), paced=True)


@pytest.mark.parametrize("as_url", [False, True])
def test_a_video_is_read_in_order_and_in_rgb(as_url: bool, tmp_path: Path) -> None:
    colours = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    path = write_video(tmp_path / "v.avi", frames, rate_hz=12.5)
    source = open_source(path.as_uri() if as_url else str(path))
    assert source.info.kind == ("stream" if as_url else "file")
    assert (source.info.rate_hz, source.info.announced_frames) == (12.5, 3)
    assert not source.info.is_live
    for expected in frames:
        found = source.read()
        assert found is not None
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found.astype(int), expected, atol=8)  # JPEG
    assert source.read() is None
    source.close()


@pytest.mark.parametrize(
    ("text", "error", "starts"),
    [
        ("none.mp4", DataError, "none.mp4: no such file; expected a camera number"),
        ("folder", DataError, "folder: not a file"),
        ("bad.mp4", DataError, f"bad.mp4: OpenCV {cv2.__version__} cannot read it: no video"),
        ("cut.mp4", DataError, f"cut.mp4: OpenCV {cv2.__version__} cannot read it"),
        ("x" * 5000, DataError, "xxx"),
        ("file://me:secret@h/none.mp4?key=1", DataError, "file://h/none.mp4: cannot be opened"),
        ("977", DeviceError, "camera 977: "),
        ("/dev/video977", DeviceError, "camera 977: "),
    ],
)
def test_what_is_no_source_is_one_line(
    text: str,
    error: type[EdgefaceError],
    starts: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("bad.mp4").write_bytes(b"no video" * 100)
    whole = write_video(tmp_path / "v.avi", numbered(3)).read_bytes()
    Path("cut.mp4").write_bytes(whole[:200])
    with pytest.raises(error) as caught:
        open_source(text)
    assert str(caught.value).startswith(starts)
    assert "\n" not in str(caught.value)


class FakeCapture:
    """What `cv2.VideoCapture` gives, without a device."""

    def __init__(self, *frames: NDArray[np.uint8]) -> None:
        self._frames = list(frames)

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        return (True, self._frames.pop(0)) if self._frames else (False, None)


def test_a_camera_that_goes_away_is_an_error_and_a_video_that_ends_is_none() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    camera = CvSource(FakeCapture(picture), CAMERA)
    assert camera.read() is not None
    with pytest.raises(DeviceError, match="camera 0: gives no frames any more"):
        camera.read()
    with pytest.raises(DeviceError, match="camera 0: gives no frames; is it plugged in"):
        CvSource(FakeCapture(), CAMERA).read()
    video = CvSource(FakeCapture(picture), FILE)
    assert video.read() is not None
    assert video.read() is None
    with pytest.raises(DataError, match="no frame of it can be decoded"):
        CvSource(FakeCapture(), FILE).read()


def test_frames_of_another_size_or_kind_are_refused() -> None:
    first, second = np.zeros((4, 6, 3), np.uint8), np.zeros((8, 6, 3), np.uint8)
    source = CvSource(FakeCapture(first, second), CAMERA)
    source.read()
    with pytest.raises(DataError, match="changed from 6 x 4 px to 6 x 8 px"):
        source.read()
    with pytest.raises(DataError, match=r"found frames of uint8 \[4, 6\]"):
        CvSource(FakeCapture(np.zeros((4, 6), np.uint8)), CAMERA).read()


def test_names() -> None:
    assert _camera_number("0") == 0
    assert _camera_number("12") == 12
    assert _camera_number("/dev/video3") == 3
    assert _camera_number("/dev/null") is None
    assert _camera_number("video3") is None
    assert _camera_number("2024") is None  # a file may be called so
    assert _without_secrets("rtsp://u:p@cam:554/s?t=1#f") == "rtsp://cam:554/s"
    assert _without_secrets("http://cam/a@b") == "http://cam/a@b"
