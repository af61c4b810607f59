"""The command line in a process of its own: what it loads, and what it does without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import edgeface


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
