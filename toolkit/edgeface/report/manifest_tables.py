"""A manifest to tables for the terminal: what is in which split, and what is left out and why."""

from __future__ import annotations

import re
from collections import Counter

from rich.table import Table
from rich.text import Text

from edgeface.data.adapters.paths import printable
from edgeface.data.manifest import SPLITS, Manifest, Row

# What varies in a reason, so that alike reasons are counted together: what is quoted, numbers, and
# all that stands after a colon or says what it is a copy of.
_VARYING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+|(?::|^copy of ).*""")


def manifest_tables(manifest: Manifest) -> tuple[Table, ...]:
    """Make the tables.

    Args:
        manifest: of one set or several.

    Returns:
        Images by split, with ages and classes; and reasons for what is left out, if anything is.
    """
    tables = [_splits(manifest)]
    if manifest.left_out:
        tables.append(_left_out(manifest))
    return tuple(tables)


def _splits(manifest: Manifest) -> Table:
    table = Table(title=Text(f"{manifest.label}: images by split"), title_justify="left")
    table.add_column("")
    for split in SPLITS:
        table.add_column(split, justify="right")
    rows = {split: manifest.of_split(split) for split in SPLITS}
    lines = [
        ("images", [len(rows[split]) for split in SPLITS]),
        ("distinct pictures", [len({row.group for row in rows[split]}) for split in SPLITS]),
        ("age known exactly", [_count(rows[split], "exact") for split in SPLITS]),
        ("age in a bin", [_count(rows[split], "bin") for split in SPLITS]),
    ]
    # sets may number the classes of an attribute differently: counted by name
    classes = [
        {attribute.name: attribute.classes for attribute in source.attributes}
        for source in manifest.sources
    ]
    counts = {
        split: Counter(
            (name, classes[row.source][name][number])
            for row in rows[split]
            for name, number in row.classes.items()
        )
        for split in SPLITS
    }
    known = dict.fromkeys(
        (name, label) for each in classes for name, labels in each.items() for label in labels
    )
    lines += [
        (f"{name} {label}", [counts[split][name, label] for split in SPLITS])
        for name, label in known
    ]
    for name, found in lines:
        if any(found):
            table.add_row(Text(printable(name)), *(f"{count:,}" for count in found))
    return table


def _left_out(manifest: Manifest) -> Table:
    table = Table(title=Text(f"left out: {len(manifest.left_out):,} images"), title_justify="left")
    table.add_column("images", justify="right")
    table.add_column("for example", overflow="fold")
    counts = Counter(_kind(row.left_out) for row in manifest.left_out)
    examples = {_kind(row.left_out): row for row in reversed(manifest.left_out)}
    for kind, count in counts.most_common():
        text = f"{examples[kind].id}: {examples[kind].left_out}"
        table.add_row(f"{count:,}", Text(printable(text)))
    return table


def _count(rows: tuple[Row, ...], kind: str) -> int:
    ages = [row.age for row in rows if row.age]
    exact = sum(age.low_years == age.high_years for age in ages)
    return exact if kind == "exact" else len(ages) - exact


def _kind(reason: str) -> str:
    return _VARYING.sub("…", reason)
