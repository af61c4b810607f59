"""What machine this is, and in what state. In: `/proc` and `/sys`. Out: `DeviceInfo`.

Nothing here raises: what cannot be read is None, because a benchmark must not fail for a missing
thermometer, and None says "not readable" where 0 would be a figure. Imports neither numpy nor a
runtime, so that a device that lacks them can still say who it is.
"""

from __future__ import annotations

import os
import platform
import struct
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Optional, Tuple

from edgeface.runtime.telemetry import (
    PROC,
    SYS,
    THROTTLED_NOW,
    Vcgencmd,
    cpuinfo,
    number,
    read_clock_mhz,
    read_governor,
    read_temperature_c,
    read_text,
    read_throttle_bits,
    run_vcgencmd,
)

RUNTIME_PACKAGES = ("ai-edge-litert", "tflite-runtime", "tensorflow")
"""Packages with a TFLite runtime, in the order in which `interpreter.RUNTIMES` tries them."""

_X86 = ("x86_64", "amd64", "i386", "i486", "i586", "i686", "x86")


@dataclass(frozen=True)
class DeviceInfo:
    """One machine at one moment.

    Attributes:
        name: what the user calls it; "local" is the machine edgeface runs on.
        model: board or processor name.
        arch: of the kernel, e.g. "aarch64".
        cores: that this process may use.
        ram_bytes: of the machine; None where not readable, as all that follow.
        os: kernel and C library.
        python: version and word size: 32-bit Python on a 64-bit kernel is slower.
        governor: of the first core, e.g. "performance".
        clock_mhz: of the first core, now.
        temperature_c: of the hottest thermal zone, now.
        throttle_bits: of a Raspberry Pi's firmware; see `throttled`.
        is_target: True for a board that names itself; False for a PC, a server, an emulator.
        note: in words, why it is not a target; empty if it is one.
        soc: chip of the board, e.g. "brcm,bcm2711".
        runtime: package of the TFLite runtime that would run models.
        runtime_version: of it.
        numpy_version: of numpy.
        python_bits: word size of Python, 32 or 64: which wheels fit.
    """

    name: str
    model: str
    arch: str
    cores: int
    ram_bytes: Optional[int]
    os: str
    python: str
    governor: Optional[str]
    clock_mhz: Optional[float]
    temperature_c: Optional[float]
    throttle_bits: Optional[int]
    is_target: bool
    note: str
    soc: Optional[str] = None
    runtime: Optional[str] = None
    runtime_version: Optional[str] = None
    numpy_version: Optional[str] = None
    python_bits: Optional[int] = None

    @property
    def throttled(self) -> Optional[bool]:
        """Whether the firmware slows the processor at this moment; None where not readable."""
        return None if self.throttle_bits is None else bool(self.throttle_bits & THROTTLED_NOW)


def describe_local(
    *,
    name: str = "local",
    proc: Path = PROC,
    sys_folder: Path = SYS,
    arch: Optional[str] = None,
    run: Vcgencmd = run_vcgencmd,
) -> DeviceInfo:
    """Describe the machine that this process runs on.

    Args:
        name: what the user calls it.
        proc: where the kernel shows processes.
        sys_folder: where the kernel shows devices.
        arch: processor architecture; None asks Python.
        run: asks a Raspberry Pi's firmware.

    Returns:
        What it is. The runtime and numpy are those installed, by their packages' own record;
        whether they load is not tried (`runner identify` tries it).
    """
    arch = platform.machine() if arch is None else arch
    board = read_text(proc / "device-tree" / "model").strip("\0")
    note = _why_no_target(arch, board)
    runtime, runtime_version = _installed_runtime()
    python_bits = 8 * struct.calcsize("P")
    return DeviceInfo(
        name=name,
        model=board or cpuinfo(proc, "model name") or platform.processor() or "unknown",
        arch=arch,
        cores=_usable_cores(),
        ram_bytes=_ram_bytes(proc),
        os=platform.platform(),
        python=f"{platform.python_version()} ({python_bits}-bit)",
        governor=read_governor(sys_folder),
        clock_mhz=read_clock_mhz(proc, sys_folder, run),
        temperature_c=read_temperature_c(sys_folder, run),
        throttle_bits=read_throttle_bits(sys_folder, run),
        is_target=not note,
        note=note,
        soc=_soc(proc),
        runtime=runtime,
        runtime_version=runtime_version,
        numpy_version=_installed("numpy"),
        python_bits=python_bits,
    )


def _why_no_target(arch: str, board: str) -> str:
    if arch.lower() in _X86:
        return "x86 host, not a device: its latency says nothing about a phone or a Raspberry Pi"
    if not board:
        return "no board name in /proc/device-tree: not known to be a device (emulated? a server?)"
    if "virt" in board or "QEMU" in board:
        return f"emulated device ({board}): its latency says nothing about a real one"
    return ""


def _soc(proc: Path) -> Optional[str]:
    # Source: Devicetree specification 2.3.1: names ended by NUL, from the board to what is most
    # general, so that the chip is the last
    names = [name for name in read_text(proc / "device-tree" / "compatible").split("\0") if name]
    return names[-1] if names else cpuinfo(proc, "Hardware") or None


def _installed_runtime() -> Tuple[Optional[str], Optional[str]]:
    for package in RUNTIME_PACKAGES:
        found = _installed(package)
        if found is not None:
            return package, found
    return None, None


def _installed(package: str) -> Optional[str]:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ram_bytes(proc: Path) -> Optional[int]:
    for line in read_text(proc / "meminfo").splitlines():
        if line.startswith("MemTotal:"):
            kib = number(line.split()[1]) if len(line.split()) > 1 else None
            return None if kib is None else int(kib) * 1024
    return None
