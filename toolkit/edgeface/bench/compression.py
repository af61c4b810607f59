"""What was done to a model to make it small.

In: a sidecar, or a name alone. Out: `Compression`. Nothing is measured here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgeface.types import Sidecar

# Source: docs/design.md, Artifact, and `export.artifact.artifact_name`
_NAME = re.compile(
    r"(?P<backbone>[a-z0-9]+)(?:-[a-z0-9]+)?-a(?P<width>[0-9]{1,4})-(?P<side>[0-9]{1,4})px"
    r"(?P<steps>(?:-[a-z0-9]+)*)-[a-z0-9]+"
)
_STEPS = {
    r"p([0-9]+)": "{0} % of channels pruned",
    r"macs([0-9]+)": "pruned to {0} % of the MACs",
    r"(parameters|bytes|latency)([0-9]+)": "pruned to {1} % of the {0}",
    r"s([0-9]+)": "{0} % of weights 0",
    r"c([0-9]+)": "clustered, {0} values a layer",
    r"qat": "QAT",
}


@dataclass(frozen=True, kw_only=True)
class Compression:
    """How a model was made small, apart from its scheme.

    Attributes:
        backbone: e.g. "mobilenetv2".
        width_ratio: width multiplier α of the network before pruning; None where it is not known.
        side_px: height and width of the input.
        steps: what was done to the trained network, in order and in words; empty if nothing was.
    """

    backbone: str
    width_ratio: float | None
    side_px: int
    steps: tuple[str, ...]


def compression_of(sidecar: Sidecar) -> Compression:
    """Read how an artifact was made small.

    What the provenance lacks, because an older edgeface wrote it or because the weights are random,
    is read from the name.

    Args:
        sidecar: of the artifact.
    """
    named = compression_from_name(sidecar.name)
    model = sidecar.provenance.recipe.get("model")
    width = model.get("width_ratio") if isinstance(model, dict) else None
    if isinstance(width, bool) or not isinstance(width, int | float):
        width = None if named is None else named.width_ratio
    steps = sidecar.provenance.steps
    if not steps and sidecar.provenance.pruning_ratio:
        steps = (f"{100 * sidecar.provenance.pruning_ratio:.0f} % of channels pruned",)
    return Compression(
        backbone=sidecar.backbone,
        width_ratio=width,
        side_px=sidecar.contract.image.side_px,
        steps=steps,
    )


def compression_from_name(name: str) -> Compression | None:
    """Read how an artifact was made small from its name; None if the name does not follow the form.

    Args:
        name: e.g. "mobilenetv2-a100-128px-p40-int8". A part of it that means nothing here is kept
            as a step as it stands.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return Compression(
        backbone=found["backbone"],
        width_ratio=int(found["width"]) / 100,
        side_px=int(found["side"]),
        steps=tuple(_step(part) for part in found["steps"].split("-")[1:]),
    )


def _step(part: str) -> str:
    for pattern, words in _STEPS.items():
        if found := re.fullmatch(pattern, part):
            return words.format(*found.groups())
    return part
