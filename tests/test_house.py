"""Rules of the house that no linter knows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "toolkit").rglob("*.py"))
MAX_LINES = 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_long(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path}: {lines} lines, expected at most {MAX_LINES}; divide it"


def test_every_layer_is_checked() -> None:
    """A new room or top-level file must be given its place in the one-way flow."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    package = ROOT / "toolkit" / "edgeface"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    assert {layer.removeprefix("edgeface.") for layer in layers} == rooms | files


def test_nothing_names_the_shared_folder() -> None:
    """The project must work without the faces it was developed on."""
    for path in SOURCES:
        assert "/shared" not in path.read_text("utf-8"), path


@pytest.mark.parametrize("folder", ["", "calibration_data", "exported", "benchmarks"])
def test_links_lead_somewhere(folder: str) -> None:
    page = ROOT / folder / "README.md"
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_readme_tests_with_the_command_ci_uses() -> None:
    assert "make test" in (ROOT / "README.md").read_text("utf-8")
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
