"""The tiny model of `tests/runtime` as an artifact for tests of other rooms.

Two dense heads on an 8 x 8 picture with known weights: every pixel counts, so every mistake shows.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from edgeface.records import write_json
from edgeface.runtime.interpreter import open_model
from edgeface.runtime.selftest import make_golden
from edgeface.types import SIDECAR_SCHEMA_VERSION, Sidecar
from runtime.conftest import TinyModel, build_tiny_model, contract_of
from support.records import provenance


def write_dense_artifact(folder: Path, dtype: str = "float32", seed: int = 3) -> Path:
    """Write `dense.tflite` and `dense.json`; gives the path of the first."""
    model = build_tiny_model(dtype, seed)
    contract = contract_of(model)
    picture = np.random.default_rng(5).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    golden = make_golden(
        open_model(model.content, where="dense"), [picture], contract, 1.0 if model.scales else 1e-3
    )
    sidecar = Sidecar(
        schema_version=SIDECAR_SCHEMA_VERSION,
        name="dense",
        backbone="tiny",
        scheme="int8" if dtype == "int8" else "float32",
        sha256=hashlib.sha256(model.content).hexdigest(),
        size_bytes=len(model.content),
        contract=contract,
        golden=golden,
        provenance=provenance(trained=False, parameters=6 * 192 + 6, macs=6 * 192),
        quality=None,
        licence="none",
    )
    path = folder / "dense.tflite"
    path.write_bytes(model.content)
    write_json(path.with_suffix(".json"), sidecar)
    return path


def dense_model(dtype: str = "float32", seed: int = 3) -> TinyModel:
    """Give the model that `write_dense_artifact` writes, with its real weights."""
    return build_tiny_model(dtype, seed)
