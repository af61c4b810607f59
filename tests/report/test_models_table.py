"""A folder's models are listed with their sidecars' figures; a damaged one does not hide others."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from edgeface.cli_results import models, report
from edgeface.errors import ArtifactError, BenchmarkError
from edgeface.records import write_json
from edgeface.report.models_table import list_models, model_mapping, models_table
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    HeadSpec,
    ImageSpec,
    Metric,
    Quality,
    Sidecar,
    TensorSpec,
)
from support.records import provenance

INT8 = "mobilenetv2-a100-128px-p30-int8"
RANDOM = "vgg16-a100-128px-float32"
QUALITY = Quality(
    data="utkface",
    split="test",
    manifest_sha256="ab",
    n=4073,
    metrics=(
        Metric(
            task="gender", name="accuracy", value=0.943, low=0.935, high=0.95, unit="ratio", n=4073
        ),
        Metric(task="age", name="mae", value=4.4, low=4.25, high=4.55, unit="years", n=4073),
    ),
)


def write_model(folder: Path, name: str, **changes: Any) -> Path:
    """Write bytes that no runtime would run, and a sidecar that fits them."""
    content = b"\0\0\0\0TFL3" + name.encode() * 40_000
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    trained = changes.pop("trained", True)
    sidecar = Sidecar(
        schema_version=SIDECAR_SCHEMA_VERSION,
        name=name,
        backbone=name.split("-")[0],
        scheme="int8",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        contract=Contract(
            image=ImageSpec(side_px=128),
            input=TensorSpec(name="image", shape=(1, 128, 128, 3), dtype="float32"),
            outputs=(TensorSpec(name="age", shape=(1, 1), dtype="float32"),),
            heads=(HeadSpec(name="age", kind="regression", tensor="age", unit="years"),),
        ),
        golden=(),
        provenance=provenance(trained=trained, pruning_ratio=0.3 if "-p30-" in name else 0.0),
        quality=QUALITY if trained else None,
        licence="research only" if trained else "random weights",
    )
    write_json(path.with_suffix(".json"), replace(sidecar, **changes))
    return path


def printed(folder: Path, width: int = 100) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(models_table(list_models(folder)))
    return text.getvalue()


def test_the_table_has_the_figures_of_the_sidecar(tmp_path: Path) -> None:
    write_model(tmp_path, INT8)
    write_model(tmp_path, RANDOM, trained=False, scheme="float32")
    (tmp_path / "manifest.json").write_text("{}")  # `compress` puts one beside the models
    text = printed(tmp_path)
    size_mb = (8 + len(INT8) * 40_000) / 1e6
    for words in (
        INT8,
        "width 1.00, 128 px",
        "30 % of",
        f"{size_mb:.2f}",
        "utkface, test",
        "n = 4,073",
        "94.3",
        "93.5–95.0",
        "4.40",
        "4.25–4.55",
        "licence (1)",
        "licence (2)",
        "(1) research only",
        "(2) random weights",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100
    assert "manifest" not in text


def test_nothing_is_squeezed_at_100_columns(tmp_path: Path) -> None:
    name = "mobilenetv2-a100-128px-macs50-s80-qat-int8"
    write_model(tmp_path, name)
    write_model(tmp_path, RANDOM, trained=False)
    lines = printed(tmp_path).splitlines()
    at = next(number for number, line in enumerate(lines) if name in line)
    assert lines[at].split()[-2:] == ["94.3", "4.40"]
    assert lines[at + 1].split()[-2:] == ["93.5–95.0", "4.25–4.55"]
    at = next(number for number, line in enumerate(lines) if RANDOM in line)
    assert lines[at].split()[-3:] == ["random", "not", "not"]
    assert lines[at + 1].split()[-3:] == ["weights", "measured", "measured"]


def test_a_figure_of_fewer_images_says_how_many(tmp_path: Path) -> None:
    gender, age = QUALITY.metrics
    other = replace(gender, task="expression", value=0.5, low=0.4, high=0.6, n=3589)
    mixed = replace(QUALITY, n=7662, metrics=(replace(gender, n=4073), age, other))
    write_model(tmp_path, INT8, quality=mixed)
    lines = printed(tmp_path).splitlines()
    assert max(map(len, lines)) <= 100
    at = next(number for number, line in enumerate(lines) if INT8 in line)
    assert "n = 7,662" in lines[at + 1]
    assert " ".join(lines[at + 2].split()).endswith("n = 4,073 n = 4,073")
    assert "expression accuracy 50.0 % (40.0–60.0; n = 3,589)" in " ".join(
        printed(tmp_path, 200).split()
    )


def test_the_mapping_has_name_scheme_size_figures_and_licence(tmp_path: Path) -> None:
    path = write_model(tmp_path, INT8)
    (listing,) = list_models(tmp_path)
    found = model_mapping(listing)
    assert json.loads(json.dumps(found)) == found
    assert found["path"] == str(path)
    assert (found["name"], found["scheme"], found["trained"]) == (INT8, "int8", True)
    assert found["size_bytes"] == path.stat().st_size
    assert found["compression"]["steps"] == ["30 % of channels pruned"]
    assert found["quality"]["n"] == 4073
    assert found["quality"]["metrics"][1]["value"] == 4.4
    assert found["licence"] == "research only"


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.with_suffix(".json").write_text("{"), "not JSON"),
        (lambda path: path.with_suffix(".json").unlink(), "no sidecar beside the model"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "copy both files again"),
        (lambda path: path.write_bytes(b"no model"), "not a .tflite"),
    ],
)
def test_a_damaged_one_is_one_line_beside_the_rest(tmp_path: Path, damage: Any, text: str) -> None:
    write_model(tmp_path, INT8)
    damage(write_model(tmp_path, "broken"))
    broken, whole = list_models(tmp_path)
    assert whole.sidecar is not None
    assert broken.sidecar is None
    assert text in broken.error
    assert "\n" not in broken.error
    assert INT8 in printed(tmp_path)
    assert model_mapping(broken) == {"path": str(broken.path), "error": broken.error}


def test_a_licence_cannot_steer_the_terminal(tmp_path: Path) -> None:
    write_model(tmp_path, INT8, licence="free\x1b[2J [red]of charge[/red]\nfake line")
    text = printed(tmp_path)
    assert "\x1b" not in text
    assert r"free\x1b[2J [red]of charge[/red]\nfake line" in " ".join(text.split())


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        list_models(tmp_path / "none")


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer(pretty_exceptions_enable=False)
    made.command()(models)
    made.command()(report)
    return made


def test_the_command_lists_the_rest_and_ends_with_1(tmp_path: Path, app: typer.Typer) -> None:
    write_model(tmp_path, INT8)
    ran = CliRunner().invoke(app, ["models", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert INT8 in ran.stdout
    assert ran.stderr == ""
    write_model(tmp_path, "broken").with_suffix(".json").write_text("{")
    ran = CliRunner().invoke(app, ["models", str(tmp_path)])
    assert ran.exit_code == 1
    assert INT8 in ran.stdout
    assert ran.stderr.count("\n") == 1
    assert "broken.json: not JSON" in ran.stderr
    ran = CliRunner().invoke(app, ["models", str(tmp_path), "--json"])
    assert ran.exit_code == 1
    broken, whole = map(json.loads, ran.stdout.splitlines())
    assert "broken.json: not JSON" in broken["error"]
    assert whole["name"] == INT8


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path, app: typer.Typer) -> None:
    ran = CliRunner().invoke(app, ["models", str(tmp_path)])
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert "holds no .tflite; make some with: edgeface compress --out" in ran.stderr


def test_report_writes_the_page_and_checks_it(tmp_path: Path, app: typer.Typer) -> None:
    results, out = tmp_path / "results", tmp_path / "RESULTS.md"
    results.mkdir()
    arguments = ["report", "--results", str(results), "--out", str(out)]
    ran = CliRunner().invoke(app, [*arguments, "--check"])
    assert isinstance(ran.exception, BenchmarkError)
    assert not out.exists()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert out.read_text("utf-8").startswith("# Results\n")
    assert CliRunner().invoke(app, [*arguments, "--check"]).exit_code == 0
    out.write_text("other")
    ran = CliRunner().invoke(app, [*arguments, "--check"])
    assert isinstance(ran.exception, BenchmarkError)
    assert out.read_text("utf-8") == "other"
