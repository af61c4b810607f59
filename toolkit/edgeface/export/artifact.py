"""Writing an artifact: `NAME.tflite` and the sidecar `NAME.json` that a device trusts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeface.config import ModelSpec
from edgeface.errors import ArtifactError, ExportError
from edgeface.export.flatbuffer import read_signature
from edgeface.model.heads import head_specs
from edgeface.records import write_bytes, write_json
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.interpreter import open_model
from edgeface.runtime.selftest import make_golden
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    ImageSpec,
    Provenance,
    Quality,
    Scheme,
    Sidecar,
)

# Largest difference of one raw output that is still the same model on another machine.
# Source: int8: kernels of two builds may round a requantization differently, one step each at the
# last layers; float32: sums in another order, measured below 1e-4 on logits of about 10; dynamic:
# activations are rounded to 8 bits as they come, chosen: a hundredth of logits of about 20.
GOLDEN_TOLERANCE = {"int8": 2.0, "float32": 1e-2, "float16": 1e-2, "dynamic": 0.2}


def artifact_name(
    spec: ModelSpec, *, scheme: Scheme | None, tags: Sequence[str] = (), variant: str = ""
) -> str:
    """Name an artifact so that the name can be read: backbone, width, side, what was done, scheme.

    Args:
        spec: of the network before pruning.
        scheme: of the file; None for a Keras model.
        tags: what was done, in order, e.g. "p40"; see `stages.tags_of`.
        variant: of the recipe, stands after the backbone; empty for none.
    """
    size = (f"a{round(100 * spec.width_ratio)}", f"{spec.side_px}px")
    return "-".join(filter(None, (spec.backbone, variant, *size, *tags, scheme)))


def make_artifact(
    content: bytes,
    *,
    path: Path,
    spec: ModelSpec,
    scheme: Scheme,
    golden_images: Sequence[NDArray[np.uint8]],
    provenance: Provenance,
    licence: str,
) -> Artifact:
    """Put a `.tflite` and all that a device must know about it together, in memory.

    Args:
        content: the flatbuffer.
        path: where its `.tflite` will be; the stem is the name.
        spec: of the network.
        scheme: of the file.
        golden_images: uint8 [H, W, 3] RGB, free to be given away.
        provenance: how it was made.
        licence: of the weights, in words.

    Raises:
        ExportError: the file lacks a head's output.
    """
    heads = head_specs(spec)
    signature = read_signature(content)
    missing = [head.name for head in heads if head.name not in signature.outputs]
    if missing:
        raise ExportError(f"{path.stem}: has no output for {', '.join(missing)}")
    contract = Contract(
        image=ImageSpec(side_px=spec.side_px, crop=spec.crop),
        input=signature.input,
        outputs=tuple(signature.outputs[head.name] for head in heads),
        heads=tuple(replace(head, tensor=signature.outputs[head.name].name) for head in heads),
    )
    model = open_model(content, where=path.name)
    sidecar = Sidecar(
        schema_version=SIDECAR_SCHEMA_VERSION,
        name=path.stem,
        backbone=spec.backbone,
        scheme=scheme,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        contract=contract,
        golden=make_golden(model, golden_images, contract, GOLDEN_TOLERANCE[scheme]),
        provenance=provenance,
        quality=None,
        licence=licence,
    )
    return Artifact(path=path, content=content, sidecar=sidecar)


def with_quality(artifact: Artifact, quality: Quality) -> Artifact:
    """The same artifact with its measured quality in the sidecar."""
    return replace(artifact, sidecar=replace(artifact.sidecar, quality=quality))


def write_artifact(artifact: Artifact) -> None:
    """Write both files; the sidecar last, so that a half-written pair is never taken for whole.

    Raises:
        ExportError: the folder cannot be written.
    """
    try:
        write_bytes(artifact.path, artifact.content)
        write_json(artifact.path.with_suffix(".json"), artifact.sidecar)
    except OSError as err:
        raise ExportError(f"{artifact.path}: cannot be written: {err.strerror}") from err


def refuse_to_overwrite(path: Path, run_id: str) -> None:
    """Stop before work is done that would replace somebody's trained model.

    An artifact of the same run, and one with random weights, may be replaced.

    Raises:
        ExportError: `path` holds a trained artifact of another run, or something else.
    """
    if not path.exists():
        return
    try:
        provenance = load_artifact(path).sidecar.provenance
    except ArtifactError as err:
        raise ExportError(
            f"{path}: is there already and is no whole artifact ({err}); give --overwrite to "
            "replace it, or another --out"
        ) from err
    if provenance.trained and provenance.run_id != run_id:
        raise ExportError(
            f"{path}: is there already and was made by another run; give --overwrite to replace "
            "it, or another --out"
        )
