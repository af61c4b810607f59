"""Which models the page is about, and the letter and colour of each. In: a result. Out: `Cast`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.errors import BenchmarkError
from edgeface.report.heads import MainFigure, find_metric, metrics_of
from edgeface.report.page.blocks import Cell, Legend
from edgeface.report.page.plots import SLOTS
from edgeface.types import Metric

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Cast:
    """The models of one result and their parts.

    Attributes:
        entries: in the order of their letters: the candidate first, the baseline last.
        candidate: the model that the headline is about; None if there is none but the baseline.
        reference: the uncompressed model that the candidate is shown beside; None if there is none.
        baseline: that the headline compares with; None if the result names none.
    """

    entries: tuple[BenchEntry, ...]
    candidate: BenchEntry | None
    reference: BenchEntry | None
    baseline: BenchEntry | None

    def number(self, name: str) -> int:
        """Place of a model among the entries, which is its letter and its colour."""
        return [entry.name for entry in self.entries].index(name)

    def letter(self, name: str) -> str:
        """Letter of a model; two letters after Z."""
        return letter_of(self.number(name))

    def cell(self, entry: BenchEntry, detail: str = "") -> Cell:
        """Head the row of a model."""
        remarks = filter(None, (self.part(entry), detail))
        return Cell(text=entry.name, detail=" · ".join(remarks), key=self.number(entry.name))

    def part(self, entry: BenchEntry) -> str:
        """What a model is here, in a word; empty for most."""
        parts = {"candidate": self.candidate, "reference": self.reference}
        parts |= {"baseline": self.baseline}
        return next((word for word, each in parts.items() if each is entry), "")

    def legend(self, entries: Iterable[BenchEntry]) -> tuple[Legend, ...]:
        """Explain the colours of some models."""
        return tuple(
            Legend(
                text=entry.name,
                slot=self.number(entry.name) % SLOTS,
                letter=self.letter(entry.name),
            )
            for entry in entries
        )


def letter_of(number: int) -> str:
    """Give A to Z, then AA, AB and so on."""
    first, last = divmod(number, len(_LETTERS))
    return (letter_of(first - 1) if first else "") + _LETTERS[last]


def cast_of(result: BenchResult, candidate: str | None, reference: str | None = None) -> Cast:
    """Give each model its part.

    Args:
        result: one benchmark.
        candidate: name of the model that the headline is about; None: the fastest but the baseline,
            and of equally fast ones the smallest.
        reference: name of the model it was made from; None: the largest trained model besides, and
            the baseline only if there is no other.

    Raises:
        BenchmarkError: no such model in the result.
    """
    baseline = next((each for each in result.entries if each.name == result.baseline), None)
    others = [entry for entry in result.entries if entry is not baseline]
    chosen = _named(result, candidate) or min(others, key=_cost, default=None)
    beside = [entry for entry in others if entry is not chosen and entry.trained]
    if not beside and baseline is not None and baseline.trained and baseline is not chosen:
        beside = [baseline]
    compared = _named(result, reference) or max(
        beside, key=lambda entry: entry.size_bytes, default=None
    )
    rest = [entry for entry in others if entry is not chosen]
    ordered = [*([chosen] if chosen else []), *rest]
    if baseline is not None and baseline is not chosen:
        ordered.append(baseline)
    return Cast(entries=tuple(ordered), candidate=chosen, reference=compared, baseline=baseline)


def metric_of(entry: BenchEntry | None, task: str, name: str) -> Metric | None:
    """Find a figure of a model by its head and its name; None where it was not measured."""
    return find_metric(metrics_of(entry), task, name)


def main_of(entry: BenchEntry | None, main: MainFigure) -> Metric | None:
    """Find the one figure that a head is known by; None where it was not measured."""
    return metric_of(entry, main.task, main.name)


def _named(result: BenchResult, name: str | None) -> BenchEntry | None:
    if name is None:
        return None
    found = next((entry for entry in result.entries if entry.name == name), None)
    if found is None:
        listed = ", ".join(entry.name for entry in result.entries)
        raise BenchmarkError(f"report: no model {name!r} in the result, expected one of {listed}")
    return found


def _cost(entry: BenchEntry) -> tuple[float, int]:
    slow = float("inf") if entry.latency is None else entry.latency.p50_ms
    return slow, entry.size_bytes
