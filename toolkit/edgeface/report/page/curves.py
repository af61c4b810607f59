"""Training curves. In: histories of trainings. Out: a section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeface.report.page.blocks import Block, Legend, Notes, Plot, Plots, Section
from edgeface.report.page.history import Epoch, Training
from edgeface.report.page.plots import SLOTS, drawing, slot_colour
from edgeface.report.tables import NOT_MEASURED


def curves_section(trainings: Sequence[Training]) -> Section:
    """Plot loss, age MAE and gender accuracy over the epochs, of each training."""
    shown = trainings[:SLOTS]
    blocks: list[Block] = []
    if shown:
        blocks.append(_plots(shown))
    missing = _missing(trainings)
    if missing:
        blocks.append(Notes(lines=(missing,), tone="soft"))
    if len(shown) < len(trainings):
        text = f"{len(trainings) - len(shown)} more trainings are not drawn."
        blocks.append(Notes(lines=(text,), tone="soft"))
    return Section(
        id="training",
        title="Training",
        lead="Training loss is of augmented pictures and softened labels, so it is not to be "
        "compared with validation. The ring is the epoch that was kept.",
        blocks=tuple(blocks),
    )


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """One quantity: on validation, or on training images where it was kept."""

    label: str
    name: str
    of: Callable[[Epoch], float]
    on_training: Callable[[Epoch], float | None]


_CURVES = (
    _Curve(
        label="training loss",
        name="loss",
        of=lambda epoch: epoch.train_loss,
        on_training=lambda epoch: epoch.validation_loss,
    ),
    _Curve(
        label="validation age MAE, years",
        name="mae",
        of=lambda epoch: epoch.validation_age_mae_years,
        on_training=lambda epoch: epoch.train_age_mae_years,
    ),
    _Curve(
        label="validation gender accuracy, %",
        name="accuracy",
        of=lambda epoch: 100 * epoch.validation_gender_accuracy_ratio,
        on_training=lambda epoch: (
            None
            if epoch.train_gender_accuracy_ratio is None
            else 100 * epoch.train_gender_accuracy_ratio
        ),
    ),
)


def _plots(trainings: Sequence[Training]) -> Plots:
    legend = tuple(Legend(text=each.name, slot=slot) for slot, each in enumerate(trainings))
    return Plots(plots=tuple(_plot(trainings, each) for each in _CURVES), legend=legend)


def _plot(trainings: Sequence[Training], curve: _Curve) -> Plot:
    has_other = any(curve.on_training(e) is not None for t in trainings for e in t.epochs)
    other = "validation" if curve.name == "loss" else "training"

    def draw(axes: Any) -> None:
        for slot, training in enumerate(trainings):
            xs = [epoch.epoch for epoch in training.epochs]
            ys = [curve.of(epoch) for epoch in training.epochs]
            axes.plot(xs, ys, color=slot_colour(slot), marker=".", markersize=5)
            pairs = [
                (e.epoch, y) for e in training.epochs if (y := curve.on_training(e)) is not None
            ]
            if pairs:
                axes.plot(*zip(*pairs, strict=True), color=slot_colour(slot), linestyle="--")
            best = training.best
            axes.plot(
                [best.epoch],
                [curve.of(best)],
                marker="o",
                markersize=9,
                markerfacecolor="none",
                color=slot_colour(slot),
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(curve.label)
        axes.xaxis.get_major_locator().set_params(integer=True)

    said = "; ".join(
        f"{each.name}: {curve.of(each.best):.2f} at epoch {each.best.epoch}" for each in trainings
    )
    return Plot(
        title=curve.label[:1].upper() + curve.label[1:],
        svg=drawing(draw, name=f"training-{curve.name}", alt=f"{curve.label}. {said}"),
        note=f"Dashed: {other}." if has_other else "",
    )


def _missing(trainings: Sequence[Training]) -> str:
    if not trainings:
        return f"Training curves: {NOT_MEASURED}, no history lies beside the models."
    optional: dict[str, Callable[[Epoch], float | None]] = {
        "validation loss": lambda epoch: epoch.validation_loss,
        "age MAE on training images": lambda epoch: epoch.train_age_mae_years,
        "gender accuracy on training images": lambda epoch: epoch.train_gender_accuracy_ratio,
    }
    absent = [
        words
        for words, of in optional.items()
        if all(of(epoch) is None for each in trainings for epoch in each.epochs)
    ]
    return f"{NOT_MEASURED.capitalize()}: {', '.join(absent)}." if absent else ""
