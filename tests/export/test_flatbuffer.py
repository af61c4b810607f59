"""Reading a `.tflite`: float tensors are found, and files without a usable signature refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeface.errors import ExportError
from edgeface.export.flatbuffer import float_tensors, read_signature
from edgeface.runtime.interpreter import open_model, tensor_specs


def changed(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The same file after `change` had its way with the unpacked model."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_all_activations_of_the_float_file_are_found(float_content: bytes) -> None:
    found = float_tensors(float_content)
    # 52 convolutions with a kernel and an output each, and the rest of the network
    assert len(found) > 100
    assert len(set(found)) == len(found)
    signature = read_signature(float_content)
    assert signature.input.name in found
    assert {spec.name for spec in signature.outputs.values()} <= set(found)


def test_the_int8_file_has_none(int8_content: bytes) -> None:
    assert float_tensors(int8_content) == ()


def test_one_tensor_made_float_is_found(int8_content: bytes) -> None:
    names = []

    def spoil(model: Any) -> None:
        graph = model.subgraphs[0]
        tensor = graph.tensors[graph.operators[20].outputs[0]]
        tensor.type = schema.TensorType.FLOAT16
        names.append(tensor.name.decode())

    content = changed(int8_content, spoil)
    assert list(float_tensors(content)) == names


def test_signature_agrees_with_the_runtime(float_content: bytes, int8_content: bytes) -> None:
    for content in (float_content, int8_content):
        signature = read_signature(content)
        model_input, outputs = tensor_specs(open_model(content, where="test"))
        assert signature.input == model_input
        assert {spec.name: spec for spec in outputs} == {
            spec.name: spec for spec in signature.outputs.values()
        }
        assert {name: spec.shape for name, spec in signature.outputs.items()} == {
            "gender": (1, 1),
            "age": (1, 101),
        }


def drop_signatures(model: Any) -> None:
    model.signatureDefs = None


def rename_signature(model: Any) -> None:
    model.signatureDefs[0].signatureKey = b"other"


def second_input(model: Any) -> None:
    model.signatureDefs[0].inputs *= 2


@pytest.mark.parametrize("change", [drop_signatures, rename_signature, second_input])
def test_a_file_without_the_signature_is_refused(
    int8_content: bytes, change: Callable[[Any], None]
) -> None:
    with pytest.raises(ExportError, match="no signature 'serving_default' with one input"):
        read_signature(changed(int8_content, change))


def test_an_input_of_another_type_is_refused(int8_content: bytes) -> None:
    def to_int16(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].type = schema.TensorType.INT16

    with pytest.raises(ExportError, match="has type code 7, expected float32, int8, uint8"):
        read_signature(changed(int8_content, to_int16))
