"""What machine this is, and in what state. In: `/proc` and `/sys`. Out: `DeviceInfo`.

Nothing here raises: what cannot be read is None, because a benchmark must not fail for a missing
thermometer, and None says "not readable" where 0 would be a figure.
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

_X86 = ("x86_64", "amd64", "i386", "i486", "i586", "i686", "x86")
# Source: Raspberry Pi documentation, `vcgencmd get_throttled`: bits 0 to 3 are under-voltage,
# frequency capped, throttled, soft temperature limit now; bits 16 to 19 the same since boot.
_THROTTLED_NOW = 0xF
_THROTTLED_SINCE_BOOT = 0xF0000


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """One machine at one moment.

    Attributes:
        name: what the user calls it; "local" is the machine edgeface runs on.
        model: board or processor name.
        arch: e.g. "aarch64".
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
    """

    name: str
    model: str
    arch: str
    cores: int
    ram_bytes: int | None
    os: str
    python: str
    governor: str | None
    clock_mhz: float | None
    temperature_c: float | None
    throttle_bits: int | None
    is_target: bool
    note: str

    @property
    def throttled(self) -> bool | None:
        """Whether the firmware slows the processor at this moment; None where not readable."""
        return None if self.throttle_bits is None else bool(self.throttle_bits & _THROTTLED_NOW)


def describe_local(
    *,
    proc: Path = Path("/proc"),
    sys_folder: Path = Path("/sys"),
    arch: str | None = None,
) -> DeviceInfo:
    """Describe the machine edgeface runs on.

    Args:
        proc: where the kernel shows processes.
        sys_folder: where the kernel shows devices.
        arch: processor architecture; None asks Python.
    """
    arch = platform.machine() if arch is None else arch
    board = _read(proc / "device-tree" / "model").rstrip("\0")
    note = _why_no_target(arch, board)
    return DeviceInfo(
        name="local",
        model=board or _cpuinfo(proc, "model name") or platform.processor() or "unknown",
        arch=arch,
        cores=_usable_cores(),
        ram_bytes=_ram_bytes(proc),
        os=platform.platform(),
        python=f"{platform.python_version()} ({64 if sys.maxsize > 2**32 else 32}-bit)",
        governor=_read(_cpufreq(sys_folder) / "scaling_governor") or None,
        clock_mhz=_clock_mhz(proc, sys_folder),
        temperature_c=_temperature_c(sys_folder),
        throttle_bits=_throttle_bits(sys_folder),
        is_target=not note,
        note=note,
    )


def device_warnings(before: DeviceInfo, after: DeviceInfo, *, threads: int) -> tuple[str, ...]:
    """Say in words what about the machine makes its figures doubtful.

    Args:
        before: read before the first inference.
        after: read after the last.
        threads: that the runtime used.
    """
    warnings = []
    if before.governor not in (None, "performance"):
        warnings.append(f"governor is {before.governor}, not performance: the clock may change")
    if threads > before.cores:
        warnings.append(f"{threads} threads on {before.cores} cores")
    if before.throttled or after.throttled:
        warnings.append("throttled: the firmware slowed the processor (heat or power supply)")
    elif before.throttle_bits is not None and after.throttle_bits is not None:
        new = after.throttle_bits & ~before.throttle_bits & _THROTTLED_SINCE_BOOT
        if new:
            warnings.append("throttled for a time: the firmware slowed the processor in between")
    return tuple(warnings)


def _why_no_target(arch: str, board: str) -> str:
    if arch.lower() in _X86:
        return "x86 host, not a device: its latency says nothing about a phone or a Raspberry Pi"
    if not board:
        return "no board name in /proc/device-tree: not known to be a device (emulated? a server?)"
    if "virt" in board or "QEMU" in board:
        return f"emulated device ({board}): its latency says nothing about a real one"
    return ""


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpufreq(sys_folder: Path) -> Path:
    return sys_folder / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"


def _clock_mhz(proc: Path, sys_folder: Path) -> float | None:
    khz = _number(_read(_cpufreq(sys_folder) / "scaling_cur_freq"))
    return _number(_cpuinfo(proc, "cpu MHz")) if khz is None else khz / 1000


def _temperature_c(sys_folder: Path) -> float | None:
    readings = [
        _number(_read(zone / "temp"))
        for zone in sorted((sys_folder / "class" / "thermal").glob("thermal_zone*"))
    ]
    # zones that are switched off report below absolute zero on phones
    real = [milli / 1000 for milli in readings if milli is not None and milli > -273_150]
    return max(real, default=None)


def _throttle_bits(sys_folder: Path) -> int | None:
    for path in sorted((sys_folder / "devices" / "platform").glob("soc*/*firmware/get_throttled")):
        try:
            return int(_read(path), 16)
        except ValueError:
            continue
    return None


def _ram_bytes(proc: Path) -> int | None:
    for line in _read(proc / "meminfo").splitlines():
        if line.startswith("MemTotal:"):
            kib = _number(line.split()[1]) if len(line.split()) > 1 else None
            return None if kib is None else int(kib) * 1024
    return None


def _cpuinfo(proc: Path, key: str) -> str:
    for line in _read(proc / "cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    """Text of a small kernel file, "" where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
