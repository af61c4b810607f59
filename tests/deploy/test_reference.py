"""A runtime without a delegate rounds otherwise: it is held to TFLite's reference kernels.

The reference kernels themselves stand for such a runtime here. tflite-runtime on 32-bit ARM, which
is at most one step off them, is in `test_loopback_boards`.
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

from deploy.conftest import first_weights
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
from edgeface.types import Contract, GoldenVector
from support.dense_artifact import write_dense_artifact

EXPORTED = Path(__file__).parents[2] / "exported"
SHIPPED = sorted(path.stem for path in EXPORTED.glob("mobilenet*-int8.tflite"))
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


@pytest.mark.parametrize("name", SHIPPED)
def test_the_runtime_says_whether_a_delegate_runs_the_model(name: str) -> None:
    content = shipped(name).content
    assert uses_delegate(open_model(content, where="m"))
    assert not uses_delegate(open_model(content, where="m", reference_kernels=True))


@pytest.mark.parametrize(
    ("details", "answer"),
    [
        (lambda: [{"op_name": "CONV_2D"}], False),
        (lambda: [{"op_name": "CONV_2D"}, {"op_name": "DELEGATE"}], True),
        (lambda: [{"name": "CONV_2D"}], True),
        (lambda: [("CONV_2D",)], True),
        (None, True),
    ],
    ids=["none", "one", "told otherwise", "told as tuples", "not told"],
)
def test_a_runtime_that_does_not_tell_is_held_to_the_sidecar(details: Any, answer: bool) -> None:
    class Runtime:
        _get_ops_details = staticmethod(details) if details else None

    model = open_model(shipped(SHIPPED[0]).content, where="m")
    assert uses_delegate(replace(model, interpreter=Runtime())) is answer


@pytest.mark.parametrize("name", SHIPPED)
def test_each_runtime_passes_by_its_own_kernels(
    tmp_path: Path, no_delegate: Callable[[], None], name: str
) -> None:
    artifact = shipped(name)
    folder = unpacked(artifact, tmp_path)
    assert not check_bundle(folder).reference_kernels
    no_delegate()
    done = check_bundle(folder)
    assert (done.reference_kernels, done.vectors) == (True, len(artifact.sidecar.golden))


def test_neither_runtime_passes_by_the_others_kernels(
    tmp_path: Path, no_delegate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if a delegate rounded five steps away."""
    artifact = load_artifact(write_dense_artifact(tmp_path, "int8"))
    five_off = tuple(
        replace(vector, outputs=tuple(tuple(q + 5 for q in each) for each in vector.outputs))
        for vector in artifact.sidecar.golden
    )
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: five_off)
    by_delegate = unpacked(artifact, tmp_path / "by_delegate")
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: artifact.sidecar.golden)
    sidecar_path = artifact.path.with_suffix(".json")
    sidecar = json.loads(sidecar_path.read_text())
    for vector, other in zip(sidecar["golden"], five_off, strict=True):
        vector["outputs"] = other.outputs
    sidecar_path.write_text(json.dumps(sidecar))
    by_reference = unpacked(artifact, tmp_path / "by_reference")
    assert not check_bundle(by_delegate).reference_kernels
    with pytest.raises(ArtifactError, match="differs by up to 5, allowed 1"):
        check_bundle(by_reference)
    no_delegate()
    assert check_bundle(by_reference).reference_kernels
    with pytest.raises(ArtifactError, match="differs by up to 5, allowed 1"):
        check_bundle(by_delegate)


def test_a_bundle_without_the_file_is_held_to_the_sidecar(
    tmp_path: Path, no_delegate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: ())
    folder = unpacked(load_artifact(write_dense_artifact(tmp_path, "int8")), tmp_path / "bare")
    assert not (folder / REFERENCE).exists()
    no_delegate()
    assert not check_bundle(folder).reference_kernels


@pytest.mark.parametrize("name", SHIPPED)
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
    off = golden_problems(model, contract, off_by(3))
    assert len(off) == len(artifact.sidecar.golden) * len(contract.outputs)


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


@pytest.mark.parametrize("name", SHIPPED)
def test_the_reference_catches_what_the_sidecar_catches(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = shipped(name)
    contract = artifact.sidecar.contract
    delegated = open_model(artifact.content, where=name)
    plain = open_model(artifact.content, where=name, reference_kernels=True)
    reference = _reference(artifact)

    def caught(factor: float = 1) -> tuple[bool, bool]:
        table = quantize(np.arange(256, dtype=np.float32) * np.float32(factor), contract.input)
        by_sidecar, by_reference = (
            bool(golden_problems(replace(model, pixel_table=table), contract, golden))
            for model, golden in ((delegated, artifact.sidecar.golden), (plain, reference))
        )
        return by_sidecar, by_reference

    assert caught() == (False, False)
    assert caught(2) == caught(0.5) == (True, True)
    for what, resize in RESIZES.items():
        with monkeypatch.context() as patch:
            patch.setattr(selftest, "to_input", resize)
            by_sidecar, by_reference = caught()
            assert by_reference or not by_sidecar, what
    with monkeypatch.context() as patch:
        patch.setattr(selftest, "decode_image", lambda *a: decode_image(*a)[..., ::-1])
        assert caught() == (True, True)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_reference_catches_every_other_shipped_model(name: str) -> None:
    artifact = shipped(name)
    golden, contract = _reference(artifact), artifact.sidecar.contract
    for other in map(shipped, SHIPPED):
        model = open_model(other.content, where=other.sidecar.name, reference_kernels=True)
        if other.sidecar.contract.image == contract.image:
            problems = golden_problems(_renamed(model, contract), contract, golden)
            assert bool(problems) is (other.sidecar.name != name)


def _reference(artifact: Artifact) -> tuple[GoldenVector, ...]:
    golden = reference_golden(artifact)
    assert [each.png_base64 for each in golden] == [
        each.png_base64 for each in artifact.sidecar.golden
    ]
    assert all(each.tolerance == 2 for each in golden)
    return golden


def _renamed(model: LoadedModel, wanted: Contract) -> LoadedModel:
    """Give the outputs of a model the names that another has for outputs of their shapes."""
    indices = {
        spec.name: model.output_indices[own.name]
        for spec in wanted.outputs
        for own in model.outputs
        if own.shape == spec.shape
    }
    return replace(model, output_indices=indices)


def test_what_does_not_give_its_golden_outputs_here_vouches_for_no_others(tmp_path: Path) -> None:
    assert reference_golden(load_artifact(write_dense_artifact(tmp_path, "int8"))) != ()
    right = shipped(SHIPPED[0])
    path = tmp_path / right.path.name
    content = bytearray(right.content)
    for at in first_weights(right.content):
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
