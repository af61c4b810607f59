"""How the layers of a network round while it is trained for int8: `qat` puts them together.

In: a layer. Out: what TFMOT's wrapper rounds of it, by the rules of TFLite: weights symmetric, one
scale an output channel of a convolution; activations one scale a tensor.

Source: TFLite 8-bit quantization specification.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgeface.compress.tfmot import tfmot

# Source: design.md, "the input is the RGB crop as 0..255"
_PIXELS = ((0.0,), (255.0,))


class Rounding(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc]  # no types
    """What of one layer is rounded; its activation is part of its output."""

    def __init__(self, *, kernel: str | None, output: Literal["follows", "grows"] | None) -> None:
        """Say what to round.

        Args:
            kernel: the layer's attribute that is its kernel; None where it has none.
            output: whether the output's range follows the batches as a moving average, or only
                grows; None where the next layer's activation is computed with this layer.
        """
        self.kernel, self.output = kernel, output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Give the kernel and how to round it."""
        if self.kernel is None:
            return []
        # the converter cannot turn a dense kernel round with a scale an output, and says so
        by_channel = type(layer) is not keras.layers.Dense
        plain = tfmot.quantization.keras.quantizers.LastValueQuantizer
        make = DepthwiseQuantizer if self.kernel == "depthwise_kernel" else plain
        quantizer = make(num_bits=8, per_axis=by_channel, symmetric=True, narrow_range=True)
        return [(getattr(layer, self.kernel), quantizer)]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        """Let the layer compute with the rounded kernel."""
        if self.kernel is not None:
            setattr(layer, self.kernel, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Give no activation: the output is rounded after it."""
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        """Leave the activation as it is."""
        assert not quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Say how to round the output."""
        if self.output is None:
            return []
        quantizers = tfmot.quantization.keras.quantizers
        make = (
            quantizers.AllValuesQuantizer
            if self.output == "grows"
            else quantizers.MovingAverageQuantizer
        )
        return [make(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)]

    def get_config(self) -> dict[str, Any]:
        """Say what makes another like this."""
        return {"kernel": self.kernel, "output": self.output}


class DepthwiseQuantizer(
    tfmot.quantization.keras.quantizers.LastValueQuantizer  # type: ignore[misc]  # no types
):
    """Rounds a depthwise kernel with a scale a channel; TFMOT's own takes one for all.

    A kernel [h, w, C, M] has its C * M output channels on two axes, and fake quantization knows the
    last one only.
    """

    def build(self, tensor_shape: Any, name: str, layer: Any) -> Any:
        """Make variables of C * M ranges."""
        return super().build((tensor_shape[2] * tensor_shape[3],), name, layer)

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        """Round float32 [h, w, C, M]."""
        height, width, channels, multiplier = inputs.shape
        in_a_row = tf.reshape(inputs, (height, width, 1, channels * multiplier))
        rounded = super().__call__(in_a_row, training, weights, **kwargs)
        return tf.reshape(rounded, inputs.shape)


class QuantizedRescaling(keras.layers.Layer):  # type: ignore[misc]  # tf_keras has no types
    """`Rescaling` of pixels with each of its steps rounded in a fixed range.

    A device multiplies and adds in two operators, and each needs the range of what it gives. Where
    one offset serves all colours it becomes a multiple of the scale, so that every pixel value has
    a number of its own: of -127.5 pixels, half a step, all of them would lie between two numbers,
    and training and device would round them apart. The first layer learns the half step.
    """

    def __init__(self, scale: Any, offset: Any, **kwargs: Any) -> None:
        """Take what a `Rescaling` has: numbers, or one a colour."""
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, images: Any) -> Any:
        """Rescale float32 [B, side, side, 3], 0 to 255."""
        scale, offset = np.asarray(self.scale, np.float64), np.asarray(self.offset, np.float64)
        if scale.ndim == offset.ndim == 0:
            offset = scale * np.round(offset / scale)
        bounds = np.asarray(_PIXELS)
        rounded = _rounded(images, bounds)
        if np.any(scale != 1):
            bounds = bounds * scale
            rounded = _rounded(rounded * tf.constant(scale, tf.float32), bounds)
        if np.any(offset != 0):
            bounds = bounds + offset
            rounded = _rounded(rounded + tf.constant(offset, tf.float32), bounds)
        return rounded

    def get_config(self) -> dict[str, Any]:
        """Say what makes another like this."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


def _rounded(values: Any, bounds: Any) -> Any:
    # zero is in every range
    low, high = min(0.0, float(np.min(bounds))), max(0.0, float(np.max(bounds)))
    return tf.quantization.fake_quant_with_min_max_args(values, low, high)
