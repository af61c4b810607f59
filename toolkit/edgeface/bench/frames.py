"""Where the time goes from a picture to attributes, and how many frames a second that gives.

In: wall times of every stage of every frame, as the runner took them. Out: `FrameTimes`, and what
it sums up to. The model's own latency is `LatencySamples`: end to end is always slower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeface.bench.latency import RuntimeVersion, Worker
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.run_samples import RunSamples, watch_arguments
from edgeface.bench.runner_reply import START_S, parse_reply
from edgeface.errors import BenchmarkError
from edgeface.runtime.telemetry import DeviceSample

PUBLISHED_FPS = 12.86
"""End-to-end frames a second that these are set against; on a machine that is not named.

Source: docs/seeds.md, S3: three tasks, a model each, on a camera's frames."""

_LONGEST_S = 3600.0  # chosen: what `runner frames` takes at most; more is surely a mistake
# chosen: VGG16 on a slow board, with several faces in a picture; what takes longer counts as hung
_SLOWEST_FRAME_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One frame.

    Attributes:
        picture: its place among the pictures, from 0.
        faces: found in it.
        stage_ms: wall time of each stage, in the order of `FrameTimes.stages`; of all its faces
            together.
    """

    picture: int
    faces: int
    stage_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that these are times."""
        if self.faces < 0 or not all(math.isfinite(time) and time >= 0 for time in self.stage_ms):
            raise ValueError(
                f"a frame has {self.faces} faces and stages of {list(self.stage_ms)} ms, expected "
                "0 or more of each"
            )

    @property
    def total_ms(self) -> float:
        """All stages together."""
        return sum(self.stage_ms)


@dataclass(frozen=True, kw_only=True)
class PictureSize:
    """Size of one picture; detection takes as long as there are pixels.

    Attributes:
        width_px: of it.
        height_px: of it.
    """

    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class StageShare:
    """One stage over some frames.

    Attributes:
        stage: its name.
        p50_ms: median over the frames.
        share_ratio: of the time of all stages, 0 to 1.
    """

    stage: str
    p50_ms: float
    share_ratio: float


@dataclass(frozen=True, kw_only=True)
class FrameGroup:
    """Frames with a like number of faces, summed up.

    Attributes:
        faces: "no face", "one face", "several faces" or "all frames".
        mean_faces: a frame.
        frames: how many.
        p50_ms: median of a whole frame.
        p90_ms: 90th percentile.
        fps: 1000 / p50_ms.
        stages: in their order.
    """

    faces: str
    mean_faces: float
    frames: int
    p50_ms: float
    p90_ms: float
    fps: float
    stages: tuple[StageShare, ...]


@dataclass(frozen=True, kw_only=True)
class FrameTimes:
    """Raw end-to-end times of one model.

    Attributes:
        threads: of the runtime, and of OpenCV.
        read_each_frame: True where every frame read and decoded its file anew; False where it was
            decoded before the clock started, as a camera gives pixels.
        detector: that found the faces, e.g. "haar".
        min_face_px: smaller faces were not looked for.
        pictures: their sizes; they took turns.
        stages: names, in the order in which they run, e.g. "read", "detect", "crop", "resize",
            "inference", "decode".
        frames: in order.
    """

    threads: int
    read_each_frame: bool
    detector: str
    min_face_px: int
    pictures: tuple[PictureSize, ...]
    stages: tuple[str, ...]
    frames: tuple[Frame, ...]

    def __post_init__(self) -> None:
        """Check that every frame has every stage, and that time passed."""
        if not self.stages or len(set(self.stages)) < len(self.stages):
            raise ValueError(f"stages are {', '.join(self.stages) or 'none'}, expected each once")
        if not self.frames:
            raise ValueError("no frame, expected at least one")
        if any(len(frame.stage_ms) != len(self.stages) for frame in self.frames):
            raise ValueError(f"a frame has not {len(self.stages)} stages")
        if not all(0 <= frame.picture < len(self.pictures) for frame in self.frames):
            raise ValueError(f"a frame is of none of the {len(self.pictures)} pictures")
        if not all(frame.total_ms > 0 for frame in self.frames):
            raise ValueError("a frame took no time, expected above 0 ms")

    def groups(self) -> tuple[FrameGroup, ...]:
        """Sum up all frames, then those with no, one and several faces; without empty groups."""
        parts = [
            ("all frames", self.frames),
            ("no face", [frame for frame in self.frames if frame.faces == 0]),
            ("one face", [frame for frame in self.frames if frame.faces == 1]),
            ("several faces", [frame for frame in self.frames if frame.faces > 1]),
        ]
        filled = [(name, frames) for name, frames in parts if frames]
        # one kind only: its row would repeat the first
        return tuple(self._group(*part) for part in (filled[1:] if len(filled) == 2 else filled))

    def _group(self, faces: str, frames: Sequence[Frame]) -> FrameGroup:
        times = np.array([frame.stage_ms for frame in frames])
        totals = times.sum(axis=1)
        p50_ms, p90_ms = (float(each) for each in np.percentile(totals, [50, 90]))
        return FrameGroup(
            faces=faces,
            mean_faces=float(np.mean([frame.faces for frame in frames])),
            frames=len(frames),
            p50_ms=p50_ms,
            p90_ms=p90_ms,
            fps=1000 / p50_ms,
            stages=tuple(
                StageShare(
                    stage=stage,
                    p50_ms=float(np.median(times[:, at])),
                    share_ratio=float(times[:, at].sum() / totals.sum()),
                )
                for at, stage in enumerate(self.stages)
            ),
        )


@dataclass(frozen=True, kw_only=True)
class FrameRules:
    """What whole frames are made of, and for how long.

    Attributes:
        pictures: files as the worker finds them, with faces, at least one; they take turns.
        seconds: least time over all frames, above 0.
        read_each_frame: see `FrameTimes`.
    """

    pictures: tuple[Path, ...]
    seconds: float = 10.0
    read_each_frame: bool = True


@dataclass(frozen=True, kw_only=True)
class FrameRun:
    """What came of timing whole frames.

    Attributes:
        runtime: that ran the model.
        frames: the times.
        samples: the device's state meanwhile.
    """

    runtime: RuntimeVersion
    frames: FrameTimes
    samples: RunSamples


@dataclass(frozen=True, kw_only=True)
class _Picture:
    path: str
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class _FramesReply:
    runtime: str
    runtime_version: str
    threads: int
    cores: tuple[int, ...] | None
    opencv_version: str
    opencv_threads: int
    detector: str
    min_face_px: int
    read_each_frame: bool
    pictures: tuple[_Picture, ...]
    stages: tuple[str, ...]
    frames: tuple[Frame, ...]
    samples: tuple[DeviceSample, ...]
    clock_jump_s: float


def measure_frames(
    name: str,
    path: Path,
    protocol: BenchProtocol,
    rules: FrameRules,
    *,
    run: int,
    worker: Worker,
) -> FrameRun:
    """Time whole frames in a fresh process.

    Args:
        name: of the model.
        path: of the `.tflite`; its sidecar stands beside it.
        protocol: of which threads, cores and the interval of the samples matter.
        rules: of what, and for how long.
        run: number of the process within its benchmark.
        worker: `run_worker`, or a stand-in.

    Raises:
        BenchmarkError: no picture, no time, the process failed, or its answer is not as agreed.
    """
    where = f"frames of {name}"
    pictures, seconds, read_each_frame = rules.pictures, rules.seconds, rules.read_each_frame
    if not pictures or not 0 < seconds <= _LONGEST_S:
        raise BenchmarkError(
            f"{where}: {len(pictures)} pictures, {seconds:g} s, expected at least one picture and "
            f"above 0 to {_LONGEST_S:g} s"
        )
    arguments = (
        *("frames", str(path), *map(str, pictures)),
        *("--threads", str(protocol.threads), "--seconds", str(seconds)),
        *watch_arguments(protocol),
        *(() if read_each_frame else ("--reuse-decoded",)),
    )
    timeout_s = START_S + 2 * seconds + 2 * len(pictures) * _SLOWEST_FRAME_S
    reply = parse_reply(_FramesReply, where, worker(arguments, timeout_s))
    found = (reply.threads, reply.cores, len(reply.pictures), reply.read_each_frame)
    wanted = (protocol.threads, protocol.cores, len(pictures), read_each_frame)
    if found != wanted:
        raise BenchmarkError(
            f"{where}: threads, cores, pictures, read each frame are {found}, expected {wanted}"
        )
    try:
        frames = FrameTimes(
            threads=reply.threads,
            read_each_frame=reply.read_each_frame,
            detector=reply.detector,
            min_face_px=reply.min_face_px,
            pictures=tuple(
                PictureSize(width_px=each.width_px, height_px=each.height_px)
                for each in reply.pictures
            ),
            stages=reply.stages,
            frames=reply.frames,
        )
        samples = RunSamples(
            run=run, what=where, samples=reply.samples, clock_jump_s=reply.clock_jump_s
        )
    except ValueError as err:
        raise BenchmarkError(f"{where}: {err}") from err
    runtime = RuntimeVersion(name=reply.runtime, version=reply.runtime_version)
    return FrameRun(runtime=runtime, frames=frames, samples=samples)
