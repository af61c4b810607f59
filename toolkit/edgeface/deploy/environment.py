"""What a device's Python must have to serve a bundle.

In: a `Transport`. Out: which Python, and which packages go into its environment. Installs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeface.bench.remote.python import DevicePython, Requirements, find_python, requirements_for
from edgeface.bench.remote.transport import Transport


@dataclass(frozen=True, kw_only=True)
class DeviceEnvironment:
    """What serves on a device.

    Attributes:
        command: its Python.
        given: whether devices.toml names it: then it is used as it is, and nothing is installed.
        python: what it is.
        requirements: what goes into an environment of its own.
    """

    command: str
    given: bool
    python: DevicePython
    requirements: Requirements


def plan_environment(
    transport: Transport, given_python: str, runtime_version: str
) -> DeviceEnvironment:
    """Ask a device for its Python and choose what goes with it.

    Args:
        transport: to it.
        given_python: of its entry in devices.toml; empty if that names none.
        runtime_version: of ai-edge-litert; this machine's, so that both compute the same.

    Returns:
        The plan. On 32-bit ARM OpenCV is not in it: PyPI has no wheel, so that Debian's
        python3-opencv must be there, which the environment sees; the self-test says if it is not.

    Raises:
        DeviceError: no Python, or too old a one.
    """
    command = given_python or "python3"
    python = find_python(transport, command)
    # golden vectors are pictures, and faces are found by a cascade
    requirements = requirements_for(python, runtime_version, pictures=True)
    return DeviceEnvironment(
        command=command, given=bool(given_python), python=python, requirements=requirements
    )
