"""One MobileNetV2 of 32 px, converted once for the whole session: a conversion takes seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.data.drawn import draw_face
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.model.networks import build_model
from edgeface.types import SilentReporter


@pytest.fixture(scope="session")
def spec() -> ModelSpec:
    return ModelSpec(width_ratio=0.35, side_px=32, weights="none")


@pytest.fixture(scope="session")
def faces() -> NDArray[np.uint8]:
    """48 drawn faces: the first 32 calibrate, the others are new to the int8 model."""
    return np.stack([draw_face(seed=8, index=index, side_px=32).image for index in range(48)])


@pytest.fixture(scope="session")
def keras_model(spec: ModelSpec, faces: NDArray[np.uint8]) -> Any:
    """Random weights, but statistics of real activations, so that faces give unlike outputs.

    A random network of 52 layers magnifies every rounding error. Here most activations lie where
    ReLU6 is linear (beta 1) and blocks add a little to what they are given (gamma 0.25), as in
    trained networks.
    """
    model = build_model(spec, seed=3, reporter=SilentReporter())
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            adds = "project" in layer.name
            layer.gamma.assign(np.full(layer.gamma.shape, 0.25 if adds else 1.0))
            layer.beta.assign(np.full(layer.beta.shape, 0.0 if adds else 1.0))
    pixels = faces.astype(np.float32)
    model(pixels, training=True)
    features = np.asarray(keras.Model(model.input, model.get_layer("pool").output)(pixels))
    for name in ("gender", "age"):
        # random heads hardly tell faces apart; these spread gender over both classes
        head = model.get_layer(name)
        kernel = 10 * head.get_weights()[0]
        head.set_weights([kernel, -(features @ kernel).mean(axis=0)])
    return model


@pytest.fixture(scope="session")
def float_content(keras_model: Any) -> bytes:
    return to_float_tflite(keras_model)


@pytest.fixture(scope="session")
def int8_content(float_content: bytes, faces: NDArray[np.uint8]) -> bytes:
    return to_int8_tflite(float_content, faces[:32], SilentReporter())
