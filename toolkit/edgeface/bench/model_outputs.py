"""The values that an age output can take at all: what a ReLU6 or a quantized range cuts off.

In: `ModelGraph`, and the sidecar where there is one, which says what the outputs mean. Out:
`ClippedOutput`s. An output without a sidecar is taken for an age where its name says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgeface.bench.model_graph import ModelGraph, producers
from edgeface.data.adapters.paths import shown
from edgeface.types import Sidecar

# Chosen: older people are rare in every set; an output that ends below this misses common faces.
MIN_HIGHEST_AGE_YEARS = 80.0

# Source: tensorflow/lite/schema/schema.fbs, ActivationFunctionType and the operators' definitions.
_ACTIVATION_HIGH = {
    "RELU6": 6.0,
    "RELU_0_TO_1": 1.0,
    "RELU_N1_TO_1": 1.0,
    "TANH": 1.0,
    "LOGISTIC": 1.0,
    "SIGN_BIT": 1.0,
}
_PASSES_ON = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")
_SAYS_AGE = re.compile(r"(?<![a-z])ages?(?![a-z])")
# Source: the ranges of the types.
_HIGHEST = {"int8": 127, "uint8": 255, "int16": 32767}


_MAX_STEPS = 8  # chosen: a RESHAPE and a DEQUANTIZE or two follow an output's layer, not more
_AT_SIX = 6.0


@dataclass(frozen=True, kw_only=True)
class ClippedOutput:
    """One output that cannot reach the ages of people.

    Attributes:
        severity: "error" where it surely is a mistake.
        text: what and where, in one line.
        operators: that make it, the last one first.
    """

    severity: Literal["error", "warning"]
    text: str
    operators: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class _Cap:
    """What an output cannot be above, why, and by what means."""

    high: float
    why: str
    by: Literal["relu6", "activation", "range"]


def clipped_outputs(graph: ModelGraph, sidecar: Sidecar | None) -> Iterator[ClippedOutput]:
    """Find age outputs of one value that end below 80 years.

    Without a sidecar, an age is what is named so; an output of one value after a ReLU6 is reported
    under any name, because hardly any attribute ends at 6.
    """
    writers = producers(graph)
    for tensor in dict.fromkeys(graph.outputs):
        if math.prod(graph.tensors[tensor].shape) != 1:
            continue
        chain = _chain(graph, tensor, writers)
        cap = min(_caps(graph, chain, writers), default=None)
        if cap is None or cap.high >= MIN_HIGHEST_AGE_YEARS:
            continue
        name = _age_name(graph, tensor, sidecar)
        if not name and (sidecar is not None or cap.by != "relu6"):
            continue
        surely = cap.by == "relu6" or (sidecar is not None and cap.by == "activation")
        shown_name = shown(name or graph.tensors[tensor].name)
        yield ClippedOutput(
            severity="error" if name and surely else "warning",
            text=f"output {shown_name} cannot be above {cap.high:.3g}: {cap.why}",
            operators=tuple(writers[each] for each in chain if each in writers),
        )


def _caps(graph: ModelGraph, chain: list[int], writers: dict[int, int]) -> Iterator[_Cap]:
    for tensor in chain:
        found = graph.tensors[tensor]
        if found.scale is not None and found.zero_point is not None and found.dtype in _HIGHEST:
            high = found.scale * (_HIGHEST[found.dtype] - found.zero_point)
            # converters drop a ReLU6 that the range implies already
            if abs(high - _AT_SIX) <= found.scale:
                why = f"its {found.dtype} range ends there, as after a ReLU6"
                yield _Cap(high=high, why=why, by="relu6")
            else:
                yield _Cap(high=high, why=f"its {found.dtype} range ends there", by="range")
        if tensor in writers:
            operator = graph.operators[writers[tensor]]
            for kind in (operator.activation, operator.kind):
                if kind in _ACTIVATION_HIGH:
                    by: Literal["relu6", "activation"] = (
                        "relu6" if kind == "RELU6" else "activation"
                    )
                    why = (
                        f"a {operator.kind} with {kind} makes it"
                        if kind != operator.kind
                        else f"{kind} makes it"
                    )
                    yield _Cap(high=_ACTIVATION_HIGH[kind], why=why, by=by)


def _chain(graph: ModelGraph, tensor: int, writers: dict[int, int]) -> list[int]:
    """The tensor, and those before it that hold the same values."""
    chain = [tensor]
    while chain[-1] in writers and len(chain) <= _MAX_STEPS:
        operator = graph.operators[writers[chain[-1]]]
        if operator.kind not in _PASSES_ON or not operator.inputs or operator.inputs[0] < 0:
            break
        chain.append(operator.inputs[0])
    return chain


def _age_name(graph: ModelGraph, tensor: int, sidecar: Sidecar | None) -> str:
    name = graph.tensors[tensor].name
    if sidecar is not None:
        heads = [head for head in sidecar.contract.heads if head.tensor == name]
        ages = [head.name for head in heads if head.kind == "regression" and head.unit == "years"]
        return ages[0] if ages else ""
    names = [name, *(given for given, index in graph.signature_names if index == tensor)]
    return next((each for each in names if _SAYS_AGE.search(each.lower())), "")
