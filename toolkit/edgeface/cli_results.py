"""The commands that show what is there already: `report` and `models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgeface.console import TerminalReporter, print_line, table_console


def report(
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path(
        "benchmarks/results"
    ),
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("benchmarks/RESULTS.md"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit status 1 if the page is not up to date."),
    ] = False,
) -> None:
    """Write the page of all benchmarks from their result files."""
    from edgeface.report.results_page import check_page, read_results, results_page, write_page

    page = results_page(read_results(results), out)
    if check:
        check_page(out, page)
    else:
        write_page(out, page)
        TerminalReporter().say(f"page: {out}")


def models(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of artifacts.")] = Path(
        "exported"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
) -> None:
    """List the artifacts of a folder with their measured figures."""
    from edgeface.report.models_table import list_models, model_mapping, models_table

    listings = list_models(folder)
    reporter = TerminalReporter()
    if not listings:
        reporter.say(
            f"{folder}: holds no .tflite; make some with: edgeface compress --out {folder}"
        )
    if as_json:
        for each in listings:
            print_line(json.dumps(model_mapping(each), ensure_ascii=False))
    elif any(each.sidecar for each in listings):
        table_console().print(models_table(listings))
    damaged = [each.error for each in listings if each.error]
    for error in damaged:
        reporter.say(f"edgeface: {error}")
    if damaged:
        raise typer.Exit(1)
