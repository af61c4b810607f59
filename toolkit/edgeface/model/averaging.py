"""Weight averaging: a second model whose weights are the moving average of the one that trains.

In: the model that is stepped, and a copy of it. Out: the copy, moved a little after each step.

Why not `use_ema` of tf_keras's optimizers: it averages trainable variables only, shows them to
nobody until `fit` ends, and then puts them in the place of the trained ones, which with one `fit`
an epoch would make every epoch go on from the average.

Batch normalization's moving statistics are averaged as the weights are. They describe what the
weights of their own step make of the images; beside weights that lag some 1 / (1 - decay) steps
behind, they must lag as far.

Source: Polyak and Juditsky 1992, SIAM J. Control 30(4); the exponential form with statistics
averaged too: Tarvainen and Valpola 2017, Mean teachers (arXiv 1703.01780), and TensorFlow's
`tf.train.ExponentialMovingAverage`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


def decay_at(decay: float, step: int) -> float:
    """How much of itself the average keeps at a step.

    A plain average of decay 0.999 would still be 37 % first weights after 1000 steps, and new
    heads start from random ones.

    Args:
        decay: 0 up to 1, of the steps from about 10 / (1 - decay) on.
        step: its number, from 1.

    Source:
        TensorFlow's `tf.train.ExponentialMovingAverage` with `num_updates`: (1 + t) / (10 + t).
    """
    return min(decay, (1 + step) / (10 + step))


class WeightAverage(keras.callbacks.Callback):  # type: ignore[misc]  # tf_keras has no types
    """Moves another model's weights towards those of the model that trains, after each step."""

    def __init__(self, averaged: Any, trained: Any, decay: float) -> None:
        """Pair the weights of the two.

        Args:
            averaged: its weights become the average; before the first step they are the trained
                model's.
            trained: of the same layers, compiled, all its variables floating-point.
            decay: see `decay_at`.
        """
        super().__init__()
        self._decay = decay
        self._trained = trained
        pairs = tuple(zip(averaged.weights, trained.weights, strict=True))

        def move(share: Any) -> None:
            for average, weight in pairs:
                average.assign_add(share * (weight - average))

        self._move = tf.function(move)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the average by one step."""
        step = int(self._trained.optimizer.iterations)  # counted on by a resumed training
        self._move(tf.constant(1 - decay_at(self._decay, step), tf.float32))
