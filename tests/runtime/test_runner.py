"""`runner`: its command line, and its commands as processes; `runner_measure`: the measurements."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from edgeface.errors import DeviceError
from edgeface.records import from_mapping
from edgeface.runtime import runner_measure
from edgeface.runtime.interpreter import LoadedModel, open_model
from edgeface.runtime.runner import main
from edgeface.runtime.runner_measure import resident_bytes
from edgeface.runtime.telemetry import DeviceSample

LATENCY_KEYS = [
    "runtime",
    "runtime_version",
    "threads",
    "load_ms",
    "first_inference_ms",
    "warmup_ms",
    "latency_ms",
]


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
    assert list(result) == LATENCY_KEYS  # all that an edgeface knows which does not ask for more
    assert result["threads"] == 2
    assert (len(result["warmup_ms"]), len(result["latency_ms"])) == (3, 5)
    assert min([result["load_ms"], result["first_inference_ms"], *result["latency_ms"]]) > 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are bound on Linux only")
def test_latency_on_one_core_with_samples(int8_model: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    core = min(os.sched_getaffinity(0))
    done = run_module(
        "latency", str(path), "--cores", str(core), "--sample-interval-s", "0.000001",
        "--warmup-runs", "0", "--min-runs", "3", "--min-duration-s", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert sorted(result) == sorted([*LATENCY_KEYS, "cores", "samples", "clock_jump_s"])
    assert result["cores"] == [core]
    samples = [from_mapping(DeviceSample, each) for each in result["samples"]]
    assert len(samples) == 1 + 3 + 1  # before the first, before each that counts, after the last
    times_s = [sample.t_s for sample in samples]
    assert times_s == sorted(times_s)
    assert times_s[0] >= 0


def test_no_samples_if_the_interval_is_0(
    int8_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    brief = ["--min-duration-s", "0", "--max-runs", "2", "--min-runs", "2"]
    assert main(["latency", str(path), "--sample-interval-s", "0", *brief]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["samples"], result["cores"]) == ([], None)


def test_soak_gives_one_record_a_window(
    int8_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    assert main(["soak", str(path), "--minutes", "0.005", "--window-s", "0.1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [
        *LATENCY_KEYS[:3],
        "cores",
        *LATENCY_KEYS[3:5],
        "windows",
        "samples",
        "clock_jump_s",
    ]
    windows = result["windows"]
    assert 1 <= len(windows) <= 3  # 0.3 s; a busy machine may need longer for one
    assert [window["t_s"] for window in windows] == sorted(window["t_s"] for window in windows)
    for window in windows:
        assert window["runs"] >= 1
        assert 0 < window["p50_ms"] <= window["p90_ms"] <= window["max_ms"]
    assert len(result["samples"]) >= 2  # one a second, and one at either end


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
    for command in ("latency", "memory", "partitions"):
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
        (["latency", "m", "--cores", "0,zero"], "invalid _cores value"),
        (["latency", "m", "--cores", "1,1"], "expected different numbers, e.g. 0,1"),
        (["latency", "m", "--cores=-1"], "expected different numbers, e.g. 0,1"),
        (["latency", "m", "--sample-interval-s", "-1"], "expected 0 to 3600 seconds"),
        (["soak", "m"], "required: --minutes"),
        (["soak", "m", "--minutes", "0"], "expected above 0 and at most 1440 minutes"),
        (["soak", "m", "--minutes", "1", "--window-s", "nan"], "at most 3600 seconds"),
        (["outputs", "m"], "required: FACES.npz"),
        (["frames", "m"], "required: PICTURE"),
        (["partitions"], "required: MODEL.tflite"),
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
    monkeypatch.setattr(runner_measure, "_STATUS", status)
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
    monkeypatch.setattr(runner_measure, "open_model", open_recorded)
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
    monkeypatch.setattr(runner_measure, "_STATUS", tmp_path / "no" / "status")
    assert main(["memory", str(path)]) == 1
    assert "memory is measured on Linux only" in json.loads(capsys.readouterr().out)["error"]


def test_a_core_that_is_not_there_is_an_error(
    int8_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    assert main(["latency", str(path), "--cores", "9999"]) == 1
    assert "cores: found 9999, expected some of" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("missing", "command", "text"),
    [
        ("numpy", "latency", "lacks what latency needs"),
        ("numpy", "latency", "pip install numpy"),
        ("cv2", "frames", "pip install 'opencv-python-headless<5'"),
    ],
)
def test_a_package_that_is_missing_is_named(
    missing: str, command: str, text: str, tmp_path: Path
) -> None:
    arguments = [command, str(tmp_path / "m.tflite"), *(["p.png"] if command == "frames" else [])]
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"from edgeface.runtime.runner import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert text in json.loads(done.stdout)["error"]


def test_a_fault_of_edgefaces_own_is_not_blamed_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "edgeface.runtime.runner_measure", None)
    with pytest.raises(ModuleNotFoundError, match="runner_measure"):
        main(["memory", "m.tflite"])


def test_partitions_are_the_runtimes_nodes(
    int8_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(int8_model.content)
    assert main(["partitions", str(path)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["runtime", "runtime_version", "nodes"]
    kinds = [node["kind"] for node in result["nodes"]]
    assert kinds[:2] == ["FULLY_CONNECTED"] * 2  # the operators, then one node a partition
    assert set(kinds[2:]) <= {"DELEGATE"}


def test_a_model_that_the_runtime_refuses_is_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3")
    assert main(["partitions", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["refused"]
