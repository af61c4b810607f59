"""An inspection as text for a terminal of 100 columns. In: `Inspection`. Out: Rich renderables.

Names of files, folders and classes come from the set and are not trusted: they are shown as plain
text, on one line, with control characters escaped.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgeface.data.adapters.paths import printable
from edgeface.data.inspection import Inspection
from edgeface.data.inspection_findings import InspectionFinding, plural
from edgeface.data.inspection_images import OddPictures
from edgeface.data.inspection_labels import AgeCounts, AgeRow, ClassCounts

SHOWN_CONFLICTS = 10
_SHOWN_ROWS = 20  # chosen: a screen; JSON and page have all
_BAR_CHARACTERS = 28  # chosen: two bars, their figures and the ages fit 100 columns
_TITLE_CHARACTERS = 76  # up to here a title is not broken where its table is narrower
_EIGHTHS = " ▏▎▍▌▋▊▉█"  # Source: Unicode block elements, left eighths
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def inspection_text(inspection: Inspection) -> Group:
    """Lay out a whole inspection: what is there, what is wrong, and the tables behind it."""
    parts: list[Table] = [summary_table(inspection), finding_table(inspection)]
    if inspection.images.not_usable:
        parts.append(not_usable_table(inspection))
    parts += [class_table(counts) for counts in inspection.attributes]
    if inspection.ages.decades:
        parts.append(age_table(inspection.ages))
    if inspection.copies.conflicts:
        parts.append(conflict_table(inspection))
    return Group(*parts)


def summary_table(inspection: Inspection) -> Table:
    """Lay the main counts out, a line each."""
    table = _table(f"{inspection.name}: {inspection.adapter} set")
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in summary_rows(inspection):
        table.add_row(Text(name), _plain(value))
    return table


def summary_rows(inspection: Inspection) -> list[tuple[str, str]]:
    """Write the main counts as (what, figures); what the set does not have is left away."""
    images, ages = inspection.images, inspection.ages
    copies, splits = inspection.copies, inspection.splits
    lost = [
        (images.left_out, "left out for name or table"),
        (images.unreadable, "unreadable"),
        (images.unlabelled, "without label"),
    ]
    rows = [
        (
            "images",
            f"{images.listed:,} listed, {images.usable:,} usable"
            + "".join(f", {count:,} {text}" for count, text in lost if count),
        )
    ]
    if images.sizes is not None:
        width, height = images.sizes.width_px, images.sizes.height_px
        rows.append(("width × height", f"{_range(width)} × {_range(height)} px"))
    odd = [
        _odd(images.tiny, "tiny (side under {:g} px)"),
        _odd(images.dark, "dark (mean under {:g})"),
        _odd(images.flat, "flat (contrast under {:g})"),
    ]
    rows.append(("odd pictures", ", ".join(filter(None, odd)) or "none"))
    if ages.exact or ages.interval:
        kinds = [(ages.exact, "in years"), (ages.interval, "in bins"), (ages.missing, "unknown")]
        rows.append(("ages", ", ".join(f"{count:,} {text}" for count, text in kinds if count)))
    if ages.whipple_index is not None:
        rows.append(
            (
                "Whipple's index",
                f"{ages.whipple_index:.0f} of {plural(ages.whipple_count, 'image')} "
                "(100 no rounding to 0 and 5, from 125 heaped)",
            )
        )
    found = (
        f"{plural(copies.groups, 'group')}, {plural(copies.images, 'image')}; "
        f"{plural(copies.exact_groups, 'group')} with equal pixels; "
        f"labels disagree in {plural(len(copies.conflicts), 'group')}"
    )
    rows.append(("copies", found if copies.groups else "none"))
    if splits.images:
        counts = ", ".join(f"{one.name} {one.count:,}" for one in splits.images)
        across = ", ".join(f"{one.name}: {plural(one.count, 'group')}" for one in splits.pairs)
        rows.append(("own splits", f"{counts}; copies across: {across or 'none'}"))
    return rows


def finding_table(inspection: Inspection) -> Table:
    """Lay the findings out, gravest first."""
    table = _table("Findings")
    table.add_column("", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=3)
    table.add_column("next step", overflow="fold", ratio=2)
    for finding in inspection.findings:
        table.add_row(_severity(finding), _plain(finding.what), _plain(finding.next_step))
    if not inspection.findings:
        table.add_row("", Text("nothing found"), Text(""))
    return table


def not_usable_table(inspection: Inspection) -> Table:
    """Lay the reasons out for which images cannot be used, with an example each."""
    table = _table("Not usable")
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold", ratio=1)
    table.add_column("for example", overflow="fold", ratio=1)
    for one in inspection.images.not_usable:
        names = "\n".join(printable(example.id) for example in one.examples[:3])
        table.add_row(f"{one.count:,}", _plain(one.reason), Text(names))
    return table


def class_table(counts: ClassCounts) -> Table:
    """Lay the classes of one attribute out with bars, in the order of their numbers."""
    table = _table(f"Classes of {counts.attribute}")
    table.add_column("class", overflow="fold", max_width=40)
    table.add_column("images", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    rows = [(one.name, one.count) for one in counts.classes]
    if counts.missing:
        rows.append(("(unknown)", counts.missing))
    total = sum(count for _, count in rows)
    largest = max((count for _, count in rows), default=0)
    for name, count in rows[:_SHOWN_ROWS]:
        table.add_row(_plain(name), f"{count:,}", _percent(count, total), bar(count, largest))
    _say_how_many_more(table, len(rows), "class", "classes")
    return table


def age_table(ages: AgeCounts) -> Table:
    """Lay ages by decade out, a column with bars for each gender."""
    table = _table("Ages by gender, images")
    table.add_column("years", justify="right", no_wrap=True)
    for name in ages.genders:
        table.add_column(_plain(name), no_wrap=True, max_width=_BAR_CHARACTERS + 8)
    largest = max((count for row in ages.decades for count in row.counts), default=0)
    # three bars share the room of two where some genders are unknown
    width = min(_BAR_CHARACTERS, 2 * _BAR_CHARACTERS // max(1, len(ages.genders)))
    for row in ages.decades[:_SHOWN_ROWS]:
        bars = (Text(f"{count:>7,} {bar(count, largest, width)}") for count in row.counts)
        table.add_row(years(row), *bars)
    _say_how_many_more(table, len(ages.decades), "row")
    return table


def conflict_table(inspection: Inspection) -> Table:
    """Lay the worst groups of copies out whose labels disagree."""
    conflicts = inspection.copies.conflicts
    table = _table(
        f"Copies with labels that disagree, the worst {min(SHOWN_CONFLICTS, len(conflicts))} of "
        f"{len(conflicts):,}"
    )
    table.add_column("labels", overflow="fold", ratio=1)
    table.add_column("copies", no_wrap=True)
    table.add_column("images", overflow="fold", ratio=1)
    for conflict in conflicts[:SHOWN_CONFLICTS]:
        names = [printable(member.id) for member in conflict.members[:3]]
        if len(conflict.members) > len(names):
            names.append(f"and {len(conflict.members) - len(names):,} more")
        table.add_row(
            _plain(conflict.text),
            "same pixels" if conflict.same_pixels else "nearly same",
            Text("\n".join(names)),
        )
    return table


def bar(count: int, largest: int, characters: int = _BAR_CHARACTERS) -> str:
    """Draw a bar in eighths of a character; what is not 0 has at least one.

    Args:
        count: 0 to `largest`.
        largest: that fills the whole width.
        characters: that width, 1 or more.
    """
    if not count:
        return ""
    eighths = max(1, round(8 * characters * count / largest))
    full, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * full + (_EIGHTHS[rest] if rest else "")


def years(row: AgeRow) -> str:
    """Write the ages of a row, e.g. "20–29"."""
    if row.low_years == row.high_years:
        return f"{row.low_years}"
    return f"{row.low_years}–{row.high_years}"


def _severity(finding: InspectionFinding) -> Text:
    return Text(finding.severity, style=_STYLES[finding.severity])


def _plain(text: str) -> Text:
    # Text, because a name with [brackets] would be read as markup
    return Text(printable(text))


def _range(sides_px: Sequence[int]) -> str:
    low, median, high = sides_px
    return f"{low:,}" if low == high else f"{low:,}–{high:,} (median {median:,})"


def _odd(odd: OddPictures, form: str) -> str:
    return f"{odd.count:,} {form.format(odd.limit)}" if odd.count else ""


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else ""


def _say_how_many_more(table: Table, rows: int, one: str, many: str = "") -> None:
    if rows > _SHOWN_ROWS:
        table.caption = Text(f"and {plural(rows - _SHOWN_ROWS, one, many)} more", style="default")


def _table(title: str) -> Table:
    return Table(
        title=_plain(title),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        min_width=min(len(title), _TITLE_CHARACTERS),
    )
