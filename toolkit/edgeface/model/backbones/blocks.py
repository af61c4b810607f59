"""What several networks are made of."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

Size = int | tuple[int, int]


def conv_norm(
    x: Any,
    filters: int,
    size: Size,
    name: str,
    *,
    strides: int = 1,
    padding: str = "same",
    **normalization: Any,
) -> Any:
    """Convolve without a bias and normalize.

    Args:
        x: Keras tensor [B, height, width, channels].
        filters: channels of the result.
        size: of the kernel, or its height and width.
        name: of the convolution; the normalization's is followed by `_bn`.
        strides: in both directions.
        padding: as Keras names it.
        normalization: what Keras's BatchNormalization is to have other than its defaults.
    """
    x = keras.layers.Conv2D(
        filters, size, strides=strides, padding=padding, use_bias=False, name=name
    )(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn", **normalization)(x)


def pool(x: Any) -> Any:
    """Average over all places: features [B, channels]."""
    return keras.layers.GlobalAveragePooling2D(name="pool")(x)
