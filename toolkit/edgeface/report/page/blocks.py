"""What a section of the page is made of. In: nothing. Out: values that the template draws.

All texts are plain: the template escapes them, so names out of files need no care here. The one
exception is `Plot.svg`, which is markup and comes from `plots.drawing` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Union

Tone = Literal["", "good", "bad", "doubtful", "soft"]
"""How a text is coloured; the words say the same, for who sees no colours and for print."""


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """A figure with its interval on a line from 0 to 100.

    Attributes:
        at: of the figure, 0 to 100.
        low: of the interval's lower end.
        high: of its upper end.
        other: of a figure to compare with; None for none.
    """

    at: float
    low: float
    high: float
    other: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what it says.
        detail: small print below it, e.g. an interval.
        tone: of the text.
        whisker: the same as a drawing.
        other: small print below that, of what it is compared with.
        key: number of the model whose mark stands before the text; None for no mark.
        fill: how dark the cell is, 0 to 1.
    """

    text: str
    detail: str = ""
    tone: Tone = ""
    whisker: Whisker | None = None
    other: str = ""
    key: int | None = None
    fill: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; on a phone one of many columns is a list, each cell behind its heading.

    Attributes:
        title: what it shows.
        headings: of the columns.
        rows: cells, as many as headings; the first heads its row.
        note: below it.
        text_columns: of words, set flush left; other columns are figures, set flush right.
        is_folded: shown when asked for only.
        is_matrix: a square of counts, whose cells are large.
        is_dense: of so many columns that cells are broken into lines.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    text_columns: tuple[int, ...] = (0,)
    is_folded: bool = False
    is_matrix: bool = False
    is_dense: bool = False


@dataclass(frozen=True, kw_only=True)
class Legend:
    """What one colour or letter of a plot stands for.

    Attributes:
        text: in words.
        slot: of the colour, from 0.
        letter: that stands in the plot; empty where colours alone tell.
    """

    text: str
    slot: int
    letter: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A drawing.

    Attributes:
        title: what it shows.
        svg: of `plots.drawing`, with its alternative text.
        note: below it.
        legend: of its colours.
    """

    title: str
    svg: str
    note: str = ""
    legend: tuple[Legend, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plots:
    """Drawings that stand side by side where there is room.

    Attributes:
        plots: the drawings.
        legend: that holds for all of them.
    """

    plots: tuple[Plot, ...]
    legend: tuple[Legend, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Card:
    """One figure, large.

    Attributes:
        title: what it is.
        value: without unit.
        unit: of it.
        detail: its interval.
        against: what it is compared with.
        verdict: in words.
        tone: of the verdict.
        why: of the verdict, in small print.
    """

    title: str
    value: str
    unit: str = ""
    detail: str = ""
    against: str = ""
    verdict: str = ""
    tone: Tone = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Cards:
    """Figures side by side."""

    cards: tuple[Card, ...]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Small tables side by side where there is room.

    Attributes:
        tables: the tables.
        is_flowing: unlike in height, so that one below the other may stand beside a long one.
    """

    tables: tuple[Table, ...]
    is_flowing: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One face.

    Attributes:
        source: a `data:` URI.
        alt: what it shows, in words.
        lines: below it.
        tone: of its frame.
        id: of the face in its manifest.
    """

    source: str
    alt: str
    lines: tuple[str, ...]
    tone: Tone = ""
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Faces side by side.

    Attributes:
        title: what they have in common.
        pictures: the faces.
        note: below the title.
    """

    title: str
    pictures: tuple[Picture, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Sentences, a line each.

    Attributes:
        lines: of text.
        tone: of all of them.
    """

    lines: tuple[str, ...]
    tone: Tone = ""


Block = Union[Table, Tables, Plots, Cards, Pictures, Notes]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Attributes:
        id: for links to it: small letters and hyphens.
        title: its heading.
        blocks: what is in it, never empty.
        lead: a sentence before them.
    """

    id: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
