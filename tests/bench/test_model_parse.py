"""Any bytes give a graph or one line, never another error."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeface.bench import model_parse
from edgeface.bench.model_graph import producers, stored_weights
from edgeface.bench.model_parse import parse_model
from edgeface.errors import ArtifactError
from edgeface.runtime.artifact import Artifact

MakeArtifact = Callable[..., Artifact]
Edit = Callable[[Any], None]


@pytest.fixture
def content(make_artifact: MakeArtifact) -> bytes:
    return make_artifact("tiny", side_px=32).content


def edited(content: bytes, edit: Edit) -> bytes:
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    edit(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def quantize(tensor: Any, scale: float) -> None:
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [3]


def signature(name: str, tensor: int, subgraph: int) -> Any:
    made, output = schema.SignatureDefT(), schema.TensorMapT()
    output.name, output.tensorIndex = name.encode(), tensor
    made.inputs, made.outputs, made.subgraphIndex = [], [output], subgraph
    return made


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model.tflite", b"x" * 99)
    return stream.getvalue()


def test_values_of_the_tiny_model(content: bytes) -> None:
    graph = parse_model(content, "tiny")
    assert [each.kind for each in graph.operators] == ["MEAN", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert [graph.tensors[i].name for i in graph.outputs] == ["gender", "age"]
    image = graph.tensors[graph.inputs[0]]
    assert (image.shape, image.dtype, image.constant_bytes) == ((1, 32, 32, 3), "float32", None)
    axes = graph.tensors[graph.operators[0].inputs[1]]
    assert (axes.integers, axes.dtype, axes.constant_bytes) == ((1, 2), "int32", 8)
    weights = graph.tensors[graph.operators[1].inputs[1]]
    assert weights.zero_ratio == 2 / 3  # (1, 0, 0)
    assert graph.weights_bytes == 2 * 4 + 2 * (3 * 4 + 4)  # axes; weights and bias of two heads
    assert graph.signature_names == ()
    assert graph.subgraphs == 1


def test_quantization_and_activation(content: bytes) -> None:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        quantize(graph.tensors[graph.outputs[1]], 0.5)
        graph.tensors[0].shapeSignature = [-1, 32, 32, 3]
        relu6 = schema.ActivationFunctionType.RELU6
        graph.operators[2].builtinOptions.fusedActivationFunction = relu6

    graph = parse_model(edited(content, edit), "tiny")
    age = graph.tensors[graph.outputs[1]]
    assert (age.scale, age.zero_point, age.scales) == (0.5, 3, 1)
    assert [each.activation for each in graph.operators] == ["NONE", "NONE", "RELU6"]
    assert [tensor.is_dynamic for tensor in graph.tensors].count(True) == 1


def test_names_of_the_first_graph_alone(content: bytes) -> None:
    def edit(model: Any) -> None:
        model.signatureDefs = [signature("years", 8, 0), signature("other", 3, 1)]

    assert parse_model(edited(content, edit), "tiny").signature_names == (("years", 8),)


def test_zeros_are_where_the_real_value_is_zero(content: bytes) -> None:
    """Bytes 3, 0, 3 with the zero point 3 stand for 0, -3 · scale, 0."""

    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        weights = graph.tensors[graph.operators[1].inputs[1]]
        weights.type = schema.TensorType.INT8
        quantize(weights, 0.5)
        model.buffers[weights.buffer].data = [3, 0, 3]

    graph = parse_model(edited(content, edit), "tiny")
    assert graph.tensors[graph.operators[1].inputs[1]].zero_ratio == 2 / 3


def test_weights_behind_the_flatbuffer_are_read(content: bytes) -> None:
    """The quantizer stores them there; a file cut before their end says so."""

    def edit(model: Any) -> None:
        moved = model.buffers[2]
        moved.data, moved.offset, moved.size = None, 1 << 20, 12

    start = len(edited(content, edit))

    def place(model: Any) -> None:
        edit(model)
        model.buffers[2].offset = start

    whole = edited(content, place) + np.array([0, 0, 5], "<f4").tobytes()
    graph = parse_model(whole, "tiny")
    weights = graph.tensors[graph.operators[1].inputs[1]]
    assert (weights.constant_bytes, weights.zero_ratio) == (12, 2 / 3)
    with pytest.raises(ArtifactError, match=r"cut off: weights reach to byte"):
        parse_model(whole[:-1], "tiny")


def test_weights_are_followed_through_unpacking_only(content: bytes) -> None:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        model.operatorCodes.append(code)
        unpacked = schema.TensorT()
        unpacked.name, unpacked.shape, unpacked.type, unpacked.buffer = b"unpacked", [1, 3], 0, 0
        graph.tensors.append(unpacked)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs = 2, [graph.operators[1].inputs[1]]
        operator.outputs = [len(graph.tensors) - 1]
        graph.operators.insert(0, operator)

    graph = parse_model(edited(content, edit), "tiny")
    packed, unpacked = graph.operators[0].inputs[0], graph.operators[0].outputs[0]
    writers = producers(graph)
    assert stored_weights(graph, unpacked, writers) == packed
    assert stored_weights(graph, graph.outputs[0], writers) == graph.outputs[0]


@pytest.mark.parametrize(
    "foreign",
    [b"", b"TFL3", b"# a text\n" * 9, zipped(), b"\0" * 64, b"\xff\xff\xff\xffTFL3" + b"\xff" * 64],
    ids=["empty", "identifier", "text", "zip", "zeros", "wild"],
)
def test_foreign_files_give_one_line(foreign: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        parse_model(foreign, "m.tflite")
    assert str(caught.value).startswith("m.tflite: ")
    assert "\n" not in str(caught.value)


def test_every_truncation_gives_one_line(content: bytes) -> None:
    for size in range(0, len(content) - 8, 3):  # the last bytes may be padding
        with pytest.raises(ArtifactError) as caught:
            parse_model(content[:size], "m.tflite")
        assert "\n" not in str(caught.value)


def shape(*sizes: int) -> Edit:
    def edit(model: Any) -> None:
        model.subgraphs[0].tensors[0].shape = list(sizes)

    return edit


def set_nan(model: Any) -> None:
    quantize(model.subgraphs[0].tensors[0], float("nan"))


def wrong_tensor(model: Any) -> None:
    model.subgraphs[0].operators[0].inputs = [0, 9]


def wrong_output(model: Any) -> None:
    model.subgraphs[0].outputs = [-1]


def wrong_kind(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 2


def wrong_buffer(model: Any) -> None:
    model.subgraphs[0].tensors[0].buffer = 6


def wrong_signature(model: Any) -> None:
    model.signatureDefs = [signature("age", 9, 0)]


def no_graph(model: Any) -> None:
    model.subgraphs = []


def long_name(model: Any) -> None:
    model.subgraphs[0].tensors[0].name = b"x" * (model_parse.MAX_NAME_BYTES + 1)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (shape(1, -1, 8, 3), "found shape"),
        (shape(*[1] * 17), "17 dimensions"),
        (set_nan, "found scale nan"),
        (wrong_tensor, "names tensor 9 of 9"),
        (wrong_output, "names tensor -1 of 9"),
        (wrong_kind, "names kind 2"),
        (wrong_buffer, "names buffer 6 of 6"),
        (wrong_signature, "a signature names tensor 9 of 9"),
        (no_graph, "no graph"),
        (long_name, "bytes of one name"),
    ],
)
def test_absurd_files_say_what_is_wrong(content: bytes, edit: Edit, why: str) -> None:
    with pytest.raises(ArtifactError, match=why) as caught:
        parse_model(edited(content, edit), "m.tflite")
    assert "\n" not in str(caught.value)


def test_limits_hold(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_TENSORS", "MAX_OPERATORS", "MAX_LINKS"):
        with monkeypatch.context() as patch:
            patch.setattr(model_parse, limit, 2)
            with pytest.raises(ArtifactError, match="reads at most 2"):
                parse_model(content, "m.tflite")


def test_overlapping_buffers_are_refused(content: bytes) -> None:
    """Many buffers over one stretch of a file would make it look far bigger than it is."""

    def edit(model: Any) -> None:
        for buffer in model.buffers[1:]:
            buffer.data, buffer.offset, buffer.size = None, 2, 1200

    overlapping = edited(content, edit) + b"\0" * 300
    assert len(overlapping) * 4 < 5 * 1200
    with pytest.raises(ArtifactError, match="overlap"):
        parse_model(overlapping, "m.tflite")


def test_an_unknown_operator_and_type_keep_their_number(content: bytes) -> None:
    def edit(model: Any) -> None:
        model.operatorCodes[0].builtinCode = 9999
        model.subgraphs[0].tensors[0].type = 99

    graph = parse_model(edited(content, edit), "m.tflite")
    assert graph.operators[0].kind == "operator 9999"
    assert graph.tensors[0].dtype == "type 99"
