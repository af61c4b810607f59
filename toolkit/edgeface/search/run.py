"""The search itself, with any evaluator. In: a budget and a space. Out: what was found.

In this order: the reference (the unpruned float model), the candidates that the study proposes,
and, if the choice is a pruned one, the plain models that could make it pointless. Several workers
may run this on one folder; each comes to the same end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeface.errors import CompressionError, EdgefaceError, ExportError, ModelError
from edgeface.search.budget import Budget
from edgeface.search.front import Found, choose, front, point
from edgeface.search.limits import Axis, Limit, axes_of, cost_figure, figure_of, limits_of
from edgeface.search.measured import Cost, Measured
from edgeface.search.rivals import rivals_to_hold_against
from edgeface.search.space import Candidate, Space
from edgeface.search.stopping import hopeless, over_cost
from edgeface.search.study import Claim, Entry, Study
from edgeface.types import Reporter

WAIT_S = 2.0  # chosen: short beside any training, long beside reading a journal
HOPELESS = "hopeless"
"""Name of the constraint that a stopped candidate is over, for the sampler to keep away from it."""

ReportEpoch = Callable[[int, float], bool]
"""Told the number of an epoch, from 1, and its validation MAE in years; False: stop training."""


class Evaluator(Protocol):
    """Turns a candidate into figures."""

    def cost(self, candidate: Candidate) -> Cost:
        """What the candidate costs, with random weights: no training."""

    def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
        """Train, convert and measure a candidate on the validation split.

        Returns:
            None if `report_epoch` answered False.
        """


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What is searched.

    Attributes:
        budget: as asked.
        space: of the candidates.
        reference: the unpruned float model; need not be in the space.
        folder: of this search alone; workers share it.
        context: digest of all but the candidate that determines figures: recipe, data, weights.
        seed: of the sampler.
        candidates: how many are trained, all workers together; fewer if the space is smaller. The
            reference and the plain models that are tried at the end do not count.
    """

    budget: Budget
    space: Space
    reference: Candidate
    folder: Path
    context: str
    seed: int
    candidates: int


@dataclass(frozen=True, kw_only=True)
class SearchOutcome:
    """What a search found.

    Attributes:
        limits: of the budget, as numbers.
        axes: of the front.
        reference: the unpruned float model.
        entries: all candidates, in the order they were begun; the reference first.
        front: those that no other one dominates, in the order of the first axis.
        chosen: by the rule of `front`; None where nothing fits.
    """

    limits: tuple[Limit, ...]
    axes: tuple[Axis, ...]
    reference: Candidate
    entries: tuple[Entry, ...]
    front: tuple[Candidate, ...]
    chosen: Candidate | None

    @property
    def found(self) -> Found:
        """Finished candidates with their figures."""
        return found_in(self.entries)


def found_in(entries: tuple[Entry, ...]) -> Found:
    """Finished candidates with their figures."""
    return {entry.candidate: entry.measured for entry in entries if entry.measured is not None}


def search(
    request: SearchRequest,
    evaluator: Evaluator,
    reporter: Reporter,
    *,
    wait: Callable[[float], None] = time.sleep,
) -> SearchOutcome:
    """Search until enough candidates are settled; go on where an earlier worker stopped.

    Args:
        request: what to do.
        evaluator: turns candidates into figures.
        reporter: is told each candidate and how it ended.
        wait: pauses while other workers have all that is left, in seconds.

    Raises:
        EdgefaceError: the folder, the data or a device cannot be used. A candidate that cannot be
            trained, cut or exported is put down as failed, and the search goes on.
    """
    worker = _Worker(request, evaluator, reporter, wait)
    worker.run()
    return worker.outcome()


class _Worker:
    """One process's part in a search."""

    def __init__(
        self,
        request: SearchRequest,
        evaluator: Evaluator,
        reporter: Reporter,
        wait: Callable[[float], None],
    ) -> None:
        self._request, self._evaluator = request, evaluator
        self._reporter, self._wait = reporter, wait
        self._waited_for: set[str] = set()
        self._held_against: Candidate | None = None
        self._axes = axes_of(request.budget)
        self._study = Study(
            request.folder,
            name=request.context,
            space=request.space,
            objectives=len(self._axes),
            seed=request.seed,
        )
        self._reference = self._measure_reference()
        self._limits = limits_of(request.budget, self._reference)

    def run(self) -> None:
        while True:
            claim = self._study.claim(
                at_most=self._request.candidates, besides=[self._request.reference]
            )
            if claim:
                self._work(claim)
            elif not self._others_work():
                break
        while rival := self._next_rival():
            claim = self._study.claim(at_most=0, wanted=rival)
            if claim:
                self._work(claim)
            elif not self._others_work():
                break

    def outcome(self) -> SearchOutcome:
        entries = self._entries()
        found = found_in(entries)
        return SearchOutcome(
            limits=self._limits,
            axes=self._axes,
            reference=self._request.reference,
            entries=entries,
            front=front(found, self._axes),
            chosen=choose(found, self._axes, self._limits),
        )

    def _entries(self) -> tuple[Entry, ...]:
        reference = Entry(
            candidate=self._request.reference,
            state="finished",
            cost=self._reference.cost,
            measured=self._reference,
        )
        return (reference, *self._study.entries())

    def _measure_reference(self) -> Measured:
        # other workers need it as much: they wait
        waiting = f"waiting for another worker's reference, {self._request.reference.name}"
        with self._study.reference_lock().held(lambda: self._reporter.say(waiting)):
            measured = self._study.reference()
            if measured is None:
                self._reporter.say(f"reference: {self._request.reference.name}")
                measured = self._evaluator.evaluate(self._request.reference, lambda *_: True)
                if measured is None:
                    raise CompressionError(
                        f"{self._request.reference.name}: gave no figures, expected some: it is "
                        "the reference, which is never stopped"
                    )
                self._study.set_reference(measured)
        return measured

    def _work(self, claim: Claim) -> None:
        name = claim.candidate.name
        self._reporter.say(f"candidate: {name}")
        try:
            cost = self._evaluator.cost(claim.candidate)
            self._study.note_cost(claim, cost)
            if reason := over_cost(cost, self._limits):
                self._study.stop(claim, reason, self._over_costs(cost), was_trained=False)
                self._reporter.say(f"{name}: {reason}")
                return
            reason, measured = self._evaluated(claim, cost)
        except (ModelError, CompressionError, ExportError) as err:
            self._study.fail(claim, str(err))
            self._reporter.say(f"{name}: failed: {err}")
            return
        except EdgefaceError:
            claim.lock.release()  # the next worker finds the candidate free
            raise
        if measured is None:
            self._study.stop(claim, reason, {HOPELESS: 1.0})
            self._reporter.say(f"{name}: {reason}")
            return
        self._study.finish(claim, measured, point(measured, self._axes), self._over(measured))
        self._reporter.say(
            f"{name}: MAE {measured.mae_years:.2f} years, gender "
            f"{100 * measured.gender_accuracy_ratio:.1f} %, "
            f"{measured.cost.size_bytes / 1e6:.2f} MB"
        )

    def _evaluated(self, claim: Claim, cost: Cost) -> tuple[str, Measured | None]:
        reasons: list[str] = []

        def report_epoch(epoch: int, mae_years: float) -> bool:
            found = found_in(self._entries())
            why = hopeless(epoch, mae_years, cost, found, self._axes, self._limits)
            reasons.extend([why] if why else [])
            return not why

        measured = self._evaluator.evaluate(claim.candidate, report_epoch)
        return (reasons or ["stopped by the evaluator"])[-1], measured

    def _over(self, measured: Measured) -> Mapping[str, float]:
        return {
            str(limit.term): limit.excess_ratio(figure_of(measured, limit.term))
            for limit in self._limits
        }

    def _over_costs(self, cost: Cost) -> Mapping[str, float]:
        return {
            str(limit.term): limit.excess_ratio(cost_figure(cost, limit.term))
            for limit in self._limits
            if limit.term.is_cost
        }

    def _next_rival(self) -> Candidate | None:
        entries = self._entries()
        found = found_in(entries)
        chosen = choose(found, self._axes, self._limits)
        if chosen is None or chosen.is_plain:
            return None
        if chosen != self._held_against:
            self._reporter.say(
                f"{chosen.name} is pruned: looking for plain models that cost no more"
            )
        self._held_against = chosen
        known = {entry.candidate: entry.cost for entry in entries if entry.cost is not None}
        rivals = rivals_to_hold_against(
            chosen,
            self._request.space,
            lambda candidate: known.get(candidate) or self._evaluator.cost(candidate),
            self._axes,
        )
        settled = {entry.candidate for entry in entries if entry.state != "in work"}
        return next((rival for rival in rivals if rival not in settled), None)

    def _others_work(self) -> bool:
        """Pause if other workers have candidates in work; False if there are none."""
        names = {each.candidate.name for each in self._study.entries() if each.state == "in work"}
        if names - self._waited_for:
            self._reporter.say(f"waiting for other workers: {', '.join(sorted(names))}")
        self._waited_for = names
        if names:
            self._wait(WAIT_S)
        return bool(names)
