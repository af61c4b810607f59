"""The command `snippet`: the code that runs a model without edgeface. Parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeface.cli_predict import ModelArgument
from edgeface.console import print_line, reporter_of
from edgeface.errors import ConfigError, DataError


def snippet(
    context: typer.Context,
    model: ModelArgument,
    language: Annotated[
        str,
        typer.Option(
            metavar="python|cpp|kotlin",
            help="Of the code: C++ with the TensorFlow Lite C API, Kotlin for Android.",
        ),
    ] = "python",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File to write. Default: stdout.")
    ] = None,
) -> None:
    """Write the code that runs a model without edgeface, with the numbers of its sidecar."""
    from edgeface.records import write_bytes
    from edgeface.report.snippets import Language
    from edgeface.report.snippets import snippet as code_for
    from edgeface.runtime.artifact import load_artifact

    if language not in list(Language):
        raise ConfigError(
            "--language", [f"found {language!r}, expected one of {', '.join(Language)}"]
        )
    if out is not None and out.exists():
        raise ConfigError(f"--out {out}", ["is there already; give another name"])
    code = code_for(load_artifact(model).sidecar, Language(language))
    if out is None:
        print_line(code.removesuffix("\n"))
        return
    try:
        write_bytes(out, code.encode("utf-8"))
    except OSError as err:
        raise DataError(
            f"--out {out}: cannot be written: {err.strerror}; give another name"
        ) from err
    reporter_of(context).say(f"code: {out}")
