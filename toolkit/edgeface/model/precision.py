"""Copies of a network for its training: in float32, or computing in bfloat16.

In: a float32 model. Out: another model of the same layers with the same weights, in float32 too.
The model that was given is never made bfloat16, and neither is Keras's global policy, so nothing
has to be put back: what is saved and exported is the model that was given.
"""

from __future__ import annotations

from typing import Any, Literal

import tf_keras as keras

from edgeface.model.backbones.picture import GREY

_MIXED = "mixed_bfloat16"  # tf_keras's name: computes in bfloat16, variables in float32


def copy_of(model: Any, precision: Literal["float32", "bfloat16"]) -> Any:
    """Make a network of the same layers and weights that computes in the precision given.

    Args:
        model: tf_keras functional, its heads are layers of the outputs' names; not changed.
        precision: "bfloat16" computes in it all but two things: what is done to the image first
            (every rescaling, and making it grey), because 8 bits of the difference of a grey level
            and a mean are more than 8 bits of each; and the heads, because losses, softmax and
            years need more than 8 bits. Variables are float32 in both.

    Returns:
        A model not compiled, with variables of its own in the order of the original's.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        exact = isinstance(layer, keras.layers.Rescaling) or layer.name == GREY
        if not exact and layer.name not in model.output_names:
            config["dtype"] = _MIXED
        return type(layer).from_config(config)

    if precision == "bfloat16":
        copy = keras.models.clone_model(model, clone_function=clone)
    else:
        copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
