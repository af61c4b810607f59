"""What a device refuses: with one line, and the former bundle still current.

Where a Python is wrong, real processes run: this is what a person would meet.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeface.deploy.bundle import Bundle, make_bundle
from edgeface.deploy.environment import DeviceEnvironment, plan_environment
from edgeface.deploy.install import DEPLOY, install
from edgeface.errors import DeviceError
from edgeface.runtime.artifact import load_artifact
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport

SITE = Path(np.__file__).parent.parent
BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"


@pytest.fixture
def served(device: Any, bundles: tuple[Bundle, ...], given: Any, reporter: Any) -> Any:
    """A device that serves the first bundle."""
    install(device, bundles[0], given, reporter=reporter)
    return device


def refused(device: Any, bundle: Bundle, environment: DeviceEnvironment, reporter: Any) -> str:
    """Deploy what cannot be, and give the line without what comes before and after."""
    current = (device.home / DEPLOY / "current").resolve().name
    with pytest.raises(DeviceError) as info:
        install(device, bundle, environment, reporter=reporter)
    line = str(info.value)
    assert "\n" not in line
    assert line.startswith("folder: ")
    assert line.endswith(f"; {current} is still current")
    left = [path.name for path in (device.home / DEPLOY / "bundles").iterdir()]
    assert left == [current]
    assert list((device.home / DEPLOY / "incoming").iterdir()) == []
    return line


def test_a_bundle_that_was_damaged_on_its_way(
    served: Any, bundles: tuple[Bundle, ...], given: Any, reporter: Any
) -> None:
    for at in (0, len(bundles[1].content) // 2, len(bundles[1].content) - 1):
        content = bytearray(bundles[1].content)
        content[at] ^= 1
        damaged = replace(bundles[1], content=bytes(content))
        line = refused(served, damaged, given, reporter)
        assert f"unpack: {bundles[1].id}.zip: found sha256" in line
    cut = replace(bundles[1], content=bundles[1].content[:-100])
    assert "damaged on its way" in refused(served, cut, given, reporter)
    assert served.serves() == bundles[0].id


def test_a_flipped_weight_whose_digests_were_all_made_anew(
    served: Any, bundles: tuple[Bundle, ...], flipped_model: Bundle, given: Any, reporter: Any
) -> None:
    line = refused(served, flipped_model, given, reporter)
    assert "self-test: dense: the self-test failed: golden vector 1: tensor gender differs" in line
    assert served.serves() == bundles[0].id


def test_a_model_with_a_flipped_bit(
    served: Any, bundles: tuple[Bundle, ...], given: Any, reporter: Any, tmp_path: Path
) -> None:
    """Flipped before it was bundled: only the sidecar knows what the file was."""
    artifact = load_artifact(write_dense_artifact(tmp_path, "int8", seed=9))
    content = bytearray(artifact.content)
    content[len(content) // 2] ^= 1
    bundle = make_bundle(replace(artifact, content=bytes(content)))
    line = refused(served, bundle, given, reporter)
    assert "dense.tflite: found sha256" in line
    assert "the sidecar states" in line
    assert served.serves() == bundles[0].id


def test_a_bundle_under_anothers_name(
    served: Any, bundles: tuple[Bundle, ...], given: Any, reporter: Any
) -> None:
    line = refused(served, replace(bundles[1], id="0" * 16), given, reporter)
    assert "not the bundle 0000000000000000 that it says" in line


def python_with(tmp_path: Path, *packages: str, fake_runtime: str = "") -> Path:
    """A Python that has only these packages of this environment, and perhaps a fake runtime."""
    site = tmp_path / "site"
    site.mkdir()
    for package in packages:
        for path in (*SITE.glob(package), *SITE.glob(f"{package}.*"), *SITE.glob(f"{package}-*")):
            (site / path.name).symlink_to(path)
    if fake_runtime:
        info = site / f"tflite_runtime-{fake_runtime}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: tflite-runtime\nVersion: {fake_runtime}\n"
        )
    python = tmp_path / "python-of-the-device"
    # -S: nothing that this machine has installed
    python.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{site}"\nexec {BASE_PYTHON} -S "$@"\n'
    )
    python.chmod(0o755)
    return python


@pytest.mark.parametrize(
    ("packages", "fake_runtime", "said"),
    [
        ((), "", "numpy does not load (No module named 'numpy'): pip install numpy"),
        (("numpy", "cv2"), "", "no TFLite runtime (ai-edge-litert: No module named"),
        (("numpy", "cv2"), "2.14.0", "with tflite-runtime 2.14.0, which needs numpy below 2"),
        (("numpy", "ai_edge_litert"), "", "this Python has no OpenCV (No module named 'cv2')"),
    ],
    ids=["no numpy", "no runtime", "numpy 2 with tflite-runtime", "no OpenCV"],
)
def test_a_wrong_python(
    served: Any,
    bundles: tuple[Bundle, ...],
    reporter: Any,
    tmp_path: Path,
    packages: tuple[str, ...],
    fake_runtime: str,
    said: str,
) -> None:
    if not BASE_PYTHON.is_file():
        pytest.skip(f"no {BASE_PYTHON} to stand for a device's Python")
    python = python_with(tmp_path, *packages, fake_runtime=fake_runtime)
    real = FolderTransport(served.home)
    environment = plan_environment(real, str(python), "1")
    line = refused(real, bundles[1], environment, reporter)
    assert line.startswith("folder: self-test: ")
    assert said in line
    assert served.serves() == bundles[0].id


def test_in_real_processes_the_bundle_serves(
    device: Any, bundles: tuple[Bundle, ...], reporter: Any, tmp_path: Path
) -> None:
    real = FolderTransport(device.home)
    environment = plan_environment(real, sys.executable, "1")
    done = install(real, bundles[0], environment, reporter=reporter)
    assert done.bundle == device.serves() == bundles[0].id
    # over the link, from another folder, with a module beside run.py that must not be taken
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (device.deploy / "current" / "json.py").write_text("raise SystemExit('taken')\n")
    shutil.copy(Path(__file__).parents[1] / "conftest.py", elsewhere / "no picture.png")
    said = subprocess.run(
        [device.deploy / "current" / "edgeface-run", "predict", "--no-detect", "no picture.png"],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    line = json.loads(said.stdout)
    assert (said.returncode, line["image"]) == (1, "no picture.png")
    assert "not an image" in line["error"]
