"""What holds for all of `runtime`: no TensorFlow, nothing heavy, and Python 3.9's syntax."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

import edgeface

PACKAGE = Path(edgeface.__file__).parent
RUNTIME = sorted((PACKAGE / "runtime").glob("*.py"))
DEVICE_SIDE = [*(PACKAGE / f"{name}.py" for name in ("types", "errors", "records")), *RUNTIME]


def imported_by(modules: List[str]) -> List[str]:
    code = f"import sys, {', '.join(modules)}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_runtime_imports_no_tensorflow() -> None:
    modules = [f"edgeface.runtime.{path.stem}" for path in RUNTIME if path.stem != "__init__"]
    assert len(modules) >= 8
    found = imported_by(modules)
    assert "edgeface.runtime.selftest" in found
    assert "cv2" in found
    heavy = {"tensorflow", "tf_keras", "keras", "litert_quantizer", "typer", "rich", "scipy"}
    assert not heavy & set(found)


def test_measuring_imports_no_opencv() -> None:  # it would count as the model's memory
    found = imported_by(["edgeface.runtime.runner", "edgeface.runtime.runner_measure"])
    assert "numpy" in found
    assert "cv2" not in found


def test_a_device_can_say_who_it_is_without_numpy() -> None:
    found = imported_by(["edgeface.runtime.runner", "edgeface.runtime.runner_identify"])
    assert "edgeface.runtime.device_facts" in found
    assert not {"numpy", "cv2", "ai_edge_litert"} & set(found)


@pytest.mark.parametrize("path", DEVICE_SIDE, ids=lambda path: path.stem)
def test_the_syntax_is_that_of_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    keywords = {
        keyword.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }
    assert not keywords & {"kw_only", "slots", "strict"}  # of dataclass and zip: newer than 3.9
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if path.stem != "__init__":
        assert futures[0].module == "__future__"  # else `X | None` in a signature would be run
