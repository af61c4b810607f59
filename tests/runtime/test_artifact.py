"""`artifact`: two good files load, and every way of being wrong is one line that names it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from edgeface.errors import ArtifactError
from edgeface.records import to_mapping
from edgeface.runtime.artifact import (
    Artifact,
    check_contract,
    contract_problems,
    load_artifact,
    read_model,
)
from edgeface.runtime.interpreter import open_model
from edgeface.types import Contract, HeadSpec, TensorSpec

Write = Callable[..., Path]


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as info:
        load_artifact(path)
    assert "\n" not in str(info.value)
    return str(info.value)


def edit(path: Path, change: Callable[[Dict[str, Any]], None]) -> None:
    sidecar = path.with_suffix(".json")
    mapping = json.loads(sidecar.read_text())
    change(mapping)
    sidecar.write_text(json.dumps(mapping))


def test_an_artifact_loads_whole(write_artifact: Write, any_model: Any) -> None:
    path = write_artifact(any_model)
    artifact = load_artifact(path)
    assert artifact.content == any_model.content
    assert artifact.sidecar.name == path.stem
    assert to_mapping(artifact.sidecar) == json.loads(path.with_suffix(".json").read_text())
    model = open_model(artifact.content, where="m")
    check_contract(model, artifact)  # raises if it does not hold


def test_a_name_may_have_dots(write_artifact: Write, int8_model: Any) -> None:
    assert load_artifact(write_artifact(int8_model, "v1.5-int8")).sidecar.name == "v1.5-int8"


def test_missing_files(write_artifact: Write, int8_model: Any, tmp_path: Path) -> None:
    assert "no such model" in refusal(tmp_path / "none.tflite")
    (tmp_path / "folder.tflite").mkdir()
    assert "no such model" in refusal(tmp_path / "folder.tflite")
    path = write_artifact(int8_model)
    path.with_suffix(".json").unlink()
    assert "no sidecar beside the model" in refusal(path)


def test_what_is_not_a_tflite(write_artifact: Write, int8_model: Any, tmp_path: Path) -> None:
    path = write_artifact(int8_model)
    assert "expected NAME.tflite" in refusal(path.with_suffix(".json"))
    path.write_bytes(b"<html>404</html>")
    assert "not a .tflite: found b'l>40' at bytes 4 to 8" in refusal(path)
    path.write_bytes(b"")
    assert "not a .tflite" in refusal(path)
    with pytest.raises(ArtifactError, match=r"not a \.tflite"):
        read_model(path)


def test_bytes_that_are_not_the_sidecars(write_artifact: Write, int8_model: Any) -> None:
    path = write_artifact(int8_model)
    content = int8_model.content
    path.write_bytes(content[:-100])
    text = refusal(path)
    assert f"found {len(content) - 100} bytes, the sidecar states {len(content)}" in text
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1  # one bit
    path.write_bytes(bytes(damaged))
    assert "found sha256" in refusal(path)


def test_a_renamed_artifact_is_refused(write_artifact: Write, int8_model: Any) -> None:
    path = write_artifact(int8_model)
    renamed = path.with_name("other.tflite")
    path.rename(renamed)
    path.with_suffix(".json").rename(renamed.with_suffix(".json"))
    assert "found name 'tiny-a100-8px-int8', expected 'other'" in refusal(renamed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not JSON"),
        ("{'schema_version': 1}", "not JSON"),
        ('{"schema_version": NaN}', "not JSON (found NaN"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a sidecar: top level: found a list"),
        ("null", "not a sidecar: top level"),
        ('{"schema_version": 2, "new": 1}', "found schema_version 2, this edgeface reads 1"),
        ('{"schema_version": 1, "wat\\nwat": 1}', "unknown key"),
        ('{"schema_version": "1"}', "schema_version: found '1' (str), expected int"),
        ('{"schema_version": true}', "schema_version: found True (bool), expected int"),
    ],
)
def test_a_sidecar_that_is_not_one(
    text: str, expected: str, write_artifact: Write, int8_model: Any
) -> None:
    path = write_artifact(int8_model)
    path.with_suffix(".json").write_text(text)
    assert expected in refusal(path)


def test_a_sidecar_that_is_not_utf8(write_artifact: Write, int8_model: Any) -> None:
    path = write_artifact(int8_model)
    path.with_suffix(".json").write_bytes(b"\xff\xfe{}")
    assert "not JSON" in refusal(path)


def test_every_schema_problem_is_listed(write_artifact: Write, int8_model: Any) -> None:
    def change(mapping: Dict[str, Any]) -> None:
        del mapping["licence"]
        mapping["contract"]["image"]["colour_order"] = "BGR"
        mapping["contract"]["heads"][0]["kind"] = "ordinal"

    path = write_artifact(int8_model)
    edit(path, change)
    text = refusal(path)
    assert "licence: missing" in text
    assert "contract.image.colour_order: found 'BGR'" in text
    assert "contract.heads[0].kind: found 'ordinal'" in text


def test_a_tolerance_that_passes_anything_is_refused(
    write_artifact: Write, int8_model: Any
) -> None:
    path = write_artifact(int8_model)
    sidecar = path.with_suffix(".json")
    # 1e999 is infinity to Python's parser, and no constant that it reports
    sidecar.write_text(sidecar.read_text().replace('"tolerance": 1.0', '"tolerance": 1e999', 1))
    assert "golden[0].tolerance: found inf" in refusal(path)


GOOD_AGE = HeadSpec(name="age", kind="expectation", tensor="age", bins=(0, 1, 2, 3, 4))
GOOD_GENDER = HeadSpec(name="gender", kind="binary", tensor="gender", classes=("no", "yes"))
GOOD_MOOD = HeadSpec(name="mood", kind="classes", tensor="age", classes=("a", "b", "c", "d", "e"))
GOOD_DECADE = replace(GOOD_AGE, kind="decades", bins=(5, 15, 25, 35, 45))


def with_image(contract: Contract, **changes: Any) -> Contract:
    return replace(contract, image=replace(contract.image, **changes))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: with_image(c, side_px=16), "contract.input.shape: found [1, 8, 8, 3], expected"),
        (lambda c: with_image(c, side_px=0), "contract.image.side_px: found 0"),
        (lambda c: with_image(c, high=1.0), "found range 0 to 1, expected 0 to 255"),
        (
            lambda c: replace(c, input=TensorSpec("image", (1, 8, 8, 3), "float16")),
            "contract.input.dtype: found 'float16'",
        ),
        (
            lambda c: replace(c, input=replace(c.input, scale=None)),
            "contract.input.scale: found None",
        ),
        (
            lambda c: replace(c, input=replace(c.input, scale=float("nan"))),
            "contract.input.scale: found nan",
        ),
        (
            lambda c: replace(c, input=replace(c.input, dtype="float32")),
            "found one for a float32 tensor",
        ),
        (
            lambda c: replace(c, outputs=(c.outputs[0], replace(c.outputs[1], zero_point=None))),
            "contract.outputs[1].scale",
        ),
        (lambda c: replace(c, outputs=c.outputs * 2), "two have the same name"),
        (lambda c: replace(c, heads=()), "contract.heads: found none"),
        (
            lambda c: replace(c, heads=(replace(GOOD_AGE, tensor="x"),)),
            "contract.heads[0]: no output tensor 'x'",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_AGE, bins=(1.0, 2.0)),)),
            "tensor age has shape [1, 5], expected [1, 2]",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_AGE, bins=(0, 1, 2, 3, float("inf"))),)),
            "one that is not finite",
        ),
        (lambda c: replace(c, heads=(replace(GOOD_AGE, bins=()),)), "bins: found none"),
        (
            lambda c: replace(c, heads=(replace(GOOD_AGE, bins=(0, 1, 1, 3, 4)),)),
            "bins: found some that do not rise",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_AGE, kind="median", bins=(1.0,)),)),
            "bins: found 1, expected two or more for a median",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_GENDER, classes=("no", "no")),)),
            "expected two different names",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_GENDER, classes=("a", "b", "b")),)),
            "classes: found ['a', 'b', 'b'], expected two different names",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_MOOD, classes=("a", "b")),)),
            "tensor age has shape [1, 5], expected [1, 2]",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_MOOD, classes=("a", "b", "c", "d", "a")),)),
            "expected every name once",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_MOOD, tensor="gender", classes=("a",)),)),
            "classes: found ['a'], expected one name an output, two or more",
        ),
        (
            lambda c: replace(c, heads=(replace(GOOD_DECADE, bins=(5.0, 15.0)),)),
            "tensor age has shape [1, 5], expected [1, 2]",
        ),
        (lambda c: replace(c, heads=(replace(GOOD_DECADE, bins=()),)), "bins: found none"),
        (
            lambda c: replace(c, heads=(GOOD_MOOD, replace(GOOD_AGE, name="p_mood"))),
            "a face would have p_mood twice",
        ),
        (
            lambda c: replace(c, heads=(GOOD_GENDER, replace(GOOD_GENDER, name="hat"))),
            "a face would have p_yes twice",
        ),
        (lambda c: replace(c, heads=(replace(GOOD_AGE, name="box"),)), "would have box twice"),
    ],
)
def test_a_contract_that_contradicts_itself(
    change: Callable[[Contract], Contract],
    expected: str,
    tiny_contract: Callable[[Any], Contract],
    int8_model: Any,
) -> None:
    good = tiny_contract(int8_model)
    assert contract_problems(good) == []
    problems = contract_problems(change(good))
    assert any(expected in problem for problem in problems), problems


def test_every_kind_of_head_can_be_right(
    tiny_contract: Callable[[Any], Contract], int8_model: Any
) -> None:
    good = tiny_contract(int8_model)
    regression = HeadSpec(name="yaw", kind="regression", tensor="gender", unit="degrees")
    for heads in ((GOOD_MOOD,), (GOOD_DECADE, GOOD_GENDER), (regression,), (GOOD_MOOD, GOOD_AGE)):
        assert contract_problems(replace(good, heads=heads)) == []


def test_a_contract_that_contradicts_itself_does_not_load(
    write_artifact: Write, int8_model: Any
) -> None:
    path = write_artifact(int8_model)
    edit(path, lambda mapping: mapping["contract"]["image"].update(side_px=9))
    assert "contract.input.shape" in refusal(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda c: replace(c, input=replace(c.input, name="x")),
            "input name: found 'image', expec",
        ),
        (
            lambda c: replace(c, input=replace(c.input, shape=(1, 9, 9, 3))),
            "input shape: found (1, 8, 8, 3), expected (1, 9, 9, 3)",
        ),
        (
            lambda c: replace(c, input=replace(c.input, zero_point=0)),
            "input zero_point: found -128, expected 0",
        ),
        (
            lambda c: replace(c, input=replace(c.input, scale=None)),
            "input scale: found 1.0, expected None",
        ),
        (
            lambda c: replace(c, outputs=(replace(c.outputs[0], scale=0.041), c.outputs[1])),
            "output age scale: found 0.03999999",
        ),
        (
            lambda c: replace(c, outputs=(replace(c.outputs[0], dtype="uint8"), c.outputs[1])),
            "output age dtype: found 'int8', expected 'uint8'",
        ),
        (
            lambda c: replace(c, outputs=c.outputs[:1]),
            "outputs: found ['age', 'gender'], expected ['age']",
        ),
    ],
)
def test_a_file_that_is_not_what_its_sidecar_says(
    change: Callable[[Contract], Contract],
    expected: str,
    write_artifact: Write,
    int8_model: Any,
) -> None:
    artifact = load_artifact(write_artifact(int8_model))
    model = open_model(artifact.content, where="m")
    with pytest.raises(ArtifactError) as info:
        check_contract(model, with_contract(artifact, change))
    assert expected in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: replace(c, outputs=c.outputs[::-1]),  # found by name, so any order serves
        # 0.04 is the same float32 as the file's 0.03999999910593033
        lambda c: replace(c, outputs=tuple(replace(o, scale=0.04) for o in c.outputs)),
    ],
)
def test_order_and_float32_digits_do_not_matter(
    change: Callable[[Contract], Contract], write_artifact: Write, int8_model: Any
) -> None:
    artifact = with_contract(load_artifact(write_artifact(int8_model)), change)
    assert artifact.sidecar.contract.outputs != open_model(artifact.content, where="m").outputs
    check_contract(open_model(artifact.content, where="m"), artifact)


def with_contract(artifact: Artifact, change: Callable[[Contract], Contract]) -> Artifact:
    sidecar = artifact.sidecar
    return replace(artifact, sidecar=replace(sidecar, contract=change(sidecar.contract)))


def test_all_mismatches_are_listed(write_artifact: Write, int8_model: Any) -> None:
    artifact = load_artifact(write_artifact(int8_model))

    def change(contract: Contract) -> Contract:
        outputs: List[TensorSpec] = [replace(o, zero_point=0) for o in contract.outputs]
        return replace(contract, outputs=tuple(outputs))

    with pytest.raises(ArtifactError, match=r"output age zero_point.*output gender zero_point"):
        check_contract(open_model(artifact.content, where="m"), with_contract(artifact, change))
