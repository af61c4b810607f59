"""Training curves: loss and the figure of each head. In: histories of trainings. Out: a section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgeface.report.heads import MainFigure
from edgeface.report.page.blocks import Block, Legend, Notes, Plot, Plots, Section
from edgeface.report.page.history import Training
from edgeface.report.page.plots import SLOTS, drawing, slot_colour
from edgeface.report.text import NOT_MEASURED
from edgeface.training_specs import AGE
from edgeface.types import EpochRecord

_Value = Callable[[EpochRecord], float | None]


def curves_section(trainings: Sequence[Training]) -> Section:
    """Plot loss and the figure of each head over the epochs, of each training.

    A curve that a history does not have is named, and not drawn.
    """
    shown = trainings[:SLOTS]
    blocks: list[Block] = []
    if shown:
        curves = _curves(shown)
        legend = tuple(Legend(text=each.name, slot=slot) for slot, each in enumerate(shown))
        plots = tuple(_plot(shown, curve, at) for at, curve in enumerate(curves))
        blocks.append(Plots(plots=plots, legend=legend))
        missing = _missing(shown, curves)
    else:
        missing = f"Training curves: {NOT_MEASURED}, no history lies beside the models."
    if missing:
        blocks.append(Notes(lines=(missing,), tone="soft"))
    if len(shown) < len(trainings):
        text = f"{len(trainings) - len(shown)} more trainings are not drawn."
        blocks.append(Notes(lines=(text,), tone="soft"))
    return Section(
        id="training",
        title="Training",
        lead="Solid is the validation split, dashed is training. The loss of training is of "
        "augmented pictures, so it may lie above that of validation; the figures of training are "
        "of pictures as they are. The ring is the epoch that was kept.",
        blocks=tuple(blocks),
    )


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """One quantity, on both splits; None where a history does not have it."""

    label: str
    validation: _Value
    training: _Value

    def ring(self, epoch: EpochRecord) -> float | None:
        """The height of the ring: on the solid line, else on the dashed one."""
        value = self.validation(epoch)
        return self.training(epoch) if value is None else value


def _curves(trainings: Sequence[Training]) -> list[_Curve]:
    """Loss, then a curve for each head that a history has, in their order."""
    heads = dict.fromkeys(
        head
        for training in trainings
        for epoch in training.epochs
        for head in (*epoch.validation, *epoch.train)
    )
    loss = _Curve(
        label="loss",
        validation=lambda epoch: epoch.validation_loss,
        training=lambda epoch: epoch.train_loss,
    )
    return [loss, *(_of_head(head) for head in heads)]


def _of_head(head: str) -> _Curve:
    main = MainFigure(task=head, name="mae" if head == AGE else "accuracy")

    def scaled(value: float | None) -> float | None:
        return None if value is None else main.scale * value

    return _Curve(
        label=main.label,
        validation=lambda epoch: scaled(epoch.validation.get(head)),
        training=lambda epoch: scaled(epoch.train.get(head)),
    )


def _points(training: Training, of: _Value) -> list[tuple[int, float]]:
    return [(epoch.epoch, y) for epoch in training.epochs if (y := of(epoch)) is not None]


def _plot(trainings: Sequence[Training], curve: _Curve, number: int) -> Plot:
    def draw(axes: Any) -> None:
        for slot, training in enumerate(trainings):
            colour = slot_colour(slot)
            solid, dashed = (_points(training, of) for of in (curve.validation, curve.training))
            if solid:
                axes.plot(*zip(*solid, strict=True), color=colour, marker=".", markersize=5)
            if dashed:
                axes.plot(*zip(*dashed, strict=True), color=colour, linestyle="--")
            best = training.best
            at = curve.ring(best)
            if at is not None:
                ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none"}
                axes.plot([best.epoch], [at], color=colour, **ring)
        axes.set_xlabel("epoch")
        axes.set_ylabel(curve.label)
        axes.xaxis.get_major_locator().set_params(integer=True)

    said = "; ".join(
        f"{each.name}: {at:.2f} at epoch {each.best.epoch}"
        for each in trainings
        if (at := curve.ring(each.best)) is not None
    )
    return Plot(
        title=curve.label[:1].upper() + curve.label[1:],
        svg=drawing(
            draw, name=f"training-{number}", alt=f"{curve.label} by epoch. The epochs kept: {said}"
        ),
    )


def _missing(trainings: Sequence[Training], curves: Sequence[_Curve]) -> str:
    """Name what no history has."""
    absent = [
        f"{curve.label} of {split}"
        for curve in curves
        for split, of in (("validation", curve.validation), ("training", curve.training))
        if not any(_points(training, of) for training in trainings)
    ]
    return f"{NOT_MEASURED.capitalize()}: {'; '.join(absent)}." if absent else ""
