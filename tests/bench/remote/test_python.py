"""Which Python a device has, and the environment made on it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgeface.bench.remote.python import (
    DevicePython,
    Requirements,
    find_environment,
    find_python,
    make_environment,
    requirements_for,
)
from edgeface.bench.remote.transport import Finished
from edgeface.errors import DeviceError
from support.folder_transport import FolderTransport

PI = DevicePython(
    version=(3, 11, 2),
    bits=64,
    machine="aarch64",
    libc=("glibc", "2.36"),
    has_venv=True,
    free_bytes=5_000_000,
)
NEEDS = Requirements(packages=("ai-edge-litert==2.3.0",), system_packages=False)


def said(status: int, text: str = "") -> Finished:
    return Finished(status=status, stdout=b"", stderr=text.encode())


def test_this_python_says_what_it_is(tmp_path: Path) -> None:
    found = find_python(FolderTransport(tmp_path), sys.executable)
    assert found.version == sys.version_info[:3]
    assert found.bits == 64
    assert found.free_bytes > 0


def test_no_python_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"folder: no python3.14t; .*sudo apt install python3"):
        find_python(FolderTransport(tmp_path), "python3.14t")


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    old = json.dumps(
        {
            "version": [3, 7, 3],
            "bits": 32,
            "machine": "armv7l",
            "libc": ["glibc", "2.28"],
            "has_venv": True,
            "free_bytes": 1,
        }
    )
    device = FolderTransport(
        tmp_path, lambda command: Finished(status=0, stdout=old.encode(), stderr=b"")
    )
    with pytest.raises(DeviceError, match=r"python3 is 3\.7\.3, expected 3\.9 or newer"):
        find_python(device)


def test_a_python_that_breaks_is_named_with_its_own_words(tmp_path: Path) -> None:
    device = FolderTransport(tmp_path, lambda command: said(1, "ImportError: no module os\n"))
    with pytest.raises(DeviceError, match=r"exit status 1\): ImportError: no module os"):
        find_python(device)


@pytest.mark.parametrize(
    ("bits", "machine", "package", "system"),
    [
        (64, "aarch64", "ai-edge-litert==2.3.0", False),
        (64, "x86_64", "ai-edge-litert==2.3.0", False),
        (32, "armv7l", "tflite-runtime==2.14.0", True),
        (32, "aarch64", "tflite-runtime==2.14.0", True),  # 32-bit system on a 64-bit kernel
    ],
)
def test_the_runtime_fits_python_and_not_the_kernel(
    bits: int, machine: str, package: str, system: bool
) -> None:
    python = DevicePython(
        version=(3, 11, 2),
        bits=bits,
        machine=machine,
        libc=("glibc", "2.36"),
        has_venv=True,
        free_bytes=1,
    )
    found = requirements_for(python, "2.3.0")
    assert found.packages[0] == package
    assert found.system_packages == system


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    def answer(command: Sequence[str]) -> Finished | None:
        return None if command[0] == "test" else said(0)

    device = FolderTransport(tmp_path, answer)
    assert find_environment(device, PI, NEEDS) is None
    first = make_environment(device, "python3", PI, NEEDS)
    tried = [command for command in device.commands if "-m" in command]
    assert [command[2] for command in tried] == ["venv", "pip"]
    assert tried[1][-1] == "ai-edge-litert==2.3.0"
    assert find_environment(device, PI, NEEDS) == first


def test_an_environment_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    def full(command: Sequence[str]) -> Finished | None:
        if command[0] == "test":
            return None
        if "pip" in command:
            return said(1, "ERROR: Could not install: [Errno 28] No space left on device\n")
        return said(0)

    device = FolderTransport(tmp_path, full)
    with pytest.raises(DeviceError, match=r"the disk is full \(5 MB were free"):
        make_environment(device, "python3", PI, NEEDS)
    assert find_environment(device, PI, NEEDS) is None
    with pytest.raises(DeviceError, match="the disk is full"):
        make_environment(device, "python3", PI, NEEDS)
    venvs = [command for command in device.commands if "venv" in command]
    assert len(venvs) == 2
    assert "--clear" in venvs[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "ERROR: Could not find a version that satisfies x\n"
            "ERROR: No matching distribution found for ai-edge-litert==2.3.0\n",
            r"no wheel of ai-edge-litert==2\.3\.0 for Python 3\.11\.2, 64-bit aarch64",
        ),
        ("WARNING: Retrying: Temporary failure in name resolution\nERROR: x\n", "--offline"),
        ("ERROR: something else\n", r"pip failed with exit status 1 .*: ERROR: something else"),
    ],
)
def test_pips_failures_say_what_to_do(tmp_path: Path, text: str, expected: str) -> None:
    def answer(command: Sequence[str]) -> Finished | None:
        if command[0] == "test":
            return None
        return said(1, text) if "pip" in command else said(0)

    with pytest.raises(DeviceError, match=expected):
        make_environment(FolderTransport(tmp_path, answer), "python3", PI, NEEDS)


def test_a_python_without_venv_says_which_package_has_it(tmp_path: Path) -> None:
    python = DevicePython(
        version=(3, 11, 2),
        bits=64,
        machine="aarch64",
        libc=("glibc", "2.36"),
        has_venv=False,
        free_bytes=1,
    )
    with pytest.raises(DeviceError, match="sudo apt install python3-venv"):
        make_environment(FolderTransport(tmp_path), "python3", python, NEEDS)


def test_pushed_wheels_are_installed_without_a_network(tmp_path: Path) -> None:
    device = FolderTransport(tmp_path, lambda command: None if command[0] == "test" else said(0))
    make_environment(device, "python3", PI, NEEDS, wheels=".edgeface/wheels")
    pip = next(command for command in device.commands if "pip" in command)
    assert pip[pip.index("--no-index") + 2] == ".edgeface/wheels"
