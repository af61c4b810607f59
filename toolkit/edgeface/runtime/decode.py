"""Raw output tensors to attribute values.

In: raw tensors with a batch, in the order of the contract's outputs. Out: one value a sample and
head, or one a class. Does not name classes or round (`predict.describe_face` does). Float64 inside.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ArtifactError
from edgeface.runtime.affine import dequantize
from edgeface.types import Contract, HeadSpec

BINARY_THRESHOLD = 0.5  # Source: the two errors cost the same, so the likelier class is named


def decode(raw: Sequence[NDArray[Any]], contract: Contract) -> Dict[str, NDArray[np.float64]]:
    """Turn raw outputs into what they say about each sample.

    Args:
        raw: one array [B, ...] for each of `contract.outputs`, in that order, dtype as in the file.
        contract: with the scales of the tensors and the kinds of the heads.

    Returns:
        Head name to float64 [B]: "binary" the probability of `classes[1]`, 0 to 1; "median",
        "expectation", "decades" and "regression" a value in the head's unit, the first three within
        the range of their bins. "classes": float64 [B, K], probabilities that add up to 1.

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


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of what excludes each other.

    Args:
        logits: finite, [B, K].

    Returns:
        [B, K], 0 to 1, rows add up to 1. The maximum is subtracted so that exp does not overflow.
    """
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def expectation(logits: NDArray[np.float64], bins: Sequence[float]) -> NDArray[np.float64]:
    """Softmax over the bins, then their weighted mean.

    Args:
        logits: finite, [B, K].
        bins: K values, in any unit.

    Returns:
        [B], in that unit.

    Source:
        Rothe, Timofte, Van Gool 2018, Deep Expectation of Real and Apparent Age from a Single
        Image, equation 1.
    """
    return np.asarray(softmax(logits) @ np.asarray(bins, dtype=np.float64))


def median(logits: NDArray[np.float64], bins: Sequence[float]) -> NDArray[np.float64]:
    """Softmax over the bins, then the value that half of the probability lies below.

    A bin's probability is spread evenly from half-way to the bin before to half-way to the next, at
    the ends as far as on their other side.

    Args:
        logits: finite, [B, K].
        bins: K values, rising, in any unit; 2 or more.

    Returns:
        [B], in that unit, within the bins.

    Source:
        The median is the estimate with the least expected absolute error, as the mean is that with
        the least expected squared one: Bishop 2006, Pattern Recognition and Machine Learning,
        section 1.5.5.
    """
    middles = np.asarray(bins, dtype=np.float64)
    between = (middles[1:] + middles[:-1]) / 2
    edges = np.concatenate(
        [[2 * middles[0] - between[0]], between, [2 * middles[-1] - between[-1]]]
    )
    shares = softmax(logits)
    below = np.cumsum(shares, axis=-1)
    # the last sum is 1 but for rounding, so that there is always a bin in which half is reached
    at = (below >= 0.5).argmax(axis=-1)[..., None]
    share = np.take_along_axis(shares, at, axis=-1)
    into = 1 - (np.take_along_axis(below, at, axis=-1) - 0.5) / share
    value = edges[at] + into * (edges[at + 1] - edges[at])
    return np.asarray(np.clip(value[..., 0], middles[0], middles[-1]))


def class_numbers(values: NDArray[np.float64], head: HeadSpec) -> NDArray[np.int64]:
    """Name the likelier or likeliest class.

    Args:
        values: as `decode` gives them, [B] of a binary head or [B, K].
        head: of classes.

    Returns:
        int64 [B]. Class 1 of two from 0.5 on; the first of classes that are equally likely.
    """
    if head.kind == "binary":
        return (values >= BINARY_THRESHOLD).astype(np.int64)
    return np.asarray(values.argmax(axis=-1), np.int64)


def output_units(head: HeadSpec) -> int:
    """Count the values of a head's output tensor for one face."""
    if head.kind == "classes":
        return len(head.classes)
    return len(head.bins) if head.has_bins else 1


def _decode_head(values: NDArray[np.float64], head: HeadSpec) -> NDArray[np.float64]:
    width = output_units(head)
    if values.ndim < 1 or values.size != len(values) * width:
        raise ArtifactError(
            f"head {head.name}: found values of shape {list(values.shape)}, expected [B, {width}]"
        )
    logits = values.reshape(len(values), width)
    if head.kind == "classes":
        return softmax(logits)
    if head.kind == "median":
        return median(logits, head.bins)
    if head.kind == "expectation":
        return expectation(logits, head.bins)
    if head.kind == "decades":
        return np.asarray(np.take(head.bins, logits.argmax(axis=-1)), np.float64)
    return sigmoid(logits[:, 0]) if head.kind == "binary" else logits[:, 0]
