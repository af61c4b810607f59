"""`yunet`: an `.onnx` written by hand that takes red places for faces, and files that are none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeface.errors import ArtifactError, DataError, DeviceError
from edgeface.runtime.crop import eyes_square
from edgeface.runtime.yunet import open_yunet
from support.yunet_like import yunet_like


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yunet") / "yunet.onnx"
    path.write_bytes(yunet_like())
    return path


def test_a_red_cell_is_a_face_with_the_models_box_and_points(model: Path) -> None:
    picture = np.zeros((256, 320, 3), np.uint8)
    picture[64:96, 96:128, 0] = 255  # the cell of column 3, row 2
    picture[64:96, 224:256, 2] = 255  # blue, which a swap of colours would find
    detector = open_yunet(model, 40)
    (found,) = detector.find(picture)
    # centre (3.5, 2.5) * 32 = (112, 80); 2 * 32 wide, 3 * 32 high
    assert found.box == (112 - 32, 80 - 48, 64, 96)
    eyes = ((3.2 * 32, 2.25 * 32), (3.8 * 32, 2.25 * 32))
    assert found.crop == eyes_square(*eyes, (3.5 * 32, 2.9 * 32))
    assert detector.sha256 == hashlib.sha256(yunet_like()).hexdigest()


def test_a_large_picture_is_shrunk_and_its_boxes_are_not(model: Path) -> None:
    picture = np.zeros((1024, 1280, 3), np.uint8)  # twice the largest side
    picture[128:192, 192:256, 0] = 255
    (found,) = open_yunet(model, 40).find(picture)
    assert found.box == (160, 64, 128, 192)


def test_a_picture_of_any_size_will_do_and_small_faces_are_left_out(model: Path) -> None:
    picture = np.zeros((70, 101, 3), np.uint8)
    picture[32:64, 32:64, 0] = 255
    assert [face.box for face in open_yunet(model, 40).find(picture)] == [(16, 0, 64, 70)]
    assert open_yunet(model, 65).find(picture) == ()
    assert open_yunet(model, 40).find(np.zeros((1, 1, 3), np.uint8)) == ()


@pytest.mark.parametrize(
    ("content", "error", "text"),
    [
        (b"", DataError, "the file is empty"),
        (b"no model", ArtifactError, "cannot use it as a YuNet model"),
        (yunet_like()[:-400], ArtifactError, "cannot use it as a YuNet model"),
        (yunet_like("kps_32"), ArtifactError, "cannot use it as a YuNet model"),
        (yunet_like("cls_8"), ArtifactError, "give a face_detection_yunet .onnx"),
        (None, DataError, "no such file"),
    ],
)
def test_what_is_no_yunet_is_one_line(
    content: bytes | None,
    error: type,
    text: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "detector.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=r"detector\.onnx: ") as info:
        open_yunet(path)
    assert text in str(info.value)
    assert "\n" not in str(info.value)
    assert capfd.readouterr() == ("", ""), "OpenCV's own log would be more lines"


def test_an_opencv_without_yunet_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    with pytest.raises(DeviceError, match="has no FaceDetectorYN"):
        open_yunet(model)
