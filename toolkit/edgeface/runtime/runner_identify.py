"""Says who a device is and whether it can run models. In: nothing. Out: facts, and one problem.

Works on a device that has neither numpy nor a runtime yet: that is what it is asked for.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any, Dict, Optional, Tuple

from edgeface.errors import DeviceError
from edgeface.runtime.device_facts import DeviceInfo, describe_local


def identify(name: str) -> Dict[str, Any]:
    """Describe this device, and try whether its runtime loads.

    Args:
        name: what the user calls the device.

    Returns:
        "device": a `DeviceInfo`, with "runtime" and "runtime_version" None unless the runtime
        loads; "problem": one line that says why it does not and what to do, None if it does.
    """
    return answer(describe_local(name=name))


def answer(device: DeviceInfo) -> Dict[str, Any]:
    """Add to a description whether the runtime loads; see `identify`."""
    (runtime, version), problem = _try_runtime(device)
    device = replace(device, runtime=runtime, runtime_version=version)
    return {"device": asdict(device), "problem": problem}


def _try_runtime(device: DeviceInfo) -> Tuple[Tuple[Optional[str], Optional[str]], Optional[str]]:
    problem = _known_problem(device)
    if problem is not None:
        return (None, None), problem
    try:
        from edgeface.runtime.interpreter import runtime_name_and_version
    except ImportError as err:  # of numpy, or of what numpy needs
        return (None, None), (
            f"numpy does not load ({' '.join(str(err).split())}): pip install numpy, "
            "or apt install python3-numpy"
        )
    try:
        return runtime_name_and_version(), None
    except DeviceError as err:
        return (None, None), str(err)


def _known_problem(device: DeviceInfo) -> Optional[str]:
    """Name what would only show when a model is opened."""
    numpy_major = re.match("[0-9]+", device.numpy_version or "")
    if device.runtime == "tflite-runtime" and numpy_major and int(numpy_major.group()) >= 2:
        # Source: tflite-runtime 2.14, the last one, was built against numpy 1
        return (
            f"numpy {device.numpy_version} with tflite-runtime {device.runtime_version}, "
            "which needs numpy below 2: pip install 'numpy<2'"
        )
    return None
