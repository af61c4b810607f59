"""A runtime without a delegate rounds otherwise: it is held to TFLite's reference kernels.

The reference kernels themselves stand for such a runtime here. tflite-runtime on 32-bit ARM, which
is at most one step off them, is in `test_loopback_armhf`.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.deploy import bundle as bundling
from edgeface.deploy.bundle import make_bundle
from edgeface.errors import ArtifactError
from edgeface.runtime import predict, selftest
from edgeface.runtime.affine import quantize
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.bundle_check import check_bundle
from edgeface.runtime.bundle_files import LISTING, REFERENCE, file_sha256
from edgeface.runtime.interpreter import LoadedModel, open_model
from edgeface.runtime.preprocess import decode_image, to_input
from edgeface.runtime.selftest import golden_problems, reference_golden, uses_delegate
from edgeface.types import GoldenVector
from support.dense_artifact import write_dense_artifact

EXPORTED = Path(__file__).parents[2] / "exported"
MOBILENETS = (
    "mobilenetv2-a100-128px-int8",
    "mobilenetv2-a100-128px-bytes34-int8",
    "mobilenetv2-a100-128px-latency45-int8",
)
LATENCY45 = MOBILENETS[2]
Picture = NDArray[np.uint8]


def shipped(name: str) -> Artifact:
    return load_artifact(EXPORTED / f"{name}.tflite")


def unpacked(artifact: Artifact, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(make_bundle(artifact).content)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def no_delegate(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, the runtime that `check` opens a model with has no delegate."""
    plain = partial(open_model, reference_kernels=True)
    return lambda: monkeypatch.setattr(predict, "open_model", plain)


def test_the_runtime_says_whether_a_delegate_runs_the_model(tmp_path: Path) -> None:
    for path in (
        EXPORTED / f"{LATENCY45}.tflite",
        write_dense_artifact(tmp_path, "int8"),
    ):
        content = path.read_bytes()
        assert uses_delegate(open_model(content, where="m"))
        assert not uses_delegate(open_model(content, where="m", reference_kernels=True))


@pytest.mark.parametrize(
    ("details", "answer"),
    [
        (lambda: [{"op_name": "CONV_2D"}], False),
        (lambda: [{"op_name": "CONV_2D"}, {"op_name": "DELEGATE"}], True),
        (lambda: [{"name": "CONV_2D"}], True),
        (None, True),
    ],
    ids=["none", "one", "told otherwise", "not told"],
)
def test_a_runtime_that_does_not_tell_is_held_to_the_sidecar(details: Any, answer: bool) -> None:
    class Runtime:
        _get_ops_details = staticmethod(details) if details else None

    model = open_model((EXPORTED / f"{LATENCY45}.tflite").read_bytes(), where="m")
    assert uses_delegate(replace(model, interpreter=Runtime())) is answer


def test_each_runtime_is_held_to_its_own_kernels(
    tmp_path: Path, no_delegate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpacked(shipped(LATENCY45), tmp_path / "bundle")
    assert not check_bundle(folder).reference_kernels
    # without the file, as before there was one, kernels that compute as they should are refused
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: ())
    bare = unpacked(shipped(LATENCY45), tmp_path / "bare")
    assert not (bare / REFERENCE).exists()
    assert not check_bundle(bare).reference_kernels
    no_delegate()
    with pytest.raises(ArtifactError, match=r"differs by up to [34], allowed 2"):
        check_bundle(bare)
    done = check_bundle(folder)
    assert (done.reference_kernels, done.vectors) == (True, 2)


@pytest.mark.parametrize("name", MOBILENETS)
def test_one_step_beside_the_reference_passes_and_three_do_not(name: str) -> None:
    artifact = shipped(name)
    model = open_model(artifact.content, where=name, reference_kernels=True)
    contract = artifact.sidecar.contract

    def off_by(steps: int) -> list[GoldenVector]:
        return [
            replace(vector, outputs=tuple(tuple(q + steps for q in each) for each in outputs))
            for vector in reference_golden(artifact)
            for outputs in [vector.outputs]
        ]

    assert golden_problems(model, contract, off_by(1)) == ()
    assert len(golden_problems(model, contract, off_by(3))) == 2 * len(contract.outputs)


def resized(kernel: int) -> Callable[[Picture, int], Picture]:
    return lambda rgb, side_px: np.asarray(
        cv2.resize(rgb, (side_px, side_px), interpolation=kernel), np.uint8
    )


def over(other_px: int) -> Callable[[Picture, int], Picture]:
    return lambda rgb, side_px: to_input(to_input(rgb, other_px), side_px)


RESIZES = {
    "cubic": resized(cv2.INTER_CUBIC),
    "nearest": resized(cv2.INTER_NEAREST),
    "lanczos": resized(cv2.INTER_LANCZOS4),
    "over 64 px": over(64),
    "over 96 px": over(96),
    "over 160 px": over(160),
    "over 224 px": over(224),
}


@pytest.mark.parametrize("name", MOBILENETS)
def test_the_reference_catches_what_the_sidecar_catches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = shipped(name)
    contract = artifact.sidecar.contract
    sides = (
        (open_model(artifact.content, where=name), artifact.sidecar.golden),
        (open_model(artifact.content, where=name, reference_kernels=True), _reference(artifact)),
    )
    for model, golden in sides:
        assert golden_problems(model, contract, golden) == ()
        for factor in (0.5, 2):
            scaled = quantize(np.arange(256, dtype=np.float32) * factor, contract.input)
            assert golden_problems(replace(model, pixel_table=scaled), contract, golden)
        for what, resize in RESIZES.items():
            with monkeypatch.context() as patch:
                patch.setattr(selftest, "to_input", resize)
                assert golden_problems(model, contract, golden), what
        with monkeypatch.context() as patch:
            patch.setattr(selftest, "decode_image", lambda *a: decode_image(*a)[..., ::-1])
            assert golden_problems(model, contract, golden)


@pytest.mark.parametrize("name", MOBILENETS)
def test_the_reference_catches_every_other_shipped_model(name: str) -> None:
    artifact = shipped(name)
    golden, contract = _reference(artifact), artifact.sidecar.contract
    for other in MOBILENETS:
        model = open_model(shipped(other).content, where=other, reference_kernels=True)
        problems = golden_problems(_renamed(model, shipped(other), artifact), contract, golden)
        assert bool(problems) is (other != name)


def _reference(artifact: Artifact) -> tuple[GoldenVector, ...]:
    golden = reference_golden(artifact)
    assert [each.png_base64 for each in golden] == [
        each.png_base64 for each in artifact.sidecar.golden
    ]
    assert all(each.tolerance == 2 for each in golden)
    return golden


def _renamed(model: LoadedModel, own: Artifact, wanted: Artifact) -> LoadedModel:
    """Give a model's outputs the names that another has for the same heads."""
    indices = {
        theirs.tensor: model.output_indices[ours.tensor]
        for ours, theirs in zip(
            own.sidecar.contract.heads, wanted.sidecar.contract.heads, strict=True
        )
    }
    return replace(model, output_indices=indices)


def test_what_does_not_give_its_golden_outputs_here_vouches_for_no_others(tmp_path: Path) -> None:
    assert reference_golden(load_artifact(write_dense_artifact(tmp_path, "int8"))) != ()
    right = shipped(LATENCY45)
    path = tmp_path / right.path.name
    content = bytearray(right.content)
    # weights: litert keeps them behind the flatbuffer
    for at in range(len(content) * 3 // 4, len(content) * 3 // 4 + 256):
        content[at] ^= 0x80
    path.write_bytes(content)
    sidecar = json.loads(right.path.with_suffix(".json").read_text())
    sidecar["sha256"] = file_sha256(path)
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    assert reference_golden(load_artifact(path)) == ()
    assert reference_golden(load_artifact(write_dense_artifact(tmp_path, "float32"))) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not outputs of golden vectors"),
        ('{"outputs": [[["x"]]]}', "not outputs of golden vectors: outputs"),
        ('{"outputs": []}', "holds 0 vectors, the sidecar 1"),
        ('{"outputs": [[[0]]]}', "golden vector 1: holds 1 outputs, expected 2"),
    ],
)
def test_a_reference_that_is_none_is_one_line(
    tmp_path: Path, no_delegate: Callable[[], None], text: str, said: str
) -> None:
    artifact = load_artifact(write_dense_artifact(tmp_path, "int8"))
    folder = unpacked(artifact, tmp_path / "bundle")
    (folder / REFERENCE).write_text(text)
    listing = json.loads((folder / LISTING).read_text())
    listing["members"][REFERENCE] = {
        "sha256": file_sha256(folder / REFERENCE),
        "size_bytes": len(text),
    }
    (folder / LISTING).write_text(json.dumps(listing))
    no_delegate()
    with pytest.raises(ArtifactError) as info:
        check_bundle(folder)
    assert said in str(info.value)
    assert "\n" not in str(info.value)


def test_a_damaged_reference_is_damage(tmp_path: Path, no_delegate: Callable[[], None]) -> None:
    folder = unpacked(load_artifact(write_dense_artifact(tmp_path, "int8")), tmp_path / "bundle")
    (folder / REFERENCE).write_text(base64.b64encode(b"others").decode())
    no_delegate()
    with pytest.raises(ArtifactError, match=r"the bundle is damaged: reference.json has sha256"):
        check_bundle(folder)
