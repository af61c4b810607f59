"""Golden vectors catch each of the usual faults, also those that move the pixels least.

Swapped colours, a doubled scale, the nearest pixel and another model are in `test_selftest`.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, List

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data.drawn import draw_face
from edgeface.errors import ArtifactError, DataError
from edgeface.runtime import selftest
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.fine_lines import FINE_SIDE_PX, with_fine_lines
from edgeface.runtime.interpreter import open_model
from edgeface.runtime.preprocess import decode_image, to_input
from edgeface.runtime.selftest import golden_problems, make_golden, self_test

KERNELS = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
    "lanczos": cv2.INTER_LANCZOS4,
}


@pytest.fixture(scope="module")
def lined() -> NDArray[np.uint8]:
    return with_fine_lines(draw_face(seed=0, index=0, side_px=32).image)


@pytest.fixture
def artifact(
    write_artifact: Callable[..., Path],
    any_model: Any,
    tiny_contract: Any,
    lined: NDArray[np.uint8],
) -> Artifact:
    """One golden vector, of a picture with fine lines, with the tolerance that `export` sets."""
    made = load_artifact(write_artifact(any_model))
    tolerance = 2.0 if any_model.scales else 1e-2
    golden = make_golden(
        open_model(any_model.content, where="m"), [lined], tiny_contract(any_model), tolerance
    )
    return replace(made, sidecar=replace(made.sidecar, golden=golden))


def test_the_right_way_passes(artifact: Artifact) -> None:
    assert self_test(artifact) == ()


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_other_kernel_is_caught(
    kernel: str, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resized(rgb: NDArray[np.uint8], side_px: int) -> NDArray[Any]:
        return np.asarray(cv2.resize(rgb, (side_px, side_px), interpolation=KERNELS[kernel]))

    monkeypatch.setattr(selftest, "to_input", resized)
    assert "differs by up to" in " ".join(self_test(artifact))


@pytest.mark.parametrize("over_px", [4, 12])
def test_a_resize_over_another_side_is_caught(
    over_px: int, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
        return to_input(to_input(rgb, over_px), side_px)

    monkeypatch.setattr(selftest, "to_input", twice)
    assert "differs by up to" in " ".join(self_test(artifact))


def test_another_side_in_the_contract_is_caught(artifact: Artifact) -> None:
    contract = artifact.sidecar.contract
    wrong = replace(contract, image=replace(contract.image, side_px=16))
    model = open_model(artifact.content, where="m")
    with pytest.raises(DataError, match=r"found uint8 \[16, 16, 3\], expected uint8 \[8, 8, 3\]"):
        golden_problems(model, wrong, artifact.sidecar.golden)
    shape = replace(wrong, input=replace(wrong.input, shape=(1, 16, 16, 3)))
    with pytest.raises(ArtifactError, match="input shape: found"):
        self_test(replace(artifact, sidecar=replace(artifact.sidecar, contract=shape)))


@pytest.mark.parametrize("colours", [(2, 1, 0), (1, 0, 2), (0, 0, 0)])
def test_another_order_of_colours_is_caught(
    colours: Any, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: List[int] = list(colours)
    monkeypatch.setattr(selftest, "decode_image", lambda *a: decode_image(*a)[..., order])
    assert "differs by up to" in " ".join(self_test(artifact))


@pytest.mark.parametrize("side_px", [32, 64, 96, 128, 160, 192, 224, 256])
def test_fine_lines_tell_the_kernels_apart_at_every_usual_side(
    side_px: int, lined: NDArray[np.uint8]
) -> None:
    """By 3 of 255 levels on average: drawn faces of 150 px, at 128 px, differ by less than 1."""
    right = to_input(lined, side_px).astype(float)
    for name, kernel in KERNELS.items():
        other = cv2.resize(lined, (side_px, side_px), interpolation=kernel)
        assert np.abs(other - right).mean() > 3, name


def test_fine_lines_make_a_small_png(lined: NDArray[np.uint8]) -> None:
    assert lined.shape == (FINE_SIDE_PX, FINE_SIDE_PX, 3)
    done, png = cv2.imencode(".png", lined, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    assert len(base64.b64encode(png.tobytes())) < 8000  # at OpenCV's own level it is 60,000
