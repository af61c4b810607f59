"""What the three methods of TFMOT must bear: being killed between epochs and going on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from edgeface.compress.cluster import cluster_weights
from edgeface.compress.magnitude import magnitude_prune
from edgeface.compress.qat import quantization_aware
from support.small_network import Training, outputs_of, random_images, small_network

METHODS: dict[str, Callable[..., Any]] = {
    "magnitude": partial(magnitude_prune, sparsity=0.8, steps=9),
    "cluster": partial(cluster_weights, clusters=8),
    "qat": partial(quantization_aware, calibration=random_images(8)),
}


class Killed(Exception):
    """Ends a training from outside."""


@pytest.mark.parametrize("method", METHODS)
def test_a_checkpoint_of_the_wrapped_model_brings_everything_back(
    method: str, tmp_path: Path
) -> None:
    """As `model.checkpoint` writes and reads it; the second model is wrapped anew."""
    path = str(tmp_path / "epoch-0001")
    images = random_images(4, seed=9)
    seen: list[tuple[Any, list[Any]]] = []

    def train(model: Any, callbacks: Sequence[Any]) -> None:
        checkpoint = tf.train.Checkpoint(model=model)
        if not seen:
            Training(epochs=1, learning_rate=0.5)(model, callbacks)
            checkpoint.write(path)
        else:
            checkpoint.read(path).assert_existing_objects_matched()
        seen.append((outputs_of(model, images), [w.numpy() for w in model.variables]))
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            METHODS[method](small_network(), train=train)

    (outputs, variables), (outputs_again, variables_again) = seen
    for name, values in outputs.items():
        np.testing.assert_array_equal(outputs_again[name], values)
    for value, again in zip(variables, variables_again, strict=True):
        np.testing.assert_array_equal(again, value)
    untrained = outputs_of(small_network(), images)
    assert np.abs(outputs["age"] - untrained["age"]).max() > 0.01, "the training moved it"
