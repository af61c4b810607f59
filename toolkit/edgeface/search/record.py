"""`OUT/search.json`: all that a search tried, with figures and verdicts. In: nothing. Out: values.

Raw figures stand in it; tables and plots are made from it. What was not measured is null.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeface.runtime.device_facts import DeviceInfo
from edgeface.search.final import Final
from edgeface.search.measured import Cost, Measured
from edgeface.search.study import State
from edgeface.types import Scheme

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class CandidateRecord:
    """One candidate.

    Attributes:
        name: of its artifact.
        width_ratio: see `space.Candidate`, as the next three.
        side_px: of the input.
        pruning_ratio: as asked.
        scheme: of the file.
        state: "finished", "stopped", "failed", or "in work" by another worker.
        verdict: what became of it, in words.
        on_front: no other finished one is as good everywhere and better somewhere.
        cost: known before training; null if it failed earlier.
        measured: null unless it was finished. Quality is of the validation split.
    """

    name: str
    width_ratio: float
    side_px: int
    pruning_ratio: float
    scheme: Scheme
    state: State
    verdict: str
    on_front: bool
    cost: Cost | None
    measured: Measured | None


@dataclass(frozen=True, kw_only=True)
class LimitRecord:
    """One limit.

    Attributes:
        term: as asked.
        most: the largest figure that meets it: bytes, a count, milliseconds, years, or per cent of
            wrong genders.
    """

    term: str
    most: float


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """One search.

    Attributes:
        schema_version: see `SCHEMA_VERSION`.
        created_utc: when this file was written, ISO 8601.
        edgeface_version: that wrote it.
        commit: of the edgeface repository.
        budget: as asked.
        limits: as numbers.
        data: what the faces are.
        manifest_sha256: of the data.
        device: the machine that latency was measured on.
        rule: how the choice is made.
        reference: name of the unpruned float model that relative limits are against.
        candidates: all that were begun, the reference first.
        front: names, in the order of the first cost.
        chosen: name; null where nothing fits.
        why: why it won, and whether a plain model would have been as good.
        binding: which limit binds and by how much, where nothing fits.
        final: figures of the test split; null where nothing fits.
        notes: what makes figures doubtful.
    """

    schema_version: int
    created_utc: str
    edgeface_version: str
    commit: str
    budget: str
    limits: tuple[LimitRecord, ...]
    data: str
    manifest_sha256: str
    device: DeviceInfo
    rule: str
    reference: str
    candidates: tuple[CandidateRecord, ...]
    front: tuple[str, ...]
    chosen: str | None
    why: tuple[str, ...]
    binding: str
    final: Final | None
    notes: tuple[str, ...]
