"""The commands that need TensorFlow: `train` and `compress`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from edgeface.config import Recipe, load_recipe
from edgeface.console import Talker, print_line, reporter_of
from edgeface.errors import ConfigError, DeviceError
from edgeface.stopping import kept_if_stopped

DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Labelled faces: a manifest, a folder or a table. Repeat it to learn from several.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="A shipped recipe or a .toml file. Default: mobilenetv2 with --data, else drawn."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Starting weights: a file of the backbone's, a trained model (.keras) as wide or "
        "wider, 'imagenet' or 'none'."
    ),
]
SideOption = Annotated[
    int | None, typer.Option(help="Side of the model's input, instead of the recipe's.")
]
WidthOption = Annotated[
    float | None, typer.Option(help="Width multiplier of MobileNetV2, instead of the recipe's.")
]
TeacherOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher", help="Trained model (.keras) to learn from. Repeat it to average several."
    ),
]


def train(
    context: typer.Context,
    data: DataOption = None,
    recipe: RecipeOption = None,
    weights: WeightsOption = None,
    side_px: SideOption = None,
    width_ratio: WidthOption = None,
    teacher: TeacherOption = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the model.")] = Path("trained"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model of another run.")
    ] = False,
) -> None:
    """Fine-tune one model: baseline, teacher or student; without --data, on drawn faces."""
    chosen = _recipe(recipe, data, teacher, _given(weights, side_px, width_ratio))
    reporter = _reporter(context, data)
    with _quiet_tensorflow(), kept_if_stopped():
        with _loading_tensorflow("train"):
            from edgeface.pipeline import Request
            from edgeface.pipeline import train as run

        path = run(
            Request(
                recipe=chosen,
                data=tuple(data or ()),
                out=out,
                calibration_out=out,
                overwrite=overwrite,
            ),
            reporter,
        )
    print_line(str(path))


def compress(
    context: typer.Context,
    data: DataOption = None,
    recipe: RecipeOption = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Trained model (.keras) to compress. Default: train one first."),
    ] = None,
    weights: WeightsOption = None,
    side_px: SideOption = None,
    width_ratio: WidthOption = None,
    teacher: TeacherOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Search for the cheapest model within limits, e.g. "
            "'size<=1.0MB, mae<=+0.15, gender>=-0.5pp, p50<=8ms'. Start the command again to go "
            "on, or in a second terminal to share the work."
        ),
    ] = None,
    candidates: Annotated[
        int, typer.Option(min=1, help="Models that --budget trains, all workers together.")
    ] = 40,
    out: Annotated[Path, typer.Option(help="Folder that gets the artifacts.")] = Path("exported"),
    calibration: Annotated[
        Path, typer.Option(help="Folder that gets the list of calibration images.")
    ] = Path("calibration_data"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace artifacts of other runs.")
    ] = False,
) -> None:
    """Fine-tune, prune, quantize to int8 and export; without --data, on drawn faces."""
    from edgeface.report.verdict_tables import verdict_table

    given = _given(weights, side_px, width_ratio)
    _refuse_pairs(model, budget, given)
    chosen = _recipe(recipe, data, teacher, given)
    if budget is not None:
        _search(context, budget, candidates, chosen, data, out, overwrite=overwrite)
        return
    reporter = _reporter(context, data)
    with _quiet_tensorflow(), kept_if_stopped():
        with _loading_tensorflow("compress"):
            from edgeface.pipeline import Request
            from edgeface.pipeline import compress as run

        request = Request(
            recipe=chosen,
            data=tuple(data or ()),
            out=out,
            calibration_out=calibration,
            overwrite=overwrite,
            start=model,
        )
        outcome = run(request, reporter)
    if outcome.comparisons:
        reporter.say(f"on the test split of {outcome.manifest.label}:")
        reporter.show(verdict_table(outcome.comparisons))
    for artifact in outcome.artifacts:
        print_line(str(artifact.path))


def _search(
    context: typer.Context,
    budget: str,
    candidates: int,
    recipe: Recipe,
    data: list[Path] | None,
    out: Path,
    *,
    overwrite: bool,
) -> None:
    from edgeface.report.verdict_tables import verdict_table
    from edgeface.search.budget import parse_budget

    asked = parse_budget(budget)
    reporter = _reporter(context, data)
    with _quiet_tensorflow(), kept_if_stopped():
        with _loading_tensorflow("compress"):
            from edgeface.report.front_tables import front_table
            from edgeface.search.job import BudgetRequest, compress_to_budget, require_choice

        request = BudgetRequest(
            budget=asked,
            recipe=recipe,
            data=tuple(data or ()),
            out=out,
            overwrite=overwrite,
            candidates=candidates,
        )
        answer = compress_to_budget(request, reporter)
    reporter.show(front_table(answer.view))
    artifact = require_choice(answer)
    if answer.final is not None and answer.final.comparisons:
        reporter.say(f"on the test split of {answer.record.data}:")
        reporter.show(verdict_table(answer.final.comparisons))
    print_line(str(artifact.path))


def _given(
    weights: str | None, side_px: int | None, width_ratio: float | None
) -> dict[str, str | int | float]:
    """Settings of the table `model` that the command line gives."""
    asked = {"weights": weights, "side_px": side_px, "width_ratio": width_ratio}
    return {key: value for key, value in asked.items() if value is not None}


def _refuse_pairs(
    model: Path | None, budget: str | None, given: Mapping[str, str | int | float]
) -> None:
    options = [f"--{key.replace('_', '-')}" for key in given]
    refused = []
    if model is not None and budget is not None:
        refused.append("--model with --budget, expected one of them: a search trains its own")
    if model is not None:
        refused += [f"{each} with --model, expected one of them: it is built" for each in options]
    if budget is not None:
        sizes = [each for each in options if each != "--weights"]
        refused += [f"{each} with --budget, expected one: a search tries sizes" for each in sizes]
    if refused:
        raise ConfigError("compress", refused)


def _recipe(
    recipe: str | None,
    data: list[Path] | None,
    teachers: list[Path] | None,
    given: Mapping[str, str | int | float],
) -> Recipe:
    name = recipe or ("mobilenetv2" if data else "drawn")
    return load_recipe(name, teachers=teachers or (), model=given)


def _reporter(context: typer.Context, data: list[Path] | None) -> Talker:
    reporter = reporter_of(context)
    if not data:
        reporter.say("no --data: working on drawn faces; no figure of this run is about real ones")
    return reporter


@contextmanager
def _loading_tensorflow(command: str) -> Iterator[None]:
    """Say what to install if TensorFlow is missing, and drop what it writes while it loads.

    Its C++ side writes to file descriptor 2 then, whatever the log level (seen with 2.21).
    """
    terminal = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    except ModuleNotFoundError as err:
        package = str(err.name).partition(".")[0]
        if package == "edgeface":
            raise
        raise DeviceError(
            f"{command}: {package} is not installed; install with: pip install 'edgeface[train]'"
        ) from err
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow's own log lines off the terminal; errors still come as exceptions."""
    import logging

    before = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # read when TensorFlow loads; changes no result
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = before
