"""What the real runner answers is what the bench expects of it: both ends of the wire agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgeface.bench.device_outputs import measure_outputs, predictions_of
from edgeface.bench.frames import FrameRules, measure_frames
from edgeface.bench.latency import run_worker
from edgeface.bench.parity import compare_outputs
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.soak import measure_soak
from edgeface.runtime.predict import open_predictor, predict_raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeface.runtime.artifact import Artifact

PROTOCOL = BenchProtocol(sample_interval_s=0.1)


def test_a_soak(make_artifact: Callable[..., Artifact]) -> None:
    artifact = make_artifact("tiny")
    found = measure_soak("tiny", artifact.path, PROTOCOL, minutes=0.003, run=0, worker=run_worker)
    assert found.soak.runs >= 1
    assert len(found.samples.samples) >= 2  # one at either end


def test_whole_frames(make_artifact: Callable[..., Artifact], tmp_path: Path) -> None:
    picture = tmp_path / "grey.png"
    assert cv2.imwrite(str(picture), np.full((60, 80, 3), 128, np.uint8))
    rules = FrameRules(pictures=(picture,), seconds=0.01)
    found = measure_frames(
        "tiny", make_artifact("tiny").path, PROTOCOL, rules, run=1, worker=run_worker
    )
    assert {frame.faces for frame in found.frames.frames} == {0}
    assert (found.frames.pictures[0].width_px, found.frames.pictures[0].height_px) == (80, 60)
    assert found.frames.stages[0] == "read"


def test_outputs_are_those_of_this_process(
    make_artifact: Callable[..., Artifact], tmp_path: Path
) -> None:
    artifact = make_artifact("tiny")
    contract = artifact.sidecar.contract
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    faces = tmp_path / "faces.npz"
    np.savez(faces, images=images)
    found = measure_outputs(
        artifact.path, faces, contract, images=3, threads=1, worker=run_worker, where="local, tiny"
    )
    raw = predict_raw(open_predictor(artifact), images)
    here: dict[str, Any] = {
        spec.name: array for spec, array in zip(contract.outputs, raw, strict=True)
    }
    assert all(each.holds for each in compare_outputs(here, found.outputs, where="local"))
    # age = mean green / 2 + 1, as the fixture builds it
    age = predictions_of(found.outputs, contract, where="local")["age"]
    np.testing.assert_allclose(age, images[..., 1].mean(axis=(1, 2)) / 2 + 1, rtol=1e-5)
