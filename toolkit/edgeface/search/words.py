"""Figures and excesses in words. In: a quantity and a number. Out: text with its unit."""

from __future__ import annotations

from edgeface.search.budget import LOCAL, Term
from edgeface.search.limits import Axis

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_MILLION = 1_000_000


def figure_words(what: Axis | Term, figure: float) -> str:
    """Write one figure, e.g. "1.21 MB"; gender as accuracy, of the error that limits hold."""
    if what.quantity == "gender":
        return f"{100 - figure:.1f} % gender accuracy"
    return _amount(what, figure, "")


def excess_words(what: Axis | Term, excess: float) -> str:
    """Write how much a figure is over its limit, e.g. "size +0.21 MB" or "gender -0.40 pp"."""
    if what.quantity == "gender":
        return f"gender {-excess:+.2f} pp"
    return f"{name_of(what)} {_amount(what, excess, '+')}"


def name_of(what: Axis | Term) -> str:
    """Name a quantity, with the device that is not this host."""
    return f"{what.quantity}@{what.device}" if what.device not in ("", LOCAL) else what.quantity


def _amount(what: Axis | Term, value: float, sign: str) -> str:
    """Three significant digits or more, with the unit."""
    scale, unit = {
        "size": (_MB, " MB"),
        "gzip": (_MB, " MB gzip"),
        "params": (_MILLION, " M parameters"),
        "macs": (_MILLION, " M MACs"),
        "p50": (1, " ms"),
        "p90": (1, " ms"),
        "mae": (1, " years"),
    }[what.quantity]
    scaled = value / scale
    digits = 2 if what.quantity == "mae" or abs(scaled) >= 1 else 4 if abs(scaled) < 0.01 else 3
    return f"{scaled:{sign}.{digits}f}{unit}"
