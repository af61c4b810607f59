"""What a model gives on this device, byte for byte, and what its runtime makes of the file.

In: a `.tflite`, and images as they go into it. Out: one `dict` that JSON can hold. The computer
that asked compares with its own outputs, in quantization steps; nothing is judged here.
"""

from __future__ import annotations

import base64
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict

import numpy as np
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.artifact import read_model
from edgeface.runtime.interpreter import one_line, open_model, run, runtime_name_and_version
from edgeface.runtime.partition_probe import ask_runtime

IMAGES = "images"
"""Name of the one array in a file of faces."""


def model_outputs(path: Path, faces: Path, *, threads: int) -> Dict[str, Any]:
    """Run the model on each image.

    Args:
        path: of the `.tflite`; no sidecar is needed.
        faces: a file as `read_faces` takes it, of the model's own side.
        threads: of the runtime, 1 or more.

    Returns:
        "runtime", "runtime_version", "threads", "images" (how many), and "outputs": for each
        output tensor, by name, its "dtype", its "shape" (images first) and its values as "base64",
        little-endian, in C order.

    Raises:
        ArtifactError: no model, or the runtime refuses it or fails.
        DataError: no such images, or not of the model's size.
        DeviceError: no runtime.
    """
    images = read_faces(faces)
    content = read_model(path)
    runtime, version = runtime_name_and_version()
    model = open_model(content, threads=threads, where=str(path))
    rows = [run(model, image) for image in images]
    columns = [np.concatenate(column) for column in zip(*rows)]
    return {
        "runtime": runtime,
        "runtime_version": version,
        "threads": threads,
        "images": len(images),
        "outputs": {spec.name: _record(column) for spec, column in zip(model.outputs, columns)},
    }


def model_partitions(path: Path) -> Dict[str, Any]:
    """Tell which nodes this device's runtime makes of the model, as `ask_runtime`.

    Raises:
        ArtifactError: no model.
        DeviceError: no runtime.
    """
    return ask_runtime(read_model(path))


def read_faces(path: Path) -> NDArray[np.uint8]:
    """Read a file of faces as they go into a model.

    All of them are in memory at once: 1,000 of 128 px take 49 MB.

    Args:
        path: an `.npz` with one array, "images".

    Returns:
        Uint8 [N, side, side, 3], RGB, 0 to 255, at least one image.

    Raises:
        DataError: no such file, damaged, or not that array.
    """
    try:
        with path.open("rb") as file:
            # without pickles a file holds data only, and runs nothing
            archive = np.load(file, allow_pickle=False)
            found = archive.files if isinstance(archive, np.lib.npyio.NpzFile) else ["no archive"]
            if found != [IMAGES]:
                raise DataError(f"{path}: holds {', '.join(found)}, expected {IMAGES!r} alone")
            images = archive[IMAGES]
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror or one_line(err)})") from err
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as err:
        raise DataError(f"{path}: not a whole .npz ({one_line(err)}); send it again") from err
    height, width = images.shape[1:3] if images.ndim == 4 else (0, 1)
    if images.dtype != np.uint8 or height != width or not images.size or images.shape[3] != 3:
        raise DataError(
            f"{path}: images are {images.dtype} {list(images.shape)}, "
            "expected uint8 [N, side, side, 3], not empty"
        )
    return np.asarray(images)


def _record(values: NDArray[Any]) -> Dict[str, Any]:
    little_endian = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"))
    return {
        "dtype": values.dtype.name,
        "shape": list(values.shape),
        "base64": base64.b64encode(little_endian.tobytes()).decode("ascii"),
    }
