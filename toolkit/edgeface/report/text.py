"""Figures and tables as text. In: numbers and words. Out: what both printed forms are made of."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure in print.

    Attributes:
        value: without unit; "not measured" where there is none.
        interval: its 95 % interval, "low–high"; empty where there is none.
        images: "n = …" where it is of fewer images than the model's n, because labels are missing.
    """

    value: str
    interval: str = ""
    images: str = ""

    @property
    def details(self) -> str:
        """Interval and images side by side; empty where there is neither."""
        return "; ".join(filter(None, (self.interval, self.images)))

    def one_line(self) -> str:
        """Value, interval and images side by side."""
        return f"{self.value} ({self.details})" if self.details else self.value

    def stacked(self) -> str:
        """Value above interval above images."""
        return "\n".join(filter(None, (self.value, self.interval, self.images)))


def significant(value: float) -> str:
    """About three significant digits, at most three decimals, never an exponent."""
    for limit, digits in ((0.995, 3), (9.995, 2), (99.95, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def markdown_table(
    headings: list[str], rows: list[list[str]], text_headings: Collection[str] = ("model", "class")
) -> str:
    """Write a Markdown table; columns other than `text_headings` are set flush right."""
    rule = ["---" if heading in text_headings else "---:" for heading in headings]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, rule, *rows])


def escaped(text: str) -> str:
    """Escape what Markdown would read as markup."""
    for character in "\\|*<>[]`":
        text = text.replace(character, f"\\{character}")
    return text
