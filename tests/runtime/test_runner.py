"""`runner`: its clockwork on a clock made of numbers, and its two commands as processes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import pytest

from edgeface.errors import DeviceError
from edgeface.runtime import runner
from edgeface.runtime.interpreter import LoadedModel, open_model
from edgeface.runtime.runner import main, resident_bytes, time_runs


class Clock:
    """Moves by the next of `durations_ms` when the timed call is made, and not otherwise."""

    def __init__(self, durations_ms: Sequence[float]) -> None:
        self.now_ns = 1_000
        self.collector_was_on = False
        self.durations_ms = list(durations_ms)

    def call(self) -> None:
        self.collector_was_on |= gc.isenabled()
        self.now_ns += int(self.durations_ms.pop(0) * 1e6)

    def read(self) -> int:
        return self.now_ns


def timed(durations_ms: Sequence[float], **limits: Any) -> Tuple[runner.Timing, int]:
    clock = Clock(durations_ms)
    timing = time_runs(clock.call, clock.read, **limits)
    assert not clock.collector_was_on
    return timing, len(clock.durations_ms)


def test_each_run_gets_its_own_time_and_place() -> None:
    timing, left = timed(
        [9, 5, 4, 3, 1, 2, 7, 7],
        warmup_runs=2,
        min_runs=4,
        min_duration_s=0,
        max_runs=100,
    )
    assert timing.first_inference_ms == 9
    assert list(timing.warmup_ms) == [5, 4]
    assert list(timing.latency_ms) == [3, 1, 2, 7]
    assert left == 1


def test_it_goes_on_until_the_time_is_over() -> None:
    # after the first run 1 s has to pass in runs of 300 ms: 4 of them
    timing, _ = timed([2000] + [300] * 9, warmup_runs=0, min_runs=2, min_duration_s=1, max_runs=99)
    assert len(timing.latency_ms) == 4


def test_the_most_runs_end_it_early() -> None:
    timing, _ = timed([1] * 20, warmup_runs=3, min_runs=2, min_duration_s=60, max_runs=7)
    assert len(timing.latency_ms) == 7


def test_garbage_collection_is_back_even_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(IndexError):  # the clock runs out of durations
        timed([1], warmup_runs=5, min_runs=1, min_duration_s=0, max_runs=1)
    assert gc.isenabled()


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgeface.runtime.runner", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_latency_prints_one_object(int8_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    done = run_module(
        "latency", str(path), "--threads", "2", "--warmup-runs", "3", "--min-runs", "5",
        "--min-duration-s", "0", "--max-runs", "6",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == [
        "runtime",
        "runtime_version",
        "threads",
        "load_ms",
        "first_inference_ms",
        "warmup_ms",
        "latency_ms",
    ]
    assert result["threads"] == 2
    assert (len(result["warmup_ms"]), len(result["latency_ms"])) == (3, 5)
    assert min([result["load_ms"], result["first_inference_ms"], *result["latency_ms"]]) > 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_of_this_process_not_of_its_parent(int8_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    # ru_maxrss would report the 300 MB of the parent
    parent = (
        "import subprocess, sys; held = bytearray(b'x') * 300_000_000;"
        "sys.exit(subprocess.run([sys.executable, '-m', 'edgeface.runtime.runner', 'memory',"
        " sys.argv[1], '--runs', '2']).returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == ["peak_rss_bytes", "baseline_rss_bytes"]
    assert 5_000_000 < result["baseline_rss_bytes"] <= result["peak_rss_bytes"] < 250_000_000


def test_errors_are_one_json_object_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tflite").write_text("not a model at all")
    for command in ("latency", "memory"):
        for name, text in [("none.tflite", "no such model"), ("text.tflite", "not a .tflite")]:
            assert main([command, str(tmp_path / name)]) == 1
            result = json.loads(capsys.readouterr().out)
            assert list(result) == ["error"]
            assert text in result["error"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required: command"),
        (["latency"], "required: MODEL.tflite"),
        (["latency", "m", "--threads", "0"], "found 0, expected 1 or more"),
        (["latency", "m", "--threads", "two"], "invalid count value: 'two'"),
        (["latency", "m", "--min-duration-s", "nan"], "expected 0 to 3600 seconds"),
        (["latency", "m", "--min-runs", "9", "--max-runs", "5"], "--max-runs 5 is below"),
        (["memory", "m", "--runs", "0"], "found 0, expected 1 or more"),
        (["memory", "m", "--min-runs", "5"], "unrecognized arguments: --min-runs"),
    ],
)
def test_wrong_usage_is_status_2(
    arguments: List[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert text in capsys.readouterr().err


def test_resident_size_by_hand() -> None:
    status = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t   65 kB\nVmRSS:\t   12 kB\n"
    assert resident_bytes("VmHWM", status) == 65 * 1024
    assert resident_bytes("VmRSS", status) == 12 * 1024
    with pytest.raises(DeviceError, match="no VmHWM"):
        resident_bytes("VmHWM", "Name:\tx\n")


def test_memory_is_the_peak_against_the_size_before(
    int8_model: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    status = tmp_path / "status"
    status.write_text("VmHWM:\t   65 kB\nVmRSS:\t   12 kB\n")
    monkeypatch.setattr(runner, "_STATUS", status)
    assert main(["memory", str(path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == {"peak_rss_bytes": 65 * 1024, "baseline_rss_bytes": 12 * 1024}


@pytest.mark.parametrize("command", ["latency", "memory"])
def test_the_threads_reach_the_model(
    command: str, int8_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_recorded(content: bytes, *, threads: int = 1, where: str) -> LoadedModel:
        seen.append(threads)
        return open_model(content, threads=threads, where=where)

    seen: List[int] = []
    monkeypatch.setattr(runner, "open_model", open_recorded)
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    brief = ["--min-duration-s", "0"] if command == "latency" else []
    assert main([command, str(path), "--threads", "3", *brief]) == 0
    assert seen == [3]


def test_memory_needs_proc(
    int8_model: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    monkeypatch.setattr(runner, "_STATUS", tmp_path / "no" / "status")
    assert main(["memory", str(path)]) == 1
    assert "memory is measured on Linux only" in json.loads(capsys.readouterr().out)["error"]
