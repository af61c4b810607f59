"""A sidecar to the code that runs its model without edgeface: Python, C++ or Kotlin.

In: a sidecar. Out: one source file as text, with the sidecar's numbers in it and its texts as
literals of that language. Does not read the model or write files; knows no detector but the Haar
one, whose box the square of training is placed by.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from string import Template

from edgeface.runtime.crop import HAAR_FRAMING
from edgeface.runtime.predict import OTHER_DECIMALS, YEARS_DECIMALS
from edgeface.types import HeadSpec, Sidecar, TensorSpec

_TEMPLATES = Path(__file__).with_name("templates")
_COLUMNS = 96  # chosen: what the templates keep to


class Language(StrEnum):
    """What a snippet is written in."""

    PYTHON = "python"
    CPP = "cpp"
    KOTLIN = "kotlin"


class _Template(Template):
    delimiter = "%%"  # of the three languages none has it, and Kotlin has the usual $


_FILES = {
    Language.PYTHON: "snippet.py.txt",
    Language.CPP: "snippet.cpp.txt",
    Language.KOTLIN: "snippet.kt.txt",
}


def snippet(sidecar: Sidecar, language: Language) -> str:
    """Write the code that runs a model on one face.

    Args:
        sidecar: of the model, its contract without contradictions (`load_artifact` checks it).
        language: of the code.

    Returns:
        A whole source file, ending in a newline. The same sidecar gives the same text.

    Source:
        What the code does with the numbers: `runtime.preprocess`, `runtime.affine`,
        `runtime.decode` and `runtime.crop`, which the tests compare it with.
    """
    contract = sidecar.contract
    tensor, head, text = _WRITERS[language]
    values = {
        "NAME": text(sidecar.name),
        "SHA256": sidecar.sha256,
        "CROP": text(contract.image.crop),
        "SIDE_PX": contract.image.side_px,
        "INPUT": tensor(contract.input),
        "OUTPUTS": "\n".join(f"    {tensor(spec)}," for spec in contract.outputs),
        "HEADS": "\n".join(head(spec, contract.outputs) for spec in contract.heads),
        "SIDE_RATIO": HAAR_FRAMING.side_ratio,
        "RIGHT_RATIO": HAAR_FRAMING.right_ratio,
        "DOWN_RATIO": HAAR_FRAMING.down_ratio,
        "YEARS_DECIMALS": YEARS_DECIMALS,
        "OTHER_DECIMALS": OTHER_DECIMALS,
    }
    template = (_TEMPLATES / _FILES[language]).read_text("utf-8")
    return _Template(template).substitute(values)


def python_string(text: str) -> str:
    """Write a text as a Python literal of ASCII, fit for a docstring too."""
    inside = ascii(text)[1:-1].replace("\\'", "'").replace('"', '\\"')
    return f'"{inside}"'


def cpp_string(text: str) -> str:
    r"""Write a text as a C++ literal of its UTF-8 bytes; what is not plain becomes \ooo."""
    data = text.encode("utf-8", "surrogatepass")
    # a question mark too: two of them begin a trigraph
    return '"' + "".join(_plain(byte, '"\\?') or f"\\{byte:03o}" for byte in data) + '"'


def kotlin_string(text: str) -> str:
    r"""Write a text as a Kotlin literal of its UTF-16 units; what is not plain becomes \uXXXX."""
    data = text.encode("utf-16-be", "surrogatepass")
    units = [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
    return '"' + "".join(_plain(unit, '"\\$') or f"\\u{unit:04x}" for unit in units) + '"'


def _plain(code: int, special: str) -> str:
    return chr(code) if 0x20 <= code < 0x7F and chr(code) not in special else ""


def _python_tensor(spec: TensorSpec) -> str:
    shape = ", ".join(str(size) for size in spec.shape)
    quantization = None if spec.scale is None else (spec.scale, spec.zero_point)
    return f'({python_string(spec.name)}, ({shape}), "{spec.dtype}", {quantization})'


def _python_head(head: HeadSpec, _: Sequence[TensorSpec]) -> str:
    classes = ", ".join(python_string(name) for name in head.classes)
    return "\n".join(
        [
            "    {",
            f'        "name": {python_string(head.name)},',
            f'        "kind": "{head.kind}",',
            f'        "tensor": {python_string(head.tensor)},',
            f'        "classes": [{classes}],',
            f'        "bins": {_wrapped(head.bins, "[", "]", " " * 12)},',
            f'        "unit": {python_string(head.unit)},',
            "    },",
        ]
    )


def _cpp_tensor(spec: TensorSpec) -> str:
    dtype = {"float32": "kTfLiteFloat32", "int8": "kTfLiteInt8", "uint8": "kTfLiteUInt8"}
    quantization = f"{spec.scale or 0.0!r}, {spec.zero_point or 0}"
    return f"{{{cpp_string(spec.name)}, {dtype[spec.dtype]}, {_values(spec)}, {quantization}}}"


def _cpp_head(head: HeadSpec, outputs: Sequence[TensorSpec]) -> str:
    decimals = YEARS_DECIMALS if head.unit == "years" else OTHER_DECIMALS
    classes = ", ".join(cpp_string(name) for name in head.classes)
    bins = _wrapped(head.bins, "{", "}", " " * 6)
    kind = f"Kind::k{head.kind.capitalize()}"
    start = f"    {{{cpp_string(head.name)}, {kind}, {_place(head, outputs)}, {{{classes}}},"
    return f"{start}\n     {bins},\n     {decimals}}},"


def _kotlin_tensor(spec: TensorSpec) -> str:
    quantization = f"{spec.scale or 0.0!r}, {spec.zero_point or 0}"
    dtype = f"DataType.{spec.dtype.upper()}"
    return f"TensorSpec({kotlin_string(spec.name)}, {dtype}, {_values(spec)}, {quantization})"


def _kotlin_head(head: HeadSpec, outputs: Sequence[TensorSpec]) -> str:
    classes = ", ".join(kotlin_string(name) for name in head.classes)
    kind = f"Kind.{head.kind.upper()}"
    start = (
        f"    Head({kotlin_string(head.name)}, {kind}, {_place(head, outputs)}, "
        f"{kotlin_string(head.unit)},"
    )
    bins = _wrapped(head.bins, "doubleArrayOf(", ")", " " * 12)
    return f"{start}\n        listOf({classes}),\n        {bins}),"


def _values(spec: TensorSpec) -> int:
    count = 1
    for size in spec.shape:
        count *= size
    return count


def _place(head: HeadSpec, outputs: Sequence[TensorSpec]) -> int:
    return [spec.name for spec in outputs].index(head.tensor)


def _wrapped(values: Sequence[float], opening: str, closing: str, indent: str) -> str:
    """Write numbers as a list, over several lines where one does not hold them."""
    joined = ", ".join(repr(float(value)) for value in values)
    if len(indent) + len(joined) < _COLUMNS // 2:
        return f"{opening}{joined}{closing}"
    lines = textwrap.fill(
        joined, _COLUMNS, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
    return f"{opening}\n{lines}\n{indent[:-4]}{closing}"


_WRITERS = {
    Language.PYTHON: (_python_tensor, _python_head, python_string),
    Language.CPP: (_cpp_tensor, _cpp_head, cpp_string),
    Language.KOTLIN: (_kotlin_tensor, _kotlin_head, kotlin_string),
}
