"""One real file of each bad kind, as converters make it, gets its finding; good files get none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from edgeface.bench.inspect_model import ModelInspection, inspect_model
from edgeface.bench.model_findings import exit_status
from edgeface.bench.partitions import ProbeReply
from edgeface.errors import ArtifactError
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.model.profile import profile
from edgeface.records import from_mapping, to_mapping, write_json
from edgeface.report.model_tables import model_text
from edgeface.runtime.artifact import Artifact
from edgeface.types import SilentReporter

MakeArtifact = Callable[..., Artifact]
Inspect = Callable[..., ModelInspection]
SIDE_PX = 16
WIDTH = 128  # the converter leaves weights of under 1,024 values float in dynamic range
SHAPE = (SIDE_PX, SIDE_PX, 3)


def build(*, zeros: bool = False, symmetric: bool = False, age: Any = None) -> Any:
    """A convolution, a depthwise one, a 1×1, the mean, and two heads; ages about 90."""
    keras.utils.set_random_seed(4)
    image = keras.Input(SHAPE, name="image")
    values = keras.layers.Rescaling(1 / 255)(image)
    if symmetric:
        values = keras.layers.ZeroPadding2D(1)(image)
    padding = "valid" if symmetric else "same"
    values = keras.layers.Conv2D(WIDTH, 3, 2, padding=padding, activation="relu6")(values)
    values = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu6")(values)
    values = keras.layers.Conv2D(WIDTH, 1, name="pointwise", activation="relu6")(values)
    values = keras.layers.GlobalAveragePooling2D()(values)
    gender = keras.layers.Dense(1, name="gender")(values)
    # like a trained age head: calibration sees people of 90
    start = keras.initializers.Constant(90)
    years = keras.layers.Dense(1, name="age", bias_initializer=start, activation=age)(values)
    model = keras.Model(image, {"gender": gender, "age": years})
    if zeros:
        layer = model.get_layer("pointwise")
        kernel, bias = layer.get_weights()
        drawn = np.random.default_rng(0).random(kernel.shape)
        layer.set_weights([np.where(drawn < 0.9, 0, kernel), bias])
    return model


def convert(model: Any, *, static: bool = False, **settings: Any) -> bytes:
    """Convert with TensorFlow's own converter, `static` with random images for calibration."""
    function = tf.function(
        lambda image: model(image, training=False),
        input_signature=[tf.TensorSpec((1, *SHAPE), tf.float32, name="image")],
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if static:
        converter.representative_dataset = lambda: (
            [image[None].astype(np.float32)] for image in images()
        )
    for name, value in settings.items():
        holder = converter.target_spec if name.startswith("supported") else converter
        setattr(holder, name, value)
    return bytes(converter.convert())


def images() -> Any:
    return np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8)


DEFAULT = [tf.lite.Optimize.DEFAULT]
SPARSE = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
OPS = tf.lite.OpsSet
INT8: dict[str, Any] = {
    "static": True,
    "optimizations": DEFAULT,
    "supported_ops": [OPS.TFLITE_BUILTINS_INT8],
}
INT8_INPUT: dict[str, Any] = {
    **INT8,
    "inference_input_type": tf.int8,
    "inference_output_type": tf.int8,
}
INT16 = [OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]


def silent(content: bytes) -> ProbeReply:
    return ProbeReply(status=1, stdout="", stderr="")


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.fixture
def inspect(tmp_path: Path) -> Inspect:
    def run(content: bytes, name: str = "model", **settings: Any) -> ModelInspection:
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(content)
        return inspect_model(path, **settings)

    return run


@pytest.fixture(scope="module")
def dynamic() -> bytes:
    return convert(build(), optimizations=DEFAULT)


def found(inspection: ModelInspection) -> dict[str, str]:
    """Severity by rule, but for the sidecar that none of the files here has."""
    rules: dict[str, str] = {each.rule: each.severity for each in inspection.findings}
    assert rules.pop("sidecar-missing") == "warning"
    return rules


def test_our_float_and_int8_files_are_clean(inspect: Inspect) -> None:
    model = build()
    float_content = to_float_tflite(model)
    int8_content = to_int8_tflite(float_content, images(), SilentReporter())
    for name, content in (("m-float32", float_content), ("m-int8", int8_content)):
        inspection = inspect(content, name)
        assert found(inspection) == {}
        assert exit_status(inspection.findings) == 0
        assert inspection.macs == profile(model).macs
        assert inspection.runtime.delegate == "XNNPACK"
        assert inspection.runtime.partitions == (tuple(range(len(inspection.graph.operators))),)
        assert inspection.size_bytes == len(content)
        record = json.loads(json.dumps(to_mapping(inspection)))
        assert from_mapping(ModelInspection, record) == inspection


def test_dynamic_range(inspect: Inspect, dynamic: bytes) -> None:
    inspection = inspect(dynamic)
    assert found(inspection) == {
        "dynamic-range-depthwise": "error",
        "float-inside-int8": "warning",
        "outside-delegate": "warning",
    }
    kinds = [each.kind for each in inspection.graph.operators]
    at = kinds.index("DEPTHWISE_CONV_2D")
    # the delegate really takes all but the depthwise one, in a part before it and one after
    assert inspection.runtime.outside == (at,)
    assert inspection.runtime.partitions == (tuple(range(at)), tuple(range(at + 1, len(kinds))))


def test_dynamic_range_sold_as_int8(inspect: Inspect, dynamic: bytes) -> None:
    assert found(inspect(dynamic, "model_int8"))["float-inside-int8"] == "error"


def test_16x8(inspect: Inspect) -> None:
    content = convert(build(), static=True, optimizations=DEFAULT, supported_ops=INT16)
    inspection = inspect(content)
    rules = found(inspection)
    assert rules == {"16x8": "error", "outside-delegate": "warning"}
    assert inspection.runtime.partitions == ()
    assert exit_status(inspection.findings) == 1


def test_float_input(inspect: Inspect) -> None:
    assert found(inspect(convert(build(), **INT8))) == {"float-input": "warning"}


def test_per_tensor_depthwise(inspect: Inspect) -> None:
    content = convert(build(), **INT8_INPUT, _experimental_disable_per_channel=True)
    assert found(inspect(content)) == {"per-tensor-depthwise": "warning"}


def test_relu6_on_the_age_head(inspect: Inspect) -> None:
    inspection = inspect(convert(build(age="relu6")))
    assert found(inspection) == {"output-clips": "error"}
    assert exit_status(inspection.findings) == 1


def test_zeros_that_are_stored(inspect: Inspect) -> None:
    assert found(inspect(convert(build(zeros=True)))) == {"sparse-stored-dense": "warning"}


def test_zeros_that_are_left_out(inspect: Inspect) -> None:
    content = convert(build(zeros=True), optimizations=SPARSE)
    inspection = inspect(content, machine="aarch64")
    assert found(inspection) == {"sparse-not-faster": "warning"}
    assert "PAD of 1" in inspection.findings[-1].text


def test_zeros_that_could_run_sparse(inspect: Inspect) -> None:
    content = convert(build(zeros=True, symmetric=True), optimizations=SPARSE)
    assert found(inspect(content, machine="aarch64")) == {"sparse-not-faster": "note"}
    assert found(inspect(content, machine="x86_64")) == {"sparse-not-faster": "warning"}


def test_a_sidecar_that_fits(make_artifact: MakeArtifact) -> None:
    path = make_artifact("tiny").path
    inspection = inspect_model(path)
    assert inspection.findings == ()
    assert inspection.macs == make_artifact("tiny").sidecar.provenance.macs == 2 * 3


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("sha256", "0" * 64, "sha256"),
        ("name", "other", "name"),
        ("schema_version", 99, "schema_version"),
    ],
)
def test_a_sidecar_of_another_file(
    make_artifact: MakeArtifact, key: str, value: Any, text: str
) -> None:
    path = make_artifact("tiny").path
    sidecar = json.loads(path.with_suffix(".json").read_text("utf-8"))
    path.with_suffix(".json").write_text(json.dumps({**sidecar, key: value}), "utf-8")
    (only,) = inspect_model(path).findings
    assert (only.rule, only.severity) == ("sidecar-mismatch", "error")
    assert text in only.text


def test_a_contract_of_another_output(make_artifact: MakeArtifact) -> None:
    path = make_artifact("tiny").path
    text = path.with_suffix(".json").read_text("utf-8")
    path.with_suffix(".json").write_text(text.replace('"age"', '"years"'), "utf-8")
    (only,) = inspect_model(path).findings
    assert only.rule == "sidecar-mismatch"
    assert "found ['age', 'gender'], expected ['gender', 'years']" in only.text


def test_the_runtime_refuses_what_the_schema_reads(
    make_artifact: MakeArtifact, inspect: Inspect
) -> None:
    """A shape of 24 TB is no error of the format; what the runtime does with it ends elsewhere."""

    def edit(graph: Any) -> None:
        graph.tensors[0].shape = [1, 1 << 20, 1 << 21, 3]

    inspection = inspect(edited(make_artifact("tiny").content, edit))
    assert inspection.runtime.state in ("refused", "crashed")
    assert exit_status(inspection.findings) == 1


def test_a_quantized_output_is_compared_with_its_contract(make_artifact: MakeArtifact) -> None:
    artifact = make_artifact("tiny")

    def edit(graph: Any) -> None:
        age = graph.tensors[graph.outputs[1]]
        age.type, age.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
        age.quantization.scale, age.quantization.zeroPoint = [0.75], [3]

    content = edited(artifact.content, edit)
    artifact.path.write_bytes(content)
    outputs = artifact.sidecar.contract.outputs

    def rules(scale: float) -> list[str]:
        age = replace(outputs[1], dtype="int8", scale=scale, zero_point=3)
        contract = replace(artifact.sidecar.contract, outputs=(outputs[0], age))
        sidecar = replace(
            artifact.sidecar,
            contract=contract,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        write_json(artifact.path.with_suffix(".json"), sidecar)
        return [each.rule for each in inspect_model(artifact.path, probe=silent).findings]

    assert "sidecar-mismatch" not in rules(0.75)
    assert "sidecar-mismatch" in rules(0.5)


def test_a_file_exchanged_meanwhile_is_noticed(make_artifact: MakeArtifact) -> None:
    path = make_artifact("tiny", side_px=32).path

    def exchanging(content: bytes) -> ProbeReply:
        make_artifact("tiny", side_px=16)  # a whole artifact, sidecar and all
        return silent(content)

    found = {each.rule: each.text for each in inspect_model(path, probe=exchanging).findings}
    assert "changed while it was inspected" in found["sidecar-mismatch"]


@pytest.mark.parametrize(
    ("name", "content"),
    [("m.tflite", b"PK\x03\x04" + b"\0" * 40), ("m.tflite", b""), ("m.h5", b"\x1c\0\0\0TFL3")],
)
def test_a_foreign_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        inspect_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_one_line(inspect: Inspect, dynamic: bytes) -> None:
    for size in range(8, len(dynamic) - 8, 499):
        with pytest.raises(ArtifactError) as caught:
            inspect(dynamic[:size])
        assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such model"):
        inspect_model(tmp_path / "m.tflite")


def test_garbled_files_give_an_inspection_or_one_line(
    tmp_path: Path, dynamic: bytes, make_artifact: MakeArtifact
) -> None:
    """Not even a random file breaks a rule, the JSON form or the tables."""
    path = tmp_path / "garbled.tflite"
    tiny = make_artifact("tiny").content
    outcomes, lines = {"read": 0, "refused": 0}, {1}

    @given(
        whole=st.sampled_from([tiny, dynamic]),
        flips=st.lists(
            st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
            min_size=1,
            max_size=64,
        ),
        # most of a file is weights; what stands before them is what a parser trips over
        within=st.sampled_from([64, 512, 1 << 20]),
    )
    def check(whole: bytes, flips: list[tuple[float, int]], within: int) -> None:
        content = bytearray(whole)
        for at, value in flips:
            content[8 + int(at * (min(within, len(content)) - 8))] = value
        path.write_bytes(content)
        try:
            inspection = inspect_model(path, probe=silent)
        except ArtifactError as err:
            outcomes["refused"] += 1
            lines.add(len(str(err).splitlines()))
            return
        outcomes["read"] += 1
        record = json.loads(json.dumps(to_mapping(inspection)))
        assert from_mapping(ModelInspection, record) == inspection
        with (tmp_path / "text").open("w", encoding="utf-8") as stream:
            Console(file=stream, width=100).print(model_text(inspection))

    check()
    assert min(outcomes.values()) >= 10, outcomes  # both ways were gone
    assert lines == {1}
