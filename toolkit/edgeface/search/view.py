"""A search's record as the report shows it. In: outcome and record. Out: `FrontView`."""

from __future__ import annotations

from edgeface.report.front_tables import BudgetLine, FrontEntry, FrontView, Quantity
from edgeface.search.budget import LOCAL, Budget
from edgeface.search.measured import Timing
from edgeface.search.record import CandidateRecord, SearchRecord
from edgeface.search.run import SearchOutcome

_QUANTITIES: dict[str, Quantity] = {"size": "size", "p50": "p50", "mae": "mae"}


def front_view(outcome: SearchOutcome, budget: Budget, record: SearchRecord) -> FrontView:
    """Take what tables and plots show out of a search.

    Args:
        outcome: of the search.
        budget: as asked.
        record: of the same.
    """
    device = next(iter(budget.devices), LOCAL)
    reference = outcome.found[outcome.reference]
    return FrontView(
        budget=record.budget,
        entries=tuple(_entry(each, record, device) for each in record.candidates),
        front=record.front,
        lines=tuple(
            BudgetLine(
                quantity=_QUANTITIES[each.term.quantity], most=each.most, text=str(each.term)
            )
            for each in outcome.limits
            if each.term.quantity in _QUANTITIES and each.term.device in ("", device)
        ),
        data=record.data,
        images=reference.images,
        device=device,
        machine=f"{record.device.model} ({record.device.arch}, {record.device.cores} cores)",
        notes=(*record.why, *filter(None, [record.binding]), record.rule, *record.notes),
    )


def _entry(candidate: CandidateRecord, record: SearchRecord, device: str) -> FrontEntry:
    measured = candidate.measured
    cost = measured.cost if measured else candidate.cost
    timing: Timing | None = cost.timings.get(device) if cost else None
    return FrontEntry(
        name=candidate.name,
        is_chosen=candidate.name == record.chosen,
        is_reference=candidate.name == record.reference,
        is_plain=candidate.pruning_ratio == 0,
        scheme=candidate.scheme,
        on_front=candidate.on_front,
        verdict=candidate.verdict,
        size_bytes=cost.size_bytes if cost else None,
        gzip_bytes=cost.gzip_bytes if cost else None,
        p50_ms=timing.p50_ms if timing else None,
        macs=cost.macs if cost else None,
        mae_years=measured.mae_years if measured else None,
        gender_accuracy_ratio=measured.gender_accuracy_ratio if measured else None,
        weights=measured.weights if measured else "",
    )
