"""A table in both forms. In: headings, rows and notes. Out: a Rich table, or Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from edgeface.report.text import escaped, markdown_table


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table, as printed.

    Attributes:
        title: above it.
        headings: of the columns.
        rows: a text for each column.
        text_columns: how many of the first columns are words; the others are set flush right.
        notes: below it, one sentence each.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every row has every column."""
        if any(len(row) != len(self.headings) for row in self.rows):
            raise ValueError(f"{self.title}: a row has not {len(self.headings)} cells")


def section_table(section: Section) -> Table:
    """Lay a section out for a terminal."""
    table = Table(
        title=section.title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for at, heading in enumerate(section.headings):
        is_text = at < section.text_columns
        table.add_column(
            heading, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text
        )
    for row in section.rows:
        table.add_row(*map(Text, row))  # Text, because a name with [brackets] is no markup
    if section.notes:
        table.caption = Text("\n".join(section.notes), style="default")
    return table


def section_markdown(section: Section) -> str:
    """Write a section as Markdown, without a newline at its end."""
    headings = [heading.replace("\n", " ") for heading in section.headings]
    rows = [[escaped(cell).replace("\n", " ") for cell in row] for row in section.rows]
    parts = [
        f"{escaped(section.title)}:",
        markdown_table(headings, rows, headings[: section.text_columns]),
    ]
    if section.notes:
        parts.append("\n".join(f"- {escaped(note)}" for note in section.notes))
    return "\n\n".join(parts)
