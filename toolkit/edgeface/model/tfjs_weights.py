"""Weights of a TensorFlow.js graph model, read as data: nothing in the file is executed.

In: `NAME.json` and the binary files beside it. Out: arrays by the name the file gives them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import ModelError

# Source: tfjs-core io/types.ts, WeightsManifestEntry; quantized and string weights are not read.
_DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "int32": np.dtype("<i4"),
    "bool": np.dtype("u1"),
}


@dataclass(frozen=True)
class _Entry:
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def read_tfjs_weights(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read all weights of a TensorFlow.js graph model.

    Args:
        path: its `.json`; the binary files that it names lie in the same folder.

    Returns:
        By name, in the shapes the file states.

    Raises:
        ModelError: not such a file, a binary file outside its folder, missing or of another size.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise ModelError(f"weights {path}: not a TensorFlow.js model: {err}") from err
    groups = document.get("weightsManifest") if isinstance(document, dict) else None
    if not isinstance(groups, list) or not groups:
        raise ModelError(
            f"weights {path}: found no weightsManifest; expected the .json of a TensorFlow.js "
            "graph model"
        )
    weights: dict[str, NDArray[np.generic]] = {}
    for group in groups:
        entries, files = _group(group, path)
        content = b"".join(_read_beside(path, name) for name in files)
        expected = sum(entry.size_bytes for entry in entries)
        if len(content) != expected:
            raise ModelError(
                f"weights {path}: {', '.join(files)} hold {len(content)} bytes, expected "
                f"{expected}; fetch the files again"
            )
        start = 0
        for entry in entries:
            end = start + entry.size_bytes
            weights[entry.name] = np.frombuffer(content[start:end], entry.dtype).reshape(
                entry.shape
            )
            start = end
    return weights


def _group(group: Any, path: Path) -> tuple[list[_Entry], list[str]]:
    try:
        files = [str(name) for name in group["paths"]]
        entries = []
        for entry in group["weights"]:
            if "quantization" in entry or entry["dtype"] not in _DTYPES:
                kind = entry["dtype"] if "quantization" not in entry else "quantized"
                raise ModelError(
                    f"weights {path}: {entry['name']} is {kind}, expected plain float32"
                )
            shape = tuple(int(size) for size in entry["shape"])
            if any(size < 0 for size in shape):
                raise ValueError(f"shape {shape}")
            entries.append(_Entry(str(entry["name"]), shape, _DTYPES[entry["dtype"]]))
    except (KeyError, TypeError, ValueError) as err:
        raise ModelError(f"weights {path}: weightsManifest cannot be read: {err!r}") from err
    return entries, files


def _read_beside(path: Path, name: str) -> bytes:
    if Path(name).name != name or name in ("", ".", ".."):
        raise ModelError(
            f"weights {path}: names {name!r}, expected a file in its own folder, without a path"
        )
    try:
        return path.with_name(name).read_bytes()
    except OSError as err:
        raise ModelError(
            f"weights {path}: {name} beside it cannot be read: {err.strerror}; fetch it too"
        ) from err
