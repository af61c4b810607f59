"""The face-pretrained MobileNetV1: its weights reach the right places, and hostile files do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.mobilenetv1 import BLOCKS, load_face_weights, mobilenetv1
from edgeface.model.backbones.picture import CENTRED, MEAN_RGB, scaled_picture
from edgeface.model.networks import build_model
from edgeface.model.tfjs_weights import read_tfjs_weights
from edgeface.types import SilentReporter

SIDE_PX = 32


def arrays() -> dict[str, Any]:
    """Weights of the published shapes, under the published names."""
    random = np.random.default_rng(2)

    def normal(*shape: int) -> Any:
        return (random.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    found = {
        "conv1/convolution/merged_input": normal(3, 3, 3, 32),
        "conv1_bn/batchnorm_1/sub": normal(32),
        "feats/kernel": normal(1024, 256),
        "feats/bias": normal(256),
    }
    width = 32
    for number, (filters, _) in enumerate(BLOCKS, start=1):
        dw, pw = f"conv_dw_{number}", f"conv_pw_{number}"
        found[f"{dw}/depthwise_kernel"] = normal(3, 3, width, 1)
        found[f"{dw}_bn/batchnorm_1/mul"] = 1 + normal(width)
        found[f"{dw}_bn/batchnorm_1/sub"] = normal(width)
        found[f"{pw}/convolution/merged_input"] = normal(1, 1, width, filters)
        found[f"{pw}_bn/batchnorm_1/sub"] = normal(filters)
        width = filters
    return found


def write_tfjs(folder: Path, values: dict[str, Any]) -> Path:
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"}
        for name, value in values.items()
    ]
    (folder / "net.bin").write_bytes(b"".join(value.tobytes() for value in values.values()))
    path = folder / "net.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["net.bin"], "weights": entries}]}))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tfjs(tmp_path_factory.mktemp("tfjs"), arrays())


def relu6(value: Any) -> Any:
    return np.clip(value, 0, 6)


def convolved(value: Any, kernel: Any, stride: int) -> Any:
    """TensorFlow's SAME convolution, the slow way: [H, W, C] with [3, 3, C, D]."""
    height = -(-value.shape[0] // stride)
    pad = max((height - 1) * stride + 3 - value.shape[0], 0)
    before = pad // 2
    padded = np.pad(value, ((before, pad - before), (before, pad - before), (0, 0)))
    out = np.zeros((height, height, kernel.shape[-1]))
    for y in range(height):
        for x in range(height):
            patch = padded[y * stride : y * stride + 3, x * stride : x * stride + 3]
            out[y, x] = np.tensordot(patch, kernel, 3)
    return out


def test_the_first_layers_compute_what_the_published_graph_says(file: Path) -> None:
    """BGR minus the means, convolution, shift, ReLU6; then a depthwise kernel times its factor."""
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    model = keras.Model(image, mobilenetv1(scaled_picture(image, CENTRED)))
    load_face_weights(model, file)
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE_PX, SIDE_PX, 3)).astype(np.float32)
    values = arrays()
    bgr = (pixels - MEAN_RGB)[:, :, ::-1]
    stem = convolved(bgr, values["conv1/convolution/merged_input"], 2)
    stem = relu6(stem + values["conv1_bn/batchnorm_1/sub"])
    kernel = values["conv_dw_1/depthwise_kernel"][..., 0]
    depthwise = np.stack(
        [convolved(stem[..., i : i + 1], kernel[..., i, None, None], 1)[..., 0] for i in range(32)],
        axis=-1,
    )
    depthwise = depthwise * values["conv_dw_1_bn/batchnorm_1/mul"]
    expected = relu6(depthwise + values["conv_dw_1_bn/batchnorm_1/sub"])
    part = keras.Model(image, model.get_layer("conv_dw_1_relu").output)
    found = part.predict(pixels[None], verbose=0)[0]
    np.testing.assert_allclose(found, expected, atol=1e-3)  # float32 sums of values up to 700


def test_a_recipe_builds_on_the_weights_given(file: Path) -> None:
    spec = ModelSpec(backbone="mobilenetv1", side_px=SIDE_PX, weights=str(file))
    model = build_model(spec, seed=1, reporter=SilentReporter())
    kernel, bias = model.get_layer("feats").get_weights()
    np.testing.assert_array_equal(kernel, arrays()["feats/kernel"])
    np.testing.assert_array_equal(bias, arrays()["feats/bias"])
    assert model.output_shape == {"gender": (None, 1), "age": (None, 101)}


def broken(file: Path, folder: Path, change: dict[str, Any], entry: dict[str, Any]) -> Path:
    document = json.loads(file.read_text())
    document["weightsManifest"][0].update(change)
    document["weightsManifest"][0]["weights"][0].update(entry)
    (folder / "net.bin").write_bytes(file.with_name("net.bin").read_bytes())
    path = folder / "net.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("change", "entry", "says"),
    [
        ({"paths": ["../net.bin"]}, {}, "in its own folder"),
        ({"paths": ["/etc/passwd"]}, {}, "in its own folder"),
        ({"paths": [".."]}, {}, "in its own folder"),
        ({"paths": ["absent.bin"]}, {}, "cannot be read"),
        ({"paths": []}, {}, "hold 0 bytes"),
        ({"weights": [{}]}, {}, "weightsManifest cannot be read"),
        ({}, {"shape": [3, 3, 3, 33]}, "expected"),
        ({}, {"shape": [-1]}, "weightsManifest cannot be read"),
        ({}, {"dtype": "string"}, "is string"),
        ({}, {"quantization": {"dtype": "uint8"}}, "is quantized"),
        ({}, {"name": "another"}, "has no 'conv1"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    file: Path, tmp_path: Path, change: dict[str, Any], entry: dict[str, Any], says: str
) -> None:
    path = broken(file, tmp_path, change, entry)
    spec = ModelSpec(backbone="mobilenetv1", side_px=SIDE_PX, weights=str(path))
    with pytest.raises(ModelError, match=says) as found:
        build_model(spec, seed=1, reporter=SilentReporter())
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weightsManifest": []}', "[" * 100_000])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"TensorFlow\.js"):
        read_tfjs_weights(path)


def test_imagenet_weights_are_not_promised() -> None:
    spec = ModelSpec(backbone="mobilenetv1", side_px=SIDE_PX, weights="imagenet")
    with pytest.raises(ModelError, match=r"faceres-deep\.json"):
        build_model(spec, seed=1, reporter=SilentReporter())
