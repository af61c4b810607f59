"""What was tried, what is being tried and what comes next: one Optuna study that workers share.

In: a folder. Out: claims on candidates, and entries. The journal in the folder is the only record;
a worker that is killed at any moment loses at most the candidate it was on.

**No candidate twice.** A worker chooses its next candidate under the study's lock, and holds a lock
of the candidate's own while it works on it. What is finished is in the journal, what is in work has
a lock that is held. A lock that is free on a candidate in work means that its worker is gone: the
trial is failed and the candidate is free again.

**Sampler.** TPE, multivariate, with constraints. Source: Watanabe 2023 (arXiv 2304.11127): TPE
needs 10 random trials to start, and takes running trials of other workers and violated constraints
into account; NSGA-II would draw a first generation of 50 at random, half of such a search. Where
it names a candidate that is taken, the nearest free one takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from edgeface.errors import CompressionError
from edgeface.records import RecordError, from_mapping, to_mapping
from edgeface.search.journal import JournalFile
from edgeface.search.locks import FileLock
from edgeface.search.measured import Cost, Measured
from edgeface.search.space import Candidate, Space

State = Literal["in work", "finished", "stopped", "failed"]
_STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "in work",
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the study knows of one candidate.

    Attributes:
        candidate: which.
        state: "in work", "finished", "stopped" because it was hopeless, or "failed".
        reason: why it was stopped or failed; empty otherwise.
        cost: known from before the training on; None if it failed earlier.
        measured: of a finished candidate, else None.
        was_trained: False for one that was stopped for its cost alone, which takes seconds.
    """

    candidate: Candidate
    state: State
    reason: str = ""
    cost: Cost | None = None
    measured: Measured | None = None
    was_trained: bool = True


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to work on one candidate, until it is settled or this process ends."""

    candidate: Candidate
    trial: Trial
    lock: FileLock


class Study:
    """The shared ledger of one search."""

    def __init__(
        self, folder: Path, *, name: str, space: Space, objectives: int, seed: int
    ) -> None:
        """Open the study, or make it.

        Args:
            folder: of this search alone.
            name: digest of all that determines it.
            space: of the candidates.
            objectives: values that `finish` gives, all to be made small.
            seed: of the sampler, together with the number of trials so far: a worker that goes on
                must not draw what the first one drew.

        Raises:
            CompressionError: the folder cannot be used.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # only the command line talks here
        self._folder = folder
        self._space = space
        self._lock = FileLock(folder / "study.lock")
        self._failed_here: set[Candidate] = set()
        with self._lock.held():
            self._study = optuna.create_study(
                storage=JournalStorage(JournalFile(folder / "journal.jsonl")),
                study_name=name,
                directions=["minimize"] * objectives,
                load_if_exists=True,
            )
            trials = len(self._study.get_trials(deepcopy=False))
            self._study.sampler = TPESampler(seed=seed + trials, multivariate=True)

    def entries(self) -> tuple[Entry, ...]:
        """The newest state of each candidate that was ever begun, in the order they were begun.

        "In work" may mean that its worker was killed; `claim` finds out.

        Raises:
            CompressionError: the journal holds something else.
        """
        found: dict[Candidate, Entry] = {}
        for trial in self._study.get_trials(deepcopy=False):
            entry = self._entry(trial)
            if entry is None:
                continue
            earlier = found.get(entry.candidate)
            if earlier is None or earlier.state in ("failed", "in work"):
                found[entry.candidate] = entry
        return tuple(found.values())

    def claim(
        self, *, at_most: int, wanted: Candidate | None = None, besides: Sequence[Candidate] = ()
    ) -> Claim | None:
        """Take the next candidate that nobody has finished, stopped or is working on.

        Args:
            at_most: candidates that may be taken by all workers together; those that were stopped
                before training do not count.
            wanted: take this one or none; it does not count against `at_most`.
            besides: candidates that are not to be taken.

        Returns:
            The claim; None if there is nothing (left) to take now.

        Raises:
            CompressionError: the folder cannot be used.
        """
        with self._lock.held():
            self._free_the_dead()
            begun = [entry for entry in self.entries() if entry.state != "failed"]
            taken = {entry.candidate for entry in begun}
            away = taken | self._failed_here | set(besides)
            free = [candidate for candidate in self._space.candidates if candidate not in away]
            if wanted is not None:
                free = [wanted] if wanted in free else []
            elif sum(entry.was_trained for entry in begun) >= at_most:
                free = []
            if not free:
                return None
            trial = self._enqueued(wanted) if wanted else self._suggested(free)
            candidate = self._candidate(trial.params)
            lock = self._lock_of(candidate)
            if not lock.try_acquire():
                raise CompressionError(
                    f"{self._folder}: {candidate.name} is locked but nobody works on it; is "
                    "another program using the folder?"
                )
            trial.set_user_attr("claimed", True)
            return Claim(candidate=candidate, trial=trial, lock=lock)

    def note_cost(self, claim: Claim, cost: Cost) -> None:
        """Keep what a candidate costs, which is known before it is trained."""
        claim.trial.set_user_attr("cost", to_mapping(cost))

    def finish(
        self, claim: Claim, measured: Measured, values: Sequence[float], over: Mapping[str, float]
    ) -> None:
        """Settle a candidate with its figures.

        Args:
            claim: of this process.
            measured: kept whole.
            values: what the sampler makes small.
            over: by limit, how far it is over it, as a share; 0 or less meets it.
        """
        claim.trial.set_user_attr("measured", to_mapping(measured))
        self._settle(claim, TrialState.COMPLETE, values, over)

    def stop(
        self, claim: Claim, reason: str, over: Mapping[str, float], *, was_trained: bool = True
    ) -> None:
        """Settle a candidate as hopeless.

        Args:
            claim: of this process.
            reason: in words.
            over: as in `finish`; at least one above 0, so that the sampler keeps away.
            was_trained: as in `Entry`.
        """
        claim.trial.set_user_attr("reason", reason)
        claim.trial.set_user_attr("was_trained", was_trained)
        self._settle(claim, TrialState.PRUNED, None, over)

    def fail(self, claim: Claim, reason: str) -> None:
        """Settle a candidate that could not be measured; another start of a worker tries again."""
        self._failed_here.add(claim.candidate)
        claim.trial.set_user_attr("reason", reason)
        self._settle(claim, TrialState.FAIL, None, {})

    def reference(self) -> Measured | None:
        """The figures of the unpruned float model, which is no trial; None until it is finished.

        Raises:
            CompressionError: the journal holds something else.
        """
        said = self._study.user_attrs.get("reference")
        try:
            return None if said is None else from_mapping(Measured, said)
        except RecordError as err:
            raise self._foreign("the reference", err) from err

    def reference_lock(self) -> FileLock:
        """The lock of whoever measures the reference."""
        return FileLock(self._folder / "claims" / "reference.lock")

    def set_reference(self, measured: Measured) -> None:
        """Keep the figures of the reference; its lock is held."""
        self._study.set_user_attr("reference", to_mapping(measured))

    def _settle(
        self,
        claim: Claim,
        state: TrialState,
        values: Sequence[float] | None,
        over: Mapping[str, float],
    ) -> None:
        for limit, excess_ratio in over.items():
            claim.trial.set_constraint(limit, excess_ratio)
        with self._lock.held():  # else another worker sees a free lock on a candidate in work
            self._study.tell(claim.trial, values, state=state)
            claim.lock.release()

    def _free_the_dead(self) -> None:
        """Fail the trials whose worker is gone; the study's lock is held."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get("claimed"):
                lock = self._lock_of(self._candidate(trial.params))
                if not lock.try_acquire():
                    continue
                lock.release()
            # one without a claim was left by a worker killed in the middle of `claim`
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _suggested(self, free: Sequence[Candidate]) -> Trial:
        trial = self._study.ask(self._distributions())
        candidate = self._candidate(trial.params)
        if candidate in free:
            return trial
        self._study.tell(trial, state=TrialState.FAIL)
        return self._enqueued(min(free, key=lambda each: self._space.distance(each, candidate)))

    def _enqueued(self, candidate: Candidate) -> Trial:
        self._study.enqueue_trial(self._params(candidate))
        while True:
            trial = self._study.ask(self._distributions())
            if self._candidate(trial.params) == candidate:
                return trial
            # a killed worker left one in the queue before ours
            self._study.tell(trial, state=TrialState.FAIL)

    def _distributions(self) -> dict[str, BaseDistribution]:
        # places in the lists and not values, because the lists are what has an order
        space = self._space
        return {
            "width": IntDistribution(0, len(space.width_ratios) - 1),
            "side": IntDistribution(0, len(space.sides_px) - 1),
            "ratio": IntDistribution(0, len(space.pruning_ratios) - 1),
            "scheme": CategoricalDistribution(space.schemes),
        }

    def _params(self, candidate: Candidate) -> dict[str, Any]:
        return {
            "width": self._space.width_ratios.index(candidate.width_ratio),
            "side": self._space.sides_px.index(candidate.side_px),
            "ratio": self._space.pruning_ratios.index(candidate.pruning_ratio),
            "scheme": candidate.scheme,
        }

    def _candidate(self, params: Mapping[str, Any]) -> Candidate:
        return Candidate(
            width_ratio=self._space.width_ratios[params["width"]],
            side_px=self._space.sides_px[params["side"]],
            pruning_ratio=self._space.pruning_ratios[params["ratio"]],
            scheme=params["scheme"],
        )

    def _lock_of(self, candidate: Candidate) -> FileLock:
        return FileLock(self._folder / "claims" / f"{candidate.name}.lock")

    def _entry(self, trial: FrozenTrial) -> Entry | None:
        """What a trial says of its candidate; None if nobody ever worked on it."""
        said = trial.user_attrs
        if not said.get("claimed"):
            return None
        try:
            return Entry(
                candidate=self._candidate(trial.params),
                state=_STATES[trial.state],
                reason=_reason(trial),
                cost=from_mapping(Cost, said["cost"]) if "cost" in said else None,
                measured=from_mapping(Measured, said["measured"]) if "measured" in said else None,
                was_trained=bool(said.get("was_trained", True)),
            )
        except RecordError as err:
            raise self._foreign(f"trial {trial.number}", err) from err

    def _foreign(self, what: str, err: RecordError) -> CompressionError:
        return CompressionError(
            f"{self._folder}: {what} in the journal: {err}; another version of edgeface wrote it, "
            "delete the folder to search anew"
        )


def _reason(trial: FrozenTrial) -> str:
    unsaid = "its worker was stopped" if trial.state == TrialState.FAIL else ""
    return str(trial.user_attrs.get("reason", unsaid))
