"""`telemetry`: recorded answers of `vcgencmd`, and made-up `/proc` and `/sys` trees."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeface.runtime import telemetry
from edgeface.runtime.telemetry import (
    THROTTLE_BITS,
    THROTTLED_NOW,
    THROTTLED_SINCE_BOOT,
    DeviceSample,
    pmic_power_w,
    read_sample,
    read_throttle_bits,
    run_vcgencmd,
    throttle_reasons,
)

# in the form of a Raspberry Pi 5's answer, with figures that can be multiplied in the head
PMIC = """\
 3V7_WL_SW_A current(0)=0.10000000A
   3V3_SYS_A current(1)=0.20000000A
  DDR_VDDQ_A current(4)=0.00000000A
  VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   3V3_SYS_V volt(9)=3.30000000V
  DDR_VDDQ_V volt(12)=0.60000000V
  VDD_CORE_V volt(15)=0.75000000V
     EXT5V_V volt(24)=5.10000000V
      BATT_V volt(25)=0.00000000V
"""
PMIC_W = 0.1 * 3.7 + 0.2 * 3.3 + 0.0 * 0.6 + 2.0 * 0.75


def firmware(answers: Dict[str, str]) -> Callable[[Sequence[str]], str]:
    return lambda arguments: answers.get(" ".join(arguments), "")


NOT_THERE = firmware({})


def tree(root: Path, files: Dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


@pytest.mark.parametrize(
    ("bit", "what", "when"),
    [
        (0, "under-voltage", "now"),
        (1, "clock capped", "now"),
        (2, "throttled", "now"),
        (3, "soft temperature limit", "now"),
        (16, "under-voltage", "since boot"),
        (17, "clock capped", "since boot"),
        (18, "throttled", "since boot"),
        (19, "soft temperature limit", "since boot"),
    ],
)
def test_each_bit_is_told_in_words(tmp_path: Path, bit: int, what: str, when: str) -> None:
    run = firmware({"get_throttled": f"throttled={1 << bit:#x}\n"})
    bits = read_throttle_bits(tmp_path, run)
    assert bits == 1 << bit
    assert throttle_reasons(bits) == (f"{what} {when}",)
    assert bool(bits & THROTTLED_NOW) is (when == "now")
    assert bool(bits & THROTTLED_SINCE_BOOT) is (when == "since boot")


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("throttled=0x0\n", ()),
        ("throttled=0x50005\n", ("under-voltage now", "throttled now", "under-voltage since boot",
                                 "throttled since boot")),
        ("throttled=0xE0000\n", ("clock capped since boot", "throttled since boot",
                                 "soft temperature limit since boot")),
        ("throttled=0x100010\n", ("unknown throttle bit 4", "unknown throttle bit 20")),
    ],
)  # fmt: skip
def test_recorded_answers(tmp_path: Path, answer: str, reasons: Sequence[str]) -> None:
    bits = read_throttle_bits(tmp_path, firmware({"get_throttled": answer}))
    assert bits is not None
    assert throttle_reasons(bits) == reasons


@given(st.sets(st.integers(0, 31)))
def test_no_bit_is_lost(bits: Sequence[int]) -> None:
    reasons = throttle_reasons(sum(1 << bit for bit in bits))
    expected = [THROTTLE_BITS.get(bit, f"unknown throttle bit {bit}") for bit in sorted(bits)]
    assert list(reasons) == expected


@pytest.mark.parametrize("answer", ["", "VCHI initialization failed\n", "throttled=\n", "error=1"])
def test_no_answer_is_none(tmp_path: Path, answer: str) -> None:
    assert read_throttle_bits(tmp_path, firmware({"get_throttled": answer})) is None


@pytest.mark.parametrize(
    "path",
    [
        "devices/platform/soc/soc:firmware/get_throttled",
        "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
    ],
)
def test_the_kernel_is_asked_before_the_firmware(tmp_path: Path, path: str) -> None:
    run = firmware({"get_throttled": "throttled=0x4"})
    assert read_throttle_bits(tree(tmp_path, {path: "50001\n"}), run) == 0x50001
    assert read_throttle_bits(tree(tmp_path, {path: "-1\n"}), run) == 4  # nonsense


def test_power_is_the_sum_over_the_rails() -> None:
    assert pmic_power_w(PMIC) == pytest.approx(PMIC_W, rel=1e-12)
    # EXT5V and BATT have no current, so their lines change nothing
    rails = "".join(
        line for line in PMIC.splitlines(True) if "T5V" not in line and "BATT" not in line
    )
    assert pmic_power_w(rails) == pmic_power_w(PMIC)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        'error=1 error_msg="Command not registered"\n',  # a Raspberry Pi 4
        " EXT5V_V volt(24)=5.10000000V\n",
        " VDD_CORE_A current(7)=2.0A\n",  # no voltage of that rail
        " VDD_CORE_A current(7)=1.2.3A\n VDD_CORE_V volt(15)=0.75V\n",
    ],
)
def test_no_power_is_none(answer: str) -> None:
    assert pmic_power_w(answer) is None


def test_a_raspberry_pi_by_its_firmware(tmp_path: Path) -> None:
    run = firmware(
        {
            "get_throttled": "throttled=0x50005\n",
            "measure_temp": "temp=48.3'C\n",
            "measure_clock arm": "frequency(0)=1500345728\n",
            "pmic_read_adc": PMIC,
        }
    )
    sys_folder = tree(
        tmp_path,
        {
            "devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        },
    )
    sample = read_sample(lambda: 7.5, tmp_path, sys_folder, run)
    assert sample.power_w == pytest.approx(PMIC_W)
    assert sample == DeviceSample(
        t_s=7.5,
        temperature_c=48.3,
        clock_mhz=1500.345728,  # as measured, and not as the governor asked for
        governor="ondemand",
        throttle_bits=0x50005,
        power_w=sample.power_w,
    )


def test_a_device_without_that_firmware(tmp_path: Path) -> None:
    sys_folder = tree(
        tmp_path,
        {
            "devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
            "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
            "class/thermal/thermal_zone0/temp": "48686\n",
            "class/thermal/thermal_zone1/temp": "51000\n",
            "class/thermal/thermal_zone2/temp": "-274000\n",
        },
    )
    sample = read_sample(lambda: 0.0, tmp_path, sys_folder, NOT_THERE)
    assert sample == DeviceSample(
        t_s=0.0, temperature_c=51.0, clock_mhz=1800.0, governor="performance"
    )


def test_a_clock_of_zero_is_no_clock(tmp_path: Path) -> None:
    proc = tree(tmp_path, {"cpuinfo": "processor\t: 0\ncpu MHz\t\t: 2596.1\n"})
    run = firmware({"measure_clock arm": "frequency(48)=0\n"})
    assert read_sample(lambda: 0.0, proc, tmp_path, run).clock_mhz == 2596.1


def test_nothing_readable_is_none(tmp_path: Path) -> None:
    assert read_sample(lambda: 1.0, tmp_path, tmp_path, NOT_THERE) == DeviceSample(t_s=1.0)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ('echo "asked $1 $2"', "asked measure_clock arm\n"),
        ("echo throttled=0x0; exit 255", ""),  # VCHI does not answer
        (None, ""),
    ],
)
def test_the_program_is_asked(
    script: Optional[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        program = tmp_path / "vcgencmd"
        program.write_text(f"#!/bin/sh\n{script}\n", "ascii")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(telemetry, "_OLD_VCGENCMD_FOLDER", str(tmp_path))
    assert run_vcgencmd(["measure_clock", "arm"]) == answer


def test_a_program_that_hangs_or_cannot_start_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "vcgencmd"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(telemetry, "_VCGENCMD_TIMEOUT_S", 0.2)
    texts: List[str] = ["#!/bin/sh\nexec /bin/sleep 60\n", "not a program\n"]
    for text in texts:
        program.write_text(text, "ascii")
        program.chmod(0o755)
        assert run_vcgencmd(["get_throttled"]) == ""
