"""`--device rpi` but for the silicon: a real sshd whose users land in an emulated ARM system."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeface.bench.result import read_result
from support.loopback_pi import loopback_pi, why_no_loopback_pi

ROOT = Path(__file__).parents[3]
DEVICES = tomllib.loads((ROOT / "benchmarks" / "devices.toml").read_text("utf-8"))
MODEL = ROOT / "exported" / "mobilenetv2-a100-128px-latency45-int8.tflite"

Run = Callable[..., tuple[int, str, str]]


def system(arch: str) -> Path:
    root = Path(DEVICES[f"emulated-{arch}"]["root"])
    if why := why_no_loopback_pi(root):
        pytest.skip(why)
    return root


@pytest.mark.emulated
def test_an_arm64_pi_is_benchmarked_over_ssh(edgeface: Run, tmp_path: Path) -> None:
    with loopback_pi(system("arm64"), tmp_path) as pi:
        (tmp_path / "devices.toml").write_text(pi.devices_toml("rpi"), "utf-8")
        status, _, err = edgeface(
            *("bench", str(MODEL), "--device", "rpi", "--devices", "devices.toml"),
            *("--json", "result.json", "--repeats", "1", "--min-duration-s", "0"),
        )
    assert status == 0, err
    result = read_result(tmp_path / "result.json")
    entry = result.entries[0]
    assert result.device_before.arch == "aarch64"
    assert not result.device_before.is_target
    assert entry.latency is not None
    assert entry.parity is not None
    assert entry.parity.n == 200
    assert entry.parity.holds
    assert not list((pi.root / "root" / ".edgeface").glob("*.tflite"))


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("arch", "runtime"), [("arm64", "ai-edge-litert"), ("armhf", "tflite-runtime")]
)
def test_an_emulated_system_computes_what_this_host_does(
    edgeface: Run, tmp_path: Path, arch: str, runtime: str
) -> None:
    root = system(arch)
    (tmp_path / "devices.toml").write_text(
        f'[arm]\nkind = "chroot"\nroot = "{root}"\narch = "{arch}"\n', "utf-8"
    )
    status, _, err = edgeface(
        *("bench", str(MODEL), "--device", "arm", "--devices", "devices.toml"),
        *("--json", "result.json"),
    )
    assert status == 0, err
    result = read_result(tmp_path / "result.json")
    entry = result.entries[0]
    assert result.runtime == runtime
    assert entry.latency is None  # an emulator's times are not a device's
    assert entry.parity is not None
    assert entry.parity.holds
