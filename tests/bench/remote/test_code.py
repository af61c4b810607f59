"""The zip that is pushed: complete, the same each time, and enough to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgeface.bench.remote.code import device_code


def test_the_runner_runs_from_the_zip_alone(tmp_path: Path) -> None:
    code = device_code()
    path = tmp_path / code.name
    path.write_bytes(code.content)
    program = "import edgeface.runtime.runner as r; print(r.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{path}/edgeface/runtime/runner.py"


def test_the_same_code_is_the_same_bytes() -> None:
    assert device_code() == device_code()
    assert device_code().name.startswith("edgeface-")
