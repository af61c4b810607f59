"""The commands that show what is there already: `report` and `models`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeface.console import print_line, reporter_of, table_console
from edgeface.errors import BenchmarkError, ConfigError

if TYPE_CHECKING:  # imported inside the commands, so that `edgeface --help` starts fast
    from edgeface.report.models_table import ModelListing
    from edgeface.report.page.content import PageContent
    from edgeface.types import Reporter


def report(
    context: typer.Context,
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = Path(
        "benchmarks/results"
    ),
    out: Annotated[
        Path, typer.Option(help="Page to write; its picture front.svg goes beside it.")
    ] = Path("benchmarks/RESULTS.md"),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit status 1 if page or picture are not up to date."
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one web page with pictures instead."),
    ] = None,
    exported: Annotated[
        Path, typer.Option(help="Folder of the models: sidecars and training histories.")
    ] = Path("exported"),
    candidate: Annotated[
        str | None, typer.Option(help="Model of the headline. Default: the fastest.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Faces that the models were trained on, for the gallery."),
    ] = None,
    before: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="For the gallery: before compression.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="For the gallery: after compression.")
    ] = None,
    sensitivity: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="For --html: the file of benchmarks/quantization.py --layers."
        ),
    ] = None,
) -> None:
    """Write the page of all benchmarks from their result files."""
    from edgeface.report.results_page import (
        check_page,
        read_results,
        report_files,
        stale_picture,
        write_page,
    )
    from edgeface.report.systems_table import read_system_rows, systems_folder

    reporter = reporter_of(context)
    if html is not None:
        from edgeface.report.page.page import report_page
        from edgeface.report.page.sensitivity import read_sensitivity

        if check:
            raise ConfigError("--check", ["is of the Markdown page, not of --html; give one"])
        shown = [each for each in (before, after) if each is not None]
        if data and not shown:
            raise ConfigError("--data", ["is for the gallery: give --before, --after or both"])
        content = _page_content(results, exported, candidate, data or (), shown, reporter)
        if sensitivity is not None:
            content = replace(content, sensitivity=read_sensitivity(sensitivity))
        reporter.say(f"drawing the page from {len(content.files)} result files")
        write_page(html, report_page(content))
        reporter.say(f"page: {html}")
        return
    if sensitivity is not None:
        raise ConfigError("--sensitivity", ["is for --html: give both"])
    files = read_results(results)
    systems = read_system_rows(systems_folder(results), [each.result for each in files])
    texts = report_files(files, out, systems, reporter)
    stale = stale_picture(out, texts)
    for path, text in texts.items():
        if check:
            check_page(path, text)
        else:
            write_page(path, text)
            reporter.say(f"{'page' if path == out else 'picture'}: {path}")
    if stale is not None:
        if check:
            raise BenchmarkError(stale)
        reporter.say(stale)


def _page_content(
    results: Path,
    exported: Path,
    candidate: str | None,
    data: Sequence[Path],
    shown_models: Sequence[Path],
    reporter: Reporter,
) -> PageContent:
    from edgeface.report.models_table import list_models
    from edgeface.report.page.content import PageContent, find_results
    from edgeface.report.page.history import read_trainings
    from edgeface.report.page.pruned import read_pruned
    from edgeface.report.page.shown import show_faces
    from edgeface.report.systems_table import read_system_rows, systems_folder
    from edgeface.runtime.artifact import load_artifact

    files = find_results(results)
    artifacts = [load_artifact(path) for path in shown_models]
    shown, comparisons = show_faces(artifacts, data, reporter) if artifacts else (None, ())
    names = [each.sidecar.name for each in artifacts]
    listings = list_models(exported) if exported.is_dir() else ()
    return PageContent(
        files=files,
        candidate=candidate or (names[-1] if names else None),
        reference=names[0] if len(names) == 2 else None,
        sidecars={each.sidecar.name: each.sidecar for each in listings if each.sidecar},
        trainings=read_trainings(exported) if exported.is_dir() else (),
        pruned=read_pruned(listings),
        systems=read_system_rows(systems_folder(results), [each.result for each in files]),
        comparisons=comparisons,
        shown=shown,
    )


def models(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of artifacts.")] = Path(
        "exported"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a model.")] = False,
    cards: Annotated[
        bool, typer.Option("--cards", help="Write the card of each model, NAME.md beside it.")
    ] = False,
    results: Annotated[
        Path, typer.Option(help="Folder of result files, or one of them, for the cards.")
    ] = Path("benchmarks/results"),
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="With --cards: write none; exit status 1 if one is not up to date."
        ),
    ] = False,
) -> None:
    """List the artifacts of a folder with their measured figures."""
    from edgeface.report.models_table import list_models, model_mapping, models_table

    if check and not cards:
        raise ConfigError("models", ["--check without --cards, expected both"])
    if cards and as_json:
        raise ConfigError("models", ["--cards with --json, expected one of them"])
    listings = list_models(folder)
    reporter = reporter_of(context)
    if not listings:
        reporter.say(
            f"{folder}: holds no .tflite; make some with: edgeface compress --out {folder}"
        )
    if cards:
        _cards(listings, results, check=check)
    elif as_json:
        for each in listings:
            print_line(json.dumps(model_mapping(each), ensure_ascii=False))
    elif any(each.sidecar for each in listings):
        table_console().print(models_table(listings))
    damaged = [each.error for each in listings if each.error]
    for error in damaged:
        reporter.error(error, 1)
    if damaged:
        raise typer.Exit(1)


def _cards(listings: Sequence[ModelListing], results: Path, *, check: bool) -> None:
    from edgeface.bench.result import read_result
    from edgeface.report.model_card import check_card, model_card, starting_model, write_card
    from edgeface.report.results_page import ResultFile, read_results

    files = (
        (ResultFile(path=results, result=read_result(results)),)
        if results.is_file()
        else read_results(results)
    )
    for each in listings:
        if each.sidecar is None:
            continue
        path = each.path.with_suffix(".md")
        card = model_card(each.sidecar, files, path, starting_model(each.path, each.sidecar))
        if check:
            check_card(path, card)
        else:
            write_card(path, card)
            print_line(str(path))
