"""`benchmarks/framing.py`: a model on the detector's crops against the same faces whole."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgeface.bench.quality import HeldOut
from edgeface.data.faces import Faces
from edgeface.runtime.artifact import Artifact
from edgeface.types import SilentReporter

FRAMING = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "framing.py"))
COUNT = 40


def half_green(count: int) -> Faces:
    """Pictures whose left half has 100 of green, and the right one none; all of them 51 years old.

    The tiny model says half of the mean green and 1: 26 years of the whole, 51 of the left half.
    """
    images = np.zeros((count, 64, 64, 3), np.uint8)
    images[:, :, :32, 1] = 100
    ages = np.full(count, 51)
    ids = tuple(f"{i}" for i in range(count))
    return Faces(ids=ids, images=images, age_low_years=ages, age_high_years=ages, classes={})


def test_the_model_sees_what_the_box_holds(make_artifact: Callable[..., Artifact]) -> None:
    found = half_green(COUNT)
    held_out = HeldOut(data="made", split="test", manifest_sha256="m", load=lambda _: found)
    artifact = make_artifact("tiny")

    def compared(box: tuple[int, int, int, int]) -> tuple[float, float]:
        made = FRAMING["compare_framings"](
            artifact, found, [box] * COUNT, held_out, SilentReporter()
        )
        (task,) = made.tasks
        assert (task.task, task.overall.n) == ("age", COUNT)
        return task.overall.reference, task.overall.candidate

    assert compared((0, 0, 64, 64)) == (25, 25)
    assert compared((0, 0, 32, 32)) == (25, 0)
    # beyond the edge the picture is mirrored: 32 px left of it are as green as the left half
    assert compared((-32, 0, 64, 64)) == (25, 0)


def test_a_picture_without_a_face_has_no_box() -> None:
    grey = np.full((2, 200, 200, 3), 128, np.uint8)
    assert FRAMING["find_boxes"](grey, SilentReporter()) == {}
