"""Sections of a device's benchmark show the figures of the record; what is not there has none."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from edgeface.bench.delegation import Delegation
from edgeface.bench.frames import Frame, FrameTimes, PictureSize
from edgeface.bench.latency import LatencySamples
from edgeface.bench.parity import MetricAgreement, Parity, TensorParity
from edgeface.bench.result import BenchEntry, BenchResult
from edgeface.bench.run_samples import RunSamples
from edgeface.bench.soak import Soak, SoakWindow
from edgeface.bench.thread_sweep import ThreadLatency
from edgeface.report.device_tables import (
    DeviceAnswer,
    device_markdown,
    device_sections,
    device_tables,
    devices_section,
    soak_curve,
)
from edgeface.report.sections import Section, section_markdown, section_table
from edgeface.runtime.telemetry import DeviceSample
from support import report_results as reports
from support.records import PI

INT8 = "mobilenetv2-a100-128px-p30-int8"
PI = replace(
    PI,
    model="Raspberry Pi 4 Model B",
    cores=4,
    ram_bytes=4_000_000_000,
    os="Linux-6.6",
    clock_mhz=1800.0,
    soc="brcm,bcm2711",
    runtime="ai-edge-litert",
    runtime_version="2.1.0",
)


def latency(ms: float, processes: int = 2) -> LatencySamples:
    return LatencySamples(
        name=INT8,
        repeats=((ms,) * 4,) * processes,
        load_ms=(3.0, 5.0)[:processes],
        first_inference_ms=(20.0, 30.0)[:processes],
    )


WINDOWS = tuple(
    SoakWindow(t_s=float(at), runs=5, p50_ms=ms, p90_ms=ms, max_ms=ms)
    for at, ms in enumerate([10.0] * 10 + [12.0] * 10)
)
FULL = reports.entry(
    INT8,
    10.0,
    9,
    latency=latency(10.0),
    memory=None,
    sweep=(
        ThreadLatency(threads=1, latency=latency(10.0)),
        ThreadLatency(threads=4, latency=latency(4.0)),
    ),
    soak=Soak(minutes=0.5, window_s=1.0, threads=1, windows=WINDOWS),
    parity=Parity(
        reference_device="local",
        reference_runtime="ai-edge-litert 2.3.0",
        n=200,
        tensors=(
            TensorParity(
                tensor="age", unit="steps", values=200, largest=1, mean=0.1, share_equal_ratio=0.9
            ),
            TensorParity(
                tensor="gender", unit="steps", values=200, largest=2, mean=0, share_equal_ratio=1
            ),
        ),
        metrics=(
            MetricAgreement(
                task="gender", name="accuracy", unit="ratio", n=200, here=0.94, there=0.935
            ),
        ),
    ),
    delegation=Delegation(delegate="XNNPACK", partitions=2, delegated_ops=64, total_ops=66),
    frames=FrameTimes(
        threads=1,
        read_each_frame=False,
        detector="haar",
        min_face_px=40,
        pictures=(PictureSize(width_px=640, height_px=480),),
        stages=("detect", "inference"),
        frames=(
            Frame(picture=0, faces=1, stage_ms=(30.0, 10.0)),
            Frame(picture=0, faces=2, stage_ms=(30.0, 20.0)),
        ),
    ),
)


def result(*entries: BenchEntry, **changes: Any) -> BenchResult:
    about: dict[str, Any] = {
        "device_before": PI,
        "device_after": PI,
        "runtime_version": "2.1.0",
        "entries": entries,
        "baseline": None,
        "data": None,
        "warnings": (),
        "samples": (
            RunSamples(
                run=0,
                what=f"latency of {INT8}",
                samples=(
                    DeviceSample(t_s=0, temperature_c=50, clock_mhz=1800, power_w=3.0),
                    DeviceSample(t_s=1, temperature_c=61, clock_mhz=1800, power_w=4.0),
                ),
            ),
        ),
    }
    return reports.result(**(about | changes))


def section(title: str, made: BenchResult | None = None) -> Section:
    found = device_sections(made or result(FULL))
    return next(each for each in found if each.title.startswith(title))


def printed(table: Table, width: int = 120) -> str:
    text = io.StringIO()
    Console(file=text, width=width).print(table)
    return text.getvalue()


def test_percentiles_have_intervals_and_load_times() -> None:
    (row,) = section("Latency in ms").rows
    # without any spread the interval is the value itself
    assert row == (INT8, *("10.0\n(10.0–10.0)",) * 3, "3.00–5.00", "20.0–30.0")


def test_one_process_has_no_interval() -> None:
    (row,) = section("Latency", result(replace(FULL, latency=latency(10.0, 1)))).rows
    assert row[1] == "10.0\n(one process)"


def test_threads_are_set_against_the_first_row() -> None:
    one, four = section("Threads").rows
    assert one == (INT8, "1", "10.0", "10.0", "10.0", "100", "1.00×")
    assert four == (INT8, "4", "4.00", "4.00", "4.00", "250", "2.50×")


def test_a_soak_says_when_it_grew_slower_and_shows_its_curve() -> None:
    (row,) = section("Soak").rows
    assert row[:7] == (INT8, "0.5", "100", "10.0", "12.0", "+20.0 %", "9 s")
    assert row[7] == "▁" * 10 + "█" * 10


@pytest.mark.parametrize(
    ("medians", "curve"), [([1.0, 2.0, 8.0], "▁▂█"), ([5.0, 5.0], "▁▁"), ([3.0], "▁")]
)
def test_the_curve_goes_from_the_lowest_to_the_highest(medians: list[float], curve: str) -> None:
    windows = tuple(
        SoakWindow(t_s=float(at), runs=1, p50_ms=ms, p90_ms=ms, max_ms=ms)
        for at, ms in enumerate(medians)
    )
    assert soak_curve(Soak(minutes=1, window_s=1, threads=1, windows=windows)) == curve


def test_frames_show_fps_and_the_share_of_each_stage() -> None:
    whole, one, several = section("End to end").rows
    assert whole == (
        *(INT8, "all frames", "2", "1.5", "45.0", "22.2"),
        "detect 67 %, inference 33 %",  # 60 and 30 of 90 ms
    )
    assert one[1:6] == ("one face", "1", "1.0", "40.0", "25.0")
    assert several[1] == "several faces"
    notes = " ".join(section("End to end").notes)
    assert "1 pictures of 640 x 480 px, decoded beforehand; faces of 40 px or more" in notes
    assert "12.86 FPS" in notes


def test_parity_has_a_verdict_for_each_output_and_figure() -> None:
    age, gender = section("Parity").rows
    assert age == (INT8, "age", "equal", "1 steps", "0.1 steps", "90.0")
    assert gender[2] == "UNEQUAL"
    assert "Against local, ai-edge-litert 2.3.0, on 200 images." in section("Parity").notes
    (figure,) = section("Quality from").rows
    assert figure == (
        INT8,
        "gender accuracy %",
        "agree",
        *("94.00", "93.50", "-0.500", "0.50", "200"),
    )


def test_delegate_and_conditions() -> None:
    assert section("Delegate").rows == ((INT8, "XNNPACK", "64", "66", "2"),)
    assert section("What the device").rows == (
        (f"latency of {INT8}", "2", "50–61", "1800–1800", "3.50"),
    )


def test_what_was_not_measured_has_no_section() -> None:
    bare = replace(
        FULL, latency=None, sweep=(), soak=None, parity=None, delegation=None, frames=None
    )
    assert device_sections(result(bare, samples=())) == ()


def test_an_invalid_result_has_no_section() -> None:
    assert device_sections(result(FULL, invalid_reasons=("throttled now",))) == ()


def test_both_forms_print_every_cell() -> None:
    made = result(FULL)
    terminal = " ".join(printed(table, 160) for table in device_tables(made))
    markdown = "\n".join(device_markdown(made))
    for each in device_sections(made):
        for row in each.rows:
            for cell in row:
                for part in cell.split("\n"):
                    assert part in terminal
                assert cell.replace("\n", " ") in markdown


def test_nothing_is_cut_at_100_columns() -> None:
    assert FULL.frames is not None
    stages = ("read", "detect", "crop", "resize", "inference", "decode")
    frames = (Frame(picture=0, faces=1, stage_ms=(12.0, 30.0, 11.0, 12.0, 13.0, 14.0)),)
    made = result(replace(FULL, frames=replace(FULL.frames, stages=stages, frames=frames)))
    for table in device_tables(made):
        text = printed(table, 100)
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= 100


def test_devices_say_who_they_are_and_what_to_do() -> None:
    problem = "no host set; add to ~/.config/edgeface/devices.toml: [rpi2] host = ..."
    made = devices_section(
        [
            DeviceAnswer(name="rpi", reached_by="ssh pi@pi.local", info=PI, problem=""),
            DeviceAnswer(name="rpi2", reached_by="ssh", info=None, problem=problem),
            DeviceAnswer(
                name="hot",
                reached_by="ssh",
                info=replace(PI, throttle_bits=4, runtime=None, temperature_c=None, ram_bytes=None),
                problem="no runtime",
            ),
        ]
    )
    first, second, third = made.rows
    assert first == (
        *("rpi", "ssh pi@pi.local"),
        "Raspberry Pi 4 Model B\nbrcm,bcm2711\naarch64, 4 cores, 4.0 GB",
        "Linux-6.6\nPython 3.11.2 (64-bit), ai-edge-litert 2.1.0\n"
        "governor performance, 50 °C, not throttled",
        "ready",
    )
    assert second == ("rpi2", "ssh", "no answer", "", "not ready")
    assert "no runtime" in third[3]
    assert "THROTTLED" in third[3]
    assert made.notes == (f"rpi2: {problem}", "hot: no runtime")
    assert "[rpi2] host" in printed(section_table(made))  # brackets are no markup


def test_a_row_has_every_column_and_markdown_is_escaped() -> None:
    with pytest.raises(ValueError, match="t: a row has not 2 cells"):
        Section(title="t", headings=("a", "b"), rows=(("1",),))
    made = Section(title="t", headings=("a", "b\nc"), rows=(("x|y", "[1]"),), notes=("n*",))
    assert section_markdown(made) == (
        "t:\n\n| a | b c |\n| --- | ---: |\n| x\\|y | \\[1\\] |\n\n- n\\*"
    )
