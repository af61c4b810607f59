"""The command `live`: a model on a camera, a video or a stream. Parse, call, print."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from edgeface.cli_predict import (
    DetectorOption,
    MinFaceOption,
    ModelArgument,
    _check_crop,
    _open_detector,
)
from edgeface.console import print_line, reporter_of, table_console
from edgeface.errors import ConfigError, DeviceError

if TYPE_CHECKING:  # imported inside the command, so that `edgeface --help` starts fast
    from edgeface.runtime.capture import StreamInfo
    from edgeface.runtime.live import LivePlan, LiveResult, Sink
    from edgeface.runtime.record_video import Recorder


def live(
    context: typer.Context,
    model: ModelArgument,
    source: Annotated[
        str,
        typer.Option(metavar="CAMERA|VIDEO", help="Camera number, video file, or URL of a stream."),
    ] = "0",
    headless: Annotated[
        bool, typer.Option("--headless", help="Show no window: for boards without a screen.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="End after so long. Default: at the end, or Ctrl-C.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write what is shown: .mp4, or .avi."),
    ] = None,
    detect_every: Annotated[
        int | None,
        typer.Option(min=1, help="Frames from one detection to the next. Default: 10."),
    ] = None,
    average: Annotated[
        int | None,
        typer.Option(min=1, help="Frames over which a face's answers are averaged. Default: 1."),
    ] = None,
    no_graph: Annotated[
        bool, typer.Option("--no-graph", help="Draw no graph of the frame rate.")
    ] = False,
    no_pace: Annotated[
        bool,
        typer.Option("--no-pace", help="Take every frame of a video, as fast as it goes."),
    ] = False,
    detector: DetectorOption = None,
    min_face_px: MinFaceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    """Say age and gender of the faces in a camera's picture, and how fast that went."""
    from edgeface.runtime.artifact import load_artifact
    from edgeface.runtime.capture import FrameFeed, pace_of
    from edgeface.runtime.live import run_live
    from edgeface.runtime.predict import open_predictor
    from edgeface.runtime.record_video import check_target
    from edgeface.runtime.stage_times import StageTimes, SystemClock
    from edgeface.runtime.video_source import open_source
    from edgeface.runtime.window import check_window

    plan = _plan(detect_every, seconds, min_face_px, average, no_graph)
    if record:
        check_target(record)
    if not headless:
        check_window()
    predictor = open_predictor(load_artifact(model))
    _check_crop("live", predictor.contract)
    finder = _open_detector(detector, min_face_px, reporter_of(context))
    opened = open_source(source)
    info = opened.info
    times = StageTimes(SystemClock())
    pace_hz = pace_of(info, paced=not no_pace)
    feed = FrameFeed(opened, times, pace_hz=pace_hz, keep_all=no_pace and not info.is_live)
    with ExitStack() as stack:
        sinks, recorder = _sinks(stack, headless, record, info)
        stop = stack.enter_context(_stop_on_signals())
        stack.enter_context(feed)
        result = run_live(feed, finder, predictor, times, plan, sinks, stop)
    _print(model, info, result, recorder, as_json=as_json)
    if recorder and not as_json:
        reporter_of(context).say(_recorded(recorder))
    if result.error:
        raise DeviceError(result.error)


def _plan(
    detect_every: int | None,
    seconds: float | None,
    min_face_px: int | None,
    average: int | None,
    no_graph: bool,
) -> LivePlan:
    from edgeface.runtime.detect import MIN_FACE_PX
    from edgeface.runtime.live import DETECT_EVERY, LivePlan

    try:
        return LivePlan(
            detect_every=DETECT_EVERY if detect_every is None else detect_every,
            seconds=seconds,
            min_face_px=MIN_FACE_PX if min_face_px is None else min_face_px,
            average_frames=1 if average is None else average,
            draw_graph=not no_graph,
        )
    except ValueError as err:
        raise ConfigError("live", [str(err)]) from err


def _sinks(
    stack: ExitStack, headless: bool, record: Path | None, info: StreamInfo
) -> tuple[list[Sink], Recorder | None]:
    from edgeface.runtime.record_video import recording
    from edgeface.runtime.window import window

    sinks: list[Sink] = []
    recorder = stack.enter_context(recording(record, info.rate_hz)) if record else None
    if recorder:
        sinks.append(recorder)
    if not headless:
        sinks.append(stack.enter_context(window(f"edgeface {info.name}")))
    return sinks, recorder


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Let Ctrl-C and a service manager end the work between two frames; a second Ctrl-C at once."""
    stop = threading.Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for kind in kinds:
        signal.signal(kind, end)
    try:
        yield stop
    finally:
        for kind in kinds:
            signal.signal(kind, before[kind])


def _print(
    model: Path, info: StreamInfo, result: LiveResult, recorder: Recorder | None, *, as_json: bool
) -> None:
    from edgeface.records import to_mapping

    recorded = recorder.written_frames if recorder else 0
    path = str(recorder.path) if recorder and recorded else None
    if as_json:
        given: dict[str, Any] = {
            "model": str(model),
            "source": info.name,
            "announced_frames": info.announced_frames,
            **to_mapping(result),
            "recorded": path,
            "recorded_frames": recorded,
        }
        print_line(json.dumps(given, ensure_ascii=False))
        return
    table_console().print(_frame_table(info, result))
    table_console().print(_stage_table(result))


def _recorded(recorder: Recorder) -> str:
    if not recorder.written_frames:
        return "recorded: nothing, no frame came"
    return f"recorded: {recorder.written_frames} frames in {recorder.path}"


def _frame_table(info: StreamInfo, result: LiveResult) -> Table:
    from edgeface.data.adapters.paths import printable

    table = Table(title=f"{printable(info.name)}: ended by {result.ended_by}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    announced = "" if info.announced_frames is None else f" of {info.announced_frames} announced"
    delay_ms = "-" if result.delay_p50_ms is None else f"{result.delay_p50_ms:.1f}"
    faces = result.faces / result.processed_frames if result.processed_frames else 0.0
    for name, value in (
        ("frame size, px", f"{result.width_px} x {result.height_px}"),
        ("frames captured", f"{result.captured_frames}{announced}"),
        ("frames processed", f"{result.processed_frames}"),
        ("frames dropped", f"{result.dropped_frames}"),
        ("detections", f"{result.detections}"),
        ("faces a frame", f"{faces:.2f}"),
        ("seconds", f"{result.wall_s:.2f}"),
        ("FPS end to end", "-" if result.fps is None else f"{result.fps:.1f}"),
        ("from capture to end, p50 ms", delay_ms),
    ):
        table.add_row(name, value)
    return table


def _stage_table(result: LiveResult) -> Table:
    from edgeface.runtime.capture import CAPTURE_STAGE

    table = Table(title="stages")
    table.add_column("stage")
    for name in ("frames", "p50 ms", "p95 ms", "FPS alone", "share %"):
        table.add_column(name, justify="right")
    for each in result.stages:
        beside = " (beside the others)" if each.stage == CAPTURE_STAGE else ""
        table.add_row(
            each.stage + beside,
            f"{each.frames}",
            f"{each.p50_ms:.2f}",
            f"{each.p95_ms:.2f}",
            "-" if each.fps is None else f"{each.fps:,.0f}",
            "-" if each.share_ratio is None else f"{100 * each.share_ratio:.1f}",
        )
    return table
