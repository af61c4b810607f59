"""Models and pictures that the snippets are tried on."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.data.drawn import draw_face
from edgeface.records import write_json
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.types import HeadSpec
from runtime.conftest import build_tiny_model, write_tiny
from support.dense_artifact import write_dense_artifact

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "exported").glob("*int8.tflite"))
NASTY = "g\"e?\\n??/d'e$r ü😀\n"
Image = NDArray[np.uint8]


def shipped() -> Artifact:
    return load_artifact(SHIPPED[-1])


def write_picture(path: Path, rgb: Image) -> Path:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return path


def face(side_px: int, index: int = 1) -> Image:
    drawn = draw_face(seed=5, index=index, side_px=min(max(side_px, 32), 256)).image
    return np.asarray(cv2.resize(drawn, (side_px, side_px)), dtype=np.uint8)


def dense(folder: Path, dtype: str) -> Artifact:
    """An artifact of 8 px whose heads are named as badly as can be; the second is a regression."""
    artifact = load_artifact(write_dense_artifact(folder, dtype))
    age, gender = artifact.sidecar.contract.heads
    heads = (
        dataclasses.replace(age, name=NASTY, unit=NASTY),
        dataclasses.replace(gender, classes=("a", NASTY)),
        dataclasses.replace(gender, name="score", kind="regression", classes=()),
    )
    image = dataclasses.replace(artifact.sidecar.contract.image, crop='"""' + NASTY + "*/")
    contract = dataclasses.replace(artifact.sidecar.contract, heads=heads, image=image)
    sidecar = dataclasses.replace(artifact.sidecar, contract=contract)
    write_json(artifact.path.with_suffix(".json"), sidecar)
    return load_artifact(artifact.path)


def headed(folder: Path, dtype: str, names: Sequence[str], *, plain: bool = False) -> Artifact:
    """An artifact of 8 px with some of `runtime.conftest.HEADS`, age as a median over uneven bins.

    Args:
        folder: gets it.
        dtype: of the tensors.
        names: of the heads.
        plain: leave the classes' names as they are; else two of them are bad ones.
    """
    path = write_tiny(folder / "headed.tflite", build_tiny_model(dtype, 3, names), [face(24)])
    artifact = load_artifact(path)

    def changed(head: HeadSpec) -> HeadSpec:
        if head.name == "age":
            return dataclasses.replace(head, kind="median", bins=(0.0, 15.0, 20.0, 60.0, 100.0))
        if head.kind == "classes" and not plain:
            return dataclasses.replace(head, classes=(NASTY, *head.classes[1:-1], "??/"))
        return head

    heads = tuple(map(changed, artifact.sidecar.contract.heads))
    contract = dataclasses.replace(artifact.sidecar.contract, heads=heads)
    write_json(path.with_suffix(".json"), dataclasses.replace(artifact.sidecar, contract=contract))
    return load_artifact(path)


def make_snippets() -> Any:
    spec = importlib.util.spec_from_file_location(
        "make_snippets", ROOT / "docs" / "make_snippets.py"
    )
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
