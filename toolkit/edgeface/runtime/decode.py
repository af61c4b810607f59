"""Raw output tensors to attribute values.

In: raw tensors with a batch, in the order of the contract's outputs. Out: one value a sample and
head. Does not name classes or round (`predict.describe_face` does). Float64 inside.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ArtifactError
from edgeface.runtime.affine import dequantize
from edgeface.types import Contract, HeadSpec


def decode(raw: Sequence[NDArray[Any]], contract: Contract) -> Dict[str, NDArray[np.float64]]:
    """Turn raw outputs into what they say about each sample.

    Args:
        raw: one array [B, ...] for each of `contract.outputs`, in that order, dtype as in the file.
        contract: with the scales of the tensors and the kinds of the heads.

    Returns:
        Head name to float64 [B]: "binary" the probability of `classes[1]`, 0 to 1; "expectation"
        and "regression" a value in the head's unit, the first within the range of its bins.

    Raises:
        ArtifactError: number, shape or dtype of the arrays are not the contract's, or a value is
            not finite.
    """
    if len(raw) != len(contract.outputs):
        raise ArtifactError(f"found {len(raw)} outputs, expected {len(contract.outputs)}")
    tensors = {}
    for array, spec in zip(raw, contract.outputs):  # Python 3.9 has no strict=
        if not np.isfinite(array).all():
            raise ArtifactError(f"tensor {spec.name}: found values that are not finite")
        tensors[spec.name] = dequantize(array, spec)
    return {head.name: _decode_head(tensors[head.tensor], head) for head in contract.heads}


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function that does not overflow.

    Args:
        logits: finite, any shape.

    Returns:
        Same shape, 0 to 1.

    Source:
        1 / (1 + exp(-x)), for x below 0 written exp(x) / (1 + exp(x)) so that exp stays below 1.
    """
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def expectation(logits: NDArray[np.float64], bins: Sequence[float]) -> NDArray[np.float64]:
    """Softmax over the bins, then their weighted mean.

    Args:
        logits: finite, [B, K].
        bins: K values, in any unit.

    Returns:
        [B], in that unit.

    Source:
        Rothe, Timofte, Van Gool 2018, Deep Expectation of Real and Apparent Age from a Single
        Image, equation 1. The maximum is subtracted so that exp does not overflow.
    """
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.asarray(weights @ np.asarray(bins, dtype=np.float64))


def _decode_head(values: NDArray[np.float64], head: HeadSpec) -> NDArray[np.float64]:
    width = len(head.bins) if head.kind == "expectation" else 1
    if values.ndim < 1 or values.size != len(values) * width:
        raise ArtifactError(
            f"head {head.name}: found values of shape {list(values.shape)}, expected [B, {width}]"
        )
    logits = values.reshape(len(values), width)
    if head.kind == "expectation":
        return expectation(logits, head.bins)
    return sigmoid(logits[:, 0]) if head.kind == "binary" else logits[:, 0]
