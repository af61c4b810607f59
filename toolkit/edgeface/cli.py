"""The command line: parse, call, print.

`cli_data` has the `data` commands, `cli_compress` those that need TensorFlow.

Nothing else in edgeface prints or exits, but for `runtime.runner`, a process of its own.
Data goes to stdout, talk and progress to stderr. Exit status 0; 1 for an `EdgefaceError`; 2 for
usage and configuration.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from edgeface import __version__
from edgeface.cli_compress import DataOption, compress, train
from edgeface.cli_data import data_app
from edgeface.cli_predict import doctor, predict
from edgeface.cli_results import models, report
from edgeface.console import print_line, table_console
from edgeface.errors import ConfigError, EdgefaceError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Take a face-attribute model to phones and Raspberry Pis, and prove that it is as good.",
)

app.add_typer(data_app, name="data")
app.command()(train)
app.command()(compress)
app.command()(predict)
app.command()(doctor)
app.command()(report)
app.command()(models)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the boundary where an error becomes one line and an exit status."""
    try:
        app(args=arguments, prog_name="edgeface")
    except EdgefaceError as err:
        # a file name or a key of a recipe may hold a line break
        print(f"edgeface: {' '.join(str(err).splitlines())}", file=sys.stderr)
        sys.exit(2 if isinstance(err, ConfigError) else 1)
    except BrokenPipeError:
        # whoever read our output has gone; keep Python from complaining while it shuts down
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"edgeface {__version__}")
        raise typer.Exit


@app.command()
def bench(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Artifacts (.tflite), or folders of them. Default: exported"),
    ] = None,
    data: DataOption = None,
    device: Annotated[str, typer.Option(help="Where to measure: local.")] = "local",
    against: Annotated[
        Path | None, typer.Option(help="Baseline artifact. Default: the VGG16 float32 given.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Result file. Default: one in benchmarks/results."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the runtime.")] = 1,
    repeats: Annotated[int, typer.Option(help="Fresh processes a model.")] = 3,
    min_duration_s: Annotated[float, typer.Option(help="Seconds a process, at least.")] = 10.0,
    corruptions: Annotated[
        bool,
        typer.Option(
            "--corruptions",
            help="Also on 1,000 faces made darker, brighter, blurred, noisy, JPEG, turned.",
        ),
    ] = False,
) -> None:
    """Measure accuracy, MAE, latency, FPS, size and memory beside VGG16."""
    from edgeface.bench.corruption import CORRUPTION_IMAGES
    from edgeface.bench.held_out import find_held_out
    from edgeface.bench.protocol import BenchProtocol
    from edgeface.bench.result import default_result_path, refuse_existing, write_result
    from edgeface.bench.run import bench as run
    from edgeface.console import TerminalReporter
    from edgeface.report.quality_tables import corruption_table
    from edgeface.report.tables import bench_table, class_table
    from edgeface.runtime.artifact import load_artifact

    if device != "local":
        raise ConfigError("--device", [f"found {device!r}, expected 'local'"])
    try:
        protocol = BenchProtocol(threads=threads, repeats=repeats, min_duration_s=min_duration_s)
    except ValueError as err:
        raise ConfigError("bench", [str(err)]) from err
    if json_file:
        refuse_existing(json_file)
    reporter = TerminalReporter()
    paths = _model_paths([*(models or [Path("exported")]), *([against] if against else [])])
    artifacts = [load_artifact(path) for path in paths]
    held_out = find_held_out(artifacts, data or (), reporter)
    if corruptions:
        if held_out is None:
            raise ConfigError("--corruptions", ["no held-out faces to spoil; give --data"])
        held_out = replace(held_out, corruption_images=CORRUPTION_IMAGES)
    result = run(
        artifacts,
        protocol=protocol,
        held_out=held_out,
        baseline=against.stem if against else _vgg16(artifacts),
        reporter=reporter,
    )
    path = json_file or default_result_path(
        Path("benchmarks/results"), result.started_utc, device, "bench"
    )
    write_result(path, result)
    console = table_console()
    console.print(bench_table(result))
    console.print(class_table(result))
    if corruptions:
        console.print(corruption_table(result))
    reporter.say(f"result file: {path}")


@app.command()
def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Any .tflite.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object to stdout.")] = False,
) -> None:
    """Say what is in a .tflite, what this runtime will do with it, and what is wrong."""
    from edgeface.bench.inspect_model import inspect_model
    from edgeface.bench.model_findings import exit_status
    from edgeface.records import to_mapping
    from edgeface.report.model_tables import model_text

    inspection = inspect_model(model)
    if as_json:
        print_line(json.dumps(to_mapping(inspection), ensure_ascii=False))
    else:
        table_console().print(model_text(inspection))
    if status := exit_status(inspection.findings):
        raise typer.Exit(status)


def _model_paths(given: list[Path]) -> list[Path]:
    paths = []
    for path in given:
        if path.is_dir() or not path.suffix:
            inside = sorted(path.glob("*.tflite"))
            if not inside:
                raise ConfigError(
                    f"{path}", ["holds no .tflite; make some with: edgeface compress --out DIR"]
                )
            paths += inside
        else:
            paths.append(path)
    return list(dict.fromkeys(paths))


def _vgg16(artifacts: list[Any]) -> str | None:
    names = [
        a.sidecar.name
        for a in artifacts
        if a.sidecar.backbone == "vgg16" and a.sidecar.scheme == "float32"
    ]
    return names[0] if len(names) == 1 else None
