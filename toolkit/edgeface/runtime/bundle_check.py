"""Shows that a bundle works where it lies: every file's digest, the runtime, the golden vectors.

In: the folder of a bundle (untrusted). Out: which bundle ran with what, or the first reason why it
does not, in one line. Needs numpy, OpenCV and a TFLite runtime, and says which of them is missing.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence, Tuple

from edgeface.errors import ArtifactError, DeviceError
from edgeface.runtime.bundle_files import (
    LISTING,
    REFERENCE,
    bundle_id,
    parse_reference,
    verify_files,
)
from edgeface.runtime.runner_identify import identify
from edgeface.types import GoldenVector


@dataclass(frozen=True)
class BundleCheck:
    """A bundle that passed.

    Attributes:
        bundle: its identity.
        model: name of its artifact.
        vectors: golden vectors that gave their outputs.
        runtime: that ran them, as pip knows it.
        runtime_version: of it.
        opencv_version: that decoded and resized their pictures.
        reference_kernels: whether no delegate ran the model, so that what it gave was compared with
            TFLite's reference kernels instead of the sidecar's outputs.
    """

    bundle: str
    model: str
    vectors: int
    runtime: str
    runtime_version: str
    opencv_version: str
    reference_kernels: bool = False


def check_bundle(folder: Path, expected_id: str = "", threads: int = 1) -> BundleCheck:
    """Verify and try a bundle.

    Args:
        folder: of the bundle.
        expected_id: the bundle that it must be; any if empty.
        threads: CPU threads of the runtime, 1 or more.

    Returns:
        What passed.

    Raises:
        ArtifactError: a file is not what was bundled, the runtime refuses the model, its tensors
            are not the contract's, or a golden vector does not give its outputs.
        DeviceError: numpy, OpenCV or the runtime is missing, or they do not work together.
    """
    listing = verify_files(folder, expected_id)
    # before anything is opened: it is what says in words that two packages do not fit
    facts = identify("device")
    if facts["problem"]:
        raise DeviceError(str(facts["problem"]))
    try:
        import cv2

        from edgeface.runtime.artifact import load_artifact
        from edgeface.runtime.predict import open_predictor
        from edgeface.runtime.selftest import golden_problems, uses_delegate
    except ImportError as err:
        raise missing_package(err) from err
    artifact = load_artifact(folder / f"{listing.model}.tflite")
    golden = artifact.sidecar.golden
    predictor = open_predictor(artifact, threads)
    by_reference = REFERENCE in listing.members and not uses_delegate(predictor.model)
    if by_reference:
        golden = _with_reference_outputs(golden, folder / REFERENCE)
    problems = golden_problems(predictor.model, predictor.contract, golden)
    if problems:
        raise ArtifactError(
            f"{listing.model}: the self-test failed: {'; '.join(problems)}; this device does not "
            "compute what the model did where it was made"
        )
    return BundleCheck(
        bundle=bundle_id((folder / LISTING).read_bytes()),
        model=listing.model,
        vectors=len(golden),
        runtime=facts["device"]["runtime"],
        runtime_version=facts["device"]["runtime_version"],
        opencv_version=cv2.__version__,
        reference_kernels=by_reference,
    )


def _with_reference_outputs(golden: Sequence[GoldenVector], path: Path) -> Tuple[GoldenVector, ...]:
    outputs = parse_reference(path.read_bytes(), str(path)).outputs
    if len(outputs) != len(golden):
        raise ArtifactError(f"{path}: holds {len(outputs)} vectors, the sidecar {len(golden)}")
    return tuple(replace(vector, outputs=own) for vector, own in zip(golden, outputs))


def missing_package(err: ImportError) -> DeviceError:
    """Say what to install where an import failed.

    Args:
        err: of numpy, of OpenCV, or of what they need.

    Raises:
        ImportError: `err` itself, if a module of edgeface's own is missing.

    Source:
        PyPI has no OpenCV wheel for 32-bit ARM; Debian has python3-opencv, and the cascades in
        opencv-data.
    """
    name = (err.name or "numpy").partition(".")[0]  # a broken numpy names no module
    how = {"numpy": "pip install numpy", "cv2": "pip install 'opencv-python-headless<5'"}.get(name)
    if how is None:
        raise err
    if name == "cv2" and sys.maxsize < 2**32 and platform.machine().startswith(("arm", "aarch64")):
        how = "sudo apt install python3-opencv opencv-data"
    what = "OpenCV" if name == "cv2" else name
    return DeviceError(f"this Python has no {what} ({' '.join(str(err).split())}): {how}")
