"""Artifacts as they are written: names that decode, pairs that load, nothing replaced unasked."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.errors import ArtifactError, ExportError
from edgeface.export.artifact import (
    artifact_name,
    make_artifact,
    refuse_to_overwrite,
    with_quality,
    write_artifact,
)
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.model.heads import head_specs
from edgeface.model.networks import build_model
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.interpreter import open_model, run
from edgeface.runtime.preprocess import to_input
from edgeface.runtime.selftest import self_test
from edgeface.types import ImageSpec, Metric, Quality, Scheme, SilentReporter
from support.records import provenance

RUN_ID = "a" * 64
# design.md: <backbone>-a<width %>-<side>px[-p<pruned %>]-<scheme>
NAME = re.compile(r"(mobilenetv2|vgg16)-a(\d+)-(\d+)px(?:-p(\d+))?-(float32|int8)")


def pictures() -> tuple[NDArray[np.uint8], ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (50, 60, 3), dtype=np.uint8) for _ in range(2))


def make(
    content: bytes, spec: ModelSpec, folder: Path, scheme: Scheme = "int8", run_id: str = RUN_ID
) -> Artifact:
    name = artifact_name(spec, scheme=scheme, tags=("p40",))
    return make_artifact(
        content,
        path=folder / f"{name}.tflite",
        spec=spec,
        scheme=scheme,
        golden_images=pictures(),
        provenance=provenance(run_id=run_id, calibration_ids=("drawn-1-1-000000",)),
        licence="free",
    )


@pytest.fixture(params=["float32", "int8"])
def artifact(request: Any, tmp_path: Path, spec: ModelSpec) -> Artifact:
    fixture = {"float32": "float_content", "int8": "int8_content"}[request.param]
    return make(request.getfixturevalue(fixture), spec, tmp_path, request.param)


@pytest.mark.parametrize(
    ("heads", "age_head"),
    [(("mood",), "expectation"), (("age",), "decades"), (("age", "mood", "smile"), "regression")],
)
def test_a_model_of_any_heads_is_whole_and_its_golden_vectors_pass(
    heads: tuple[str, ...], age_head: Any, tmp_path: Path, faces: NDArray[np.uint8]
) -> None:
    named = {"mood": ("calm", "glad", "sad"), "smile": ("no", "yes")}
    spec = ModelSpec(
        backbone="cnn3",
        side_px=32,
        crop="one hand",
        weights="none",
        heads=heads,
        classes={name: named[name] for name in heads if name != "age"},
        age_head=age_head,
    )
    model = build_model(spec, seed=1, reporter=SilentReporter())
    units = {"mood": 3, "smile": 1, "age": 11 if age_head == "decades" else 1}
    content = to_float_tflite(model)
    int8 = to_int8_tflite(content, faces[:4], SilentReporter())
    files: tuple[tuple[bytes, Scheme], ...] = ((content, "float32"), (int8, "int8"))
    for file, scheme in files:
        artifact = make(file, spec, tmp_path, scheme)
        write_artifact(artifact)
        loaded = load_artifact(artifact.path)
        contract = loaded.sidecar.contract
        assert contract.image == ImageSpec(side_px=32, crop="one hand")
        assert tuple(head.name for head in contract.heads) == heads
        assert [each.shape for each in contract.outputs] == [(1, units[name]) for name in heads]
        for vector in loaded.sidecar.golden:
            assert [len(each) for each in vector.outputs] == [units[name] for name in heads]
        assert self_test(loaded) == ()


def test_names_of_the_design() -> None:
    full = ModelSpec(side_px=128, weights="none")
    baseline = ModelSpec(backbone="vgg16", side_px=128, weights="none", age_head="regression")
    assert artifact_name(full, scheme="int8", tags=("p40",)) == "mobilenetv2-a100-128px-p40-int8"
    assert artifact_name(full, scheme="float32") == "mobilenetv2-a100-128px-float32"
    assert artifact_name(full, scheme=None) == "mobilenetv2-a100-128px"
    variant = artifact_name(full, scheme="int8", tags=("p40",), variant="expression")
    assert variant == "mobilenetv2-expression-a100-128px-p40-int8"
    assert artifact_name(baseline, scheme="float32") == "vgg16-a100-128px-float32"


@settings(max_examples=200, deadline=None)
@given(
    width=st.integers(10, 200),
    side=st.integers(1, 16),
    pruned=st.integers(0, 99),
    scheme=st.sampled_from(["float32", "int8"]),
)
def test_names_decode(width: int, side: int, pruned: int, scheme: Any) -> None:
    spec = ModelSpec(width_ratio=width / 100, side_px=32 * side, weights="none")
    tags = (f"p{pruned}",) if pruned else ()
    match = NAME.fullmatch(artifact_name(spec, scheme=scheme, tags=tags))
    assert match is not None
    assert match.groups() == (
        "mobilenetv2",
        str(width),
        str(32 * side),
        str(pruned) if pruned else None,
        scheme,
    )


def test_written_artifacts_load_and_pass_their_self_test(artifact: Artifact) -> None:
    write_artifact(artifact)
    assert sorted(file.name for file in artifact.path.parent.iterdir()) == [
        f"{artifact.path.stem}.json",
        f"{artifact.path.stem}.tflite",
    ]
    loaded = load_artifact(artifact.path)
    assert loaded.sidecar == artifact.sidecar
    assert loaded.content == artifact.content
    assert loaded.sidecar.sha256 == hashlib.sha256(artifact.path.read_bytes()).hexdigest()
    assert loaded.sidecar.size_bytes == artifact.path.stat().st_size
    assert loaded.sidecar.name == artifact.path.stem
    assert loaded.sidecar.quality is None
    assert self_test(loaded) == ()


def test_golden_vectors_are_what_the_file_gives(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    model = open_model(artifact.content, where="test")
    assert len(artifact.sidecar.golden) == 2
    for golden, picture in zip(artifact.sidecar.golden, pictures(), strict=True):
        raw = run(model, to_input(picture, contract.image.side_px), contract.outputs)
        assert [len(values) for values in golden.outputs] == [1, 101]
        for values, array in zip(golden.outputs, raw, strict=True):
            np.testing.assert_array_equal(np.array(values, array.dtype), array.ravel())
        assert golden.tolerance == (2.0 if artifact.sidecar.scheme == "int8" else 1e-2)


def test_heads_point_at_the_tensors_of_the_file(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    assert [head.name for head in contract.heads] == ["gender", "age"]
    assert [head.tensor for head in contract.heads] == [spec.name for spec in contract.outputs]
    assert [spec.shape for spec in contract.outputs] == [(1, 1), (1, 101)]


def test_a_changed_byte_is_noticed(int8_content: bytes, spec: ModelSpec, tmp_path: Path) -> None:
    artifact = make(int8_content, spec, tmp_path)
    write_artifact(artifact)
    content = bytearray(artifact.path.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.path.write_bytes(content)
    with pytest.raises(ArtifactError, match="sha256"):
        load_artifact(artifact.path)


def test_quality_is_kept_beside_the_model(artifact: Artifact) -> None:
    metric = Metric(task="age", name="mae", value=5.0, low=4.5, high=5.5, unit="years", n=20)
    quality = Quality(
        data="drawn faces", split="test", manifest_sha256="0", n=20, metrics=(metric,)
    )
    measured = with_quality(artifact, quality)
    assert artifact.sidecar.quality is None
    write_artifact(measured)
    loaded = load_artifact(artifact.path).sidecar
    assert loaded.quality == quality
    assert replace(loaded, quality=None) == artifact.sidecar


def test_a_head_without_an_output_is_an_error(
    int8_content: bytes, spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = head_specs(spec)
    more = (*heads, replace(heads[0], name="smile"))
    monkeypatch.setattr("edgeface.export.artifact.head_specs", lambda _: more)
    with pytest.raises(ExportError, match="has no output for smile"):
        make(int8_content, spec, tmp_path)


@pytest.mark.parametrize("obstacle", ["missing", "file"])
def test_a_folder_that_cannot_be_written_is_an_error(
    int8_content: bytes, spec: ModelSpec, tmp_path: Path, obstacle: str
) -> None:
    folder = tmp_path / "out"
    if obstacle == "file":
        folder.write_text("no folder")
    with pytest.raises(ExportError, match="cannot be written") as caught:
        write_artifact(make(int8_content, spec, folder))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_killed_between_the_two_files_the_pair_does_not_load(
    int8_content: bytes, spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    artifact = make(int8_content, spec, tmp_path)
    monkeypatch.setattr("edgeface.export.artifact.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        write_artifact(artifact)
    with pytest.raises(ArtifactError, match="no sidecar"):
        load_artifact(artifact.path)


def test_only_the_same_run_may_replace_an_artifact(
    int8_content: bytes, spec: ModelSpec, tmp_path: Path
) -> None:
    artifact = make(int8_content, spec, tmp_path)
    refuse_to_overwrite(artifact.path, RUN_ID)  # nothing is there yet
    write_artifact(artifact)
    before = artifact.path.read_bytes(), artifact.path.with_suffix(".json").read_bytes()
    refuse_to_overwrite(artifact.path, RUN_ID)
    with pytest.raises(ExportError, match=r"made by another run; give --overwrite") as caught:
        refuse_to_overwrite(artifact.path, "b" * 64)
    assert "\n" not in str(caught.value)
    assert before == (artifact.path.read_bytes(), artifact.path.with_suffix(".json").read_bytes())


def test_random_weights_are_nobodys_loss(artifact: Artifact) -> None:
    """The VGG16 baseline without weights is the same in every run, so it may be written again."""
    made = replace(artifact.sidecar.provenance, trained=False)
    write_artifact(replace(artifact, sidecar=replace(artifact.sidecar, provenance=made)))
    refuse_to_overwrite(artifact.path, "b" * 64)


@pytest.mark.parametrize("sidecar", [None, "{}", "not json"])
def test_a_model_that_nobody_can_place_is_not_replaced(tmp_path: Path, sidecar: str | None) -> None:
    path = tmp_path / "mobilenetv2-a100-128px-int8.tflite"
    path.write_bytes(b"0000TFL3 somebody's own model")
    if sidecar is not None:
        path.with_suffix(".json").write_text(sidecar)
    with pytest.raises(ExportError, match="give --overwrite"):
        refuse_to_overwrite(path, RUN_ID)


def test_the_sidecar_is_plain_json_without_nan(artifact: Artifact) -> None:
    write_artifact(artifact)

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    text = artifact.path.with_suffix(".json").read_text("utf-8")
    sidecar = json.loads(text, parse_constant=refuse)
    assert sidecar["schema_version"] == 1
    assert sidecar["contract"]["image"]["colour_order"] == "RGB"
