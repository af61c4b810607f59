from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeface.errors import CompressionError, DataError, ModelError
from edgeface.search.budget import parse_budget
from edgeface.search.measured import Cost, Measured
from edgeface.search.run import ReportEpoch, SearchOutcome, search
from edgeface.search.space import Candidate, Space
from edgeface.types import SilentReporter
from search.fakes import (
    REFERENCE,
    REQUEST,
    SPACE,
    fake_cost,
    fake_figures,
    fake_measured,
)


class Fake:
    """Gives figures by formula and notes what it was asked."""

    def __init__(self, measure: Callable[[Candidate], Measured] = fake_measured) -> None:
        self.measure = measure
        self.evaluated: list[Candidate] = []
        self.costed: list[Candidate] = []

    def cost(self, candidate: Candidate) -> Cost:
        self.costed.append(candidate)
        return self.measure(candidate).cost

    def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
        self.evaluated.append(candidate)
        measured = self.measure(candidate)
        for epoch, mae_years in enumerate(measured.mae_curve_years, start=1):
            if not report_epoch(epoch, mae_years):
                return None
        return measured


def run(
    folder: Path,
    budget: str,
    fake: Fake | None = None,
    *,
    candidates: int = 100,
    space: Space = SPACE,
    reference: Candidate = REFERENCE,
) -> SearchOutcome:
    request = replace(
        REQUEST,
        budget=parse_budget(budget),
        folder=folder,
        candidates=candidates,
        space=space,
        reference=reference,
    )

    def never(_: float) -> None:
        raise AssertionError("nobody else is at work")

    return search(request, fake or Fake(), SilentReporter(), wait=never)


def test_the_reference_comes_first_and_relative_limits_are_of_it(tmp_path: Path) -> None:
    fake = Fake()
    outcome = run(tmp_path, "mae<=+0.15, gender>=-0.5pp", fake)
    assert fake.evaluated[0] == REFERENCE
    mae, gender = outcome.limits
    assert mae.most == pytest.approx(4.5 + 0.15)
    assert gender.most == pytest.approx(5.0 + 0.5)  # 5 % wrong and half a point more
    assert outcome.entries[0].candidate == REFERENCE
    assert outcome.reference == REFERENCE


def test_the_choice_is_the_cheapest_that_fits(tmp_path: Path) -> None:
    """By the formulas: int8, width 1, unpruned 2.0 MB at 4.52; pruned 0.98 MB at 4.67."""
    outcome = run(tmp_path, "size<=2.5MB, mae<=+0.1")
    assert outcome.chosen is not None
    assert outcome.chosen.name == "mobilenetv2-a100-128px-int8"
    outcome = run(tmp_path / "looser", "size<=2.5MB, mae<=+0.2")
    assert outcome.chosen is not None
    assert outcome.chosen.name == "mobilenetv2-a100-128px-p30-int8"


def test_every_candidate_is_evaluated_at_most_once_also_in_a_second_run(tmp_path: Path) -> None:
    fake = Fake()
    run(tmp_path, "mae<=+3", fake, candidates=5)
    assert len(fake.evaluated) == 1 + 5
    again = Fake()
    run(tmp_path, "mae<=+3", again, candidates=9)
    assert len(again.evaluated) == 4
    assert not set(fake.evaluated) & set(again.evaluated)


def test_what_costs_far_too_much_is_not_trained(tmp_path: Path) -> None:
    fake = Fake()
    outcome = run(tmp_path, "size<=1MB, mae<=+2", fake)
    dear = [each for each in SPACE.candidates if fake_cost(each).size_bytes > 1_250_000]
    assert len(dear) == 8
    assert set(fake.evaluated) & set(dear) == {REFERENCE}
    states = {entry.candidate: entry for entry in outcome.entries}
    for candidate in set(dear) - {REFERENCE}:
        assert states[candidate].state == "stopped"
        assert states[candidate].reason.startswith("not trained: size +")


def test_a_hopeless_candidate_is_stopped_with_the_reason(tmp_path: Path) -> None:
    outcome = run(tmp_path, "mae<=4.7")
    stopped = [entry for entry in outcome.entries if entry.state == "stopped"]
    assert stopped
    for entry in stopped:
        # every fake training gains as much as every other, so the rule is exact here
        assert fake_measured(entry.candidate).mae_years > 4.5
        assert "stopped after epoch 1 at MAE" in entry.reason
        assert entry.cost == fake_cost(entry.candidate)
    fitting = {each for each in SPACE.candidates if fake_measured(each).mae_years <= 4.7}
    finished = {entry.candidate for entry in outcome.entries if entry.state == "finished"}
    on_front = {each for each in outcome.front if each in fitting}
    assert on_front <= finished


def test_a_candidate_that_cannot_be_trained_fails_alone(tmp_path: Path) -> None:
    bad = SPACE.candidates[1]

    class Failing(Fake):
        def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
            if candidate == bad:
                raise ModelError("the loss is nan")
            return super().evaluate(candidate, report_epoch)

    outcome = run(tmp_path, "mae<=+3", Failing())
    entry = next(each for each in outcome.entries if each.candidate == bad)
    assert (entry.state, entry.reason) == ("failed", "the loss is nan")
    assert len(outcome.entries) == 16


def test_an_error_that_is_no_candidates_fault_ends_the_search_and_leaves_it_free(
    tmp_path: Path,
) -> None:
    class Gone(Fake):
        def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
            if candidate != REFERENCE:
                raise DataError("the disk is gone")
            return super().evaluate(candidate, report_epoch)

    with pytest.raises(DataError, match="the disk is gone"):
        run(tmp_path, "mae<=+3", Gone())
    outcome = run(tmp_path, "mae<=+3")
    assert {entry.state for entry in outcome.entries} <= {"finished", "stopped"}
    assert len(outcome.entries) == 16


def test_a_reference_without_figures_is_an_error(tmp_path: Path) -> None:
    class Empty(Fake):
        def evaluate(self, candidate: Candidate, report_epoch: ReportEpoch) -> Measured | None:
            return None

    with pytest.raises(CompressionError, match="it is the reference, which is never stopped"):
        run(tmp_path, "mae<=+3", Empty())


def test_the_reference_need_not_be_in_the_space(tmp_path: Path) -> None:
    outside = Candidate(width_ratio=1.4, side_px=224, pruning_ratio=0.0, scheme="float32")
    outcome = run(tmp_path, "mae<=+3", reference=outside)
    assert outcome.entries[0].candidate == outside
    assert len(outcome.entries) == 1 + 16


NARROW = Candidate(width_ratio=0.5, side_px=128, pruning_ratio=0.0, scheme="int8")
CUT = Candidate(width_ratio=1.0, side_px=128, pruning_ratio=0.5, scheme="int8")
RIVALRY = Space(
    width_ratios=(0.5, 1.0), sides_px=(128,), pruning_ratios=(0.0, 0.5), schemes=("int8",)
)


def rivalry(narrow_mae_years: float) -> Callable[[Candidate], Measured]:
    """The narrow plain model costs as much as the cut wide one: (1 * 0.5)² = 0.5²."""

    def measure(candidate: Candidate) -> Measured:
        if candidate == NARROW:
            return fake_figures(candidate, narrow_mae_years, 0.95)
        if candidate == CUT:
            return fake_figures(candidate, 4.6, 0.94)
        return fake_figures(candidate, 4.5, 0.8)  # does not meet the budget

    return measure


BUDGET = "size<=3MB, mae<=5, gender>=90%"


@pytest.mark.parametrize(("narrow_mae_years", "expected"), [(4.6, NARROW), (4.7, CUT)])
def test_a_pruned_model_is_chosen_only_if_no_plain_one_is_as_good(
    tmp_path: Path, narrow_mae_years: float, expected: Candidate
) -> None:
    outcome = run(tmp_path, BUDGET, Fake(rivalry(narrow_mae_years)), space=RIVALRY)
    assert outcome.chosen == expected


def test_the_rival_of_a_pruned_choice_is_trained_besides_what_was_asked_for(
    tmp_path: Path,
) -> None:
    outcomes = {}
    for seed in range(20):
        fake = Fake(rivalry(4.6))
        request = replace(
            REQUEST,
            budget=parse_budget(BUDGET),
            space=RIVALRY,
            folder=tmp_path / str(seed),
            candidates=1,
            seed=seed,
        )
        outcome = search(request, fake, SilentReporter())
        outcomes[fake.evaluated[1]] = (fake.evaluated, outcome.chosen)
    # one candidate was asked for; where it was the pruned one, the plain one came besides
    assert outcomes[CUT] == ([REFERENCE, CUT, NARROW], NARROW)
    assert outcomes[NARROW] == ([REFERENCE, NARROW], NARROW)


def test_nothing_fits_and_the_outcome_says_so(tmp_path: Path) -> None:
    outcome = run(tmp_path, "size<=100kB, mae<=+0.01")
    assert outcome.chosen is None
    assert outcome.found[REFERENCE] == fake_measured(REFERENCE)
