"""Judges a parsed `.tflite`: one small function a rule, each from values to findings.

In: the graph, what the runtime made of it, and the sidecar where there is one. Out: findings, in
the order of `FINDERS`. Nothing is read or run here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgeface.bench.model_graph import ModelGraph, ModelOperator, producers, stored_weights
from edgeface.bench.model_macs import KERNELS, data_operand, weights_operand
from edgeface.bench.model_outputs import clipped_outputs
from edgeface.bench.model_rules import ModelFinding, Severity, finding
from edgeface.bench.model_sparsity import sparse_weights
from edgeface.bench.partitions import RuntimeView
from edgeface.data.adapters.paths import shown
from edgeface.types import Sidecar

_CHANGES_TYPE = ("QUANTIZE", "DEQUANTIZE", "DENSIFY")
_NAMED_KINDS = 8  # chosen: fits three lines
_SAYS_INT8 = re.compile(r"(?<![a-z0-9])int8(?![a-z0-9])")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """All that the rules look at.

    Attributes:
        stem: of the file's name.
        graph: of the file.
        runtime: what the runtime made of it.
        sidecar: that fits the file; None where there is none that does.
        sidecar_fault: why the one that is there does not; empty where it fits or is missing.
        machine: as `platform.machine()` has it, e.g. "x86_64" or "aarch64".
    """

    stem: str
    graph: ModelGraph
    runtime: RuntimeView
    sidecar: Sidecar | None
    sidecar_fault: str
    machine: str

    @property
    def claims_int8(self) -> bool:
        """Whether its sidecar or its name says int8."""
        if self.sidecar is not None:
            return self.sidecar.scheme == "int8"
        return bool(_SAYS_INT8.search(self.stem.lower()))


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """One operator with weights.

    Attributes:
        index: of the operator.
        operator: itself.
        is_depthwise: whether each channel has its own weights.
        float_data: computes on floating point.
        int8_weights: weights are stored in 8 bits or fewer, also where a DEQUANTIZE unpacks them.
        mixed: float data and integer weights meet in the operator itself.
        scales: of the stored weights.
        channels: of a depthwise one; 0 of others.
    """

    index: int
    operator: ModelOperator
    is_depthwise: bool
    float_data: bool
    int8_weights: bool
    mixed: bool
    scales: int
    channels: int


def kernels(graph: ModelGraph) -> tuple[Kernel, ...]:
    """List the operators with weights, leaving out those whose operands are missing."""
    writers = producers(graph)
    found = []
    for index, operator in enumerate(graph.operators):
        at, data = weights_operand(operator), data_operand(operator)
        if at is None or data is None or min(at, data) < 0:
            continue
        given = graph.tensors[at]
        stored = graph.tensors[stored_weights(graph, at, writers)]
        is_depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        found.append(
            Kernel(
                index=index,
                operator=operator,
                is_depthwise=is_depthwise,
                float_data=graph.tensors[data].is_float,
                int8_weights=stored.is_int8,
                mixed=graph.tensors[data].is_float and given.is_int8,
                scales=stored.scales,
                channels=stored.shape[-1] if is_depthwise and stored.shape else 0,
            )
        )
    return tuple(found)


def find_all(subject: Subject) -> tuple[ModelFinding, ...]:
    """Apply every rule."""
    return tuple(each for finder in FINDERS for each in finder(subject))


def exit_status(findings: Iterable[ModelFinding]) -> int:
    """Give 1 if any finding is an error, else 0."""
    return int(any(each.severity == "error" for each in findings))


def runtime_answer(subject: Subject) -> Iterable[ModelFinding]:
    """The runtime refuses the file, dies of it, or does not tell what it does with it."""
    view = subject.runtime
    runtime = f"{view.runtime} {view.runtime_version}".strip() or "the runtime"
    if view.state == "refused":
        yield finding("runtime-refuses", "error", f"{runtime} refuses it: {view.reason}")
    elif view.state == "crashed":
        yield finding("runtime-crashes", "error", f"{runtime} does not survive it: {view.reason}")
    elif view.partitions is None:
        yield finding("partitions-not-known", "note", f"{runtime}: {view.reason}")


def outside_delegate(subject: Subject) -> Iterable[ModelFinding]:
    """Operators that the delegate did not take on this machine."""
    view, graph = subject.runtime, subject.graph
    if not view.outside or view.partitions is None:
        return
    kinds = [graph.operators[i].kind for i in view.outside]
    severity: Severity = "warning" if any(kind in KERNELS for kind in kinds) else "note"
    parts = len(view.partitions)
    yield finding(
        "outside-delegate",
        severity,
        f"{len(kinds)} of {len(graph.operators)} operators run outside the delegate "
        f"({_counted(kinds)}), which has {parts} partition{'' if parts == 1 else 's'}",
        view.outside,
    )


def dynamic_range_depthwise(subject: Subject) -> Iterable[ModelFinding]:
    """Depthwise convolutions of float activations with integer weights."""
    found = [each for each in kernels(subject.graph) if each.is_depthwise and each.mixed]
    if found:
        yield finding(
            "dynamic-range-depthwise",
            "error",
            f"{_operators(found)} of float activations with integer weights",
            _indices(found),
        )


def int16_activations(subject: Subject) -> Iterable[ModelFinding]:
    """Operators on int16 activations."""
    graph, writers = subject.graph, producers(subject.graph)
    found = tuple(
        i
        for i, operator in enumerate(graph.operators)
        if operator.kind not in _CHANGES_TYPE
        and any(
            graph.tensors[t].dtype == "int16" and graph.tensors[t].scales
            for t in _activations(graph, operator, writers)
        )
    )
    if found:
        kinds = [graph.operators[i].kind for i in found]
        text = f"int16 activations in {len(kinds)} operators: {_counted(kinds)}"
        yield finding("16x8", "error", text, found)


def float_inside_int8(subject: Subject) -> Iterable[ModelFinding]:
    """Weights are int8, and yet operators compute in float."""
    graph, writers = subject.graph, producers(subject.graph)
    layers = kernels(graph)
    if not (subject.claims_int8 or any(each.int8_weights for each in layers)):
        return
    told_already = {each.index for each in layers if each.is_depthwise and each.mixed}
    found = tuple(
        i
        for i, operator in enumerate(graph.operators)
        if i not in told_already
        and operator.kind not in _CHANGES_TYPE
        and any(graph.tensors[t].is_float for t in _activations(graph, operator, writers))
    )
    if not found:
        return
    only_weights = sum(each.float_data and each.int8_weights for each in layers)
    kinds = [graph.operators[i].kind for i in found]
    claim = "said to be int8, but " if subject.claims_int8 else "int8 weights, but "
    yield finding(
        "float-inside-int8",
        "error" if subject.claims_int8 else "warning",
        f"{claim}{len(kinds)} of {len(graph.operators)} operators compute in float "
        f"({_counted(kinds)}); in {only_weights} of {len(layers)} layers only the weights are int8",
        found,
    )


def per_tensor_depthwise(subject: Subject) -> Iterable[ModelFinding]:
    """Depthwise weights with one scale for all channels."""
    found = [
        each
        for each in kernels(subject.graph)
        if each.is_depthwise and each.int8_weights and each.scales == 1 and each.channels > 1
    ]
    if found:
        yield finding(
            "per-tensor-depthwise",
            "warning",
            f"{_operators(found)} with one scale for up to "
            f"{max(each.channels for each in found)} channels",
            _indices(found),
        )


def float_input(subject: Subject) -> Iterable[ModelFinding]:
    """Layers are int8, and the input is float and quantized inside."""
    graph = subject.graph
    if not any(each.int8_weights and not each.float_data for each in kernels(graph)):
        return
    for i, operator in enumerate(graph.operators):
        if operator.kind == "QUANTIZE" and operator.inputs[:1] and operator.outputs:
            given, made = operator.inputs[0], graph.tensors[operator.outputs[0]]
            if given in graph.inputs and graph.tensors[given].is_float and made.is_int8:
                name = shown(graph.tensors[given].name)
                text = f"input {name} is {graph.tensors[given].dtype}, the layers are {made.dtype}"
                yield finding("float-input", "warning", text, (i,))


def sparsity(subject: Subject) -> Iterable[ModelFinding]:
    """Weights of many zeros, that will not run faster for it."""
    found = sparse_weights(subject.graph, subject.machine)
    if found is None:
        return
    zeros = f"{100 * found.zero_ratio:.0f} % of the weights of {len(found.operators)} layers are 0"
    if not found.is_stored_sparse:
        yield finding("sparse-stored-dense", "warning", zeros, found.operators)
    elif found.reasons:
        text = f"{zeros}, stored sparse; runs dense: {'; '.join(found.reasons)}"
        yield finding("sparse-not-faster", "warning", text, found.operators)
    else:
        text = f"{zeros}, stored sparse; no known rule keeps it from running sparse: time it"
        yield finding("sparse-not-faster", "note", text, found.operators)


def sidecar(subject: Subject) -> Iterable[ModelFinding]:
    """The sidecar is missing, or does not describe the file."""
    if subject.sidecar_fault:
        yield finding("sidecar-mismatch", "error", subject.sidecar_fault)
    elif subject.sidecar is None:
        yield finding("sidecar-missing", "warning", f"no {shown(subject.stem + '.json')} beside it")


def output_clips(subject: Subject) -> Iterable[ModelFinding]:
    """An age output cannot reach the ages of people."""
    for each in clipped_outputs(subject.graph, subject.sidecar):
        yield finding("output-clips", each.severity, each.text, each.operators)


def several_graphs(subject: Subject) -> Iterable[ModelFinding]:
    """The file holds graphs that are not looked at."""
    if subject.graph.subgraphs > 1:
        text = f"{subject.graph.subgraphs} graphs in the file, the first is inspected"
        yield finding("several-graphs", "note", text)


FINDERS: tuple[Callable[[Subject], Iterable[ModelFinding]], ...] = (
    runtime_answer,
    dynamic_range_depthwise,
    int16_activations,
    float_inside_int8,
    per_tensor_depthwise,
    float_input,
    output_clips,
    sidecar,
    sparsity,
    outside_delegate,
    several_graphs,
)
"""One function a rule, or a few that exclude each other."""


def _activations(graph: ModelGraph, operator: ModelOperator, writers: dict[int, int]) -> list[int]:
    """Tensors that an operator computes on: neither constants nor what is unpacked from them."""
    used = [t for t in (*operator.inputs, *operator.outputs) if t >= 0]
    return [
        t for t in used if graph.tensors[stored_weights(graph, t, writers)].constant_bytes is None
    ]


def _operators(found: list[Kernel]) -> str:
    kinds = _counted([each.operator.kind for each in found])
    return f"{kinds} (first: operator {found[0].index})"


def _indices(found: list[Kernel]) -> tuple[int, ...]:
    return tuple(each.index for each in found)


def _counted(kinds: list[str]) -> str:
    counts = Counter(kinds).most_common()
    named = [
        f"{count} {kind if kind.isidentifier() else shown(kind)}"
        for kind, count in counts[:_NAMED_KINDS]
    ]
    more = len(counts) - len(named)
    return ", ".join([*named, *([f"and {more} more kinds"] if more else [])])
