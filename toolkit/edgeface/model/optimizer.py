"""The optimizer of a training and its learning rate over the steps.

In: a `TrainSpec` and the steps of an epoch. Out: a tf_keras optimizer, not yet built.
"""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from edgeface.config import TrainSpec


def make_optimizer(spec: TrainSpec, steps: int) -> Any:
    """Make the optimizer of one training.

    Args:
        spec: which, its learning rate and schedule.
        steps: batches an epoch.

    Returns:
        Adam, or AdamW that leaves normalisation parameters and biases alone.

    Source:
        Cosine after a linear warm-up: Loshchilov and Hutter 2017, SGDR (arXiv 1608.03983); AdamW:
        the same 2019, Decoupled Weight Decay Regularization (arXiv 1711.05101).
    """
    if spec.schedule == "cosine":
        total = spec.epochs * steps
        warmup = max(1, round(spec.warmup_ratio * total))
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            max(1, total - warmup),
            warmup_target=spec.learning_rate,
            warmup_steps=warmup,
        )
    else:
        rate = spec.learning_rate
    if spec.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=spec.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
