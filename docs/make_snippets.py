"""Writes `snippets.md`: the code that runs a shipped model without edgeface, in three languages.

    python docs/make_snippets.py

In: the sidecar of one shipped model. Out: Markdown.
"""

from __future__ import annotations

from pathlib import Path

from edgeface.report.snippets import Language, snippet
from edgeface.runtime.artifact import load_artifact

PAGE = Path(__file__).with_name("snippets.md")
MODEL = "mobilenetv2-a100-128px-latency45-int8"

_ABOUT = """\
# Your own code for a model

Made by `python docs/make_snippets.py`; do not edit. It shows what this writes:

```sh
edgeface snippet exported/{model}.tflite --language python --out face.py
edgeface snippet exported/{model}.tflite --language cpp --out face.cc
edgeface snippet exported/{model}.tflite --language kotlin --out face.kt
```

The code runs one model without edgeface. Input size, types, scales, zero points, bins, names,
colour order and resize kernel are those of the model's sidecar, and the code refuses another model.
The margin around the face is the one for OpenCV's Haar detector; another detector draws other boxes
and needs another margin ([on a device of your own](own-device.md)).

## What was run, and what was not

- **Python**: a test runs it as a process on drawn faces. Its line is that of
  `edgeface predict --no-detect --json`, and its cut around a box is that of `edgeface predict`. Not
  run: on a Raspberry Pi, or with tflite-runtime.
- **C++**: a test compiles it with g++, allowing no warning, and runs it with the C library 2.17.1
  on x86-64. Its raw outputs are exactly those of Python's runtime without XNNPACK. Not run: on ARM,
  with LiteRT's own headers, with XNNPACK.
- **Kotlin**: a test holds its numbers to the sidecar. Another compiles it against stand-ins for
  Android and LiteRT and runs it on a JVM: pixels are within one level of OpenCV's, attributes are
  those of `edgeface predict`. Not run: on Android, or with the real LiteRT.

The compilers and the C library of these tests come from the package registries. Without them the
tests that need them skip:

```sh
tests/support/fetch_snippet_tools.sh c
tests/support/fetch_snippet_tools.sh kotlin
```

## What any C or C++ program will meet

Found with the shipped int8 models on 12 drawn faces, one thread, x86-64, the weights stored inside
the file:

- TensorFlow Lite 2.9 runs them without complaint and gives wrong ages, up to 77 quantization steps
  off; gender stays within 5. That fits a runtime which knows only one scale for the weights of a
  fully connected layer: these have one a row.
- 2.17.1 gives exactly what ai-edge-litert 2.3.0 gives, with XNNPACK and without. XNNPACK by itself
  moves outputs by up to 5 steps.
"""

_BEHIND = """\
- 2.17.1 does not find weights that are stored behind the flatbuffer, where the quantizer put those
  of the shipped int8 files: it stops with "Input tensor … lacks data". The runtimes for Python find
  them (ai-edge-litert 2.3.0 and tflite-runtime 2.14.0 were run). So does the C API in LiteRT's
  later source, which was read and not run. For an older library store them inside:

```python
from pathlib import Path

from edgeface.export.graph_edit import pack, unpack

content = Path("exported/{model}.tflite").read_bytes()
Path("inside.tflite").write_bytes(pack(unpack(content)))
```
"""

_INSIDE = """\
- 2.17.1 does not find weights that are stored behind the flatbuffer, where a quantizer may put
  them. The shipped files have theirs inside.
"""

_TITLES = {
    Language.PYTHON: ("Python on a Raspberry Pi", "python"),
    Language.CPP: ("C++ with the TensorFlow Lite C API", "cpp"),
    Language.KOTLIN: ("Kotlin for Android", "kotlin"),
}


def snippets_page() -> str:
    """Write the page as Markdown, ending in a newline."""
    artifact = load_artifact(PAGE.parents[1] / "exported" / f"{MODEL}.tflite")
    about = _ABOUT + (_BEHIND if weights_behind(artifact.content) else _INSIDE)
    parts = [about.format(model=MODEL)]
    for language, (title, fence) in _TITLES.items():
        parts.append(f"## {title}\n\n```{fence}\n{snippet(artifact.sidecar, language)}```\n")
    return "\n".join(parts)


def weights_behind(content: bytes) -> bool:
    """Whether a `.tflite` keeps weights behind its flatbuffer."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return any(buffer.offset > 1 for buffer in model.buffers)


if __name__ == "__main__":
    PAGE.write_text(snippets_page(), "utf-8")
