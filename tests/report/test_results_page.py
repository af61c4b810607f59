"""The committed page is what the committed result files give, and says what it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeface.bench.compression import Compression
from edgeface.bench.corruption import CorruptedQuality
from edgeface.bench.latency import LatencySamples
from edgeface.bench.result import BenchEntry, BenchResult, read_result, write_result
from edgeface.bench.slices import SliceFigure, SliceQuality
from edgeface.errors import BenchmarkError
from edgeface.report.results_page import (
    ResultFile,
    check_page,
    how_made,
    read_results,
    report_files,
    results_page,
    write_page,
)
from edgeface.report.systems_table import read_system_rows, systems_folder
from edgeface.types import Metric, Quality
from support import report_results as reports
from support.bars import Bars
from support.records import PI

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
VGG, INT8 = "vgg16-a100-128px-float32", "mobilenetv2-a50-96px-p30-int8"


def metric(name: str, value: float, unit: str = "ratio", n: int = 400) -> Metric:
    task = "age" if unit == "years" or name in ("r2", "within_5_years") else "gender"
    return Metric(
        task=task, name=name, value=value, low=value - 0.01, high=value + 0.01, unit=unit, n=n
    )


METRICS = (
    metric("accuracy", 0.94),
    metric("roc_auc", 0.9876),
    metric("calibration_error", 0.0312),
    metric("mae", 4.5, "years"),
    metric("rmse", 6.25, "years"),
    metric("r2", 0.875),
    metric("within_5_years", 0.66),
    metric("mae_20_29", 3.5, "years", n=380),
    metric("mae_100_109", 9.5, "years", n=20),
)
QUALITY = Quality(
    data="utkface", split="test", manifest_sha256="abcdef0123456789", n=400, metrics=METRICS
)


def group(by: Any, name: str, accuracy: float, n: int = 40, few: bool = False) -> SliceQuality:
    figure = SliceFigure(
        task="gender",
        name="accuracy",
        value=accuracy,
        low=None if few else accuracy - 0.1,
        high=None if few else accuracy + 0.05,
        unit="ratio",
        n=n,
    )
    return SliceQuality(by=by, name=name, n=n, figures=(figure,))


def entry(name: str, latency_ms: float, **changes: Any) -> BenchEntry:
    """Of two processes, the second a tenth slower."""
    about: dict[str, Any] = {
        "scheme": "int8",
        "latency": LatencySamples(
            name=name,
            repeats=((latency_ms,) * 3, (1.1 * latency_ms,) * 3),
            load_ms=(1.0, 1.0),
            first_inference_ms=(1.0, 1.0),
        ),
        "memory": None,
        "quality": QUALITY,
        "compression": Compression(
            backbone="mobilenetv2",
            width_ratio=0.5,
            side_px=96,
            steps=("30 % of channels pruned", "int8 after training"),
        ),
    }
    return reports.entry(name, size_bytes=2_345_678, **(about | changes))


def result(**changes: Any) -> BenchResult:
    entries = (
        entry(VGG, 250.0, trained=False, quality=None, scheme="float32"),
        entry(INT8, 2.5),
    )
    about = {
        "schema_version": 2,
        "started_utc": "2025-11-22T03:16:05.123456+00:00",
        "runtime_version": "2.1.0",
        "commit": "0123456789abcdef-dirty",
        "entries": entries,
        "baseline": VGG,
        "data": "utkface",
        "warnings": ("the fan was off",),
    }
    return reports.result(**(about | changes))


def page(*results: BenchResult) -> str:
    files = [
        ResultFile(path=Path(f"b/results/2025_local_run-{number}.json"), result=each)
        for number, each in enumerate(results)
    ]
    return results_page(files, Path("b/RESULTS.md"))


def row(text: str, start: str) -> list[str]:
    """Cells of the first line that starts so."""
    line = next(each for each in text.splitlines() if each.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_committed_page_and_its_picture_are_what_the_committed_files_give() -> None:
    path, files = BENCHMARKS / "RESULTS.md", read_results(BENCHMARKS / "results")
    systems = read_system_rows(
        systems_folder(BENCHMARKS / "results"), [each.result for each in files]
    )
    texts = report_files(files, path, systems)
    assert list(texts) == [path, BENCHMARKS / "front.svg"]
    for each, text in texts.items():
        check_page(each, text)


def test_who_waits_for_the_page_sees_which_run_is_written() -> None:
    bars = Bars()
    files = [
        ResultFile(path=Path(f"2025_local_{name}.json"), result=result()) for name in ("a", "b")
    ]
    results_page(files, Path("RESULTS.md"), (), bars)
    assert bars.totals == [("writing", 2)]
    assert (bars.steps, bars.notes) == ([1, 1], ["a", "b"])


def test_every_committed_result_has_its_section() -> None:
    text = (BENCHMARKS / "RESULTS.md").read_text("utf-8")
    for path in (BENCHMARKS / "results").glob("*.json"):
        assert f"](results/{path.name})" in text
        for each in read_result(path).entries:
            assert each.name in text


def test_a_row_is_the_arithmetic_of_the_record() -> None:
    assert row(page(result()), INT8) == [
        INT8,
        "width 0.50, 96 px, 30 % of channels pruned, int8 after training",
        "2.35",  # 2,345,678 / 10^6
        "1.00",
        "2.62 (2.50–2.75)",  # of two processes with 2.5 and 1.1 × 2.5; between them all runs
        "100×",  # 262.5 / 2.625
        "4.50 (4.49–4.51)",
        "94.0 (93.0–95.0)",
        "400",
    ]


def test_what_was_not_measured_says_so() -> None:
    bare = entry(INT8, 1.0, latency=None, quality=None, gzip_bytes=None, compression=None)
    cells = row(page(result(entries=(bare,), baseline=None, data=None)), INT8)
    assert cells[1] == "width 0.50, 96 px, 30 % of channels pruned, int8"  # of its name
    assert cells[2:] == ["2.35", *["not measured"] * 5]


def test_a_record_of_version_1_is_shown_with_what_it_has() -> None:
    old = [replace(each, gzip_bytes=None, compression=None) for each in result().entries]
    text = page(result(schema_version=1, entries=tuple(old)))
    assert row(text, INT8)[3] == "not measured"
    assert row(text, INT8)[1] == "width 0.50, 96 px, 30 % of channels pruned, int8"


def test_without_a_baseline_there_is_no_speed_up() -> None:
    alone = page(result(baseline=None)).lower()
    assert "speed-up" not in alone
    assert "speed-up" in page(result()).lower()


def test_the_section_says_machine_runtime_threads_data_and_warnings() -> None:
    text = page(result())
    for words in (
        "## 2025-11-22 03:16 UTC, local: run-0",
        "Some CPU (x86_64, 2 cores)",
        "ai-edge-litert 2.1.0, 1 thread",
        "memory 8.0 GB; governor not readable; before to after: clock 2000 to 2000 MHz, "
        "temperature not readable; throttled: not readable.",
        "NOTE: x86 host, not a device.",
        "utkface, test split of manifest abcdef012345, 400 images",
        "WARNING: the fan was off.",
        "[2025_local_run-0.json](results/2025_local_run-0.json), of edgeface 0.1.0 at commit "
        "0123456789ab-dirty.",
        "Raspberry Pi and phones: not measured.",
    ):
        assert words in text


def test_a_device_is_named_and_its_heat_is_shown() -> None:
    hot = replace(PI, temperature_c=71.0, throttle_bits=0x4)
    text = page(result(device_before=PI, device_after=hot))
    assert "Devices measured: Raspberry Pi 4." in text
    assert "governor performance" in text
    assert "temperature 50 to 71 °C; throttled: yes." in text
    assert "Raspberry Pi and phones: not measured" not in text


def test_an_invalid_result_is_listed_with_its_reason_and_without_tables() -> None:
    reason = "under-voltage now, at 2 of 9 looks, first in run 0"
    text = page(
        result(schema_version=3, device_before=PI, device_after=PI, invalid_reasons=(reason,))
    )
    assert "## 2025-11-22 03:16 UTC, rpi: run-0 (invalid)" in text
    assert f"- INVALID, so left out of tables: {reason}." in text
    assert "2025_local_run-0.json" in text
    assert "| ---" not in text
    # a device that slowed itself was not measured
    assert "Raspberry Pi and phones: not measured." in text


def test_what_version_3_added_follows_and_older_results_have_none_of_it() -> None:
    now = page(result(schema_version=3))
    assert "Latency in ms with 95 % intervals:" in now
    assert "Latency in ms" not in page(result())


def test_drawn_faces_are_announced_loudly() -> None:
    drawn = replace(QUALITY, data="drawn faces")
    text = page(
        result(entries=(entry(INT8, 1.0, quality=drawn),), baseline=None, data="drawn faces")
    )
    assert "DRAWN FACES, NOT PHOTOGRAPHS" in text
    assert "drawn" not in page(result()).lower()


def test_further_figures_have_their_units() -> None:
    text = page(result())
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if "ROC AUC" in line)
    assert [cell.strip() for cell in lines[at + 2].strip("|").split("|")] == [
        INT8,
        "0.988 (0.978–0.998)",
        "3.1 (2.1–4.1)",
        "6.25 (6.24–6.26)",
        "0.875 (0.865–0.885)",
        "66.0 (65.0–67.0)",
    ]
    assert "| model | 20–29 (n = 380) | 100–109 (n = 20) |" in text
    assert f"| {INT8} | 3.50 (3.49–3.51) | 9.50 (too few) |" in text


def test_the_worst_group_is_named_and_those_too_small_are_counted() -> None:
    slices = (
        group("age and gender", "20-29 male", 0.9),
        group("age and gender", "70-79 male", 0.6, n=35),
        group("age and gender", "90-99 male", 0.1, n=3, few=True),
        group("race", "Some*", 0.8),
        group("age, gender and race", "70-79 male, Some*", 0.4, n=29, few=True),
        group("age, gender and race", "20-29 male, Some*", 0.9),
    )
    made = entry(INT8, 1.0, slices=slices)
    text = page(result(entries=(made,), baseline=None))
    cells = row(text, f"{INT8} | gender accuracy %")
    assert cells[2:] == [
        "70-79 male: 60.0 (50.0–65.0), n = 35",
        "Some\\*: 80.0 (70.0–85.0), n = 40",
        "20-29 male, Some\\*: 90.0 (80.0–95.0), n = 40",
        "1",
    ]
    assert "Worst groups" not in page(result())


def test_spoiled_faces_stand_beside_the_clean_ones() -> None:
    def spoiled(kind: Any, strength: int, accuracy: float) -> CorruptedQuality:
        return CorruptedQuality(
            kind=kind, strength=strength, n=250, metrics=(metric("accuracy", accuracy, n=240),)
        )

    corruptions = (
        spoiled("none", 0, 0.95),
        *(spoiled("blur", strength, 0.95 - strength / 10) for strength in (1, 2, 3)),
    )
    made = entry(INT8, 1.0, corruptions=corruptions)
    text = page(result(entries=(made,), baseline=None))
    assert row(text, f"{INT8} | blur | gender accuracy %")[3:] == [
        "95.0 (94.0–96.0)",
        "85.0 (84.0–86.0)",
        "75.0 (74.0–76.0)",
        "65.0 (64.0–66.0)",
        "240",
    ]
    assert "blur sigma 0.45, 1.3, 2.7 % of the side" in text
    assert "Spoiled" not in page(result())


def test_the_newest_comes_first(tmp_path: Path) -> None:
    # the name's time is not the record's, which counts
    for name, started in (("b", "2025-11-22T03:00:00+00:00"), ("a", "2025-11-23T03:00:00+00:00")):
        write_result(tmp_path / f"x_local_{name}.json", result(started_utc=started))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "other.json").write_text("{}")
    assert [each.name for each in read_results(tmp_path)] == ["a", "b"]


def test_no_result_is_said() -> None:
    assert "Nothing is measured yet: all is not measured." in results_page([], Path("RESULTS.md"))


def test_a_file_that_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(BenchmarkError, match=r"a\.json: schema_version is None"):
        read_results(tmp_path)
    with pytest.raises(BenchmarkError, match="no such folder"):
        read_results(tmp_path / "none")


def test_a_page_is_checked_to_the_byte(tmp_path: Path) -> None:
    path, text = tmp_path / "RESULTS.md", page(result())
    with pytest.raises(BenchmarkError, match=r"RESULTS\.md: cannot be read"):
        check_page(path, text)
    write_page(path, text)
    check_page(path, text)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(BenchmarkError, match="is not what the result files give"):
        check_page(path, text)
    with pytest.raises(BenchmarkError, match="cannot be written"):
        write_page(tmp_path / "none" / "RESULTS.md", text)


def test_a_scheme_is_said_once() -> None:
    assert how_made(entry(INT8, 1.0)).count("int8") == 1
    plain = Compression(backbone="vgg16", width_ratio=None, side_px=128, steps=())
    assert how_made(entry(VGG, 1.0, scheme="float32", compression=plain)) == "128 px, float32"
    assert how_made(entry("mine", 1.0, compression=None)) == "int8"
