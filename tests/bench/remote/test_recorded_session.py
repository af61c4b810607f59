"""A whole benchmark as an arm64 system once answered it, so that no emulator is needed."""

from __future__ import annotations

from pathlib import Path

from edgeface.bench.remote.recorded import RecordedTransport
from support.recorded_session import FILE, benchmark


def test_a_recorded_pi_is_benchmarked_from_nothing(tmp_path: Path) -> None:
    device = RecordedTransport(FILE)
    result = benchmark(device, tmp_path)
    entry = result.entries[0]
    assert device.left == 0  # nothing else was asked, and nothing less
    assert result.device_before.arch == "aarch64"
    assert not result.device_before.is_target
    assert (result.runtime, result.runtime_version) == ("ai-edge-litert", "2.3.0")
    assert entry.latency is not None
    assert [len(repeat) for repeat in entry.latency.repeats] == [3, 3]
    assert entry.memory is not None
    assert [each.threads for each in entry.sweep] == [1, 2]
    assert entry.delegation is not None
    assert result.samples
