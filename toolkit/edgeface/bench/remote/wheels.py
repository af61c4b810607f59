"""Wheels for a device that has no network, fetched on this machine.

In: the device's Python. Out: files. Only pip decides which wheel fits which system.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgeface.bench.remote.python import DevicePython
from edgeface.errors import DeviceError

_OLDEST_GLIBC_MINOR = 17  # Source: PEP 599, manylinux2014 is glibc 2.17
_DOWNLOAD_S = 900.0


def platform_tags(python: DevicePython) -> tuple[str, ...]:
    """Name the platforms whose wheels run on the device, the newest first.

    Source:
        PEP 600: manylinux_2_X runs where glibc is 2.X or newer.

    Raises:
        DeviceError: the device has another C library than glibc, for which nothing is published.
    """
    machine = "armv7l" if python.is_32_bit_arm else python.machine
    name, version = (*python.libc, "", "")[:2]
    major, _, minor = version.partition(".")
    if name != "glibc" or major != "2" or not minor.isdigit():
        raise DeviceError(
            f"the device's C library is {name or 'unknown'} {version}, expected glibc 2: no TFLite "
            "runtime is published for it"
        )
    return tuple(
        f"manylinux_2_{each}_{machine}" for each in range(int(minor), _OLDEST_GLIBC_MINOR - 1, -1)
    )


def download_wheels(
    python: DevicePython, packages: tuple[str, ...], folder: Path
) -> tuple[Path, ...]:
    """Fetch wheels for the device with this machine's pip.

    Args:
        python: of the device.
        packages: as pip takes them.
        folder: where to.

    Returns:
        The files, dependencies included.

    Raises:
        DeviceError: pip finds none, or does not reach its index; in pip's words.
    """
    # PyPI has no numpy for 32-bit ARM: the device's own is used, see `requirements_for`
    wanted = [each for each in packages if not (python.is_32_bit_arm and each.startswith("numpy"))]
    alone = ["--no-deps"] if python.is_32_bit_arm else []
    platforms = [f"--platform={tag}" for tag in platform_tags(python)]
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--only-binary=:all:", f"--python-version={'.'.join(map(str, python.version[:2]))}"),
        *("--implementation=cp", *platforms, f"--dest={folder}", *alone, *wanted),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_S, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise DeviceError(f"pip download: no end within {_DOWNLOAD_S:.0f} s") from err
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        last = (errors or done.stderr.splitlines() or ["it said nothing"])[-1]
        raise DeviceError(f"pip download {' '.join(packages)}: {' '.join(last.split())}")
    return tuple(sorted(folder.glob("*.whl")))
