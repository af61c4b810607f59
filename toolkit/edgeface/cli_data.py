"""The `data` commands of the command line: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from edgeface.console import print_line, reporter_of, table_console
from edgeface.stopping import kept_if_stopped

data_app = typer.Typer(
    no_args_is_help=True, help="Look at labelled face sets before anything is trained on them."
)

SetArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of labelled faces, or a table of them.")
]
AdapterOption = Annotated[
    str | None,
    typer.Option(
        help="Format: celeba, fairface, fer2013, table, utkface or folders. Default: found."
    ),
]
AttributeOption = Annotated[
    str | None,
    typer.Option(
        help="Columns to take as attributes, separated by commas; of folders, what they stand for."
    ),
]


@data_app.command()
def inspect(
    context: typer.Context,
    root: SetArgument,
    adapter: AdapterOption = None,
    attribute: AttributeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object to stdout.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="HTML page to write. Default: inspection-<name>.html here."),
    ] = None,
) -> None:
    """Find what is wrong with a labelled face set: copies, contradictions, gaps, heaps."""
    from edgeface.data.adapters.detect import list_dataset
    from edgeface.data.inspection import inspect as run
    from edgeface.data.scan import scan
    from edgeface.records import to_mapping
    from edgeface.report.inspection_page import conflict_thumbnails, inspection_page
    from edgeface.report.inspection_tables import inspection_text

    path = page or Path(f"inspection-{_name_of(root)}.html")
    _check_page(path)
    reporter = reporter_of(context)
    listing = list_dataset(root, adapter=adapter, attribute=attribute)
    pictures = scan(listing, reporter)
    with reporter.track("looking for copies and gaps, drawing the page", 2) as advance:
        inspection = run(listing, pictures)
        advance(1)
        _write(path, inspection_page(inspection, conflict_thumbnails(listing, inspection)))
        advance(1)
    if as_json:
        print_line(json.dumps(to_mapping(inspection), ensure_ascii=False))
    else:
        table_console().print(inspection_text(inspection))
    reporter.say(f"page: {path}")


@data_app.command()
def prepare(
    context: typer.Context,
    root: SetArgument,
    out: Annotated[
        Path | None, typer.Option(help="Manifest to write. Default: <name>.manifest.json here.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the division.")] = 1,
    validation: Annotated[float, typer.Option(help="Share that chooses the best epoch.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share that only final figures see.")] = 0.2,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Own splits: a CSV with path and split, or train=FILE, validation=FILE, "
            "test=FILE with a path a line. Repeat it for several files. An image that they do not "
            "name is left out."
        ),
    ] = None,
    adapter: AdapterOption = None,
    attribute: AttributeOption = None,
) -> None:
    """Write a manifest: copies grouped, contradictions left out, splits that do not leak."""
    from edgeface.config import DataSpec
    from edgeface.data.adapters.detect import list_dataset
    from edgeface.data.manifest_file import check_replaceable, write_manifest
    from edgeface.data.prepare import prepare as run
    from edgeface.data.scan import scan
    from edgeface.data.split_file import read_splits
    from edgeface.errors import ConfigError
    from edgeface.report.manifest_tables import manifest_tables

    try:
        spec = DataSpec(validation_ratio=validation, test_ratio=test)
    except ValueError as err:
        raise ConfigError("data prepare", [str(err)]) from err
    path = out or Path(f"{_name_of(root)}.manifest.json")
    check_replaceable(path)
    reporter = reporter_of(context)
    given = read_splits(split) if split else None
    listing = list_dataset(root, adapter=adapter, attribute=attribute)
    pictures = scan(listing, reporter)
    with reporter.track("looking for copies, dividing", 1) as advance:
        manifest = run(
            listing,
            pictures,
            seed=seed,
            validation_ratio=spec.validation_ratio,
            test_ratio=spec.test_ratio,
            given=given,
        )
        advance(1)
    write_manifest(path, manifest)
    console = table_console()
    for table in manifest_tables(manifest):
        console.print(table)
    reporter.say(f"manifest: {path}")


@data_app.command()
def fetch(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="utkface, fairface, fer2013 or celeba.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to make. Default: the name of the set.")
    ] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licence and accept it.")
    ] = False,
) -> None:
    """Download a public set of faces, check it and unpack it."""
    from edgeface.data.fetch.run import fetch as run

    reporter = reporter_of(context)
    with kept_if_stopped():
        folder = run(name, out or Path(name), accept_licence=accept_licence, reporter=reporter)
    print_line(str(folder))


def _check_page(path: Path) -> None:
    from edgeface.errors import DataError

    if path.suffix.lower() not in (".html", ".htm"):  # it would replace, say, the set's table
        raise DataError(
            f"{path}: found the suffix {path.suffix!r}, expected .html; give another --page"
        )


def _write(path: Path, page: str) -> None:
    from edgeface.errors import DataError
    from edgeface.records import write_bytes

    try:
        write_bytes(path, page.encode("utf-8", "backslashreplace"))
    except OSError as err:
        raise DataError(f"{path}: cannot be written: {err.strerror}; give another --page") from err


def _name_of(root: Path) -> str:
    """Name a set by its folder or table, in characters that every file system takes."""
    name = root.resolve().name.removesuffix(".csv")
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in name) or "faces"
