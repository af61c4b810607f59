"""`runner outputs`: the device's own outputs, byte for byte; a damaged file of faces is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.errors import DataError
from edgeface.runtime.interpreter import open_model, run
from edgeface.runtime.runner import main
from edgeface.runtime.runner_outputs import read_faces

SIDE_PX = 8


def faces(count: int) -> NDArray[np.uint8]:
    shape = (count, SIDE_PX, SIDE_PX, 3)
    return np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)


def unpacked(record: Dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(record["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(record["base64"]), dtype).reshape(record["shape"])


def test_outputs_are_those_of_the_model(
    any_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, images = tmp_path / "m.tflite", faces(3)
    path.write_bytes(any_model.content)
    np.savez_compressed(tmp_path / "faces.npz", images=images)
    assert main(["outputs", str(path), str(tmp_path / "faces.npz"), "--threads", "2"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["runtime", "runtime_version", "threads", "images", "outputs"]
    assert (result["threads"], result["images"]) == (2, 3)
    model = open_model(any_model.content, where="here")
    rows = [run(model, image) for image in images]
    assert list(result["outputs"]) == [spec.name for spec in model.outputs]
    for i, spec in enumerate(model.outputs):
        found = unpacked(result["outputs"][spec.name])
        assert found.dtype == spec.dtype
        np.testing.assert_array_equal(found, np.concatenate([row[i] for row in rows]))


def test_images_of_another_size_are_refused(
    int8_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    np.savez(tmp_path / "faces.npz", images=np.zeros((1, 9, 9, 3), np.uint8))
    assert main(["outputs", str(path), str(tmp_path / "faces.npz")]) == 1
    assert "expected uint8 [8, 8, 3]" in json.loads(capsys.readouterr().out)["error"]


def test_a_file_of_faces_comes_back_as_it_was(tmp_path: Path) -> None:
    np.savez(tmp_path / "faces.npz", images=faces(2))
    np.testing.assert_array_equal(read_faces(tmp_path / "faces.npz"), faces(2))


def pickled(path: Path) -> None:
    np.savez(path, images=np.array([{"a": 1}], dtype=object))


def two_arrays(path: Path) -> None:
    np.savez(path, images=faces(1), labels=np.zeros(1))


def another_name(path: Path) -> None:
    np.savez(path, faces=faces(1))


def one_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, faces(1))


def truncated(path: Path) -> None:
    np.savez_compressed(path, images=faces(5))
    path.write_bytes(path.read_bytes()[:-40])


def damaged(path: Path) -> None:
    np.savez(path, images=faces(5))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def of_floats(path: Path) -> None:
    np.savez(path, images=faces(1).astype(np.float32))


def oblong(path: Path) -> None:
    np.savez(path, images=np.zeros((1, 4, 6, 3), np.uint8))


def none_at_all(path: Path) -> None:
    np.savez(path, images=np.zeros((0, 8, 8, 3), np.uint8))


def grey(path: Path) -> None:
    np.savez(path, images=np.zeros((2, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: path.write_bytes(b""), "not a whole .npz"),
        (lambda path: path.write_bytes(b"no archive"), "not a whole .npz"),
        (pickled, "allow_pickle=False"),
        (two_arrays, "holds images, labels, expected 'images' alone"),
        (another_name, "holds faces, expected 'images' alone"),
        (one_array, "holds no archive, expected 'images' alone"),
        (truncated, "not a whole .npz"),
        (damaged, "not a whole .npz"),
        (of_floats, "images are float32 [1, 8, 8, 3]"),
        (oblong, "images are uint8 [1, 4, 6, 3]"),
        (none_at_all, "images are uint8 [0, 8, 8, 3]"),
        (grey, "images are uint8 [2, 8, 8]"),
    ],
)
def test_what_is_no_file_of_faces_is_refused(
    write: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "faces.npz"
    write(path)
    with pytest.raises(DataError) as info:
        read_faces(path)
    assert text in str(info.value)
    assert "\n" not in str(info.value)
