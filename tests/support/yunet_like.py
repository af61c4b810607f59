"""An `.onnx` with YuNet's inputs and outputs, written by hand, that takes red places for faces.

Source: the ONNX protobuf schema (onnx.proto3), opset 11; the decoding in OpenCV's face_detect.cpp.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

BOX = (0.5, 0.5, math.log(2), math.log(3))  # middle of the cell; 2 by 3 cells large
POINTS = (0.2, 0.25, 0.8, 0.25, 0.5, 0.5, 0.3, 0.9, 0.7, 0.9)  # eyes, nose, mouth; in cells


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    dims = b"".join(field(1, size) for size in shape)
    return dims + field(2, 1) + field(8, name) + field(9, struct.pack(f"<{len(values)}f", *values))


def node(kind: str, inputs: Sequence[str], output: str, **ints: Sequence[int]) -> bytes:
    made = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    for name, values in ints.items():
        attribute = field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7)
        made += field(5, attribute)
    return made


def value_info(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def yunet_like(leave_out: str = "") -> bytes:
    """A model with YuNet's inputs and outputs.

    At stride 32 the score of a cell is the mean of its red channel / 255, and at other strides 0;
    each cell's box and points are constant.
    """
    nodes: list[bytes] = []
    weights: list[bytes] = []
    outputs: list[bytes] = []

    def convolution(name: str, stride: int, kernel: Sequence[float], bias: Sequence[float]) -> None:
        weights.append(tensor(f"{name}_w", (len(bias), 3, stride, stride), kernel))
        weights.append(tensor(f"{name}_b", (len(bias),), bias))
        inputs = ["input", f"{name}_w", f"{name}_b"]
        size = (stride, stride)
        nodes.append(node("Conv", inputs, f"{name}_c", kernel_shape=size, strides=size))
        nodes.append(node("Transpose", [f"{name}_c"], name, perm=(0, 2, 3, 1)))
        outputs.append(value_info(name, (1, 320 // stride, 320 // stride, len(bias))))

    for stride in (8, 16, 32):
        area = stride * stride
        mean = 1 / (255 * area) if stride == 32 else 0.0
        red = [0.0] * (2 * area) + [mean] * area  # OpenCV gives blue, green, red
        for name, kernel, bias in (
            ("cls", red, (0.0,)),
            ("obj", red, (0.0,)),
            ("bbox", [0.0] * (4 * 3 * area), BOX),
            ("kps", [0.0] * (10 * 3 * area), POINTS),
        ):
            if f"{name}_{stride}" != leave_out:
                convolution(f"{name}_{stride}", stride, kernel, bias)
    graph = b"".join(field(1, each) for each in nodes) + field(2, "yunet-like")
    graph += b"".join(field(5, each) for each in weights)
    graph += field(11, value_info("input", (1, 3, 320, 320)))
    graph += b"".join(field(12, each) for each in outputs)
    return field(1, 6) + field(7, graph) + field(8, field(1, "") + field(2, 11))
