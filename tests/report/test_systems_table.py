"""Every published system has its rows in each form, and a figure that nobody measured says so."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import edgeface
from edgeface.bench.systems import PUBLISHED, PublishedFigure, SystemRow, system_rows
from edgeface.errors import ArtifactError
from edgeface.records import write_json
from edgeface.report.page.blocks import Table
from edgeface.report.page.systems import systems_section
from edgeface.report.results_page import results_page
from edgeface.report.systems_table import (
    read_system_rows,
    system_lines,
    system_notes,
    systems_folder,
    systems_markdown,
    systems_table,
)
from edgeface.types import (
    SIDECAR_SCHEMA_VERSION,
    Contract,
    HeadSpec,
    ImageSpec,
    Sidecar,
    TensorSpec,
)
from support.records import provenance
from support.report_results import (
    HEADS,
    INT8,
    entry,
    expressions,
    metric,
    quality,
    result,
)

RECIPES = Path(edgeface.__file__).parent / "recipes"
TENSOR = TensorSpec(name="x", shape=(1, 1), dtype="int8", scale=1.0, zero_point=0)
MEASURED = SystemRow(
    system="S4",
    model="cnn5-a100-128px-int8",
    recipe="",
    task="age",
    figure="mae",
    published=PublishedFigure(task="age", name="mae", low=6.7, high=7.8, unit="years"),
    data="utkface",
    split="test",
    n=4073,
    float32=metric("age", "mae", 6.5, "years"),
    int8=metric("age", "mae", 6.55, "years"),
    size_bytes=1_234_567,
    device="local",
    p50_ms=1.137,
    fps=21.96,
)
LINE = "| S4 | age MAE years | cnn5-a100-128px-int8 | utkface, test, n = 4,073 | 6.7–7.8 years | "
LINE += "6.50 (6.37–6.63) | 6.55 (6.42–6.68) | 1.23 | 1.14 (local) | 22.0 |"


def sidecar(name: str, scheme: str, system: str, **changes: object) -> Sidecar:
    made = Sidecar(
        schema_version=SIDECAR_SCHEMA_VERSION,
        name=name,
        backbone="cnn5",
        scheme=scheme,  # type: ignore[arg-type]  # one of the schemes
        sha256=name,
        size_bytes=2_000_000,
        contract=Contract(
            image=ImageSpec(side_px=128), input=TENSOR, outputs=(TENSOR,), heads=HEADS
        ),
        golden=(),
        provenance=provenance(recipe={"system": system}),
        quality=quality(0.9, 6.5),
        licence="none",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of the sidecar


def test_a_measured_row_has_all_its_figures() -> None:
    assert LINE in systems_markdown([MEASURED])
    console = Console(file=io.StringIO(), width=100)
    console.print(systems_table([MEASURED]))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    for figure in ("6.50", "6.37–6.63", "6.55", "1.23", "1.14", "22.0", "6.7–7.8", "4,073"):
        assert figure in text
    section = systems_section([MEASURED])
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert [cell.text for cell in table.rows[0]][5:] == [
        "6.50",
        "6.55",
        "1.23",
        "1.14 (local)",
        "22.0",
    ]


def test_what_was_done_to_a_model_is_said_once_below_the_table() -> None:
    row = replace(
        MEASURED, steps=("30 % of channels pruned", "int8 after training"), recipe="S4: x"
    )
    markdown = systems_markdown([row, replace(row, task="gender", figure="accuracy")])
    said = "cnn5-a100-128px-int8 (S4): 30 % of channels pruned, then int8 after training."
    assert markdown.count(said) == 1


def test_models_of_one_name_are_told_apart_by_their_recipes() -> None:
    blocks = "S4 as published, 3 blocks"
    details = ": grey 128 px, gender and age, Adam, BCE + MAE, 12 epochs"
    wide = f"{blocks}, wider branches, more dropout"
    rows = [replace(MEASURED, recipe=f"{each}{details}") for each in (blocks, wide)]
    assert [line.recipe for line in system_lines(rows)] == [blocks, wide]
    markdown = systems_markdown(rows)
    for each in (blocks, wide):
        assert f"| cnn5-a100-128px-int8 ({each}) | utkface, test" in markdown
    console = Console(file=io.StringIO(), width=100)
    console.print(systems_table(rows))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    assert "more dropout" in text
    assert "12 epochs" not in text.partition("Published: as")[0]
    section = systems_section(rows)
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    assert [row[2].detail for row in table.rows] == [blocks, wide]


def test_what_is_done_otherwise_here_is_a_note_of_its_own() -> None:
    notes = system_notes(system_rows(()))
    (ours,) = (note for note in notes if note.startswith("S1 here: "))
    assert notes[notes.index(ours) - 1].startswith("S1: "), "below what the authors say"
    assert "celeba-resnet18 and celeba-googlenet" in ours
    assert "random weights" in ours
    for name in ("resnet18", "googlenet"):
        text = (RECIPES / f"celeba-{name}.toml").read_text("utf-8")
        assert 'weights = "none"' in text, "the note holds"
    assert not any("here:" in note for note in system_notes([MEASURED]))


def test_every_published_figure_is_there_without_any_model() -> None:
    rows = system_rows(())
    lines = system_lines(rows)
    assert {line.system for line in lines} == {"S0", "S1", "S2", "S3", "S4"}
    assert len(lines) == sum(len(each.figures) for each in PUBLISHED)
    for line in lines:
        assert (line.model, line.data, line.size_mb, line.fps) == ("not measured",) * 4
    by_figure = {(line.system, line.figure, line.published) for line in lines}
    assert ("S1", "gender accuracy %", "92 % (VGG19)") in by_figure
    assert ("S3", "age decade right %", "58 %") in by_figure
    assert ("S3", "frames a second", "12.86 FPS") in by_figure
    speed = next(line for line in lines if line.figure == "frames a second")
    assert speed.float32.value == speed.int8.value == "", "no figure of a head"
    page = results_page([], Path("RESULTS.md"), rows)
    for system in PUBLISHED:
        assert f"| {system.id} |" in page
        assert any(note.startswith(f"{system.id}: {system.what}") for note in system_notes(rows))


def test_without_rows_there_is_no_table() -> None:
    assert systems_markdown([]) == ""
    assert systems_section([]) is None
    assert "Published" not in results_page([], Path("RESULTS.md"))


def test_rows_are_read_from_sidecars_alone_and_timed_by_results(tmp_path: Path) -> None:
    assert read_system_rows(tmp_path / "none", ()) == ()
    names = ("cnn5-a100-128px-float32", "cnn5-a100-128px-int8")
    for name, scheme in zip(names, ("float32", "int8"), strict=True):
        write_json(tmp_path / f"{name}.json", sidecar(name, scheme, "S4"))
    other = quality(0.9, 5.0)
    faces = replace(other, metrics=(*other.metrics, *expressions()))
    stranger = HeadSpec(name="expression", kind="classes", tensor="x", classes=("a", "b", "c"))
    contract = replace(sidecar("x", "int8", "S3").contract, heads=(stranger,))
    write_json(tmp_path / "s3.json", sidecar("s3", "int8", "S3", contract=contract, quality=faces))
    timed = result(entry(INT8, 2.0, 1, artifact_sha256=names[1]), baseline=None)
    rows = read_system_rows(tmp_path, [timed])
    lines = {(line.system, line.figure): line for line in system_lines(rows)}
    ours = lines["S4", "age MAE years"]
    assert (ours.model, ours.published) == (names[1], "6.7–7.8 years")
    assert ours.float32.one_line() == ours.int8.one_line() == "6.50 (6.37–6.63)"
    assert (ours.size_mb, ours.p50_ms) == ("2.00", "2.00 (local, Some CPU)")
    assert lines["S3", "expression accuracy %"].float32.value == "not measured"
    assert lines["S3", "expression accuracy %"].int8.value == "57.1"  # 4 / 7
    assert lines["S0", "gender accuracy %"].model == "not measured"


def test_the_folder_lies_beside_the_results(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    file = tmp_path / "results" / "one.json"
    file.write_text("{}")
    for results in (tmp_path / "results", file):
        assert systems_folder(results) == tmp_path / "systems"


def test_another_file_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(ArtifactError, match=r"notes\.json: not a sidecar: .*schema_version"):
        read_system_rows(tmp_path, ())


def test_names_cannot_write_markup() -> None:
    evil = replace(MEASURED, model="<b>|x\x1b", recipe="<i>\x1b|\nz", data="[y](z)")
    text = systems_markdown([evil])
    assert "\\<b\\>\\|x\\x1b (\\<i\\>\\x1b\\| z)" in text.replace("\\\\", "\\")
    assert "\x1b" not in text
    assert "\\[y\\](z)" in text
