"""Starting weights: from Keras, or from a file of the backbone's.

In: a spec and pixels. Out: a network on those pixels with the weights that the spec names. A file
is read into a network of its own first, which says whether it fits, and copied from there: so a
file fits whatever is before the backbone, and where a network is built otherwise than Keras's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.errors import ModelError
from edgeface.model.backbones.picture import GREY

LayerWeights = list[list[NDArray[np.float32]]]
"""By layer that has any, in graph order."""


def layer_weights(model: Any) -> LayerWeights:
    """Read all weights of a network but those of what is done to the picture."""
    return [layer.get_weights() for layer in _layers(model)]


def weights_of_rgb(model: Any) -> LayerWeights:
    """Read the weights of a network for BGR pictures so that they suit RGB ones.

    Turning the first kernel round once does the same as turning every picture round.
    """
    weights = layer_weights(model)
    weights[0][0] = weights[0][0][:, :, ::-1, :]
    return weights


def application(
    spec: ModelSpec,
    pixels: Any,
    make: Callable[..., Any],
    *,
    read: Callable[[Any], LayerWeights] = layer_weights,
    **options: Any,
) -> Any:
    """Put one of Keras's own networks on pixels.

    Args:
        spec: names the weights.
        pixels: Keras tensor [B, side, side, 3], scaled.
        make: of `keras.applications`.
        read: reads its published weights.
        options: of `make`.

    Returns:
        The map before pooling, a Keras tensor [B, height, width, channels].

    Raises:
        ModelError: the weights cannot be downloaded, read, or do not fit.
    """
    network = make(include_top=False, weights=None, input_tensor=pixels, **options)
    if spec.weights != "none":
        _give(network, read(_published(spec, make, options)))
    return network.output


def own_network(
    spec: ModelSpec,
    pixels: Any,
    network: Callable[[Any], Any],
    *,
    make: Callable[..., Any] | None = None,
    read: Callable[[Any], LayerWeights] = layer_weights,
) -> Any:
    """Put a network of edgeface's on pixels.

    Args:
        spec: names the weights.
        pixels: Keras tensor [B, side, side, channels], scaled.
        network: from such a tensor to its output.
        make: of `keras.applications`, the same network as Keras publishes it; None if it does not.
        read: reads the published weights in the order of our layers.

    Returns:
        The output of `network`.

    Raises:
        ModelError: the weights cannot be had, read, or do not fit.
    """
    features = network(pixels)
    if spec.weights == "none":
        return features
    if make is not None:
        weights = read(_published(spec, make, {}))
    else:
        weights = layer_weights(_from_file(spec, pixels, network))
    _give(keras.Model(keras.utils.get_source_inputs(pixels), features), weights)
    return features


def weights_file(weights: str) -> Path:
    """Give the path of a weights file.

    Raises:
        ModelError: it is not there.
    """
    if not Path(weights).is_file():
        raise ModelError(
            f"weights {weights}: no such file; give a path, 'imagenet' or 'none' to --weights"
        )
    return Path(weights)


def _published(spec: ModelSpec, make: Callable[..., Any], options: dict[str, Any]) -> Any:
    if spec.weights != "imagenet":
        weights_file(spec.weights)
    try:
        shape = (spec.side_px, spec.side_px, 3)
        return make(include_top=False, weights=spec.weights, input_shape=shape, **options)
    except Exception as err:
        if not isinstance(err, (ValueError, OSError, KeyError)) and type(err) is not Exception:
            raise  # get_file raises a bare Exception where there is no network
        if spec.weights == "imagenet":
            raise ModelError(
                f"ImageNet weights of {spec.backbone} cannot be downloaded: {_reason(err)}; "
                "give a file with --weights PATH, or --weights none to start from random weights"
            ) from err
        raise ModelError(
            f"weights {spec.weights}: do not fit {spec.backbone} width {spec.width_ratio:g}: "
            f"{_reason(err)}; expected a tf_keras no-top .h5 file of that network"
        ) from err


def _from_file(spec: ModelSpec, pixels: Any, network: Callable[[Any], Any]) -> Any:
    if spec.weights == "imagenet":
        raise ModelError(
            f"ImageNet weights of {spec.backbone} cannot be had: Keras publishes none; give "
            "--weights none to start from random weights, or an .h5 file of its layers with "
            "--weights PATH (docs/backbones.md says how to make one)"
        )
    path = weights_file(spec.weights)
    given = keras.Input(pixels.shape[1:])
    model = keras.Model(given, network(given))
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as err:
        raise ModelError(
            f"weights {spec.weights}: do not fit {spec.backbone}: {_reason(err)}; expected an .h5 "
            "file of its layers (docs/backbones.md says how to make one)"
        ) from err
    return model


def _reason(err: Exception) -> str:
    return (str(err).strip().splitlines() or ["no reason given"])[0][:200]


def _give(model: Any, weights: LayerWeights) -> None:
    """Copy layer by layer; shapes may differ by axes of length 1, e.g. of a 1×1 kernel."""
    for layer, given in zip(_layers(model), weights, strict=True):
        pairs: Sequence[tuple[Any, Any]] = list(zip(layer.weights, given, strict=True))
        layer.set_weights([value.reshape(weight.shape) for weight, value in pairs])


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif layer.weights and not _is_of_picture(layer):
            yield layer


def _is_of_picture(layer: Any) -> bool:
    # Keras's EfficientNet scales the picture by weights
    return layer.name == GREY or isinstance(layer, keras.layers.Normalization)
