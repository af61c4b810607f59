"""What int8 costs in each layer alone. In: a file of `benchmarks/quantization.py`. Out: a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeface.errors import BenchmarkError
from edgeface.records import RecordError, from_mapping

if TYPE_CHECKING:  # its module needs the quantizer, which who only looks at reports may lack
    from edgeface.export.sensitivity import SensitivityReport


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The layers of one model, each alone in int8.

    Attributes:
        model: name of the float file.
        what: the images and where they come from, in words.
        report: of `export.sensitivity`.
    """

    model: str
    what: str
    report: SensitivityReport


def read_sensitivity(path: Path) -> Sensitivity:
    """Read what `python benchmarks/quantization.py MODEL --layers --json FILE` wrote.

    Raises:
        BenchmarkError: not there, no such file, or one that was made without `--layers`.
    """
    from edgeface.export.sensitivity import SensitivityReport

    again = "make it with: python benchmarks/quantization.py MODEL --data MANIFEST --layers --json"
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise BenchmarkError(f"{path}: cannot be read: {err}; {again} FILE") from err
    layers = found.get("layers") if isinstance(found, dict) else None
    if not isinstance(layers, dict):
        raise BenchmarkError(f"{path}: has no layers; {again} FILE")
    try:
        report = from_mapping(SensitivityReport, layers)
    except RecordError as err:
        raise BenchmarkError(f"{path}: layers: {err}; {again} FILE") from err
    heads = [cost.head for cost in report.whole]
    if not report.layers or any([c.head for c in each.costs] != heads for each in report.layers):
        raise BenchmarkError(
            f"{path}: layers: found {len(report.layers)}, expected one or more, each with the "
            f"costs of {', '.join(heads) or 'a head'}; {again} FILE"
        )
    return Sensitivity(
        model=_word(found, "model"),
        what=f"{report.images:,} images of {_word(found, 'data')}, {_word(found, 'split')} split; "
        f"ranges from {report.calibration_images:,} calibration images",
        report=report,
    )


def _word(found: Mapping[str, Any], key: str) -> str:
    return str(found.get(key, "not named"))
