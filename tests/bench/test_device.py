"""What a machine says of itself, from made-up `/proc` and `/sys` trees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeface.bench.device import DeviceInfo, describe_local, device_warnings


def tree(root: Path, files: dict[str, str]) -> Path:
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
    return describe_local(proc=proc, sys_folder=sys_folder, arch="aarch64")


def test_a_raspberry_pi_is_a_target(tmp_path: Path) -> None:
    device = raspberry(tmp_path)
    assert device.model == "Raspberry Pi 4 Model B Rev 1.4"
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
    device = describe_local(proc=proc, sys_folder=tmp_path / "none", arch="x86_64")
    assert device.model == "Some CPU @ 3 GHz"
    assert device.clock_mhz == 2596.1
    assert not device.is_target
    assert "x86 host, not a device" in device.note


@pytest.mark.parametrize(
    ("board", "text"), [(None, "no board name"), ("linux,dummy-virt\0", "emulated device")]
)
def test_arm_that_is_no_board_is_no_target(tmp_path: Path, board: str | None, text: str) -> None:
    proc = tree(tmp_path, {} if board is None else {"device-tree/model": board})
    device = describe_local(proc=proc, sys_folder=tmp_path, arch="aarch64")
    assert not device.is_target
    assert text in device.note


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    device = describe_local(proc=tmp_path, sys_folder=tmp_path, arch="x86_64")
    unread = (device.ram_bytes, device.governor, device.clock_mhz, device.temperature_c)
    assert unread == (None,) * 4
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
    device = describe_local(proc=proc, sys_folder=sys_folder, arch="aarch64")
    assert (device.ram_bytes, device.clock_mhz, device.temperature_c) == (None, None, None)
    assert device.throttle_bits is None


def test_this_machine_can_be_described() -> None:
    assert describe_local().name == "local"


@pytest.mark.parametrize(
    ("bits", "now"), [("0", False), ("1", True), ("8", True), ("50000", False), ("50005", True)]
)
def test_low_bits_mean_throttled_now(tmp_path: Path, bits: str, now: bool) -> None:
    device = raspberry(tmp_path, throttle_bits=bits)
    assert device.throttle_bits == int(bits, 16)
    assert device.throttled is now


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0, 0, False),
        (0x50000, 0x50000, False),  # it happened before the benchmark
        (0, 0x40000, True),
        (0x50000, 0x50004, True),
        (None, None, False),
    ],
)
def test_throttling_during_the_benchmark_is_a_warning(
    tmp_path: Path, before: int | None, after: int | None, said: bool
) -> None:
    device = replace(raspberry(tmp_path), governor="performance", cores=4)
    warnings = device_warnings(
        replace(device, throttle_bits=before), replace(device, throttle_bits=after), threads=4
    )
    assert bool(warnings) is said
    assert all("throttled" in text for text in warnings)


def test_governor_and_too_many_threads_are_warnings(tmp_path: Path) -> None:
    device = replace(raspberry(tmp_path), cores=2)
    governor, threads = device_warnings(device, device, threads=4)
    assert governor.startswith("governor is ondemand")
    assert threads == "4 threads on 2 cores"
