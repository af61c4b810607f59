"""How long a device takes for a whole picture, stage by stage.

In: an artifact, and pictures with faces. Out: wall time of each stage of each frame. The functions
are those of `edgeface predict`, in its order: read, detect, crop, resize, inference, decode. Draws
and shows nothing. OpenCV gets as many threads as the model, so that "threads" is true of the whole.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.runtime.affinity import pin_to_cores
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.crop import crop
from edgeface.runtime.decode import decode
from edgeface.runtime.detect import MIN_FACE_PX, Detector, open_haar
from edgeface.runtime.interpreter import run, runtime_name_and_version
from edgeface.runtime.predict import Predictor, open_predictor
from edgeface.runtime.preprocess import read_image, to_input
from edgeface.runtime.runner_measure import HowToRun
from edgeface.runtime.runner_timing import NS_PER_MS, NS_PER_S, no_garbage_collection
from edgeface.runtime.sampling import Sampler, clock_jump_s, seconds_since, wall_offset_ns

STAGES = ("read", "detect", "crop", "resize", "inference", "decode")
"""Of a frame, in order: the file to RGB, its faces, their squares, the model's size, the model on
one face after the other, and its outputs to attributes."""

Read = Callable[[], NDArray[np.uint8]]
"""Gives a picture, uint8 [H, W, 3], RGB."""


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        picture: its place among the pictures, from 0.
        faces: found in it.
        stage_ms: wall time of each of `STAGES`; together that of the frame.
    """

    picture: int
    faces: int
    stage_ms: Tuple[float, ...]


@dataclass(frozen=True)
class FrameRules:
    """How frames are made.

    Attributes:
        seconds: frames are made until so much time has passed, and each picture had its turn.
        reuse: True decodes each file once, before the clock starts, as from a camera that gives
            pixels; False reads and decodes the file anew for every frame.
        min_face_px: smaller faces are not looked for; None for `detect.MIN_FACE_PX`.
    """

    seconds: float
    reuse: bool
    min_face_px: Optional[int]


def measure_frames(how: HowToRun, pictures: Sequence[Path], rules: FrameRules) -> Dict[str, Any]:
    """Time whole frames, the pictures taking turns, after one untimed frame of each.

    Args:
        how: what runs; the artifact's sidecar stands beside the `.tflite`.
        pictures: files, at least one.
        rules: how frames are made.

    Returns:
        "runtime", "runtime_version", "threads", "cores", "opencv_version", "opencv_threads",
        "detector" ("haar"), "min_face_px", "read_each_frame", "pictures" (each with "path",
        "width_px" and "height_px"), "stages" (their names), "frames" (one `Frame` each, in order),
        "samples" and "clock_jump_s" as `runner_measure.measure_latency`.

    Raises:
        ArtifactError: no artifact, or its files do not match.
        DataError: a picture that cannot be decoded.
        DeviceError: no runtime, no such core, or an OpenCV without the detector.
    """
    cores = pin_to_cores(how.cores)
    cv2.setNumThreads(how.threads)
    predictor = open_predictor(load_artifact(how.path), how.threads)
    min_face_px = MIN_FACE_PX if rules.min_face_px is None else rules.min_face_px
    detector = open_haar(min_face_px)
    runtime, version = runtime_name_and_version()
    reads, sizes = _reads(pictures, reuse=rules.reuse)
    for read in reads:
        run_frame(predictor, detector, read, time.perf_counter_ns)
    start_ns, offset_ns = time.perf_counter_ns(), wall_offset_ns()
    sampler = Sampler(how.sample_interval_s, seconds_since(start_ns, time.perf_counter_ns))
    sampler.take()
    frames = time_frames(
        predictor, detector, reads, seconds=rules.seconds, between=sampler.take_if_due
    )
    sampler.take()
    return {
        "runtime": runtime,
        "runtime_version": version,
        "threads": how.threads,
        "cores": None if cores is None else list(cores),
        "opencv_version": cv2.__version__,
        "opencv_threads": cv2.getNumThreads(),
        "detector": "haar",
        "min_face_px": min_face_px,
        "read_each_frame": not rules.reuse,
        "pictures": [
            {"path": str(path), "width_px": width_px, "height_px": height_px}
            for path, (height_px, width_px) in zip(pictures, sizes)
        ],
        "stages": list(STAGES),
        "frames": [asdict(frame) for frame in frames],
        "samples": [asdict(sample) for sample in sampler.samples],
        "clock_jump_s": clock_jump_s(offset_ns),
    }


def time_frames(
    predictor: Predictor,
    detector: Detector,
    reads: Sequence[Read],
    *,
    seconds: float,
    between: Callable[[], bool],
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Tuple[Frame, ...]:
    """Time frames until so much time has passed, and each picture had its turn.

    Args:
        predictor: from `open_predictor`.
        detector: finds the faces.
        reads: give the pictures, at least one.
        seconds: least time over all frames.
        between: called before each frame, outside its time.
        clock_ns: monotonic time in nanoseconds.
    """
    frames: List[Frame] = []
    end_ns = clock_ns() + seconds * NS_PER_S
    with no_garbage_collection():
        while len(frames) < len(reads) or clock_ns() < end_ns:
            between()
            picture = len(frames) % len(reads)
            stage_ms, faces, _ = run_frame(predictor, detector, reads[picture], clock_ns)
            frames.append(Frame(picture=picture, faces=faces, stage_ms=stage_ms))
    return tuple(frames)


def run_frame(
    predictor: Predictor, detector: Detector, read: Read, clock_ns: Callable[[], int]
) -> Tuple[Tuple[float, ...], int, Dict[str, NDArray[np.float64]]]:
    """Do once what `edgeface predict` does with a picture, and look at the clock after each stage.

    Returns:
        Milliseconds of each of `STAGES`; the number of faces; what the model says of them, as
        `predict_faces` does, empty without a face.
    """
    contract = predictor.contract
    side_px = contract.image.side_px
    marks_ns = [clock_ns()]
    rgb = read()
    marks_ns.append(clock_ns())
    found = detector.find(rgb)
    marks_ns.append(clock_ns())
    crops = [crop(rgb, face.crop) for face in found]
    marks_ns.append(clock_ns())
    inputs = [to_input(each, side_px) for each in crops]
    marks_ns.append(clock_ns())
    rows = [run(predictor.model, each, contract.outputs) for each in inputs]
    marks_ns.append(clock_ns())
    raw = tuple(np.concatenate(column) for column in zip(*rows))
    values = decode(raw, contract) if rows else {}
    marks_ns.append(clock_ns())
    stage_ms = tuple((after - before) / NS_PER_MS for before, after in zip(marks_ns, marks_ns[1:]))
    return stage_ms, len(found), values


def _reads(
    pictures: Sequence[Path], *, reuse: bool
) -> Tuple[Tuple[Read, ...], Tuple[Tuple[int, int], ...]]:
    decoded = [read_image(path) for path in pictures]
    sizes = tuple((int(rgb.shape[0]), int(rgb.shape[1])) for rgb in decoded)
    if reuse:
        return tuple(partial(_same, rgb) for rgb in decoded), sizes
    return tuple(partial(read_image, path) for path in pictures), sizes


def _same(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return rgb
