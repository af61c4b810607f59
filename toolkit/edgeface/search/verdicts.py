"""What a search says of its candidates and of its answer. In: `SearchOutcome`. Out: sentences."""

from __future__ import annotations

from edgeface.search.budget import Budget, Term
from edgeface.search.front import Violation, binding, no_more, rival_of
from edgeface.search.limits import cost_figure, figure_of, fits, violated
from edgeface.search.measured import Cost
from edgeface.search.run import SearchOutcome
from edgeface.search.space import Candidate
from edgeface.search.study import Entry
from edgeface.search.words import excess_words, figure_words, name_of


def verdict_words(entry: Entry, outcome: SearchOutcome) -> str:
    """Say what became of one candidate."""
    if entry.measured is None:
        return f"failed: {entry.reason}" if entry.state == "failed" else entry.reason or entry.state
    words = []
    if entry.candidate == outcome.chosen:
        words.append("chosen")
    if entry.candidate == outcome.reference:
        words.append("reference")
    over = violated(entry.measured, outcome.limits)
    if over:
        found = (
            excess_words(limit.term, limit.excess(figure_of(entry.measured, limit.term)))
            for limit in over
        )
        words.append(f"over: {', '.join(found)}")
    elif entry.candidate != outcome.chosen:
        rival = rival_of(entry.candidate, outcome.found, outcome.axes, outcome.limits)
        words.append(f"fits, but {rival.name} is as good: not recommended" if rival else "fits")
    return "; ".join(words)


def why_chosen(outcome: SearchOutcome, budget: Budget) -> tuple[str, ...]:
    """Say why the answer won, and whether a plain model would have been as good.

    Args:
        outcome: with a choice.
        budget: as asked.
    """
    chosen = outcome.chosen
    if chosen is None:
        return ()
    found, cheapest = outcome.found, outcome.axes[0]
    fitting = [each for each, measured in found.items() if fits(measured, outcome.limits)]
    passed = [
        each
        for each in fitting
        if figure_of(found[each], cheapest) < figure_of(found[chosen], cheapest)
    ]
    skipped = f", {len(passed)} pruned passed over for plain ones as good" if passed else ""
    return (
        f"{chosen.name} is the cheapest by {name_of(cheapest)} "
        f"({figure_words(cheapest, figure_of(found[chosen], cheapest))}) of {len(fitting)} "
        f"candidates that meet {budget}{skipped}.",
        _plain_words(chosen, outcome),
    )


def rival_shown(outcome: SearchOutcome) -> Candidate | None:
    """The plain model that a pruned choice is shown beside: the best that costs no more.

    Of the choice's scheme and finished; None if the choice is plain or there is none.
    """
    chosen = outcome.chosen
    if chosen is None or chosen.is_plain:
        return None
    found = outcome.found
    rivals = [
        each
        for each, measured in found.items()
        if each.is_plain
        and each.scheme == chosen.scheme
        and _costs_no_more(measured.cost, found[chosen].cost, outcome)
    ]
    return min(rivals, key=lambda each: found[each].mae_years, default=None)


def binding_words(outcome: SearchOutcome, budget: Budget) -> str:
    """Say in one line which limit binds and by how much, where nothing fits."""
    report = binding(outcome.found, outcome.limits)
    count = len(outcome.found)
    begin = f"no candidate meets {budget} (of {count} measured)"
    if report.alone:
        each_alone = "; or ".join(_loosened(violation) for violation in report.alone)
        return f"{begin}; it binds alone: {each_alone}"
    over = ", ".join(excess_words(each.term, each.excess) for each in report.nearest)
    return (
        f"{begin}; several limits bind at once: {report.nearest[0].candidate.name} is nearest, "
        f"over by {over}; loosen them together, or ask for a wider space"
    )


def _loosened(violation: Violation) -> str:
    return (
        f"{name_of(violation.term)}, by {_signless(violation)}: "
        f"{figure_words(violation.term, violation.found)} with all else met "
        f"({violation.candidate.name})"
    )


def _signless(violation: Violation) -> str:
    words = excess_words(violation.term, violation.excess).split(" ", 1)[1]
    return words.lstrip("+-")


def _plain_words(chosen: Candidate, outcome: SearchOutcome) -> str:
    found = outcome.found
    if chosen.is_plain:
        return "It is a plain MobileNetV2, nothing pruned: this budget needs no pruning."
    rival = rival_shown(outcome)
    if rival is None:
        return _no_rival_words(chosen, outcome)
    one, other = found[rival], found[chosen]
    mae_years = one.mae_years - other.mae_years
    gender_pp = 100 * (one.gender_accuracy_ratio - other.gender_accuracy_ratio)
    if not fits(one, outcome.limits):
        therefore = "it does not meet the budget, so pruning is worth it here"
    elif mae_years >= 0 and gender_pp <= 0:
        therefore = "pruning is worth it here"
    else:
        therefore = "each is better in one of the two"
    words = (
        f"The best plain MobileNetV2 that costs no more and was trained as long, {rival.name}, has "
        f"MAE {mae_years:+.2f} years and gender {gender_pp:+.1f} points beside it on the "
        f"validation split: {therefore}."
    )
    if one.weights == other.weights:
        return words
    return (
        f"{words} But it started from {one.weights} and the choice from {other.weights} weights: "
        "they did not have the same chance."
    )


def _no_rival_words(chosen: Candidate, outcome: SearchOutcome) -> str:
    cost = outcome.found[chosen].cost
    stopped = [
        entry.candidate.name
        for entry in outcome.entries
        if entry.state == "stopped"
        and entry.candidate.is_plain
        and entry.candidate.scheme == chosen.scheme
        and entry.cost is not None
        and _costs_no_more(entry.cost, cost, outcome)
    ]
    if stopped:
        return (
            "Plain MobileNetV2s that cost no more were stopped, because they could not become as "
            f"good ({', '.join(stopped)}): pruning is worth it here."
        )
    return (
        "No plain MobileNetV2 of the space costs as little, so whether one would have been as good "
        "is not known; ask for narrower widths or smaller sides."
    )


def _costs_no_more(one: Cost, other: Cost, outcome: SearchOutcome) -> bool:
    costs = [axis for axis in outcome.axes if axis.quantity not in ("mae", "gender")]
    return all(no_more(cost_figure(one, axis), cost_figure(other, axis), axis) for axis in costs)


def limit_words(term: Term, most: float) -> str:
    """A limit with its number, e.g. "mae<=+0.15 (4.75 years)"."""
    return f"{term} ({figure_words(term, most)})" if term.relative else str(term)
