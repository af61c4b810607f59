"""The page of all benchmarks, `benchmarks/RESULTS.md`. In: result files. Out: Markdown, a picture.

The front, the published systems, then a section a file, the newest first, so that the device, the
runtime, the threads, the data and the date stand with every figure. Results of unlike runs are not
put into one table. The page depends on the files alone: the same files give the same bytes, which a
test holds the committed page to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeface.bench.compression import Compression, compression_from_name
from edgeface.bench.result import BenchEntry, BenchResult, read_result
from edgeface.bench.systems import SystemRow
from edgeface.errors import BenchmarkError
from edgeface.records import write_bytes
from edgeface.report.device_tables import device_markdown
from edgeface.report.quality_tables import quality_markdown
from edgeface.report.size_front import TITLE as FRONT_TITLE
from edgeface.report.size_front import front_markdown, front_path, leading_front
from edgeface.report.systems_table import TITLE, systems_markdown
from edgeface.report.tables import bench_notes, bench_rows
from edgeface.report.text import NOT_MEASURED, Figure, escaped, markdown_table
from edgeface.report.text import significant as significant
from edgeface.report.verdict_tables import verdict_markdown
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import Reporter, SilentReporter

_MB = 1_000_000  # Source: docs/design.md, Words: 1 MB = 10^6 bytes
_NOT_READABLE = "not readable"
_SILENT = SilentReporter()


@dataclass(frozen=True, kw_only=True)
class ResultFile:
    """One result file.

    Attributes:
        path: of it.
        result: what it holds.
    """

    path: Path
    result: BenchResult

    @property
    def name(self) -> str:
        """Name of the benchmark: what follows time and device in `<time>_<device>_<name>.json`."""
        return self.path.stem.split("_", 2)[-1]


def read_results(folder: Path) -> tuple[ResultFile, ...]:
    """Read every result file of a folder, not of the folders in it; the newest first.

    Raises:
        BenchmarkError: no such folder, or a `.json` in it is not a result.
    """
    if not folder.is_dir():
        raise BenchmarkError(f"{folder}: no such folder; give the one with the result files")
    files = [ResultFile(path=path, result=read_result(path)) for path in folder.glob("*.json")]
    # by the name too, so that two runs of one moment have an order
    return tuple(
        sorted(files, key=lambda each: (each.result.started_utc, each.path.name), reverse=True)
    )


def results_page(
    files: Sequence[ResultFile],
    page: Path,
    systems: Sequence[SystemRow] = (),
    reporter: Reporter = _SILENT,
) -> str:
    """Write the page as Markdown, ending in a newline.

    Args:
        files: in the order to show them.
        page: where it will stand, for the links to the files.
        systems: published systems with what was measured here; none for no such section.
        reporter: hears of each run; a model takes up to half a second, for its intervals.
    """
    with reporter.track("writing", len(files)) as advance:
        sections = []
        for each in files:
            sections.append(_section(each, page))
            advance(1, each.name)
    parts = [
        "# Results",
        "Made from the result files by `edgeface report`; do not edit. The newest run comes first. "
        f"{_targets(files)} What was not measured reads “{NOT_MEASURED}”.",
        *_front(files, page),
        *([f"## {TITLE}", systems_markdown(systems)] if systems else []),
        *sections,
    ]
    if not files:
        parts.append(f"Nothing is measured yet: all is {NOT_MEASURED}.")
    return "\n\n".join(parts) + "\n"


def report_files(
    files: Sequence[ResultFile],
    page: Path,
    systems: Sequence[SystemRow] = (),
    reporter: Reporter = _SILENT,
) -> dict[Path, str]:
    """Make the page, and its picture where a result gives a front.

    Args:
        files: in the order to show them.
        page: where it will stand.
        systems: published systems with what was measured here.
        reporter: as `results_page`'s.

    Returns:
        What each file holds, by path; the page comes first.

    Raises:
        BenchmarkError: there is a picture to draw, and matplotlib is not installed.
    """
    texts = {page: results_page(files, page, systems, reporter)}
    front = leading_front(file.result for file in files)
    if front is None:
        return texts
    try:
        from edgeface.report.size_front_plot import front_svg
    except ModuleNotFoundError as err:
        if (err.name or "").partition(".")[0] != "matplotlib":
            raise
        raise BenchmarkError(
            f"{front_path(page)}: matplotlib is not installed, the picture needs it; "
            "install with: pip install 'edgeface[train]'"
        ) from err
    return {**texts, front_path(page): front_svg(front)}


def stale_picture(page: Path, texts: Mapping[Path, str]) -> str | None:
    """Say of a picture beside the page that no result gives it; None where there is no such one."""
    picture = front_path(page)
    if picture in texts or not picture.exists():
        return None
    return f"{picture}: no result file gives a front, expected no picture; remove it"


def check_page(path: Path, page: str) -> None:
    """Hold a page that was written to what it should be.

    Raises:
        BenchmarkError: not there, not readable, or another text.
    """
    try:
        found = path.read_bytes()
    except OSError as err:
        raise BenchmarkError(
            f"{path}: cannot be read: {err.strerror}; write it with: edgeface report"
        ) from err
    if found != _encoded(page):
        raise BenchmarkError(
            f"{path}: is not what the result files give; write it anew with: edgeface report"
        )


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        BenchmarkError: cannot be written.
    """
    try:
        write_bytes(path, _encoded(page))
    except OSError as err:
        raise BenchmarkError(
            f"{path}: cannot be written: {err.strerror}; give another --out"
        ) from err


def _encoded(page: str) -> bytes:
    # a byte of a folder's name that is not UTF-8 is shown as JSON would escape it
    return page.encode("utf-8", "backslashreplace")


def _front(files: Sequence[ResultFile], page: Path) -> list[str]:
    front = leading_front(file.result for file in files)
    if front is None:
        return []
    file = next(each for each in files if each.result is front.result)
    return [f"## {FRONT_TITLE}", front_markdown(front, _link(file, page), front_path(page).name)]


def _targets(files: Sequence[ResultFile]) -> str:
    machines = sorted(
        {
            each.result.device_before.model
            for each in files
            if each.result.device_before.is_target and not each.result.invalid_reasons
        }
    )
    if not machines:
        return f"Raspberry Pi and phones: {NOT_MEASURED}."
    return f"Devices measured: {escaped(', '.join(machines))}."


def _section(file: ResultFile, page: Path) -> str:
    result = file.result
    moment = result.started_utc[:16].replace("T", " ")
    parts = [
        f"## {moment} UTC, {escaped(result.device_before.name)}: {escaped(file.name)}"
        + (" (invalid)" if result.invalid_reasons else ""),
        "\n".join(f"- {note}" for note in _notes(file, page)),
    ]
    # figures of a device that slowed itself would only be mistaken for the model's
    if not result.invalid_reasons:
        parts += [_main_table(result), *quality_markdown(result), *device_markdown(result)]
        parts += _verdicts(result)
    return "\n\n".join(parts)


def _verdicts(result: BenchResult) -> list[str]:
    if not result.comparisons:
        return []
    heading = "Verdicts, paired on the same images:"
    return [heading, verdict_markdown(result.comparisons).strip()]


def _notes(file: ResultFile, page: Path) -> list[str]:
    result = file.result
    notes = [escaped(note) for note in bench_notes(result)]
    return [
        notes[0],
        escaped(_machine(result.device_before, result.device_after)),
        *notes[1:],
        "p50: over all runs, with the lowest and the highest median of the processes. gzip: level "
        "9, what a download takes.",
        f"Result file: {_link(file, page)}, of edgeface {result.edgeface_version} "
        f"at commit {_commit(result.commit)}.",
    ]


def _link(file: ResultFile, page: Path) -> str:
    path = Path(os.path.relpath(file.path, page.parent)).as_posix()
    return f"[{escaped(file.path.name)}]({path})"


def _commit(commit: str) -> str:
    digest, _, remark = commit.partition("-")  # "-dirty": with changes that are in no commit
    return escaped(f"{digest[:12]}-{remark}" if remark else digest[:12])


def _machine(before: DeviceInfo, after: DeviceInfo) -> str:
    def change(first: float | None, last: float | None, unit: str) -> str:
        if first is None or last is None:
            return _NOT_READABLE
        return f"{first:.0f} to {last:.0f} {unit}"

    ram = _NOT_READABLE if before.ram_bytes is None else f"{before.ram_bytes / 1e9:.1f} GB"
    throttled = {None: _NOT_READABLE, True: "yes", False: "no"}[after.throttled]
    return (
        f"Machine: {before.os}, Python {before.python}, memory {ram}; governor "
        f"{before.governor or _NOT_READABLE}; before to after: clock "
        f"{change(before.clock_mhz, after.clock_mhz, 'MHz')}, temperature "
        f"{change(before.temperature_c, after.temperature_c, '°C')}; throttled: {throttled}."
    )


def _main_table(result: BenchResult) -> str:
    entries = {entry.name: entry for entry in result.entries}
    has_baseline = result.baseline is not None
    headings = ["model", "made small by", "size MB", "gzip MB", "p50 ms (processes)"]
    headings += [*(["speed-up"] if has_baseline else []), "age MAE years (95 %)"]
    headings += ["gender accuracy % (95 %)", "n"]
    rows = [
        [
            escaped(row.model) + (" (baseline)" if row.is_baseline else ""),
            escaped(how_made(entries[row.model])),
            row.size_mb,
            _gzip_mb(entries[row.model]),
            _p50(entries[row.model]).one_line(),
            *([row.speedup] if has_baseline else []),
            row.age_mae_years.one_line(),
            row.gender_accuracy_pct.one_line(),
            row.n,
        ]
        for row in bench_rows(result)
    ]
    return markdown_table(headings, rows, ("model", "made small by"))


def how_made(entry: BenchEntry) -> str:
    """Say how a model was made small: width, side, steps, scheme.

    A record of an older edgeface does not hold it; there it is read from the model's name.
    """
    known = entry.compression or compression_from_name(entry.name)
    return in_words(known, entry.scheme)


def in_words(compression: Compression | None, scheme: str) -> str:
    """Say it in one line, e.g. "width 0.50, 128 px, 30 % of channels pruned, int8"."""
    if compression is None:
        return scheme
    width = compression.width_ratio
    parts = [
        *([] if width is None else [f"width {width:.2f}"]),
        f"{compression.side_px} px",
        *compression.steps,
        scheme,
    ]
    # a step may name the scheme already, e.g. "int8 after training"
    return ", ".join(parts if scheme not in " ".join(compression.steps) else parts[:-1])


def _gzip_mb(entry: BenchEntry) -> str:
    return NOT_MEASURED if entry.gzip_bytes is None else significant(entry.gzip_bytes / _MB)


def _p50(entry: BenchEntry) -> Figure:
    if entry.latency is None:
        return Figure(value=NOT_MEASURED)
    medians = [float(np.median(repeat)) for repeat in entry.latency.repeats]
    interval = f"{significant(min(medians))}–{significant(max(medians))}"
    # the median of one process says nothing of how others would differ
    return Figure(
        value=significant(entry.latency.p50_ms), interval=interval if len(medians) > 1 else ""
    )
