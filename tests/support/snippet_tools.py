"""The compilers of the snippets' tests. Fetched into `.venv` by `fetch_snippet_tools.sh`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(sys.prefix) / "snippet-tools"
_FETCH = "tests/support/fetch_snippet_tools.sh"


def compile_cpp(source: Path, name: str) -> Path:
    """Compile and link with the TFLite C library; any warning fails. Skips without the library."""
    compiler, library = shutil.which("g++"), TOOLS / "tflite-c"
    if compiler is None or not library.is_dir():
        pytest.skip(f"needs g++ and the TFLite C library: {_FETCH} c")
    program = source.with_name(name)
    _run(
        compiler,
        *("-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"),
        *("-isystem", str(library / "include")),
        str(source),
        *(f"-L{library}", f"-Wl,-rpath,{library}", "-ltensorflowlite_c"),
        *("-o", str(program)),
    )
    return program


def compile_kotlin(*sources: Path) -> list[str]:
    """Compile to a `.jar`; gives the command that runs it. Skips without the compiler."""
    java, compiler = shutil.which("java"), TOOLS / "kotlinc" / "bin" / "kotlinc"
    if java is None or not compiler.is_file():
        pytest.skip(f"needs java and the Kotlin compiler: {_FETCH} kotlin")
    jar = sources[0].with_suffix(".jar")
    words = ["bash", str(compiler), "-J-Xmx1g", "-include-runtime", "-d", str(jar)]
    _run(*words, *map(str, sources))
    return [java, "-cp", str(jar), "Snippet_mainKt"]  # Kotlin's name for `snippet_main.kt`


def _run(*words: str) -> None:
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
