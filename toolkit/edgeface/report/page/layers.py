"""Layer by layer: what pruning took, and what int8 costs. In: values of both. Out: a section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeface.report.heads import in_words
from edgeface.report.page.blocks import Block, Cell, Legend, Notes, Plot, Plots, Section, Table
from edgeface.report.page.headline import plain_cell
from edgeface.report.page.plots import SLOTS, SOFT, drawing, slot_colour
from edgeface.report.page.pruned import LayerChannels, PrunedLayers
from edgeface.report.page.sensitivity import Sensitivity
from edgeface.report.text import NOT_MEASURED

if TYPE_CHECKING:
    from edgeface.export.predictions import HeadCost
    from edgeface.export.sensitivity import LayerSensitivity

_NAMED = 3  # layers that a text names. Chosen: as many as are kept float at most


def layers_section(pruned: Sequence[PrunedLayers], sensitivity: Sensitivity | None) -> Section:
    """Show channels before and after pruning, and each layer's cost in int8.

    Args:
        pruned: models beside their whole ones.
        sensitivity: of one model; None for none.
    """
    blocks: list[Block] = []
    if pruned:
        plots = tuple(_channels_plot(each, number) for number, each in enumerate(pruned))
        blocks += [Plots(plots=plots), *(_channels_table(each) for each in pruned)]
    else:
        text = f"Pruning layer by layer: {NOT_MEASURED}. It needs a pruned and a whole model of "
        text += "one network in one folder: edgeface report --html FILE --exported DIR"
        blocks.append(Notes(lines=(text,), tone="soft"))
    if sensitivity is not None:
        heads = [cost.head for cost in sensitivity.report.whole]
        costs = tuple(_cost_plot(sensitivity, at, head) for at, head in enumerate(heads))
        blocks += [Plots(plots=costs), _cost_table(sensitivity)]
    else:
        text = f"The sensitivity of each layer to int8: {NOT_MEASURED}. Give the file of "
        text += "benchmarks/quantization.py --layers: edgeface report --html FILE --sensitivity "
        blocks.append(Notes(lines=(f"{text}FILE",), tone="soft"))
    return Section(
        id="layers",
        title="Layer by layer",
        lead="Channels are counted in the .tflite files themselves. A cost in int8 is that of one "
        "layer alone, the others float; those of all layers do not add up to the whole.",
        blocks=tuple(blocks),
    )


def _channels_plot(pruned: PrunedLayers, number: int) -> Plot:
    layers = pruned.layers

    def draw(axes: Any) -> None:
        xs = range(1, len(layers) + 1)
        axes.bar(xs, [layer.before for layer in layers], color=SOFT, alpha=0.3, width=0.85)
        colour = slot_colour(number)
        axes.bar(xs, [layer.after for layer in layers], color=colour, width=0.85)
        axes.grid(visible=False, axis="x")
        axes.set_xlim(0, len(layers) + 1)
        axes.set_xlabel("layer, in the order they run")
        axes.set_ylabel("output channels")

    most = sorted(layers, key=_kept_ratio)[:_NAMED]
    named = ", ".join(f"{each.name} {each.before:,} to {each.after:,}" for each in most)
    return Plot(
        title=f"Channels of each layer: {pruned.name}",
        svg=drawing(
            draw,
            name=f"channels-{number}",
            alt=f"Output channels of {len(layers)} layers before and after pruning, "
            f"{100 * pruned.removed_ratio:.0f} % gone. Cut most: {named}",
        ),
        note=f"Pale: {pruned.whole}. {100 * pruned.removed_ratio:.0f} % of all channels are gone; "
        f"cut most: {named}.",
        legend=(Legend(text=pruned.name, slot=number % SLOTS),),
    )


def _kept_ratio(layer: LayerChannels) -> float:
    return layer.after / max(1, layer.before)


def _channels_table(pruned: PrunedLayers) -> Table:
    rows = tuple(
        (
            Cell(text=layer.name, detail=layer.kind),
            Cell(text=f"{layer.before:,}"),
            Cell(text=f"{layer.after:,}"),
            Cell(text=f"{100 * (1 - _kept_ratio(layer)):.0f}", fill=1 - _kept_ratio(layer)),
        )
        for layer in pruned.layers
    )
    return Table(
        title=f"Channels of each layer: {pruned.name}, table",
        headings=("layer", "before", "after", "gone %"),
        rows=rows,
        is_folded=True,
    )


def _cost_of(layer: LayerSensitivity, head: str) -> HeadCost:
    return next(cost for cost in layer.costs if cost.head == head)


def _cost_plot(sensitivity: Sensitivity, number: int, head: str) -> Plot:
    layers = sensitivity.report.layers
    costs = [_cost_of(layer, head) for layer in layers]
    scale, unit = (100, "points") if costs[0].unit == "ratio" else (1, costs[0].unit)
    values = [scale * cost.difference for cost in costs]
    what = "probability" if costs[0].unit == "ratio" else "value"

    def draw(axes: Any) -> None:
        axes.bar(range(1, len(values) + 1), values, color=slot_colour(number), width=0.85)
        axes.grid(visible=False, axis="x")
        axes.set_xlim(0, len(values) + 1)
        axes.set_xlabel("layer, in the order they run")
        axes.set_ylabel(f"mean change of the {what}, {unit}")

    order = sorted(range(len(values)), key=lambda at: -values[at])[:_NAMED]
    named = ", ".join(f"{_short(layers[at].layer)} {values[at]:.3f}" for at in order)
    return Plot(
        title=f"Cost of int8 in each layer alone: {in_words(head)}",
        svg=drawing(
            draw,
            name=f"sensitivity-{number}",
            alt=f"Mean change of {in_words(head)} by each of {len(values)} layers, {unit}. "
            f"Largest: {named}",
        ),
        note=f"{sensitivity.model}, {sensitivity.what}. Largest: {named}.",
    )


def _cost_table(sensitivity: Sensitivity) -> Table:
    whole = sensitivity.report.whole
    rows = [
        (
            Cell(text=_short(layer.layer), detail=f"{layer.position + 1}, {layer.kind}"),
            Cell(text=" × ".join(map(str, layer.shape))),
            *(cell for cost in whole for cell in _cost_cells(_cost_of(layer, cost.head))),
        )
        for layer in sensitivity.report.layers
    ]
    all_layers = Cell(text="all layers at once")
    rows.append(
        (all_layers, Cell(text=""), *(cell for cost in whole for cell in _cost_cells(cost)))
    )
    headings = ["layer", "weights"]
    for cost in whole:
        words, unit = in_words(cost.head), "points" if cost.unit == "ratio" else cost.unit
        headings += [f"{words}: change, {unit}", f"{words}: loss, {unit}"]
    return Table(
        title="Cost of int8 in each layer alone, table",
        headings=tuple(headings),
        rows=tuple(rows),
        note="Change: mean of |int8 - float| of the value or the probability. Loss: how much worse "
        "it is by the labels, below 0 better; of few images it is mostly chance.",
        text_columns=(0, 1),
        is_folded=True,
    )


def _cost_cells(cost: HeadCost) -> tuple[Cell, Cell]:
    scale = 100 if cost.unit == "ratio" else 1
    loss = f"{scale * cost.loss:+.3f}" if cost.labelled else NOT_MEASURED
    return Cell(text=f"{scale * cost.difference:.3f}"), plain_cell(loss)


def _short(name: str) -> str:
    """E.g. "Conv1" of "net/Conv1_relu/Relu6;net/bn_Conv1/FusedBatchNormV3;net/Conv1/Conv2D1"."""
    parts = [part.split("/") for part in name.split(";") if "/" in part]
    named = [each[-2] for each in parts if len(each) > 1 and "pad" not in each[-1].lower()]
    return named[-1] if named else name
