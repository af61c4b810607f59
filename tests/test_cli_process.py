"""The command line in a process of its own: what it loads, and how it ends when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgeface
from support.dense_artifact import write_dense_artifact

# trained in seconds, with an epoch to be stopped after
SMALL_RECIPE = """
[data]
drawn_count = 60
drawn_side_px = 32
[model]
width_ratio = 0.35
side_px = 32
weights = "none"
[train]
epochs = 3
batch_size = 8
[prune.fine_tune]
epochs = 1
batch_size = 8
[quantize]
calibration_images = 10
"""


def child(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run one command line in a fresh process, which says at last whether it has TensorFlow."""
    script = f"""
import sys
{before}
from edgeface.cli import main
try:
    main({list(arguments)!r})
except SystemExit as end:
    print([name for name in ("tensorflow", "tf_keras") if sys.modules.get(name)])
    raise
"""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def test_version_and_help_need_no_tensorflow() -> None:
    ended = child("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [f"edgeface {edgeface.__version__}", "[]"]
    ended = child("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    for command in ("compress", "bench", "predict"):
        assert command in ended.stdout
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_device_commands_need_no_tensorflow() -> None:
    for arguments in (("predict", "none.tflite", "x.png", "--no-detect"), ("bench", "none.tflite")):
        ended = child(*arguments)
        assert ended.returncode == 1
        assert ended.stderr.startswith("edgeface: none.tflite: no such model")
        assert ended.stdout == "[]\n"


def test_without_tensorflow_compress_says_what_to_install(tmp_path: Path) -> None:
    ended = child(
        "compress", "--out", str(tmp_path / "made"), before="sys.modules['tensorflow'] = None"
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "no --data: working on drawn faces; no figure of this run is about real ones",
        "edgeface: compress: tensorflow is not installed; install with: "
        "pip install 'edgeface[train]'",
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_tensorflow_writes_while_it_loads_is_not_shown(tmp_path: Path) -> None:
    ended = child("compress", "--data", str(tmp_path), "--out", str(tmp_path / "made"))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"edgeface: {tmp_path}: no labelled face set found")


@contextmanager
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command line as the leader of a process group, as a shell does; end it in any case.

    Ctrl-C is heard even where whoever runs the tests has it ignored.
    """
    script = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from edgeface.cli import main
main({list(arguments)!r})
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Read JSON lines until one is as wanted."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("{") and wanted(json.loads(line)):
            return
    raise AssertionError("".join(["it ended before:\n", *lines]))


def runners_of(process: subprocess.Popen[str]) -> list[int]:
    """Runners that it has started; a child that is still a copy of the parent is none yet."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii")
    found = [int(child) for child in listed.split()]
    return [pid for pid in found if b"edgeface.runtime.runner" in _proc(pid, "cmdline")]


def is_running(pid: int) -> bool:
    """Whether a process is there and not only its exit status, which init may be slow to take."""
    state = _proc(pid, "stat").rpartition(b")")[2].split()[:1]
    return state not in ([], [b"Z"])


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def half_written(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".tmp", ".part"))]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for children in /proc")
@pytest.mark.parametrize(
    ("kind", "send", "status"),
    [(signal.SIGINT, os.killpg, 130), (signal.SIGTERM, os.kill, 143)],
    ids=["Ctrl-C reaches the children too", "SIGTERM reaches the parent alone"],
)
def test_a_stopped_bench_leaves_no_process_and_no_result(
    kind: signal.Signals, send: Callable[[int, int], None], status: int, tmp_path: Path
) -> None:
    write_dense_artifact(tmp_path, "int8")
    before = sorted(tmp_path.rglob("*"))
    long = ("--min-duration-s", "600")
    arguments = ("--log-json", "bench", "dense.tflite", *long, "--json", "result.json")
    with started(*arguments, folder=tmp_path) as process:
        wait_for(process, lambda event: event.get("label") == "latency")
        while not (runners := runners_of(process)):
            assert process.poll() is None
        send(process.pid, kind)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (status, "")
        *_, end, error = [json.loads(line) for line in err.splitlines()]
        assert (end["event"], end["label"], end["done"]) == ("end", "latency", 0)
        assert (error["event"], error["text"]) == ("error", "stopped")
        until = time.monotonic() + 30  # each ends by itself at Ctrl-C, which takes it a moment
        while (left := [pid for pid in runners if is_running(pid)]) and time.monotonic() < until:
            time.sleep(0.01)
        assert left == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_stopped_compress_goes_on_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    where = ("--out", "made", "--calibration", "made/calibration")
    arguments = ("--log-json", "compress", "--recipe", "small.toml", *where)
    with started(*arguments, folder=tmp_path) as process:
        wait_for(
            process,
            lambda event: event.get("label") == "fine-tune" and bool(event.get("note")),
        )
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, out) == (130, "")
    error = json.loads(err.splitlines()[-1])  # all before it is JSON too: no traceback
    assert [json.loads(line)["event"] for line in err.splitlines()].count("error") == 1
    assert error["text"].startswith("stopped; what was finished is kept")
    assert half_written(tmp_path) == []
    assert list((tmp_path / "made").glob("*.tflite")) == [], "artifacts come whole, at the end"

    with started(*arguments, folder=tmp_path) as process:
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    events = [json.loads(line) for line in err.splitlines()]
    assert "error" not in {event["event"] for event in events}
    said = [event["text"] for event in events if event["event"] == "say"]
    assert any(text.startswith("fine-tune: goes on after epoch") for text in said)
    paths = [tmp_path / line for line in out.splitlines()]
    assert len(paths) == 4
    assert all(path.is_file() for path in paths)
    assert half_written(tmp_path) == []


def test_quiet_is_quiet_also_about_what_the_runtime_writes(tmp_path: Path) -> None:
    model = write_dense_artifact(tmp_path, "int8")
    picture = tmp_path / "face.png"
    done, png = cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))
    assert done
    picture.write_bytes(png.tobytes())
    predict = ("predict", str(model), str(picture), "--no-detect")
    loud, quiet = child(*predict), child("--quiet", *predict)
    assert (loud.returncode, quiet.returncode) == (0, 0)
    assert quiet.stdout == loud.stdout
    assert loud.stderr.startswith("INFO: "), "the runtime writes no line any more: drop this test"
    assert quiet.stderr == ""
