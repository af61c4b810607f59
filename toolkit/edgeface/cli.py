"""The command line: parse, call, print.

`cli_data` has the `data` commands, `cli_compress` those that need TensorFlow, `cli_bench` those
that measure.

Nothing else in edgeface prints or exits, but for `runtime.runner`, a process of its own.
Data goes to stdout, talk and progress to stderr. Exit status 0; 1 for an `EdgefaceError`; 2 for
usage and configuration; 130 at Ctrl-C, 143 at SIGTERM.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgeface import __version__
from edgeface.cli_bench import bench_app, devices
from edgeface.cli_compress import compress, train
from edgeface.cli_data import data_app
from edgeface.cli_deploy import deploy
from edgeface.cli_live import live
from edgeface.cli_predict import doctor, predict
from edgeface.cli_results import models, report
from edgeface.cli_snippet import snippet
from edgeface.console import Screen, print_line, table_console
from edgeface.errors import ConfigError, EdgefaceError
from edgeface.stopping import Stopped, stop_on_signals

# Typer gives its base a public name in no version: its copy of click's, or click's own before that
_UsageError: Any = typer.BadParameter.__base__


class _Root(TyperGroup):
    """Does what the options before the command ask, before there can be an error in the rest."""

    def invoke(self, ctx: Any) -> Any:
        quiet, log_json = ctx.params["quiet"], ctx.params["log_json"]
        ctx.obj.choose(quiet=quiet, log_json=log_json)
        try:
            return super().invoke(ctx)
        except _UsageError as err:
            if not (quiet or log_json):
                raise  # Typer shows it
            raise ConfigError("usage", [str(err.format_message())]) from err


app = typer.Typer(
    cls=_Root,
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
app.command()(live)
app.add_typer(bench_app, name="bench")
app.command()(devices)
app.command()(deploy)
app.command()(report)
app.command()(models)
app.command()(snippet)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the boundary where an error becomes one line and an exit status."""
    with Screen() as screen:
        _run(arguments, screen)


def _run(arguments: Sequence[str] | None, screen: Screen) -> None:
    try:
        with stop_on_signals(screen.stop_request):
            app(args=arguments, prog_name="edgeface", obj=screen)
    except EdgefaceError as err:
        status = 2 if isinstance(err, ConfigError) else 1
        # a file name or a key of a recipe may hold a line break
        screen.reporter.error(" ".join(str(err).splitlines()), status)
        sys.exit(status)
    except Stopped as stop:
        screen.reporter.error(str(stop), stop.exit_status)
        sys.exit(stop.exit_status)
    except BrokenPipeError:
        # whoever read our output has gone; keep Python from complaining while it shuts down
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"edgeface {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show errors only: no talk, no progress.")
    ] = False,
    log_json: Annotated[
        bool,
        typer.Option(
            "--log-json", help="Talk, progress and errors as JSON, one object a line on stderr."
        ),
    ] = False,
) -> None:
    """What stands before the command; `_Root` does it."""


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
