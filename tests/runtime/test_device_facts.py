"""`device_facts`: what a machine says of itself, from made-up `/proc` and `/sys` trees."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Dict, Optional, Sequence

import pytest

from edgeface.runtime import device_facts
from edgeface.runtime.device_facts import RUNTIME_PACKAGES, DeviceInfo, describe_local
from edgeface.runtime.interpreter import RUNTIMES


def tree(root: Path, files: Dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def raspberry(root: Path, *, throttle_bits: str = "0") -> DeviceInfo:
    proc = tree(
        root / "proc",
        {
            "device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
            "meminfo": "MemTotal:        3884360 kB\nMemFree: 1 kB\n",
            "cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n",
        },
    )
    sys_folder = tree(
        root / "sys",
        {
            "devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
            "class/thermal/thermal_zone0/temp": "48686\n",
            "class/thermal/thermal_zone1/temp": "-274000\n",
            "devices/platform/soc/soc:firmware/get_throttled": f"{throttle_bits}\n",
        },
    )
    return describe_local(name="rpi", proc=proc, sys_folder=sys_folder, arch="aarch64", run=silent)


def silent(arguments: Sequence[str]) -> str:
    return ""


def test_a_raspberry_pi_is_a_target(tmp_path: Path) -> None:
    device = raspberry(tmp_path)
    assert device.name == "rpi"
    assert device.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert device.soc == "brcm,bcm2711"
    assert device.is_target
    assert device.note == ""
    assert device.ram_bytes == 3_884_360 * 1024
    assert device.governor == "ondemand"
    assert device.clock_mhz == 1_800_000 / 1000
    assert device.temperature_c == 48.686
    assert device.throttled is False


def test_an_x86_host_is_no_target_and_says_so(tmp_path: Path) -> None:
    cpuinfo = {"cpuinfo": "model name\t: Some CPU @ 3 GHz\ncpu MHz\t\t: 2596.1\n"}
    proc = tree(tmp_path, cpuinfo)
    device = describe_local(proc=proc, sys_folder=tmp_path / "none", arch="x86_64", run=silent)
    assert device.model == "Some CPU @ 3 GHz"
    assert device.clock_mhz == 2596.1
    assert not device.is_target
    assert "x86 host, not a device" in device.note


@pytest.mark.parametrize(
    ("board", "text"), [(None, "no board name"), ("linux,dummy-virt\0", "emulated device")]
)
def test_arm_that_is_no_board_is_no_target(tmp_path: Path, board: Optional[str], text: str) -> None:
    proc = tree(tmp_path, {} if board is None else {"device-tree/model": board})
    device = describe_local(proc=proc, sys_folder=tmp_path, arch="aarch64", run=silent)
    assert not device.is_target
    assert text in device.note


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    device = describe_local(proc=tmp_path, sys_folder=tmp_path, arch="x86_64", run=silent)
    unread = (device.ram_bytes, device.governor, device.clock_mhz, device.temperature_c)
    assert unread == (None,) * 4
    assert device.soc is None
    assert device.throttled is None
    assert device.cores >= 1


def test_nonsense_is_none(tmp_path: Path) -> None:
    proc = tree(tmp_path / "proc", {"meminfo": "MemTotal:\n", "cpuinfo": "cpu MHz : fast\n"})
    sys_folder = tree(
        tmp_path / "sys",
        {
            "class/thermal/thermal_zone0/temp": "hot",
            "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "inf",
            "devices/platform/soc/soc:firmware/get_throttled": "no",
        },
    )
    device = describe_local(proc=proc, sys_folder=sys_folder, arch="aarch64", run=silent)
    assert (device.ram_bytes, device.clock_mhz, device.temperature_c) == (None, None, None)
    assert device.throttle_bits is None


def test_this_machine_can_be_described() -> None:
    device = describe_local()
    assert device.name == "local"
    assert (device.runtime, device.runtime_version) == (
        "ai-edge-litert",
        metadata.version("ai-edge-litert"),
    )
    assert device.numpy_version == metadata.version("numpy")
    assert device.python_bits in (32, 64)


def test_the_package_preferred_is_the_one_that_models_are_opened_with() -> None:
    assert [name for name, _, _ in RUNTIMES] == list(RUNTIME_PACKAGES)


def test_no_package_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(device_facts, "version", nothing)
    device = describe_local(proc=tmp_path, sys_folder=tmp_path, run=silent)
    assert (device.runtime, device.runtime_version, device.numpy_version) == (None, None, None)


def test_an_old_kernel_names_the_chip_in_cpuinfo(tmp_path: Path) -> None:
    proc = tree(tmp_path, {"cpuinfo": "processor\t: 0\nHardware\t: BCM2835\n"})
    device = describe_local(proc=proc, sys_folder=tmp_path, arch="armv7l", run=silent)
    assert device.soc == "BCM2835"


@pytest.mark.parametrize(
    ("bits", "now"), [("0", False), ("1", True), ("8", True), ("50000", False), ("50005", True)]
)
def test_low_bits_mean_throttled_now(tmp_path: Path, bits: str, now: bool) -> None:
    device = raspberry(tmp_path, throttle_bits=bits)
    assert device.throttle_bits == int(bits, 16)
    assert device.throttled is now
