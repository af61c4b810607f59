"""How much each channel matters to the tasks: what the losses would change if it were silent.

In: a model, its channel graph, labelled batches and the heads' losses. Out: `Scores`, with the
share that each task has in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from edgeface.compress.graph import ChannelGraph
from edgeface.compress.importance import Scores
from edgeface.errors import CompressionError

# images, targets by head, weights by head; as data.batches.training_batches yields them
Batch = tuple[Any, Mapping[str, Any], Mapping[str, Any]]


def taylor_scores(
    model: Any,
    graph: ChannelGraph,
    batches: Iterable[Batch],
    losses: Mapping[str, Any],
    loss_weights: Mapping[str, float],
) -> Scores:
    """Score channels by the first-order change of the loss if they were removed.

    Removing a channel sets the weights that read it to 0; to first order the loss changes by
    -Σ w · ∂L/∂w over these weights. A channel's score is the mean over the batches of that sum
    squared, with L the weighted sum of the tasks' losses. Batch normalization uses its moving
    statistics.

    Args:
        model: outputs by head name; not changed.
        graph: of it.
        batches: float images [B, side, side, 3], targets and weights by head.
        losses: by head, a Keras loss or a function to [B], as `model.heads.losses` gives them.
        loss_weights: by head, as in training.

    Returns:
        Scores in units of loss squared, comparable between groups.

    Raises:
        CompressionError: there is no batch, a head has no loss, or a loss is not finite.

    Source:
        Molchanov et al. 2019, Importance Estimation for Neural Network Pruning (arXiv 1906.10771),
        equation 8 with mini-batch gradients, for a channel's gate where it is read.
    """
    if set(losses) != set(loss_weights):
        raise CompressionError(
            f"taylor: losses are of {sorted(losses)} and loss weights of {sorted(loss_weights)}, "
            "expected the same heads"
        )
    slots = [slot for slot in graph.slots if slot.role == "reads"]
    kernels = [model.get_layer(slot.layer).weights[slot.weight] for slot in slots]
    names = sorted(losses)
    squares = np.zeros((len(names) + 1, graph.ids))  # a row a task, and the last for their sum
    count = 0
    for batch in batches:
        count += 1
        changes = np.zeros((len(names), graph.ids))
        gradients = _gradients(model, kernels, batch, losses)
        for row, name in enumerate(names):
            for slot, kernel, gradient in zip(slots, kernels, gradients[name], strict=True):
                if gradient is not None:  # else this head does not hear that layer
                    product = np.asarray(kernel, np.float64) * np.asarray(gradient, np.float64)
                    others = tuple(axis for axis in range(product.ndim) if axis != slot.axis)
                    changes[row] += loss_weights[name] * np.bincount(
                        slot.ids, weights=product.sum(axis=others), minlength=graph.ids
                    )
        squares[:-1] += changes**2
        squares[-1] += changes.sum(axis=0) ** 2
    if count == 0:
        raise CompressionError("taylor: found no batch of labelled images, expected one or more")
    prunable = np.concatenate([group.ids for group in graph.groups])
    totals = squares[:-1, prunable].sum(axis=1)
    return Scores(
        criterion="taylor",
        of_group={group.name: squares[-1, group.ids] / count for group in graph.groups},
        comparable=True,
        task_shares={
            name: float(total / max(totals.sum(), np.finfo(np.float64).tiny))
            for name, total in zip(names, totals, strict=True)
        },
    )


def _gradients(
    model: Any, kernels: list[Any], batch: Batch, losses: Mapping[str, Any]
) -> dict[str, list[NDArray[np.generic] | None]]:
    """By head: the gradient of its loss alone for each kernel, None where it has none."""
    images, targets, weights = batch
    values = {}
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(kernels)
        outputs = model(images, training=False)
        for name, loss in losses.items():
            if not isinstance(outputs, Mapping) or name not in outputs:
                raise CompressionError(f"taylor: the model has no output {name!r}, but a loss")
            values[name] = _loss(loss, targets[name], outputs[name], weights.get(name))
    for name, value in values.items():
        if not np.isfinite(float(value)):
            raise CompressionError(f"taylor: the loss of {name} is {float(value)}, expected finite")
    return {name: tape.gradient(value, kernels) for name, value in values.items()}


def _loss(loss: Any, target: Any, output: Any, weight: Any) -> Any:
    """As Keras counts it in training: the weighted sum over the batch divided by its size."""
    if isinstance(loss, keras.losses.Loss):
        return loss(target, output, sample_weight=weight)
    each = loss(target, output)
    return tf.reduce_mean(each if weight is None else each * tf.cast(weight, each.dtype))
