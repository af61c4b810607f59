"""The Python of a device: which one there is, and an environment with a TFLite runtime in it.

In: a `Transport`. Out: `DevicePython`, then the path of an interpreter that runs models. The
environment is kept on the device for the next time; its name says what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

from edgeface.bench.remote.transport import Finished, Transport
from edgeface.errors import DeviceError
from edgeface.records import RecordError, from_mapping

OLDEST_PYTHON = (3, 9)
FOLDER = ".edgeface"
"""All that edgeface ever writes on a device, under the user's home."""

_RUNTIME = "ai-edge-litert"
_OPENCV = "opencv-python-headless>=4.10,<5"
_PROBE_S = 120.0  # chosen: an emulated or a swapping board takes seconds to start Python
_INSTALL_S = 1800.0  # chosen: 100 MB of wheels over a slow line onto an SD card

# Old Pythons read it too, so that they can say how old they are.
_PROBE = """
import json, platform, os, sys
try:
    import ensurepip, venv
    has_venv = True
except ImportError:
    has_venv = False
s = os.statvfs(os.path.expanduser("~"))
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "bits": 64 if sys.maxsize > 2 ** 32 else 32,
    "machine": platform.machine(),
    "libc": list(platform.libc_ver()),
    "has_venv": has_venv,
    "free_bytes": s.f_bavail * s.f_frsize,
}))
"""


@dataclass(frozen=True, kw_only=True)
class DevicePython:
    """What Python a device has.

    Attributes:
        version: e.g. (3, 11, 2).
        bits: 32 or 64, of Python and not of the kernel.
        machine: e.g. "aarch64".
        libc: name and version, e.g. ("glibc", "2.36"); empty texts where unknown.
        has_venv: whether it can make environments; Debian has that in a package of its own.
        free_bytes: on the disk of the user's home.
    """

    version: tuple[int, ...]
    bits: int
    machine: str
    libc: tuple[str, ...]
    has_venv: bool
    free_bytes: int

    @property
    def is_32_bit_arm(self) -> bool:
        """Whether ai-edge-litert has no wheel for it; a 64-bit kernel may run a 32-bit Python."""
        return self.bits == 32 and self.machine.startswith(("arm", "aarch64"))


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What goes into an environment.

    Attributes:
        packages: as pip takes them.
        system_packages: whether the environment sees what the system has: PyPI has no numpy for
            32-bit ARM, Debian does.
    """

    packages: tuple[str, ...]
    system_packages: bool

    @property
    def key(self) -> str:
        """Names an environment by what is in it."""
        text = json.dumps([self.packages, self.system_packages])
        return sha256(text.encode()).hexdigest()[:12]


def find_python(transport: Transport, command: str = "python3") -> DevicePython:
    """Ask a device for its Python.

    Args:
        transport: to the device.
        command: the interpreter to ask.

    Raises:
        DeviceError: there is none, or it is too old; says what to install.
    """
    done = transport.run([command, "-c", _PROBE], timeout_s=_PROBE_S)
    if done.status == 127:
        raise DeviceError(
            f"{transport.where}: no {command}; install it there: "
            "sudo apt install python3 python3-venv"
        )
    try:
        found = from_mapping(DevicePython, json.loads(done.stdout))
    except (ValueError, RecordError) as err:
        raise DeviceError(
            f"{transport.where}: {command} does not say what it is (exit status {done.status}): "
            f"{last_line(done)}"
        ) from err
    if found.version[:2] < OLDEST_PYTHON:
        raise DeviceError(
            f"{transport.where}: {command} is {_dotted(found.version)}, expected "
            f"{_dotted(OLDEST_PYTHON)} or newer; name another as python in devices.toml"
        )
    return found


def requirements_for(
    python: DevicePython, runtime_version: str, *, pictures: bool = False
) -> Requirements:
    """Choose the TFLite runtime for a Python.

    Args:
        python: of the device.
        runtime_version: of ai-edge-litert on this machine; the device gets the same, because
            figures of unlike versions are not compared.
        pictures: whether it reads pictures and finds faces, which takes OpenCV.

    Returns:
        What to install. On 32-bit ARM OpenCV is not in it: Debian's python3-opencv must be there,
        which the environment sees.

    Source:
        PyPI: ai-edge-litert and OpenCV have no wheel for 32-bit ARM; tflite-runtime 2.14.0 is the
        last, and does not work with numpy 2. OpenCV 5 dropped the Haar cascades.
    """
    if python.is_32_bit_arm:
        return Requirements(packages=("tflite-runtime==2.14.0", "numpy<2"), system_packages=True)
    packages = (f"{_RUNTIME}=={runtime_version}", "numpy>=1.26")
    return Requirements(
        packages=(*packages, _OPENCV) if pictures else packages, system_packages=False
    )


def find_environment(
    transport: Transport, python: DevicePython, requirements: Requirements
) -> str | None:
    """Give the interpreter of an environment that is there and complete; None if there is none."""
    folder = _folder(python, requirements)
    done = transport.run(["test", "-f", f"{folder}/complete"], timeout_s=_PROBE_S)
    return None if done.status else f"{folder}/bin/python"


def host_runtime_version() -> str:
    """Give the version of ai-edge-litert on this machine, which a device gets too.

    Raises:
        DeviceError: there is none here.
    """
    try:
        return version(_RUNTIME)
    except PackageNotFoundError as err:
        raise DeviceError(
            f"this machine has no {_RUNTIME}, whose version the device would get: "
            f"pip install {_RUNTIME}"
        ) from err


def make_environment(
    transport: Transport,
    command: str,
    python: DevicePython,
    requirements: Requirements,
    *,
    wheels: str | None = None,
) -> str:
    """Make an environment on the device.

    Args:
        transport: to the device.
        command: the interpreter that makes it.
        python: what that interpreter is.
        requirements: what goes in.
        wheels: folder on the device to install from, instead of the network.

    Returns:
        Path of the environment's interpreter.

    Raises:
        DeviceError: venv is missing, the disk is full, or a package cannot be had; says what to do.
    """
    folder = _folder(python, requirements)
    interpreter = f"{folder}/bin/python"
    if not python.has_venv:
        raise DeviceError(
            f"{transport.where}: {command} cannot make environments; install it there: "
            "sudo apt install python3-venv"
        )
    see = ["--system-site-packages"] if requirements.system_packages else []
    _must(transport, [command, "-m", "venv", "--clear", *see, folder], "venv", python)
    source = ["--no-index", "--find-links", wheels] if wheels else []
    _must(
        transport,
        [
            *(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-cache-dir", "--only-binary", ":all:", *source, *requirements.packages),
        ],
        "pip",
        python,
    )
    transport.put(b"", f"{folder}/complete")
    return interpreter


def _folder(python: DevicePython, requirements: Requirements) -> str:
    return f"{FOLDER}/venv-{_dotted(python.version[:2])}-{requirements.key}"


def last_line(done: Finished) -> str:
    """Give the last thing a command said, for a message."""
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split()) if lines else "it said nothing"


def _must(transport: Transport, command: Sequence[str], tool: str, python: DevicePython) -> None:
    done = transport.run(command, timeout_s=_INSTALL_S)
    if done.status:
        raise DeviceError(f"{transport.where}: {_explained(tool, done, python)}")


def _explained(tool: str, done: Finished, python: DevicePython) -> str:
    text = done.stderr.decode("utf-8", "replace")
    has = f"Python {_dotted(python.version)}, {python.bits}-bit {python.machine}"
    if "No space left on device" in text:
        free_mb = python.free_bytes / 1e6
        return (
            f"the disk is full ({free_mb:.0f} MB were free at the start); make room and run again"
        )
    if "Temporary failure in name resolution" in text or "Failed to establish a new conn" in text:
        return (
            "the device does not reach the package index; run again with --offline to push the "
            "wheels from this machine"
        )
    wanted = [line for line in text.splitlines() if "No matching distribution found" in line]
    if wanted:
        package = wanted[-1].rpartition(" for ")[2].strip()
        return (
            f"there is no wheel of {package} for {has}; name another interpreter as python in "
            "devices.toml, or one with a TFLite runtime installed"
        )
    return f"{tool} failed with exit status {done.status} on {has}: {last_line(done)}"


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
