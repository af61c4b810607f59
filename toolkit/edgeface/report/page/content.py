"""What the page is made of. In: files. Out: `PageContent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeface.bench.result import read_result
from edgeface.bench.systems import SystemRow
from edgeface.bench.verdict import Comparison
from edgeface.errors import BenchmarkError
from edgeface.report.page.history import Training
from edgeface.report.page.pruned import PrunedLayers
from edgeface.report.page.sensitivity import Sensitivity
from edgeface.report.page.shown import ShownFaces
from edgeface.report.results_page import ResultFile, read_results
from edgeface.types import Sidecar


@dataclass(frozen=True, kw_only=True, eq=False)
class PageContent:
    """What the page shows.

    Attributes:
        files: result files, newest first; the first that is valid is shown whole, the others in
            short.
        candidate: name of the model that the headline is about; None: the fastest.
        reference: name of the model it was made from; None: the largest trained one besides.
        sidecars: of the models, by name.
        trainings: of the models.
        comparisons: paired verdicts.
        shown: faces with predictions; None for no faces.
        pruned: pruned models beside the whole ones, layer by layer.
        sensitivity: what int8 costs in each layer of a model; None if no file was given.
        systems: published systems with what was measured here; none for no such section.
    """

    files: Sequence[ResultFile]
    candidate: str | None = None
    reference: str | None = None
    sidecars: Mapping[str, Sidecar] = field(default_factory=dict)
    trainings: Sequence[Training] = ()
    comparisons: Sequence[Comparison] = ()
    shown: ShownFaces | None = None
    pruned: Sequence[PrunedLayers] = ()
    sensitivity: Sensitivity | None = None
    systems: Sequence[SystemRow] = ()

    def __post_init__(self) -> None:
        """Check that there is a result."""
        if not self.files:
            raise BenchmarkError("report: no result file, expected one or more; run edgeface bench")

    @property
    def main(self) -> ResultFile:
        """The newest valid result; the newest of all if none is valid."""
        valid = (file for file in self.files if not file.result.invalid_reasons)
        return next(valid, self.files[0])

    @property
    def others(self) -> tuple[ResultFile, ...]:
        """All but the main one."""
        return tuple(file for file in self.files if file is not self.main)


def find_results(path: Path) -> tuple[ResultFile, ...]:
    """Read a result file, or those of a folder, the newest first.

    Args:
        path: of either.

    Raises:
        BenchmarkError: not there, not a result, or a folder without any.
    """
    if path.is_file():
        return (ResultFile(path=path, result=read_result(path)),)
    found = read_results(path)
    if not found:
        raise BenchmarkError(f"{path}: holds no result file; make one with: edgeface bench")
    return found
