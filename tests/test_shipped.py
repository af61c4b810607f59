"""The models in `exported/`: whole, as their sidecars say, and with measured figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeface.export.flatbuffer import float_tensors
from edgeface.model.saved import read_model
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.selftest import self_test

EXPORTED = Path(__file__).parent.parent / "exported"
SHIPPED = (
    "mobilenetv2-a100-128px-int8",
    "mobilenetv2-a100-128px-bytes34-int8",
    "mobilenetv2-a100-128px-latency45-int8",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_artifact_is_what_its_sidecar_says(name: str) -> None:
    artifact = load_artifact(EXPORTED / f"{name}.tflite")
    assert self_test(artifact) == ()
    assert float_tensors(artifact.content) == ()
    sidecar = artifact.sidecar
    assert sidecar.quality is not None
    assert (sidecar.quality.split, sidecar.quality.n) == ("test", 4073)
    assert "the terms of that data set" in sidecar.licence
    assert len(sidecar.provenance.calibration_ids) == 300
    if name != SHIPPED[0]:
        assert sidecar.size_bytes <= 1_000_000


def test_the_shipped_keras_model_is_what_the_artifacts_were_made_from() -> None:
    model, about = read_model(EXPORTED / "mobilenetv2-a100-128px.keras")
    assert model.output_shape == {"gender": (None, 1), "age": (None, 101)}
    for name in SHIPPED:
        sidecar = load_artifact(EXPORTED / f"{name}.tflite").sidecar
        assert sidecar.provenance.manifest_sha256 == about.manifest_sha256
