"""`live`: the loop on a feed, a detector and a clock that the test holds in its hands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import DataError, DeviceError, EdgefaceError
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.capture import Frame, FrameCounts, FrameFeed
from edgeface.runtime.crop import crop
from edgeface.runtime.detect import Detection
from edgeface.runtime.live import LivePlan, LiveResult, Sight, run_live, see
from edgeface.runtime.overlay import draw_live
from edgeface.runtime.predict import (
    Predictor,
    describe_face,
    open_predictor,
    predict_faces,
)
from edgeface.runtime.stage_times import FPS_FRAMES, StageTimes
from runtime.conftest import TinyModel, build_tiny_model
from support.live_fakes import FakeClock, FakeSource, patch_at, texture

Picture = NDArray[np.uint8]
PLAN = LivePlan(detect_every=4, seconds=None, min_face_px=40)


class ListFeed:
    """Gives frames 0.1 s apart; one that was due while nobody asked is dropped, as by a camera."""

    def __init__(
        self, frames: Sequence[Picture], clock: FakeClock, error: EdgefaceError | None = None
    ) -> None:
        self._frames, self._clock, self._error = frames, clock, error
        self._next = self._taken = 0

    def take(self, timeout_s: float) -> Frame | None:
        newest = max(self._next, int(self._clock.s / 0.1 + 1e-9))
        if newest >= len(self._frames):
            self._next = len(self._frames)
            if self._error:
                raise self._error
            return None
        self._next, self._taken = newest + 1, self._taken + 1
        self._clock.s = max(self._clock.s, newest * 0.1)
        return Frame(self._frames[newest], captured_s=newest * 0.1, media_s=newest * 0.1)

    @property
    def ended(self) -> bool:
        return self._next >= len(self._frames)

    def counts(self) -> FrameCounts:
        return FrameCounts(captured=self._next, dropped=self._next - self._taken)


class FakeDetector:
    """Finds what it is told to, at a cost."""

    def __init__(
        self, clock: FakeClock, where: Callable[[Picture], Sequence[Detection]], costs_s: float = 0
    ) -> None:
        self._clock, self._where, self._costs_s = clock, where, costs_s
        self.saw: list[Picture] = []

    def find(self, rgb: Picture) -> tuple[Detection, ...]:
        self.saw.append(rgb)
        self._clock.s += self._costs_s
        return tuple(self._where(rgb))


class ListSink:
    """Keeps what it is shown; has seen enough after `most`."""

    stage = "record"

    def __init__(self, most: int = 1000) -> None:
        self.shown: list[tuple[Picture, float]] = []
        self._most = most

    def show(self, rgb: Picture, media_s: float) -> bool:
        self.shown.append((rgb, media_s))
        return len(self.shown) < self._most


def the_patch(rgb: Picture) -> list[Detection]:
    """The bounding box of what is not the grey ground."""
    rows, columns = np.nonzero((rgb != 120).any(axis=2))
    x, y, side = int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1
    return [Detection(box=(x, y, side, side), crop=(x, y, side, side))]


def moving(count: int) -> list[Picture]:
    return [patch_at(60 + 5 * i, 50 + 3 * i) for i in range(count)]


@pytest.fixture
def predictor(
    float_model: TinyModel, write_artifact: Callable[[TinyModel, str], object]
) -> Predictor:
    path = write_artifact(float_model, "tiny")
    return open_predictor(load_artifact(path))  # type: ignore[arg-type]  # a Path


def look_at(
    frames: Sequence[Picture],
    predictor: Predictor,
    *,
    where: Callable[[Picture], Sequence[Detection]] = the_patch,
    plan: LivePlan = PLAN,
    sinks: Sequence[ListSink] = (),
    costs_s: float = 0,
    error: EdgefaceError | None = None,
    stop: threading.Event | None = None,
) -> tuple[LiveResult, FakeDetector]:
    clock = FakeClock()
    detector = FakeDetector(clock, where, costs_s)
    feed = ListFeed(frames, clock, error)
    times = StageTimes(clock)
    result = run_live(feed, detector, predictor, times, plan, sinks, stop or threading.Event())
    return result, detector


def test_every_fourth_frame_is_detected_and_the_others_are_followed(predictor: Predictor) -> None:
    frames = moving(10)
    result, detector = look_at(frames, predictor)
    assert [any(each is saw for saw in detector.saw) for each in frames] == [
        i % 4 == 0 for i in range(10)
    ]
    assert (result.ended_by, result.error) == ("end of source", "")
    assert (result.captured_frames, result.processed_frames, result.dropped_frames) == (10, 10, 0)
    assert (result.faces, result.detections) == (10, 3)
    assert (result.width_px, result.height_px) == (320, 240)
    # ten frames 0.1 s apart: the tenth comes 0.9 s after the first
    assert result.wall_s == pytest.approx(0.9)
    assert result.fps == pytest.approx(10 / 0.9)
    assert result.delay_p50_ms == pytest.approx(0)
    runs = {each.stage: each.frames for each in result.stages}
    assert runs == {"track": 10, "detect": 3, "predict": 10, "wait": 9}


def test_a_slow_detection_drops_frames_and_never_makes_the_next_one_old(
    predictor: Predictor,
) -> None:
    """0.25 s a detection: frames 1 of 0, 2 is taken late, then 3, 4; 5 costs again, and so on."""
    sink = ListSink()
    result, _ = look_at(moving(12), predictor, costs_s=0.25, sinks=[sink])
    # detected: 0 (until 0.25), 2 at 0.25, 3, 4, then 5 (0.5 to 0.75), 7 at 0.75, 8, 9, 10 -> 1.25
    assert [round(media_s * 10) for _, media_s in sink.shown] == [0, 2, 3, 4, 5, 7, 8, 9, 10]
    assert (result.captured_frames, result.processed_frames, result.dropped_frames) == (12, 9, 3)
    assert result.captured_frames == result.processed_frames + result.dropped_frames
    detect = next(each for each in result.stages if each.stage == "detect")
    assert detect.p50_ms == pytest.approx(250)
    assert detect.share_ratio == pytest.approx(0.75 / result.wall_s)


def test_what_is_said_is_what_predict_says_of_the_same_crops(predictor: Predictor) -> None:
    """Detected in each frame, two faces: the oracle is the model on the crops themselves."""

    def two(rgb: Picture) -> list[Detection]:
        (one,) = the_patch(rgb)
        return [one, Detection(box=(0, 180, 50, 60), crop=(-10, 180, 60, 70))]

    frames, sink = moving(3), ListSink()
    plan = LivePlan(detect_every=1, seconds=None, min_face_px=40)
    result, _ = look_at(frames, predictor, where=two, plan=plan, sinks=[sink])
    assert result.faces == 6
    for rgb, (drawn, _) in zip(frames, sink.shown, strict=True):
        seen = two(rgb)
        values = predict_faces(predictor, [crop(rgb, each.crop) for each in seen])
        contract = predictor.contract
        said = [describe_face(values, contract, i, each.box) for i, each in enumerate(seen)]
        expected = draw_live(rgb, said, contract, [])
        np.testing.assert_array_equal(drawn[:170], expected[:170])  # the graph is below


@pytest.mark.parametrize("average_frames", [1, 3])
def test_classes_are_averaged_over_frames_and_then_named(
    average_frames: int, write_artifact: Callable[[TinyModel, str], object]
) -> None:
    """The oracle is the mean of the probabilities of the same face's last crops."""
    path = write_artifact(build_tiny_model("float32", 3, ("expression", "decade")), "moods")
    moods = open_predictor(load_artifact(path))  # type: ignore[arg-type]  # a Path
    square = (60, 50, 120, 120)  # stands still, so that the patch moves through it

    def where(rgb: Picture) -> list[Detection]:
        return [Detection(box=the_patch(rgb)[0].box, crop=square)]

    frames, sink = moving(5), ListSink()
    plan = LivePlan(detect_every=1, seconds=None, min_face_px=40, average_frames=average_frames)
    look_at(frames, moods, where=where, plan=plan, sinks=[sink])
    values = predict_faces(moods, [crop(rgb, square) for rgb in frames])
    assert np.ptp(values["expression"], axis=0).max() > 0.001  # the crops differ
    for i, (rgb, (drawn, _)) in enumerate(zip(frames, sink.shown, strict=True)):
        last = slice(max(0, i + 1 - average_frames), i + 1)
        decades = np.sort(values["decade"][last])
        averaged = {
            "expression": values["expression"][last].mean(axis=0, keepdims=True),
            "decade": decades[[(len(decades) - 1) // 2]],
        }
        said = describe_face(averaged, moods.contract, 0, the_patch(rgb)[0].box)
        expected = draw_live(rgb, [said], moods.contract, [])
        np.testing.assert_array_equal(drawn[:170], expected[:170])  # the graph is below


def test_the_frame_rate_as_it_went_is_told(predictor: Predictor) -> None:
    """A frame each 0.1 s, but the detections of frames 0 and 4 take 0.05 s more."""
    result, _ = look_at(moving(8), predictor, costs_s=0.05)
    done_s = [0.05, 0.1, 0.2, 0.3, 0.45, 0.5, 0.6, 0.7]
    assert len(done_s) <= FPS_FRAMES
    told = result.fps_samples
    assert [each.at_s for each in told] == pytest.approx(done_s[1:])
    assert [each.fps for each in told] == pytest.approx(
        [i / (at_s - 0.05) for i, at_s in enumerate(done_s) if i]
    )
    none, _ = look_at(moving(1), predictor)
    assert none.fps_samples == ()


@pytest.mark.parametrize("draw_graph", [True, False])
def test_the_graph_can_be_left_out(predictor: Predictor, *, draw_graph: bool) -> None:
    sink = ListSink()
    plan = LivePlan(detect_every=1, seconds=None, min_face_px=40, draw_graph=draw_graph)
    frames = [texture(240, 320, i) for i in range(4)]
    result, _ = look_at(frames, predictor, where=lambda rgb: [], plan=plan, sinks=[sink])
    changed = [(rgb != drawn).any() for rgb, (drawn, _) in zip(frames, sink.shown, strict=True)]
    # one frame has no rate, and the second is drawn before its own is known
    assert changed == [False, False, draw_graph, draw_graph]
    assert len(result.fps_samples) == 3


def test_a_lost_face_is_looked_for_at_once(predictor: Predictor) -> None:
    frames = [texture(240, 320, 1), texture(240, 320, 1), *[texture(240, 320, 2)] * 2]
    middle = [Detection(box=(100, 70, 100, 100), crop=(100, 70, 100, 100))]
    result, detector = look_at(frames, predictor, where=lambda rgb: middle)
    assert [any(each is saw for saw in detector.saw) for each in frames] == [
        True,
        False,
        True,  # another scene; the fourth frame would have been the next
        True,  # the same object as the third
    ]
    assert result.detections == 2
    assert result.faces == 4


def test_without_faces_nothing_is_predicted_and_without_sinks_nothing_is_drawn(
    predictor: Predictor,
) -> None:
    result, _ = look_at(moving(5), predictor, where=lambda rgb: [])
    assert result.faces == 0
    assert {each.stage for each in result.stages} == {"track", "detect", "wait"}
    shown, _ = look_at(moving(5), predictor, where=lambda rgb: [], sinks=[ListSink()])
    assert {each.stage for each in shown.stages} >= {"overlay", "record"}


def test_seconds_end_it(predictor: Predictor) -> None:
    plan = LivePlan(detect_every=4, seconds=0.5, min_face_px=40)
    result, _ = look_at(moving(12), predictor, plan=plan)
    assert (result.ended_by, result.processed_frames) == ("seconds", 6)  # 0.0, 0.1, ... 0.5


def test_an_interrupt_ends_it_before_the_next_frame(predictor: Predictor) -> None:
    stop = threading.Event()

    def interrupt(rgb: Picture) -> list[Detection]:
        stop.set()
        return the_patch(rgb)

    result, _ = look_at(moving(12), predictor, where=interrupt, stop=stop)
    assert (result.ended_by, result.processed_frames, result.faces) == ("interrupt", 1, 1)
    none, _ = look_at(moving(12), predictor, stop=stop)
    assert (none.processed_frames, none.wall_s, none.fps, none.delay_p50_ms) == (0, 0, None, None)


def test_whoever_watches_may_end_it(predictor: Predictor) -> None:
    first, second = ListSink(), ListSink(most=3)
    result, _ = look_at(moving(12), predictor, sinks=[second, first])
    assert (result.ended_by, result.processed_frames) == ("window closed", 3)
    assert len(first.shown) == 3  # a recording gets the last frame too


def test_a_source_that_fails_later_still_gives_a_result(predictor: Predictor) -> None:
    gone = DeviceError("camera 0: gives no frames any more")
    result, _ = look_at(moving(3), predictor, error=gone)
    assert (result.ended_by, result.error) == ("error", str(gone))
    assert result.processed_frames == 3
    with pytest.raises(DeviceError, match="any more"):
        look_at([], predictor, error=gone)


def test_a_failure_between_two_looks_is_not_taken_for_the_end(predictor: Predictor) -> None:
    """The error comes after `take` gave nothing and before `ended` is asked."""
    clock = FakeClock()

    class LateFeed(ListFeed):
        asked = 0

        def take(self, timeout_s: float) -> Frame | None:
            self.asked += 1
            if self.asked == 2:
                self._next = len(self._frames)
                return None
            return super().take(timeout_s)

    feed = LateFeed(moving(3), clock, DataError("cut off"))
    detector = FakeDetector(clock, the_patch)
    result = run_live(feed, detector, predictor, StageTimes(clock), PLAN, [], threading.Event())
    assert (result.ended_by, result.error, result.processed_frames) == ("error", "cut off", 1)


def test_with_a_real_thread_every_frame_of_a_video_is_seen(predictor: Predictor) -> None:
    clock = FakeClock()
    times = StageTimes(clock)
    detector = FakeDetector(clock, the_patch)
    source = FakeSource(moving(9))
    with FrameFeed(source, times, keep_all=True) as feed:
        result = run_live(feed, detector, predictor, times, PLAN, [], threading.Event())
    assert (result.captured_frames, result.processed_frames, result.dropped_frames) == (9, 9, 0)
    assert {each.stage: each.frames for each in result.stages}["capture"] == 10  # the end too


def test_following_starts_with_the_first_detection(predictor: Predictor) -> None:
    clock = FakeClock()
    times, detector = StageTimes(clock), FakeDetector(clock, the_patch)
    sight = Sight()
    for i, rgb in enumerate(moving(4)):
        sight = see(rgb, sight, detector, PLAN, times)
        assert sight.since_detection == i
        (face,) = sight.tracks.faces
        np.testing.assert_allclose(face.box, (60 + 5 * i, 50 + 3 * i, 100, 100), atol=1)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0, None, 64), "detect_every: found 0, expected 1 or more"),
        ((1, 0.0, 64), "seconds: found 0.0, expected more than 0"),
        ((1, float("nan"), 64), "seconds: found nan"),
        ((1, float("inf"), 64), "seconds: found inf"),
        ((1, None, 0), "min_face_px: found 0"),
    ],
)
def test_a_plan_without_end_is_refused(values: tuple[int, float | None, int], text: str) -> None:
    every, seconds, px = values
    with pytest.raises(ValueError, match=text):
        LivePlan(detect_every=every, seconds=seconds, min_face_px=px)


def test_a_mean_of_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="average_frames: found 0, expected 1 or more"):
        LivePlan(detect_every=1, seconds=None, min_face_px=64, average_frames=0)
