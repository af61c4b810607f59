"""What pruning took from each layer, read from the files. In: a folder's models. Out: values.

A pruned `.tflite` and the whole one have the same layers under the same names of weights, so the
channels before and after are counted in the two files themselves, and nobody's word is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeface.bench.compression import compression_of
from edgeface.bench.model_graph import ModelGraph
from edgeface.bench.model_parse import parse_model
from edgeface.report.models_table import ModelListing
from edgeface.runtime.artifact import read_model
from edgeface.types import Sidecar

# Source: TFLite schema, layouts of weights: OHWI of a convolution, 1HWO of a depthwise one, [O, I]
_OUTPUT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": -1, "FULLY_CONNECTED": 0}
_WORDS = {"CONV_2D": "conv", "DEPTHWISE_CONV_2D": "depthwise", "FULLY_CONNECTED": "dense"}


@dataclass(frozen=True, kw_only=True)
class LayerChannels:
    """One layer of both models.

    Attributes:
        name: of its weights, in short; not trusted.
        kind: "conv", "depthwise" or "dense".
        before: output channels of the whole model.
        after: of the pruned one.
    """

    name: str
    kind: str
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class PrunedLayers:
    """A pruned model beside the whole one.

    Attributes:
        name: of the pruned one.
        whole: name of the other.
        layers: in the order they run, never empty.
    """

    name: str
    whole: str
    layers: tuple[LayerChannels, ...]

    @property
    def removed_ratio(self) -> float:
        """Share of all layers' output channels that are gone, 0 to 1."""
        before = sum(layer.before for layer in self.layers)
        return 1 - sum(layer.after for layer in self.layers) / before


def read_pruned(listings: Sequence[ModelListing]) -> tuple[PrunedLayers, ...]:
    """Compare each pruned model of a folder with a whole one of the same network.

    Args:
        listings: of the folder; what is damaged is left out. The whole model has the same backbone,
            width, side and data and no channels removed, of the same scheme if there is one.

    Returns:
        By name. One whose layers are cut like those of one before it, in another scheme, is left
        out, as is one beside which no whole model lies or whose layers are not the whole one's.

    Raises:
        ArtifactError: a file cannot be read or is garbled.
        DeviceError: the schema that reads a `.tflite` is not installed.
    """
    known = [(each, each.sidecar) for each in listings if each.sidecar is not None]
    graphs: dict[str, dict[str, tuple[str, int]]] = {}

    def layers_of(listing: ModelListing) -> dict[str, tuple[str, int]]:
        where = str(listing.path)
        if where not in graphs:
            graphs[where] = _layers(parse_model(read_model(listing.path), where))
        return graphs[where]

    found: dict[tuple[LayerChannels, ...], PrunedLayers] = {}
    for listing, sidecar in known:
        if not sidecar.provenance.pruning_ratio:
            continue
        wholes = [each for each in known if _is_whole_of(each[1], sidecar)]
        wholes.sort(key=lambda each: each[1].scheme != sidecar.scheme)
        if not wholes:
            continue
        before, after = layers_of(wholes[0][0]), layers_of(listing)
        if not before or list(before) != list(after):
            continue
        layers = tuple(
            LayerChannels(name=_short(name), kind=kind, before=count, after=after[name][1])
            for name, (kind, count) in before.items()
        )
        pruned = PrunedLayers(name=sidecar.name, whole=wholes[0][1].name, layers=layers)
        found.setdefault(layers, pruned)
    return tuple(found.values())


def _is_whole_of(other: Sidecar, pruned: Sidecar) -> bool:
    ours, theirs = compression_of(pruned), compression_of(other)
    return (
        other.provenance.trained
        and not other.provenance.pruning_ratio
        and other.provenance.manifest_sha256 == pruned.provenance.manifest_sha256
        and (ours.backbone, ours.width_ratio, ours.side_px)
        == (theirs.backbone, theirs.width_ratio, theirs.side_px)
    )


def _layers(graph: ModelGraph) -> dict[str, tuple[str, int]]:
    """Kind and output channels of each layer, by the name of its weights."""
    found = {}
    for operator in graph.operators:
        if operator.kind not in _OUTPUT_AXIS or len(operator.inputs) < 2:
            continue
        weights = graph.tensors[operator.inputs[1]]
        if weights.shape:
            channels = weights.shape[_OUTPUT_AXIS[operator.kind]]
            found[weights.name] = (_WORDS[operator.kind], channels)
    return found


def _short(name: str) -> str:
    """E.g. "block_1_expand" of "mobilenetv2/block_1_expand/Conv2D"."""
    parts = name.rpartition(";")[2].split("/")
    return parts[-2] if len(parts) > 1 else name
