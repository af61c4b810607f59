"""Which platforms' wheels a device takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeface.bench.remote.python import DevicePython
from edgeface.bench.remote.wheels import download_wheels, platform_tags
from edgeface.errors import DeviceError


def python(machine: str = "aarch64", libc: tuple[str, ...] = ("glibc", "2.31")) -> DevicePython:
    return DevicePython(
        version=(3, 11, 2),
        bits=32 if machine == "armv7l" else 64,
        machine=machine,
        libc=libc,
        has_venv=True,
        free_bytes=1,
    )


def test_a_wheel_for_an_older_c_library_runs_too() -> None:
    tags = platform_tags(python())
    assert tags[0] == "manylinux_2_31_aarch64"
    assert tags[-1] == "manylinux_2_17_aarch64"
    assert len(tags) == 31 - 17 + 1
    assert platform_tags(python("armv7l"))[0] == "manylinux_2_31_armv7l"


@pytest.mark.parametrize("libc", [("musl", "1.2"), ("", ""), ("glibc", "x")])
def test_another_c_library_is_refused(libc: tuple[str, ...]) -> None:
    with pytest.raises(DeviceError, match="expected glibc 2"):
        platform_tags(python(libc=libc))


def test_pips_refusal_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^pip download .*ERROR.*edgeface-no-such"):
        download_wheels(python(), (f"{tmp_path}/edgeface-no-such-wheel.whl",), tmp_path)
