"""A network with one of each part of MobileNetV2, small enough to train in a second, and a trainer.

Methods that train while they compress are given the training as a callable; `Training` is one, and
keeps the wrapped model that it trained for the tests to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

SIDE_PX = 16
BATCHES = 2  # an epoch of `Training`
Outputs = dict[str, NDArray[np.float32]]


def small_network(*, seed: int = 1) -> Any:
    """Convolution, inverted residual with its sum, pooling, two heads; it has seen statistics."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((SIDE_PX, SIDE_PX, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(image)
    x = _normalized(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem"), x)
    shortcut = layers.ReLU(6.0, name="stem_relu")(x)
    x = _normalized(layers.Conv2D(32, 1, use_bias=False, name="expand"), shortcut)
    x = layers.ReLU(6.0, name="expand_relu")(x)
    x = layers.ZeroPadding2D(1, name="pad")(x)
    x = _normalized(layers.DepthwiseConv2D(3, use_bias=False, name="depthwise"), x)
    x = layers.ReLU(6.0, name="depthwise_relu")(x)
    x = _normalized(layers.Conv2D(16, 1, use_bias=False, name="project"), x)
    x = layers.Add(name="add")([x, shortcut])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    heads = {
        name: layers.Dense(units, name=name)(layers.Dropout(0.2, name=f"{name}_dropout")(x))
        for name, units in (("gender", 1), ("age", 101))
    }
    model = keras.Model(image, heads, name="small")
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
            layer.set_weights(
                [
                    rng.uniform(0.5, 2, gamma),
                    rng.normal(0.5, 0.5, beta),
                    rng.normal(0, 0.5, mean),
                    rng.uniform(0.2, 2, variance),
                ]
            )
    return model


def _normalized(layer: Any, x: Any) -> Any:
    return keras.layers.BatchNormalization(name=f"{layer.name}_norm")(layer(x))


def random_images(count: int, *, seed: int = 2) -> NDArray[np.uint8]:
    """Pictures of unlike colour and contrast, uint8 [count, SIDE_PX, SIDE_PX, 3]."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 200, (count, 1, 1, 3))
    spread = rng.integers(5, 56, (count, 1, 1, 1))
    return (colour + spread * rng.random((count, SIDE_PX, SIDE_PX, 3))).astype(np.uint8)


def outputs_of(model: Any, images: NDArray[np.uint8]) -> Outputs:
    """Outputs in inference, by head."""
    outputs = model(images.astype(np.float32), training=False)
    return {name: np.asarray(value) for name, value in outputs.items()}


class Training:
    """Trains on random pictures and labels, `BATCHES` steps an epoch; 0 moves no weight."""

    def __init__(self, *, epochs: int, learning_rate: float) -> None:
        self.epochs, self.learning_rate = epochs, learning_rate
        self.model: Any = None

    @property
    def steps(self) -> int:
        return self.epochs * BATCHES

    def __call__(self, model: Any, callbacks: Sequence[Any]) -> None:
        rng = np.random.default_rng(3)
        images = random_images(8 * BATCHES)
        labels = {
            "gender": rng.integers(0, 2, (len(images), 1)).astype(np.float32),
            "age": np.eye(101, dtype=np.float32)[rng.integers(0, 101, len(images))],
        }
        losses = {
            "gender": keras.losses.BinaryCrossentropy(from_logits=True),
            "age": keras.losses.CategoricalCrossentropy(from_logits=True),
        }
        model.compile(optimizer=keras.optimizers.SGD(self.learning_rate), loss=losses)
        model.fit(
            images.astype(np.float32),
            labels,
            batch_size=8,
            epochs=self.epochs,
            verbose=0,
            callbacks=list(callbacks),
        )
        self.model = model
