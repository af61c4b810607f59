"""`runner identify`: who the device is, and one line on what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from typing import Any, Dict

import pytest

from edgeface.errors import DeviceError
from edgeface.records import from_mapping
from edgeface.runtime import interpreter
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.runtime.runner import main
from edgeface.runtime.runner_identify import answer


def identified(capsys: pytest.CaptureFixture[str]) -> Dict[str, Any]:
    assert main(["identify", "--name", "rpi"]) == 0
    result: Dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_this_machine_lacks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    result = identified(capsys)
    assert list(result) == ["device", "problem"]
    assert result["problem"] is None
    device = from_mapping(DeviceInfo, result["device"])
    assert device.name == "rpi"
    assert device.runtime == "ai-edge-litert"
    assert device.runtime_version == metadata.version("ai-edge-litert")
    assert device.cores >= 1


@pytest.mark.parametrize(
    ("numpy_version", "problem"),
    [
        ("2.1.3", "numpy 2.1.3 with tflite-runtime 2.14.0, which needs numpy below 2"),
        ("10.0", "numpy 10.0 with tflite-runtime 2.14.0"),
        ("1.26.4", None),
        (None, None),
    ],
)
def test_numpy_2_with_tflite_runtime(numpy_version: str, problem: Any) -> None:
    device = replace(
        describe_local(),
        runtime="tflite-runtime",
        runtime_version="2.14.0",
        numpy_version=numpy_version,
    )
    found = answer(device)
    if problem is None:
        assert found["problem"] is None
    else:
        assert problem in found["problem"]
        assert "pip install 'numpy<2'" in found["problem"]
        assert found["device"]["runtime"] is None
        assert found["device"]["numpy_version"] == numpy_version


def test_no_runtime_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> None:
        raise DeviceError("no TFLite runtime (why): pip install ai-edge-litert")

    monkeypatch.setattr(interpreter, "runtime_name_and_version", none)
    result = identified(capsys)
    assert result["problem"] == "no TFLite runtime (why): pip install ai-edge-litert"
    assert result["device"]["runtime"] is None
    assert result["device"]["runtime_version"] is None
    assert result["device"]["model"]


def test_a_device_without_numpy_answers_too() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from edgeface.runtime.runner import main; sys.exit(main(['identify']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert "numpy does not load" in result["problem"]
    assert "pip install numpy" in result["problem"]
    assert result["device"]["runtime"] is None
