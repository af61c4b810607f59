"""How hot, how fast and how hungry a device is at one moment, and whether its firmware slows it.

In: `/proc`, `/sys`, and on a Raspberry Pi what `vcgencmd` answers. Out: `DeviceSample`, and the
throttle bits in words. Judges nothing: that is for `bench`.

Nothing here raises: a benchmark must not fail for a missing thermometer. What cannot be read is
None, because 0 would be a figure.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional, Sequence, Tuple

PROC = Path("/proc")
"""Where the kernel shows processes."""

SYS = Path("/sys")
"""Where the kernel shows devices."""

THROTTLE_BITS = {
    0: "under-voltage now",
    1: "clock capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "clock capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
"""What each bit of a Raspberry Pi's throttle state says.

Source: Raspberry Pi documentation, Raspberry Pi OS, `vcgencmd get_throttled`."""

THROTTLED_NOW = 0xF
"""The bits of `THROTTLE_BITS` that say "now"."""

THROTTLED_SINCE_BOOT = 0xF0000
"""The bits of `THROTTLE_BITS` that say "since boot".

Source: Linux's drivers/hwmon/raspberrypi-hwmon.c asks the firmware every 2 s to clear them. So a
look before and after a benchmark may miss what one in between sees."""

Vcgencmd = Callable[[Sequence[str]], str]
"""Gives what `vcgencmd` prints for these arguments; "" where there is no program or no answer."""

# Source: /usr/bin, which is in every PATH, since Raspberry Pi OS Bullseye; /opt/vc/bin before
_OLD_VCGENCMD_FOLDER = "/opt/vc/bin"
_VCGENCMD_TIMEOUT_S = (
    5.0  # chosen: it takes milliseconds; a hung firmware must not hang a benchmark
)

_THROTTLED = re.compile(r"throttled=0x([0-9a-fA-F]+)")
_TEMPERATURE = re.compile(r"temp=(-?[0-9.]+)'C")
_CLOCK = re.compile(r"frequency\([0-9]+\)=([0-9]+)")
_RAIL = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\([0-9]+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)


@dataclass(frozen=True)
class DeviceSample:
    """One look at a device. None where it cannot tell.

    Attributes:
        t_s: when, in seconds, on the clock of the caller; the runner's starts just before the first
            inference.
        temperature_c: of the hottest thermal zone; of the chip where the kernel shows no zone.
        clock_mhz: of the processor's first core, as the firmware measures it where it can be asked.
        governor: of the first core, e.g. "performance".
        throttle_bits: of a Raspberry Pi's firmware; `throttle_reasons` puts them into words.
        power_w: see `pmic_power_w`.
    """

    t_s: float
    temperature_c: Optional[float] = None
    clock_mhz: Optional[float] = None
    governor: Optional[str] = None
    throttle_bits: Optional[int] = None
    power_w: Optional[float] = None


def run_vcgencmd(arguments: Sequence[str]) -> str:
    """Ask a Raspberry Pi's firmware.

    Args:
        arguments: of `vcgencmd`, e.g. ["get_throttled"].

    Returns:
        What it prints; "" where there is no such program, where this user may not ask (outside the
        group "video"), or where the firmware does not know the question.
    """
    program = shutil.which("vcgencmd") or shutil.which("vcgencmd", path=_OLD_VCGENCMD_FOLDER)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VCGENCMD_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("ascii", "replace") if done.returncode == 0 else ""


def read_sample(
    clock: Callable[[], float] = time.monotonic,
    proc: Path = PROC,
    sys_folder: Path = SYS,
    run: Vcgencmd = run_vcgencmd,
) -> DeviceSample:
    """Look at the device.

    Takes some 0.1 ms where the kernel tells all; each question to a Raspberry Pi's firmware starts
    a process, so that it does not belong into a timed call.

    Args:
        clock: seconds.
        proc: where the kernel shows processes.
        sys_folder: where the kernel shows devices.
        run: asks the firmware.
    """
    return DeviceSample(
        t_s=clock(),
        temperature_c=read_temperature_c(sys_folder, run),
        clock_mhz=read_clock_mhz(proc, sys_folder, run),
        governor=read_governor(sys_folder),
        throttle_bits=read_throttle_bits(sys_folder, run),
        power_w=pmic_power_w(run(["pmic_read_adc"])),
    )


def throttle_reasons(bits: int) -> Tuple[str, ...]:
    """Put throttle bits into words.

    Args:
        bits: of a sample, 0 or more.

    Returns:
        One text a set bit, the lowest first; a bit that the documentation does not name says so.
    """
    return tuple(
        THROTTLE_BITS.get(bit, f"unknown throttle bit {bit}")
        for bit in range(bits.bit_length())
        if bits >> bit & 1
    )


def read_throttle_bits(sys_folder: Path, run: Vcgencmd) -> Optional[int]:
    """Read the throttle state of a Raspberry Pi's firmware, from the kernel or else from itself."""
    folder = sys_folder / "devices" / "platform"
    for path in sorted(folder.glob("soc*/*firmware/get_throttled")):
        if re.fullmatch("[0-9a-fA-F]+", read_text(path)):
            return int(read_text(path), 16)
    found = _THROTTLED.search(run(["get_throttled"]))
    return int(found.group(1), 16) if found else None


def read_temperature_c(sys_folder: Path, run: Vcgencmd) -> Optional[float]:
    """Read the hottest thermal zone, or else ask a Raspberry Pi's firmware; °C."""
    readings = [
        number(read_text(zone / "temp"))
        for zone in sorted((sys_folder / "class" / "thermal").glob("thermal_zone*"))
    ]
    # zones that are switched off report below absolute zero on phones
    real = [milli / 1000 for milli in readings if milli is not None and milli > -273_150]
    if real:
        return max(real)
    found = _TEMPERATURE.search(run(["measure_temp"]))
    return number(found.group(1)) if found else None


def read_clock_mhz(proc: Path, sys_folder: Path, run: Vcgencmd) -> Optional[float]:
    """Read the clock of the first core, in MHz.

    A Raspberry Pi's firmware is asked first: the kernel's `scaling_cur_freq` is what the governor
    asked for, and the firmware may run slower without telling the kernel.
    """
    measured = _CLOCK.search(run(["measure_clock", "arm"]))
    if measured and int(measured.group(1)) > 0:
        return int(measured.group(1)) / 1e6
    khz = number(read_text(_cpufreq(sys_folder) / "scaling_cur_freq"))
    return number(cpuinfo(proc, "cpu MHz")) if khz is None else khz / 1000


def read_governor(sys_folder: Path) -> Optional[str]:
    """Read the governor of the first core."""
    return read_text(_cpufreq(sys_folder) / "scaling_governor") or None


def pmic_power_w(answer: str) -> Optional[float]:
    """Add up the power of all rails that a Raspberry Pi 5's power chip measures.

    Leaves out what has no current sensor: the 5 V that goes straight to USB, the fan and the pins,
    and what the chip itself loses in converting. So it is less than a meter at the plug shows, and
    serves to compare models on one board.

    Args:
        answer: of `vcgencmd pmic_read_adc`: lines such as "VDD_CORE_A current(7)=1.35500000A" and
            "VDD_CORE_V volt(15)=0.72000000V".

    Returns:
        Watts: the sum of current times voltage over the rails that have both; None without any.

    Source:
        Raspberry Pi documentation, Raspberry Pi OS, `vcgencmd pmic_read_adc`. EXT5V and BATT have
        a voltage only, so that they add nothing.
    """
    units: Dict[str, Dict[str, float]] = {"A": {}, "V": {}}
    for rail, unit, text in _RAIL.findall(answer):
        value = number(text)
        if value is not None:
            units[unit][rail] = value
    rails = units["A"].keys() & units["V"].keys()
    return sum(units["A"][rail] * units["V"][rail] for rail in sorted(rails)) if rails else None


def cpuinfo(proc: Path, key: str) -> str:
    """Find the first value of a key in `/proc/cpuinfo`; "" where there is none."""
    for line in read_text(proc / "cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def read_text(path: Path) -> str:
    """Read a small kernel file without white space around it; "" where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def number(text: str) -> Optional[float]:
    """Read a finite number; None for any other text."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _cpufreq(sys_folder: Path) -> Path:
    return sys_folder / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"
