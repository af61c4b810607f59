"""Weight clustering: let every layer use a few different weights only.

In: a trained model and how to train it. Out: a plain model of the same shape whose large kernels
hold no more than so many different values, and a count of them.

What it buys: download bytes, and only those of a compressed download: `gzip` finds the values that
repeat. With 16 values a layer, kernels of normally distributed float weights take 13 % instead of
92 %, and as int8 51 % instead of 94 %.

What it does not buy: latency, memory, or bytes of the plain `.tflite`: no format that phones and
Raspberry Pis run stores a table of values, so each weight takes its 32 (or, as int8, 8) bits as
before. Where batch normalization follows, conversion multiplies each output channel's weights by
that channel's own factor: the file then has so many values in each channel and not in the whole
layer, and `gzip` gains less (17 to 23 % for the same kernels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeface.compress.tfmot import Train, heavy_layers, plain, tfmot, wrapped
from edgeface.errors import CompressionError


@dataclass(frozen=True, kw_only=True)
class LayerClusters:
    """Different values of one kernel.

    Attributes:
        name: of the layer.
        weights: of its kernel, counted.
        values: different ones among them, counted.
    """

    name: str
    weights: int
    values: int


@dataclass(frozen=True, kw_only=True)
class ClusterReport:
    """What clustering left.

    Attributes:
        asked_clusters: most different weights a layer.
        layers: that were clustered, in graph order.
        parameters: of the whole model, as Keras counts them.
    """

    asked_clusters: int
    layers: tuple[LayerClusters, ...]
    parameters: int

    @property
    def clustered_ratio(self) -> float:
        """Share of the parameters that are in clustered kernels, 0 to 1."""
        return sum(layer.weights for layer in self.layers) / self.parameters


def cluster_weights(model: Any, *, clusters: int, train: Train) -> tuple[Any, ClusterReport]:
    """Train a model on while each layer's weights share a few values.

    The values and which weight takes which are both trained.

    Args:
        model: trained, functional; not changed.
        clusters: different values in each layer of `heavy_layers`, 2 or more.
        train: trains the wrapped model in place; it needs no callback.

    Returns:
        A plain model, not compiled, and the counts.

    Raises:
        CompressionError: clusters is below 2, or no layer can be clustered.

    Source:
        Han et al. 2016, Deep Compression (arXiv 1510.00149), section 3: values evenly spaced
        between the extremes at the start keep the few large weights, and end more accurate than
        values by density or at random.
    """
    if clusters < 2:
        raise CompressionError(f"clustering: found {clusters} clusters, expected 2 or more")
    names = heavy_layers(model)
    if not names:
        raise CompressionError(
            f"model {model.name!r}: found no convolution or dense layer to cluster, expected one"
        )
    clustering = tfmot.clustering.keras
    evenly = clustering.CentroidInitialization.LINEAR
    training = wrapped(
        model,
        names,
        lambda layer: clustering.cluster_weights(
            layer, number_of_clusters=clusters, cluster_centroids_init=evenly
        ),
    )
    train(training, [])
    clustered = plain(model, clustering.strip_clustering(training))
    return clustered, ClusterReport(
        asked_clusters=clusters,
        layers=tuple(_count(clustered.get_layer(name)) for name in names),
        parameters=clustered.count_params(),
    )


def _count(layer: Any) -> LayerClusters:
    kernel = layer.kernel.numpy()
    return LayerClusters(name=layer.name, weights=kernel.size, values=len(np.unique(kernel)))
