"""`docs/own-attribute.md` is done as it stands there: a table, a recipe and three commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeface.data.drawn import draw_face
from edgeface.data.manifest_file import read_manifest
from edgeface.runtime.artifact import load_artifact
from support.celeba_like import save, with_glasses
from support.documents import Block, blocks, commands

PAGE = Path(__file__).parents[2] / "docs" / "own-attribute.md"
FACES = 60
# what makes the page's recipe small: every value of it that costs time
SMALL = {
    "side_px = 128": "side_px = 32\nwidth_ratio = 0.35",
    'weights = "imagenet"': 'weights = "none"',
    "epochs = 12": "epochs = 1",
    "epochs = 6": "epochs = 1",
    "batch_size = 64": "batch_size = 8",
    "calibration_images = 300": "calibration_images = 16",
}


def only(found: Iterator[Block]) -> Block:
    (block,) = found
    return block


def recipe_text() -> str:
    text = only(block for block in blocks(PAGE) if block.language == "toml").text
    for of_page, small in SMALL.items():
        assert of_page in text, of_page
        text = text.replace(of_page, small)
    return text


def make_table(folder: Path) -> None:
    """A table with the page's columns; every fifth face has no gender, every third is unsaid."""
    header = only(block for block in blocks(PAGE) if block.language == "text").text.split("\n")[0]
    assert header == "path,age,gender,glasses"
    lines = [header]
    for index in range(FACES):
        face = draw_face(seed=5, index=index, side_px=64)
        wears = index % 2 == 1
        save(folder / f"{index}.png", with_glasses(face.image) if wears else face.image)
        gender = "" if index % 5 == 0 else ("male", "female")[face.gender]
        glasses = "" if index % 3 == 0 else ("no", "yes")[wears]
        lines.append(f"{index}.png,{face.age_years},{gender},{glasses}")
    (folder / "faces.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_the_page_works_as_it_stands(
    edgeface: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    make_table(tmp_path)
    (tmp_path / "glasses.toml").write_text(recipe_text())
    block = only(b for b in blocks(PAGE) if b.is_shell and "edgeface compress" in b.text)
    for program, *words in commands(block.text):
        assert program == "edgeface"
        status, _, err = edgeface(*words)
        assert status == 0, f"{shlex.join(words)}: {err}"
    manifest = read_manifest(tmp_path / "faces.json")
    assert {a.name: a.classes for a in manifest.sources[0].attributes} == {
        "gender": ("male", "female"),
        "glasses": ("no", "yes"),
    }
    artifact = load_artifact(tmp_path / "mine" / "mobilenetv2-glasses-a35-32px-p30-int8.tflite")
    heads = {head.name: (head.kind, head.classes) for head in artifact.sidecar.contract.heads}
    assert heads == {
        "gender": ("binary", ("male", "female")),
        "age": ("median", ()),
        "glasses": ("binary", ("no", "yes")),
    }
    quality = artifact.sidecar.quality
    assert quality is not None
    assert {"gender", "age", "glasses"} == {metric.task for metric in quality.metrics}


def test_classes_in_another_order_end_the_run_in_one_line(
    edgeface: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    make_table(tmp_path)
    wrong = recipe_text().replace('["no", "yes"]', '["yes", "no"]')
    (tmp_path / "glasses.toml").write_text(wrong)
    status, _, _ = edgeface(
        "data", "prepare", "faces.csv", "--attribute", "glasses", "--out", "faces.json"
    )
    assert status == 0
    status, _, err = edgeface(
        "train", "--recipe", "glasses.toml", "--data", "faces.json", "--out", "trained"
    )
    assert status == 1
    assert "glasses is no, yes in the data and yes, no in the model" in err
    assert not list((tmp_path / "trained").rglob("*")), "nothing was trained or written"
