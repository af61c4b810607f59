"""The code that runs a model without edgeface says what edgeface says; Python, and all texts."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.report.snippets import (
    Language,
    cpp_string,
    kotlin_string,
    python_string,
    snippet,
)
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.crop import HAAR_FRAMING, crop, haar_square
from edgeface.runtime.predict import describe_face, describe_picture, open_predictor, predict_faces
from edgeface.runtime.preprocess import read_image
from support.snippet_cases import (
    ROOT,
    SHIPPED,
    dense,
    face,
    headed,
    make_snippets,
    shipped,
    write_picture,
)


def module(artifact: Artifact, folder: Path) -> dict[str, Any]:
    """The Python snippet's names, without running it."""
    path = folder / "face.py"
    path.write_text(snippet(artifact.sidecar, Language.PYTHON), "ascii")
    return runpy.run_path(str(path))


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return module(shipped(), tmp_path_factory.mktemp("code"))


@pytest.mark.parametrize("side_px", [77, 128, 300])
def test_python_prints_what_predict_prints(side_px: int, tmp_path: Path) -> None:
    artifact = shipped()
    picture = write_picture(tmp_path / "ü.png", face(side_px))
    code = tmp_path / "face.py"
    code.write_text(snippet(artifact.sidecar, Language.PYTHON), "utf-8")
    ended = subprocess.run(
        [sys.executable, "-X", "utf8", str(code), str(artifact.path), str(picture)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    faces = describe_picture(open_predictor(artifact), read_image(picture), None)
    line = {"image": str(picture), "faces": faces}
    assert ended.stdout == json.dumps(line, ensure_ascii=False) + "\n"


def test_python_cuts_around_a_box_and_says_it(
    code: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = shipped()
    picture = write_picture(tmp_path / "face.png", face(240))
    code["main"]([str(artifact.path), str(picture), "50", "40", "150", "150"])
    (said,) = json.loads(capsys.readouterr().out)["faces"]
    cut = crop(face(240), haar_square(50, 40, 150, 150))
    values = predict_faces(open_predictor(artifact), [cut])
    assert said == describe_face(values, artifact.sidecar.contract, 0, (50, 40, 150, 150))
    with pytest.raises(SystemExit, match="usage"):
        code["main"]([str(artifact.path)])
    with pytest.raises(SystemExit, match="no picture"):
        code["main"]([str(artifact.path), str(artifact.path)])


def test_python_needs_nothing_of_edgeface() -> None:
    tree = ast.parse(snippet(shipped().sidecar, Language.PYTHON), feature_version=(3, 9))
    found = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    runtimes = {"ai_edge_litert.interpreter", "tflite_runtime.interpreter"}
    assert found == {"hashlib", "json", "sys", "cv2", "numpy"} | runtimes


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_python_knows_every_type_and_kind(dtype: str, tmp_path: Path) -> None:
    artifact = dense(tmp_path, dtype)
    names = module(artifact, tmp_path)
    model = names["open_model"](str(artifact.path))
    predictor = open_predictor(artifact)
    for image in (face(33), face(8), face(5)):
        found = names["describe"](names["run"](model, image))
        values = predict_faces(predictor, [image])
        assert found == describe_face(values, artifact.sidecar.contract, 0, None)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("names", [("expression", "age", "decade", "gender"), ("expression",)])
def test_python_knows_classes_decades_and_medians(
    dtype: str, names: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = headed(tmp_path, dtype, names)
    code = module(artifact, tmp_path)
    for index in range(4):
        picture = write_picture(tmp_path / "face.png", face(32, index))
        code["main"]([str(artifact.path), str(picture)])
        (said,) = json.loads(capsys.readouterr().out)["faces"]
        (expected,) = describe_picture(open_predictor(artifact), read_image(picture), None)
        assert said == expected
        assert json.dumps(said) == json.dumps(expected)  # in the same order
        assert len(said["p_expression"]) == 7


@given(x=st.integers(-60, 150), y=st.integers(-60, 110), width=st.integers(1, 200))
@settings(max_examples=30)
def test_python_cuts_as_predict_does(code: dict[str, Any], x: int, y: int, width: int) -> None:
    picture = face(160)[:120]
    square = haar_square(x, y, width, width)
    assert code["haar_square"](x, y, width, width) == square[:3]
    left, top, side, _ = square
    if left < 160 and top < 120 and left + side > 0 and top + side > 0:
        np.testing.assert_array_equal(code["cut"](picture, *square[:3]), crop(picture, square))
    else:
        with pytest.raises(SystemExit, match="outside the picture of 160 x 120"):
            code["cut"](picture, *square[:3])


def test_python_refuses_another_model(tmp_path: Path) -> None:
    artifact = dense(tmp_path, "int8")
    other = SHIPPED[0]
    with pytest.raises(SystemExit, match=r"found sha256 .* write this file anew"):
        module(artifact, tmp_path)["open_model"](str(other))
    (first, *rest) = artifact.sidecar.contract.outputs
    changed = (dataclasses.replace(first, zero_point=6), *rest)
    contract = dataclasses.replace(artifact.sidecar.contract, outputs=changed)
    wrong = dataclasses.replace(
        artifact, sidecar=dataclasses.replace(artifact.sidecar, contract=contract)
    )
    with pytest.raises(SystemExit, match=r"found \('age', .*, 5\)\), expected \('age', .*, 6\)\)"):
        module(wrong, tmp_path)["open_model"](str(artifact.path))


@given(st.text(st.characters(codec=None), max_size=8))
@settings(max_examples=60)
def test_a_text_comes_back_from_each_language(text: str) -> None:
    assert ast.literal_eval(python_string(text)) == text
    # Python reads bytes with octal escapes as C++ does, JSON reads \\uXXXX as Kotlin does
    assert ast.literal_eval("b" + cpp_string(text)).decode("utf-8", "surrogatepass") == text
    back = json.loads(kotlin_string(text).replace("\\u0024", "$"))
    assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")
    for literal in (python_string(text), cpp_string(text), kotlin_string(text)):
        assert literal.isascii()
        assert literal.isprintable()
    assert "$" not in kotlin_string(text)
    assert "??" not in cpp_string(text)


def test_cpp_has_the_names_and_bins_of_each_head(tmp_path: Path) -> None:
    sidecar = headed(tmp_path, "int8", ("expression", "decade"), plain=True).sidecar
    expression, decade = sidecar.contract.heads
    code = re.sub(r"\s+", " ", snippet(sidecar, Language.CPP))
    names = ", ".join(f'"{name}"' for name in expression.classes)
    bins = ", ".join(f"{value}" for value in decade.bins)
    outputs = [spec.name for spec in sidecar.contract.outputs]
    i, k = outputs.index("expression"), outputs.index("decade")
    assert f'{{"expression", Kind::kClasses, {i}, {{{names}}}, {{}}, 4}}' in code
    assert f'{{"decade", Kind::kDecades, {k}, {{}}, {{ {bins} }}, 1}}' in code


@pytest.mark.parametrize("heads", [None, ("expression", "age", "decade", "gender")])
def test_kotlin_has_the_numbers_of_the_sidecar(
    heads: tuple[str, ...] | None, tmp_path: Path
) -> None:
    artifact = headed(tmp_path, "int8", heads, plain=True) if heads else shipped()
    sidecar = artifact.sidecar
    contract = sidecar.contract
    code = snippet(sidecar, Language.KOTLIN)
    tensors = re.findall(r'TensorSpec\("(.*)", DataType\.(\w+), (\d+), (\S+), (\S+)\)', code)
    assert [(n, t.lower(), int(v), float(s), int(z)) for n, t, v, s, z in tensors] == [
        (t.name, t.dtype, int(np.prod(t.shape)), t.scale, t.zero_point)
        for t in (contract.input, *contract.outputs)
    ]
    names = [spec.name for spec in contract.outputs]
    found = re.findall(r'Head\("(.*)", Kind\.(\w+), (\d), "(.*)",\n', code)
    assert [(n, k.lower(), names[int(i)], u) for n, k, i, u in found] == [
        (head.name, head.kind, head.tensor, head.unit) for head in contract.heads
    ]
    lists = re.findall(r"doubleArrayOf\(([^)]*)\)", code)
    bins = [tuple(float(each) for each in text.split(",") if each.strip()) for text in lists]
    assert bins == [head.bins for head in contract.heads]
    classes = [json.loads(f"[{text}]") for text in re.findall(r"listOf\(([^()]*)\),\n", code)]
    assert classes == [list(head.classes) for head in contract.heads]
    constants = dict(re.findall(r"^const val (\w+) = (.*)$", code, re.MULTILINE))
    assert constants == {
        "SHA256": f'"{sidecar.sha256}"',
        "SIDE_PX": str(contract.image.side_px),
        "SIDE_RATIO": str(HAAR_FRAMING.side_ratio),
        "RIGHT_RATIO": str(HAAR_FRAMING.right_ratio),
        "DOWN_RATIO": str(HAAR_FRAMING.down_ratio),
    }


@pytest.mark.parametrize("language", Language)
def test_the_same_sidecar_gives_the_same_code(language: Language, tmp_path: Path) -> None:
    code = snippet(dense(tmp_path, "int8").sidecar, language)
    assert code == snippet(load_artifact(tmp_path / "dense.tflite").sidecar, language)
    assert code.endswith("\n")
    assert "%%" not in code
    assert code.isascii()


def test_the_page_is_what_the_snippets_are() -> None:
    page = (ROOT / "docs" / "snippets.md").read_text("utf-8")
    assert page == make_snippets().snippets_page(), (
        "write it anew with: python docs/make_snippets.py"
    )
