"""Times of single layers: each is measured once, kept, and read back strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeface.bench import layer_times as module
from edgeface.bench.layer_times import layer_times, read_layer_times, write_layer_times
from edgeface.errors import BenchmarkError
from edgeface.types import SilentReporter


def test_equal_files_are_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def stopwatch(name: str, content: bytes) -> float:
        timed.append(name)
        return float(len(content))

    monkeypatch.setattr(module, "_median_ms", stopwatch)
    files = {"first": b"aa", "second": b"bbb", "third": b"aa"}
    assert layer_times(files, SilentReporter()) == {"first": 2.0, "second": 3.0, "third": 2.0}
    assert timed == ["first", "second"]


def test_times_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "times.json"
    write_layer_times(path, {"conv": 0.25, "dense": 1e-3})
    assert read_layer_times(path) == {"conv": 0.25, "dense": 1e-3}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"layer_ms": {}}',
        '{"layer_ms": {"conv": 0}}',
        '{"layer_ms": {"conv": -1}}',
        '{"layer_ms": {"conv": "fast"}}',
        '{"layer_ms": {"conv": NaN}}',
        '{"layer_ms": {"conv": 1}, "more": 1}',
    ],
)
def test_a_bad_file_of_times_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "times.json"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=r"times\.json: cannot be read"):
        read_layer_times(path)


def test_a_missing_file_of_times_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="absent"):
        read_layer_times(tmp_path / "absent.json")


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    write_layer_times(tmp_path / "times.json", {"conv": 1.0})
    assert [file.name for file in tmp_path.iterdir()] == ["times.json"]
    assert json.loads((tmp_path / "times.json").read_text()) == {"layer_ms": {"conv": 1.0}}
