"""A diagnosis as text for a terminal of 100 columns. In: `Diagnosis`. Out: Rich.

Names of heads come from a sidecar that may be anybody's, so they are shown as plain text.
"""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgeface.bench.doctor import Diagnosis, Trial
from edgeface.data.adapters.paths import printable
from edgeface.training_specs import AGE

_NONE = ""


def doctor_text(diagnosis: Diagnosis) -> Group:
    """Lay a diagnosis out: what was tried, then what follows from it."""
    return Group(
        trial_table(diagnosis),
        *(Text(f"* {printable(sentence)}") for sentence in diagnosis.verdict),
        *(Text(f"  {printable(problem)}") for problem in diagnosis.golden_problems[1:]),
    )


def trial_table(diagnosis: Diagnosis) -> Table:
    """Lay out what each mistake does; columns that nothing is known for are left out."""
    first = diagnosis.trials[0]
    heads = list(first.change)
    with_theirs, labelled = diagnosis.compared > 0, list(first.figures)
    table = Table(
        title=Text(
            f"{printable(diagnosis.model)}: {diagnosis.faces} faces in "
            f"{diagnosis.pictures} pictures"
        ),
        title_justify="left",
        caption=Text(_caption(diagnosis), style="default"),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("tried", overflow="fold")
    headings = [f"{printable(name)}\nmoves by" for name in heads]
    headings += ["from yours,\ntolerances", "same as\nyours %"] if with_theirs else []
    headings += [f"{printable(name)}{_unit_of(name)}" for name in labelled]
    for heading in headings:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for trial in diagnosis.trials:
        cells = [f"{trial.change[name]:.3g}" for name in heads]
        cells += [_figure(trial.distance, ".2f"), _percent(trial.same_ratio)] * with_theirs
        cells += [_label_figure(name, trial.figures[name]) for name in labelled]
        table.add_row(_name(trial, diagnosis), *(Text(cell) for cell in cells))
    return table


def _unit_of(head: str) -> str:
    return " MAE\nyears" if head == AGE else "\ncorrect %"


def _label_figure(head: str, value: float) -> str:
    return f"{value:.2f}" if head == AGE else _percent(value)


def _name(trial: Trial, diagnosis: Diagnosis) -> Text:
    fits = trial.name in diagnosis.explained_by
    return Text(f"{trial.name} <- yours" if fits else trial.name, style="bold" if fits else "")


def _caption(diagnosis: Diagnosis) -> str:
    parts = ["moves by: mean change against the contract"]
    if diagnosis.compared:
        parts.append(f"yours: {diagnosis.compared} faces compared")
    if diagnosis.labelled:
        parts.append(f"labels: {diagnosis.labelled} faces")
    return "; ".join(parts)


def _percent(ratio: float | None) -> str:
    return _NONE if ratio is None else f"{100 * ratio:.1f}"


def _figure(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
