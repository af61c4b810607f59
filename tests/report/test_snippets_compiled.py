"""The C++ and Kotlin snippets, compiled and run. Skips where their compilers were not fetched."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edgeface.export.graph_edit import pack, unpack
from edgeface.report.snippets import Language, snippet
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.crop import crop, haar_square
from edgeface.runtime.decode import class_numbers, decode
from edgeface.runtime.predict import describe_face, open_predictor, predict_faces, predict_raw
from edgeface.runtime.preprocess import to_input
from edgeface.types import Contract
from support.snippet_cases import (
    ROOT,
    SHIPPED,
    Image,
    dense,
    face,
    headed,
    make_snippets,
    shipped,
)
from support.snippet_tools import compile_cpp, compile_kotlin

SUPPORT = ROOT / "tests" / "support"


def builtin_outputs(content: bytes, contract: Contract, image: Image) -> list[NDArray[Any]]:
    """Raw outputs of Python's runtime with the kernels that the C library has too: no XNNPACK."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    spec = contract.input
    pixels = image.astype(np.float64) / (spec.scale or 1.0) + (spec.zero_point or 0)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(index, pixels[np.newaxis].astype(spec.dtype))  # the scale is 1 in all
    interpreter.invoke()
    found = {each["name"]: each["index"] for each in interpreter.get_output_details()}
    return [interpreter.get_tensor(found[output.name]) for output in contract.outputs]


def run_cpp(program: Path, *arguments: Path | str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr


def check_cpp(program: Path, model: Path, contract: Contract, image: Image) -> None:
    crop_file = model.with_suffix(".rgb")
    crop_file.write_bytes(image.tobytes())
    status, out, err = run_cpp(program, model, crop_file, "--raw")
    assert status == 0, err
    found = json.loads(out)
    printed = []
    wanted = builtin_outputs(model.read_bytes(), contract, image)
    for spec, values in zip(contract.outputs, wanted, strict=True):
        printed.append(np.asarray([found.pop(f"raw {spec.name}")]).astype(values.dtype))
        if spec.dtype == "float32":  # the two versions add up 192 products in another order
            np.testing.assert_allclose(printed[-1], values, rtol=1e-5)
        else:
            np.testing.assert_array_equal(printed[-1], values)
    said = describe_face(decode(printed, contract), contract, 0, None)
    assert found == said
    assert list(found) == list(said)


def test_cpp_gives_the_raw_outputs_of_python(tmp_path: Path) -> None:
    artifact = shipped()
    source = tmp_path / "face.cc"
    source.write_text(snippet(artifact.sidecar, Language.CPP), "ascii")
    program = compile_cpp(source, "face")
    model = tmp_path / artifact.path.name
    model.write_bytes(pack(unpack(artifact.content)))  # weights inside, see docs/snippets.md
    for index in range(4):
        check_cpp(program, model, artifact.sidecar.contract, face(128, index))

    # what does not fit is refused, and said
    crop_file = model.with_suffix(".rgb")
    other = tmp_path / "other.tflite"
    other.write_bytes(pack(unpack(SHIPPED[0].read_bytes())))
    _, _, err = run_cpp(program, other, crop_file)
    assert "is not that of the sidecar; write this file anew" in err
    crop_file.write_bytes(b"short")
    assert run_cpp(program, model, crop_file) == (
        1,
        "",
        "face: crop: found 5 bytes, expected 49152\n",
    )
    assert run_cpp(program, crop_file, crop_file)[0] == 1
    assert "cannot be read" in run_cpp(program, model, tmp_path / "none")[2]
    assert run_cpp(program)[0] == 2


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_cpp_knows_every_type_and_kind(dtype: str, tmp_path: Path) -> None:
    artifact = dense(tmp_path, dtype)
    source = tmp_path / "face.cc"
    source.write_text(snippet(artifact.sidecar, Language.CPP), "ascii")
    program = compile_cpp(source, "face")
    check_cpp(program, artifact.path, artifact.sidecar.contract, face(8))
    check_cpp(program, artifact.path, artifact.sidecar.contract, 255 - face(8))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_cpp_knows_classes_decades_and_medians(dtype: str, tmp_path: Path) -> None:
    artifact = headed(tmp_path, dtype, ("expression", "age", "decade", "gender"))
    source = tmp_path / "face.cc"
    source.write_text(snippet(artifact.sidecar, Language.CPP), "ascii")
    program = compile_cpp(source, "face")
    for index in range(4):
        check_cpp(program, artifact.path, artifact.sidecar.contract, face(8, index))


def test_cpp_places_the_square_as_predict_does(tmp_path: Path) -> None:
    (tmp_path / "face.cc").write_text(snippet(shipped().sidecar, Language.CPP), "ascii")
    main = tmp_path / "square.cc"
    main.write_text(
        '#define FACE_WITHOUT_MAIN\n#include "face.cc"\n'
        "int main(int, char** a) {\n"
        "  const face::Square s = face::HaarSquare(std::stod(a[1]), std::stod(a[2]),\n"
        "                                          std::stod(a[3]), std::stod(a[4]));\n"
        '  std::printf("%d %d %d", s.left, s.top, s.side);\n}\n'
    )
    program = compile_cpp(main, "square")
    for box in [(0, 0, 1, 1), (-30, 7, 64, 64), (100, 250, 101, 101), (3, 5, 200, 200)]:
        _, out, _ = run_cpp(program, *map(str, box))
        assert out == " ".join(str(edge) for edge in haar_square(*box)[:3])


def test_the_page_says_where_the_weights_are_and_the_c_library_agrees(tmp_path: Path) -> None:
    maker = make_snippets()
    artifact = load_artifact(ROOT / "exported" / f"{maker.MODEL}.tflite")
    behind = maker.weights_behind(artifact.content)
    assert maker.weights_behind(pack(unpack(artifact.content))) is False
    source = tmp_path / "face.cc"
    source.write_text(snippet(artifact.sidecar, Language.CPP), "ascii")
    program = compile_cpp(source, "face")
    crop_file = tmp_path / "face.rgb"
    crop_file.write_bytes(face(128).tobytes())
    status, _, err = run_cpp(program, artifact.path, crop_file)
    assert (status == 1 and "lacks data" in err) is behind
    assert ("the model does not run with TensorFlow Lite 2.17.1" in err) is behind


def run_kotlin(
    artifact: Artifact, folder: Path, cases: Sequence[tuple[str, int, int, int, int, int]]
) -> dict[str, tuple[Image, list[str]]]:
    """Run the snippet on faces; gives each case's crop, and what was said in words of `main`."""
    source = folder / "face.kt"
    source.write_text(snippet(artifact.sidecar, Language.KOTLIN), "ascii")
    parts = ("snippet_main.kt", "snippet_stand_ins.kt", "snippet_bitmap.kt")
    command = compile_kotlin(source, *(SUPPORT / part for part in parts))
    predictor = open_predictor(artifact)
    crops = {}
    lines = []
    for name, width, height, x, y, box in cases:
        picture = np.ascontiguousarray(face(width)[:height])
        crops[name] = crop(picture, haar_square(x, y, box, box)) if box else picture
        (folder / f"{name}.rgb").write_bytes(picture.tobytes())
        for i, raw in enumerate(predict_raw(predictor, [crops[name]])):
            (folder / f"{name}.{i}").write_bytes(raw.tobytes())
        lines.append(f"{name} {width} {height} {x} {y} {box}")
    (folder / "cases.txt").write_text("\n".join(lines))
    ended = subprocess.run(
        [*command, str(artifact.path), str(folder)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    *found, refused = ended.stdout.splitlines()
    assert refused.startswith("refused found sha256 ")
    words = [line.split(" ") for line in found]
    assert [each[0] for each in words] == list(crops)
    return {each[0]: (crops[each[0]], each[1:]) for each in words}


def check_kotlin(artifact: Artifact, cut: Image, words: Sequence[str]) -> None:
    """Hold NAME VALUE LABEL PROBABILITIES of each head to what `predict` says."""
    contract = artifact.sidecar.contract
    values = predict_faces(open_predictor(artifact), [cut])
    assert len(words) == 4 * len(contract.heads)
    for i, head in enumerate(contract.heads):
        called, value, label, of_each = words[4 * i : 4 * i + 4]
        wanted = values[head.name]
        assert called == head.name
        if head.has_classes:
            (number,) = class_numbers(wanted, head)
            assert label == head.classes[number]
        else:
            assert label == "null"
        if head.kind == "classes":
            np.testing.assert_allclose(
                [float(each) for each in of_each.split("|")], wanted[0], rtol=1e-12
            )
            wanted = wanted[:, number]
        else:
            assert of_each == ""
        np.testing.assert_allclose(float(value), wanted[0], rtol=1e-12)


def test_kotlin_on_a_jvm_does_what_predict_does(tmp_path: Path) -> None:
    artifact = shipped()
    cases = [
        ("shrunk", 300, 300, 0, 0, 0),
        ("halved", 256, 256, 0, 0, 0),
        ("same", 128, 128, 0, 0, 0),
        ("enlarged", 77, 77, 0, 0, 0),
        ("beyond", 320, 240, 190, 130, 140),
        ("inside", 640, 480, 200, 100, 200),
    ]
    for name, (cut, words) in run_kotlin(artifact, tmp_path, cases).items():
        given_pixels = np.frombuffer((tmp_path / f"{name}.in").read_bytes(), np.int8) + np.int16(
            128
        )
        wanted = to_input(cut, 128).ravel().astype(np.int16)
        # OpenCV averages and interpolates in fixed point, Kotlin in doubles: they round apart
        assert np.abs(given_pixels - wanted).max() <= (name in ("halved", "enlarged"))
        check_kotlin(artifact, cut, words)


def test_kotlin_knows_classes_decades_and_medians(tmp_path: Path) -> None:
    names = ("expression", "age", "decade", "gender")
    artifact = headed(tmp_path, "int8", names, plain=True)
    cases = [(f"face{side_px}", side_px, side_px, 0, 0, 0) for side_px in (8, 32, 40)]
    for cut, words in run_kotlin(artifact, tmp_path, cases).values():
        check_kotlin(artifact, cut, words)
