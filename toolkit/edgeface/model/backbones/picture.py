"""What a network does to the picture before its first learned layer.

In: the RGB crop as 0..255. Out: pixels in the range that the backbone's weights were trained on,
in colour or as brightness alone. It is part of the graph, so that no device can get it wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

GREY = "grey"
"""Name of the layer that makes a picture grey; it is fixed, never trained and never cut."""

# Source: Recommendation ITU-R BT.601-7, section 2.5.1: luma of red, green and blue
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Pixels times `scale` plus `offset`; each a number, or one for red, green and blue."""

    scale: float | tuple[float, float, float]
    offset: float | tuple[float, float, float]


# chosen: 0 to 1, for networks without published weights
UNIT = Scaling(scale=1 / 255, offset=0.0)
# Source: keras.applications.imagenet_utils.preprocess_input, mode "tf": -1 to 1
SIGNED = Scaling(scale=1 / 127.5, offset=-1.0)
# Source: the same, mode "caffe": BGR minus these means, here as RGB
MEAN_RGB = (123.68, 116.779, 103.939)
CENTRED = Scaling(scale=1.0, offset=(-MEAN_RGB[0], -MEAN_RGB[1], -MEAN_RGB[2]))
# Source: the same, mode "torch": mean and standard deviation of ImageNet's pixels as 0 to 1,
# (pixel / 255 - mean) / deviation
STANDARD = Scaling(
    scale=(1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
    offset=(-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
)


def scaled_picture(image: Any, scaling: Scaling, *, grey_channels: int = 0) -> Any:
    """Scale a picture, and make it grey if asked.

    Args:
        image: Keras tensor [B, side, side, 3], RGB, 0 to 255.
        scaling: what the backbone expects.
        grey_channels: 0 keeps the colours; else the brightness of 0 to 255, scaled as each of so
            many channels is, 1 or 3.

    Returns:
        Keras tensor [B, side, side, 3], or [B, side, side, grey_channels].
    """
    # the rescaling comes first, also of a grey picture: training for int8 expects it there
    scaled = keras.layers.Rescaling(
        _plain(scaling.scale), offset=_plain(scaling.offset), name="rescale"
    )(image)
    if not grey_channels:
        return scaled
    layer = keras.layers.Conv2D(
        grey_channels, 1, kernel_initializer="zeros", trainable=False, name=GREY
    )
    grey = layer(scaled)
    layer.set_weights(_grey_weights(scaling, grey_channels))
    return grey


def _grey_weights(
    scaling: Scaling, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel [1, 1, 3, channels] and bias that take back each colour's scale and give the luma's.

    Scaled colour k is v_k = a_k p_k + b_k, and channel c is to be a_c (sum of w_k p_k) + b_c. So
    its weight for v_k is w_k a_c / a_k, and its bias b_c less the sum of that times b_k.
    """
    scale = np.broadcast_to(np.asarray(scaling.scale, np.float64), 3)
    offset = np.broadcast_to(np.asarray(scaling.offset, np.float64), 3)
    kernel = np.asarray(LUMA)[:, None] * scale[None, :] / scale[:, None]
    bias = offset - offset @ kernel
    return kernel[None, None, :, :channels], bias[:channels]


def _plain(value: float | tuple[float, float, float]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value
