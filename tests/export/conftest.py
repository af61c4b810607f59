"""Two nets, each converted once for the whole session, because a conversion takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.data.drawn import draw_face
from edgeface.data.faces import Faces
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.export.predictions import predict
from edgeface.model.heads import head_specs
from edgeface.model.networks import build_model
from edgeface.types import HeadSpec, SilentReporter


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


@pytest.fixture(scope="session")
def colours() -> NDArray[np.uint8]:
    """40 images of 16 px, each of its own colour, so that pooled features differ."""
    generator = np.random.default_rng(5)
    colour = generator.integers(0, 156, (40, 1, 1, 3))
    return (colour + generator.integers(0, 100, (40, 16, 16, 3))).astype(np.uint8)


@pytest.fixture(scope="session")
def make_small(colours: NDArray[np.uint8]) -> Callable[..., bytes]:
    """Make the float file of a net with a residual block, ReLU6 and two heads.

    `spoil` is given the Keras layers by name before the heads are set: age is 40 ± 10 years over
    the images, gender 0 ± 2 in logits.
    """

    def make(spoil: Callable[[dict[str, Any]], None] = lambda layers: None) -> bytes:
        keras.utils.set_random_seed(5)
        layers = keras.layers

        def conv(channels: int, name: str, activation: str | None = None, side: int = 1) -> Any:
            return layers.Conv2D(
                channels,
                side,
                padding="same",
                activation=activation,
                bias_initializer=keras.initializers.RandomNormal(stddev=0.5),
                name=name,
            )

        def depthwise(name: str) -> Any:
            return layers.DepthwiseConv2D(
                3,
                padding="same",
                activation="relu6",
                bias_initializer=keras.initializers.RandomNormal(stddev=0.5),
                name=name,
            )

        image = keras.Input((16, 16, 3), name="image")
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
        x = depthwise("deep")(conv(8, "first", "relu6", side=3)(x))
        stream = conv(8, "project")(x)
        x = depthwise("deep2")(conv(16, "expand", "relu6")(stream))
        x = layers.Add()([stream, conv(8, "project2")(x)])
        x = conv(24, "last", "relu6")(x)
        features = layers.GlobalAveragePooling2D()(x)
        heads = {name: layers.Dense(1, name=name) for name in ("age", "gender")}
        model = keras.Model(image, {name: head(features) for name, head in heads.items()})
        first = model.get_layer("first")
        kernel, bias = first.get_weights()
        first.set_weights([4 * kernel, bias])  # so that some channels reach 6
        spoil({layer.name: layer for layer in model.layers})
        found = np.asarray(keras.Model(image, features)(colours.astype(np.float32)))
        for name, mean, spread in (("age", 40.0, 10.0), ("gender", 0.0, 2.0)):
            kernel = heads[name].get_weights()[0]
            values = found @ kernel
            kernel *= spread / values.std()
            heads[name].set_weights([kernel, mean - (found @ kernel).mean(axis=0)])
        return to_float_tflite(model)

    return make


@pytest.fixture(scope="session")
def small(make_small: Callable[..., bytes]) -> bytes:
    return make_small()


@pytest.fixture(scope="session")
def dead_channel(make_small: Callable[..., bytes]) -> bytes:
    """As `small`, but one layer's int8 weights are no good, and nothing else is hurt.

    Channel 0 of what "last" reads is always 0, and its weights for it are 1000 times the others:
    they change nothing, but the step of each of its rows is a thousand times too coarse.
    """

    def spoil(layers: dict[str, Any]) -> None:
        for name in ("project", "project2"):
            kernel, bias = layers[name].get_weights()
            kernel[..., 0] = bias[0] = 0.0
            layers[name].set_weights([kernel, bias])
        kernel, bias = layers["last"].get_weights()
        kernel[:, :, 0] = 1000 * np.abs(kernel).max()
        layers["last"].set_weights([kernel, bias])

    return make_small(spoil)


@pytest.fixture(scope="session")
def small_heads() -> tuple[HeadSpec, ...]:
    return head_specs(ModelSpec(age_head="regression"))


@pytest.fixture(scope="session")
def small_faces(
    small: bytes, colours: NDArray[np.uint8], small_heads: tuple[HeadSpec, ...]
) -> Faces:
    """The images with what `small` says of them as labels, so that int8 can only lose."""
    said = predict(small, colours, small_heads, where="small")
    age = said["age"].round().astype(np.int64)
    return Faces(
        ids=tuple(map(str, range(len(colours)))),
        images=colours,
        age_low_years=age,
        age_high_years=age,
        classes={"gender": (said["gender"] >= 0.5).astype(np.int64)},
    )
