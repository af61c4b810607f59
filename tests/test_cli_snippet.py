"""`edgeface snippet`: code to stdout or to a new file, never over another."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edgeface.cli_snippet import snippet
from edgeface.errors import ArtifactError, ConfigError, DataError, EdgefaceError
from edgeface.report.snippets import Language
from edgeface.report.snippets import snippet as code_for
from edgeface.runtime.artifact import load_artifact
from support.dense_artifact import write_dense_artifact

APP = typer.Typer()
APP.command()(snippet)


def run(*arguments: Path | str) -> str:
    """Give stdout, or raise what the command raised."""
    ended = CliRunner().invoke(APP, [str(each) for each in arguments])
    if isinstance(ended.exception, EdgefaceError):
        raise ended.exception
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_dense_artifact(tmp_path, "int8")


def test_python_is_the_default_and_goes_to_stdout(model: Path) -> None:
    sidecar = load_artifact(model).sidecar
    assert run(model) == code_for(sidecar, Language.PYTHON)
    for language in Language:
        assert run(model, "--language", language) == code_for(sidecar, language)


def test_a_file_is_written_once(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "face.kt"
    assert run(model, "--language", "kotlin", "--out", out) == ""
    assert out.read_text("utf-8") == code_for(load_artifact(model).sidecar, Language.KOTLIN)
    with pytest.raises(ConfigError, match="is there already; give another name"):
        run(model, "--out", out)
    assert "kotlin" in out.read_text("utf-8")


def test_what_cannot_be_done_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found 'rust', expected one of python, cpp, kotlin"):
        run(model, "--language", "rust")
    with pytest.raises(DataError, match="cannot be written: No such file or directory"):
        run(model, "--out", tmp_path / "none" / "face.py")
    with pytest.raises(ArtifactError, match="no such model"):
        run(tmp_path / "none.tflite")
    model.with_suffix(".json").write_text("{}")
    with pytest.raises(ArtifactError, match="not a sidecar"):
        run(model)
