"""Give a network the weights of a trained one that is as wide or wider.

In: the trained network, and one of the same kind with random weights. Out: the second one, its
weights those of the first one's most important channels. A head that only the second one has
keeps its random weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.compress.allocate import most_important
from edgeface.compress.cut import cut
from edgeface.compress.graph import channel_graph
from edgeface.compress.importance import Scores
from edgeface.errors import CompressionError


def give_most_important(
    trained: Any, narrower: Any, scores: Scores, *, new_layers: frozenset[str]
) -> None:
    """Copy the most important channels of one network to another of the same layers.

    Args:
        trained: tf_keras, not changed; of any side.
        narrower: tf_keras with layers of the same names, none with more channels; gets the weights.
        scores: of `channel_graph(trained)`.
        new_layers: names of layers that keep the weights they have in `narrower`, if `trained`
            lacks them or has them of another size.

    Raises:
        CompressionError: a layer is missing in `trained`, or smaller there.
    """
    graph = channel_graph(trained)
    wanted = {group.name: group.channels for group in channel_graph(narrower).groups}
    groups = [group for group in graph.groups if group.name in wanted]
    for group in groups:
        if wanted[group.name] > group.channels:
            raise CompressionError(
                f"{group.name}: has {group.channels} channels in the trained network, expected "
                f"{wanted[group.name]} or more; start from a wider one"
            )
    keep = most_important(groups, scores, wanted)
    given = _by_layer(cut(trained, graph, keep))
    for name, own in _by_layer(narrower).items():
        shapes = [weight.shape for weight in own]
        found = [weight.shape for weight in given.get(name, ())]
        if shapes == found:
            narrower.get_layer(name).set_weights(given[name])
        elif name not in new_layers:
            raise CompressionError(
                f"{name}: has weights of {found or 'nothing'} in the trained network, expected "
                f"{shapes}; start from one of the same kind"
            )


def _by_layer(model: Any) -> dict[str, list[NDArray[np.float32]]]:
    weights = ((layer.name, layer.get_weights()) for layer in model.layers)
    return {name: values for name, values in weights if values}
