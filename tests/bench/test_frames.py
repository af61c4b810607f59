"""Shares of stages are arithmetic over raw times, and the runner's answer is read strictly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.delegation import Delegation, delegation_of
from edgeface.bench.frames import (
    Frame,
    FrameRules,
    FrameRun,
    FrameTimes,
    PictureSize,
    measure_frames,
)
from edgeface.bench.partitions import RuntimeView
from edgeface.bench.protocol import BenchProtocol
from edgeface.errors import BenchmarkError

TIMES = FrameTimes(
    threads=1,
    read_each_frame=True,
    detector="haar",
    min_face_px=40,
    pictures=(PictureSize(width_px=640, height_px=480),),
    stages=("detect", "inference"),
    frames=(
        Frame(picture=0, faces=1, stage_ms=(30.0, 10.0)),
        Frame(picture=0, faces=1, stage_ms=(50.0, 10.0)),
        Frame(picture=0, faces=3, stage_ms=(30.0, 30.0)),
        Frame(picture=0, faces=0, stage_ms=(40.0, 0.0)),
    ),
)


def test_groups_are_the_arithmetic_of_the_frames() -> None:
    whole, none, one, several = TIMES.groups()
    assert [each.faces for each in (whole, none, one, several)] == [
        *("all frames", "no face", "one face", "several faces"),
    ]
    assert [each.frames for each in (whole, none, one, several)] == [4, 1, 2, 1]
    assert whole.mean_faces == 1.25
    assert one.p50_ms == 50.0  # between 40 and 60
    assert one.fps == 20.0
    detect, inference = one.stages
    assert (detect.share_ratio, inference.share_ratio) == (0.8, 0.2)  # 80 and 20 of 100 ms
    assert (detect.p50_ms, inference.p50_ms) == (40.0, 10.0)
    assert several.stages[1].share_ratio == 0.5


def test_frames_of_one_kind_are_one_group() -> None:
    (only,) = replace(TIMES, frames=TIMES.frames[:2]).groups()
    assert only.faces == "one face"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"frames": ()}, "no frame"),
        ({"stages": ("detect",)}, "a frame has not 1 stages"),
        ({"stages": ("a", "a")}, "stages are a, a, expected each once"),
        ({"pictures": ()}, "a frame is of none of the 0 pictures"),
        ({"frames": (Frame(picture=0, faces=0, stage_ms=(0.0, 0.0)),)}, "took no time"),
    ],
)
def test_times_that_do_not_fit_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        replace(TIMES, **changes)


def reply(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "runtime": "ai-edge-litert",
        "runtime_version": "2.1.0",
        "threads": 1,
        "cores": None,
        "opencv_version": "4.12.0",
        "opencv_threads": 1,
        "detector": "haar",
        "min_face_px": 40,
        "read_each_frame": False,
        "pictures": [{"path": "a.jpg", "width_px": 640, "height_px": 480}],
        "stages": ["detect", "inference"],
        "frames": [{"picture": 0, "faces": 2, "stage_ms": [3.0, 1]}],
        "samples": [],
        "clock_jump_s": 0.0,
    }
    return made | changes


def measured(answer: dict[str, Any], **rules: Any) -> tuple[FrameRun, tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []

    def worker(arguments: tuple[str, ...], timeout_s: float) -> dict[str, Any]:
        asked.append(arguments)
        assert timeout_s > 60
        return answer

    made: dict[str, Any] = {"pictures": (Path("a.jpg"),), "seconds": 5, "read_each_frame": False}
    found = measure_frames(
        *("small", Path("m.tflite"), BenchProtocol(), FrameRules(**(made | rules))),
        run=3,
        worker=worker,
    )
    return found, asked[0]


def test_the_runner_is_asked_and_its_answer_becomes_frame_times() -> None:
    found, asked = measured(reply())
    assert asked == (
        *("frames", "m.tflite", "a.jpg", "--threads", "1", "--seconds", "5"),
        *("--sample-interval-s", "1.0", "--reuse-decoded"),
    )
    assert found.frames.frames == (Frame(picture=0, faces=2, stage_ms=(3.0, 1.0)),)
    assert found.frames.pictures == (PictureSize(width_px=640, height_px=480),)
    assert (found.samples.run, found.samples.what) == (3, "frames of small")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"read_each_frame": True}, "read each frame are"),
        ({"pictures": []}, "expected"),
        ({"frames": []}, "frames of small: no frame"),
        ({"extra": 1}, "extra: unknown key"),
    ],
)
def test_another_answer_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BenchmarkError, match=text):
        measured(reply(**changes))


def test_no_picture_and_no_time_are_refused() -> None:
    for rules in ({"pictures": ()}, {"seconds": 0}):
        with pytest.raises(BenchmarkError, match="expected at least one picture and above 0"):
            measured(reply(), **rules)


def test_a_delegation_counts_what_the_runtime_told() -> None:
    view = RuntimeView(
        state="opened", delegate="XNNPACK", partitions=((0, 1), (3, 4, 5)), outside=(2,)
    )
    assert delegation_of(view) == Delegation(
        delegate="XNNPACK", partitions=2, delegated_ops=5, total_ops=6
    )
    assert delegation_of(RuntimeView(state="refused", reason="no")) is None
    with pytest.raises(ValueError, match="3 of 2 operators"):
        Delegation(delegate="", partitions=1, delegated_ops=3, total_ops=2)
