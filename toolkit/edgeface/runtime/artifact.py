"""Reads an artifact, `NAME.tflite` with `NAME.json` beside it, and holds the two to each other.

In: the path of the `.tflite`. Out: its bytes and its sidecar, every field checked. Both files are
untrusted: the sidecar is parsed strictly, and the bytes are compared with the sidecar's SHA-256
before the runtime sees them. Does not run the model (`selftest` does).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, NoReturn, Optional, Tuple

import numpy as np

from edgeface.errors import ArtifactError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.decode import output_units
from edgeface.runtime.interpreter import LoadedModel, check_identifier, one_line
from edgeface.types import SIDECAR_SCHEMA_VERSION, Contract, HeadSpec, Sidecar, TensorSpec


@dataclass(frozen=True)
class Artifact:
    """A model as it goes to a device.

    Attributes:
        path: of the `.tflite`.
        content: its bytes, equal to the sidecar's SHA-256.
        sidecar: what stands beside it.
    """

    path: Path
    content: bytes
    sidecar: Sidecar


def read_model(path: Path) -> bytes:
    """Read the bytes of a `.tflite`.

    Raises:
        ArtifactError: no such file, not readable, or not a `.tflite` by name or content.
    """
    if path.suffix != ".tflite":
        raise ArtifactError(f"{path}: found the ending {path.suffix!r}, expected NAME.tflite")
    content = _read(path, "no such model; `edgeface models` lists those there are")
    check_identifier(content, str(path))
    return content


def load_artifact(path: Path) -> Artifact:
    """Read `NAME.tflite` and the `NAME.json` beside it.

    Args:
        path: of the `.tflite`.

    Returns:
        The artifact: size, SHA-256 and name match, and the contract makes sense in itself.

    Raises:
        ArtifactError: a file is missing or unreadable; the `.tflite` is none; the sidecar is not
            JSON, of another schema version, or not the schema (every problem listed); size,
            SHA-256 or name do not match; the contract contradicts itself.
    """
    content = read_model(path)
    sidecar_path = path.with_suffix(".json")
    sidecar = _parse_sidecar(sidecar_path)
    if sidecar.name != path.stem:
        raise ArtifactError(
            f"{sidecar_path}: found name {sidecar.name!r}, expected {path.stem!r}; "
            "an artifact keeps the name it was exported under"
        )
    if sidecar.size_bytes != len(content):
        raise ArtifactError(
            f"{path}: found {len(content)} bytes, the sidecar states {sidecar.size_bytes}; "
            "copy both files again"
        )
    digest = hashlib.sha256(content).hexdigest()
    if sidecar.sha256 != digest:
        raise ArtifactError(
            f"{path}: found sha256 {digest}, the sidecar states {sidecar.sha256}; "
            "copy both files again"
        )
    problems = contract_problems(sidecar.contract)
    problems += [
        f"golden[{i}].tolerance: found {golden.tolerance}, expected a number from 0"
        for i, golden in enumerate(sidecar.golden)
        if not 0 <= golden.tolerance < math.inf
    ]
    if problems:
        raise ArtifactError(f"{sidecar_path}: {'; '.join(problems)}")
    return Artifact(path=path, content=content, sidecar=sidecar)


def check_contract(model: LoadedModel, artifact: Artifact) -> None:
    """Compare the tensors that the file really has with those its sidecar states.

    Args:
        model: opened from the artifact's bytes.
        artifact: with the contract.

    Raises:
        ArtifactError: name, shape, dtype, scale or zero point of a tensor differ, or an output is
            missing or too many; all mismatches are listed. The order of outputs does not matter.
    """
    contract = artifact.sidecar.contract
    problems = list(_mismatches("input", model.input, contract.input))
    found = {spec.name: spec for spec in model.outputs}
    expected = {spec.name: spec for spec in contract.outputs}
    if sorted(found) != sorted(expected):
        problems.append(f"outputs: found {sorted(found)}, expected {sorted(expected)}")
    for name in found:
        if name in expected:
            problems += _mismatches(f"output {name}", found[name], expected[name])
    if problems:
        raise ArtifactError(
            f"{artifact.path}: the file and its sidecar differ: {'; '.join(problems)}; export again"
        )


def contract_problems(contract: Contract) -> List[str]:
    """Find what contradicts itself in a contract.

    Returns:
        One line a problem, starting with the dotted key; empty if there is none.
    """
    problems = []
    side_px = contract.image.side_px
    if side_px < 1:
        problems.append(f"contract.image.side_px: found {side_px}, expected 1 or more")
    if (contract.image.low, contract.image.high) != (0.0, 255.0):
        found = f"{contract.image.low:g} to {contract.image.high:g}"
        problems.append(f"contract.image: found range {found}, expected 0 to 255")
    if contract.input.shape != (1, side_px, side_px, 3):
        problems.append(
            f"contract.input.shape: found {list(contract.input.shape)}, "
            f"expected {[1, side_px, side_px, 3]}"
        )
    for where, spec in [("input", contract.input)] + [
        (f"outputs[{i}]", spec) for i, spec in enumerate(contract.outputs)
    ]:
        problems += [f"contract.{where}.{text}" for text in _tensor_problems(spec)]
    tensors = {spec.name: spec for spec in contract.outputs}
    if len(tensors) < len(contract.outputs):
        problems.append("contract.outputs: two have the same name")
    if not contract.heads:
        problems.append("contract.heads: found none, expected at least one")
    for i, head in enumerate(contract.heads):
        problems += [
            f"contract.heads[{i}]: {text}"
            for text in _head_problems(head, tensors.get(head.tensor))
        ]
    keys = ["box", *(key for head in contract.heads for key in _keys(head))]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        problems.append(f"contract.heads: a face would have {', '.join(twice)} twice; rename one")
    return problems


def _tensor_problems(spec: TensorSpec) -> Iterator[str]:
    if spec.dtype not in ("float32", "int8", "uint8"):
        yield f"dtype: found {spec.dtype!r}, expected float32, int8 or uint8"
    elif spec.dtype == "float32":
        if spec.scale is not None or spec.zero_point is not None:
            yield "scale: found one for a float32 tensor, expected none"
    elif spec.scale is None or not 0 < spec.scale < math.inf or spec.zero_point is None:
        yield f"scale: found {spec.scale}, expected one above 0, and a zero point"


def _head_problems(head: HeadSpec, tensor: Optional[TensorSpec]) -> Iterator[str]:
    if tensor is None:
        yield f"no output tensor {head.tensor!r}"
        return
    units = output_units(head)
    if tensor.shape != (1, units):
        yield f"tensor {tensor.name} has shape {list(tensor.shape)}, expected {[1, units]}"
    yield from _class_problems(head)
    if head.has_bins and not head.bins:
        yield "bins: found none, expected one value an output"
    if head.kind == "median" and len(head.bins) < 2:
        yield f"bins: found {len(head.bins)}, expected two or more for a median"
    if any(high <= low for low, high in zip(head.bins, head.bins[1:])):
        yield "bins: found some that do not rise"
    if not all(math.isfinite(value) for value in head.bins):
        yield "bins: found one that is not finite"


def _class_problems(head: HeadSpec) -> Iterator[str]:
    found = f"classes: found {list(head.classes)}, expected"
    if head.kind == "binary" and (len(head.classes), len(set(head.classes))) != (2, 2):
        yield f"{found} two different names"
    if head.kind == "classes" and len(head.classes) < 2:
        yield f"{found} one name an output, two or more"
    # probabilities are printed by the classes' names
    if head.kind == "classes" and len(set(head.classes)) < len(head.classes):
        yield f"{found} every name once"


def _keys(head: HeadSpec) -> Tuple[str, ...]:
    """Name what `predict.describe_face` gives for a head."""
    if head.kind == "classes":
        return head.name, f"p_{head.name}"
    if head.kind == "binary" and len(head.classes) == 2:
        return head.name, f"p_{head.classes[1]}"
    return (head.name,)


def _mismatches(where: str, found: TensorSpec, expected: TensorSpec) -> Iterator[str]:
    for field in ("name", "shape", "dtype", "scale", "zero_point"):
        have, want = getattr(found, field), getattr(expected, field)
        same = have == want
        if field == "scale" and have and want:
            same = bool(np.float32(have) == np.float32(want))  # the file keeps scales as float32
        if not same:
            yield f"{where} {field}: found {have!r}, expected {want!r}"


def _parse_sidecar(path: Path) -> Sidecar:
    raw = _read(path, "no sidecar beside the model; copy both files of the artifact")
    try:
        mapping = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise ArtifactError(f"{path}: not JSON ({err}); copy or export it again") from err
    version = mapping.get("schema_version") if isinstance(mapping, dict) else None
    if isinstance(version, int) and version != SIDECAR_SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: found schema_version {version}, this edgeface reads "
            f"{SIDECAR_SCHEMA_VERSION}; export again or install the edgeface that wrote it"
        )
    try:
        return from_mapping(Sidecar, mapping)
    except RecordError as err:
        raise ArtifactError(f"{path}: not a sidecar: {one_line(err)}") from err


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"found {name}, expected a finite number")


def _read(path: Path, if_missing: str) -> bytes:
    try:
        if not path.is_file():
            raise ArtifactError(f"{path}: {if_missing}")
        return path.read_bytes()
    except OSError as err:
        raise ArtifactError(f"{path}: cannot be read ({err.strerror})") from err
