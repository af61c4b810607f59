"""Everything about one `.tflite`: what is in it, what this runtime does with it, what is wrong.

In: a path; the file may be anyone's. Out: `ModelInspection`, which JSON can hold.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeface.bench.model_findings import Subject, find_all
from edgeface.bench.model_graph import ModelGraph, ModelTensor
from edgeface.bench.model_macs import operator_macs, total_macs
from edgeface.bench.model_parse import parse_model
from edgeface.bench.model_rules import ModelFinding
from edgeface.bench.partitions import Probe, RuntimeView, read_view, run_probe
from edgeface.errors import ArtifactError
from edgeface.runtime.artifact import check_contract, load_artifact, read_model
from edgeface.runtime.interpreter import LoadedModel
from edgeface.types import Sidecar, TensorSpec

INSPECTION_SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ModelInspection:
    """One inspected `.tflite`.

    Attributes:
        schema_version: see `INSPECTION_SCHEMA_VERSION`.
        file: its name, without folder; not trusted.
        size_bytes: of the file.
        sha256: of the file.
        machine: that it was inspected on, e.g. "aarch64".
        graph: tensors and operators.
        operator_macs: of each operator; None where not known.
        macs: of one inference; None where one of the operators is not known.
        runtime: what the runtime of this machine makes of it.
        findings: errors, warnings and notes.
    """

    schema_version: int
    file: str
    size_bytes: int
    sha256: str
    machine: str
    graph: ModelGraph
    operator_macs: tuple[int | None, ...]
    macs: int | None
    runtime: RuntimeView
    findings: tuple[ModelFinding, ...]


def inspect_model(
    path: Path, *, machine: str | None = None, probe: Probe = run_probe
) -> ModelInspection:
    """Inspect a `.tflite`, ours or not.

    Args:
        path: of the `.tflite`; its sidecar is looked for beside it.
        machine: that sparse rules are judged for; this one if None.
        probe: opens the file in a process of its own.

    Returns:
        The inspection; what is wrong with a readable file is a finding.

    Raises:
        ArtifactError: no such file, not a `.tflite`, cut off, or garbled.
        DeviceError: ai-edge-litert, whose schema reads the file, is not installed.
    """
    content = read_model(path)
    graph = parse_model(content, str(path))
    view = read_view(probe(content), graph)
    sidecar, fault = _sidecar(path, content, graph)
    host = machine or platform.machine()
    counts = tuple(operator_macs(graph, operator) for operator in graph.operators)
    return ModelInspection(
        schema_version=INSPECTION_SCHEMA_VERSION,
        file=path.name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        machine=host,
        graph=graph,
        operator_macs=counts,
        macs=total_macs(counts),
        runtime=view,
        findings=find_all(
            Subject(
                stem=path.stem,
                graph=graph,
                runtime=view,
                sidecar=sidecar,
                sidecar_fault=fault,
                machine=host,
            )
        ),
    )


def _sidecar(path: Path, content: bytes, graph: ModelGraph) -> tuple[Sidecar | None, str]:
    """Read the sidecar, and hold it to the file; the second value says why it does not fit."""
    if not path.with_suffix(".json").exists():
        return None, ""
    try:
        artifact = load_artifact(path)
        if artifact.content != content:
            raise ArtifactError(f"{path}: changed while it was inspected; inspect it again")
        if len(graph.inputs) != 1:
            raise ArtifactError(f"{path}: found {len(graph.inputs)} inputs, expected 1")
        check_contract(_as_loaded(path, graph), artifact)
    except ArtifactError as err:
        return None, str(err)
    return artifact.sidecar, ""


def _as_loaded(path: Path, graph: ModelGraph) -> LoadedModel:
    # only its specs are compared: a file from elsewhere is not opened in this process
    return LoadedModel(
        interpreter=None,
        where=str(path),
        input=_spec(graph.tensors[graph.inputs[0]]),
        outputs=tuple(_spec(graph.tensors[index]) for index in graph.outputs),
        input_index=graph.inputs[0],
        output_indices={},
        pixel_table=np.empty(0),
    )


def _spec(tensor: ModelTensor) -> TensorSpec:
    quantized = tensor.scales == 1
    return TensorSpec(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        scale=tensor.scale if quantized else None,
        zero_point=tensor.zero_point if quantized else None,
    )
