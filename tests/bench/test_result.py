"""A result file holds what was measured, is written once, and is read strictly."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.bench.compression import Compression
from edgeface.bench.corruption import CorruptedQuality
from edgeface.bench.delegation import Delegation
from edgeface.bench.frames import Frame, FrameTimes, PictureSize
from edgeface.bench.latency import LatencySamples, MemoryUse
from edgeface.bench.paired_bootstrap import Resampling
from edgeface.bench.parity import MetricAgreement, Parity, TensorParity
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.result import (
    RESULT_SCHEMA_VERSION,
    BenchEntry,
    BenchResult,
    default_result_path,
    read_result,
    write_result,
)
from edgeface.bench.run_samples import RunSamples
from edgeface.bench.slices import SliceFigure, SliceQuality
from edgeface.bench.soak import Soak, SoakWindow
from edgeface.bench.thread_sweep import ThreadLatency
from edgeface.bench.verdict import Comparison
from edgeface.errors import BenchmarkError
from edgeface.records import to_mapping
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.runtime.telemetry import DeviceSample
from edgeface.types import Metric, Quality

RESULT_FILES = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*.json"))
QUALITY = Quality(
    data="drawn faces",
    split="test",
    manifest_sha256="ab" * 32,
    n=7,
    metrics=(Metric(task="age", name="mae", value=5.0, low=4.0, high=6.0, unit="years", n=7),),
)


SLICES = (
    SliceQuality(
        by="age and gender",
        name="20-29 male",
        n=3,
        figures=(
            SliceFigure(task="age", name="mae", value=2.0, low=None, high=None, unit="years", n=3),
        ),
    ),
)


def entry(name: str, **changes: Any) -> BenchEntry:
    made = BenchEntry(
        name=name,
        artifact_sha256="00" * 32,
        size_bytes=9,
        scheme="int8",
        parameters=1,
        macs=2,
        trained=True,
        latency=LatencySamples(
            name=name, repeats=((1.0, 2.5), (3.0,)), load_ms=(1.0, 1.0), first_inference_ms=(2.0, 2)
        ),
        memory=MemoryUse(peak_rss_bytes=5, baseline_rss_bytes=4),
        quality=QUALITY,
        compression=Compression(
            backbone="mobilenetv2", width_ratio=0.5, side_px=96, steps=("QAT",)
        ),
        gzip_bytes=5,
        slices=SLICES,
        corruptions=(CorruptedQuality(kind="blur", strength=2, n=3, metrics=QUALITY.metrics),),
    )
    return replace(made, **changes)


def version_1(**changes: Any) -> dict[str, Any]:
    """What an older edgeface wrote: no field of an entry after `quality`."""
    later = {"compression", "gzip_bytes", "slices", "corruptions"}
    mapping = without(to_mapping(result()), later | SINCE_3)
    return {**mapping, "schema_version": 1, **changes}


def version_2() -> dict[str, Any]:
    """What the edgeface before devices wrote."""
    return {**without(to_mapping(result()), SINCE_3), "schema_version": 2}


def version_3() -> dict[str, Any]:
    """What the edgeface before verdicts against the baseline wrote."""
    mapping = {**to_mapping(result()), "schema_version": 3}
    del mapping["comparisons"]
    return mapping


SINCE_3 = {"sweep", "soak", "parity", "delegation", "frames", "samples", "invalid_reasons"} | {
    "comparisons"
}


def without(mapping: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """The result without some fields of itself and its entries, and what else version 3 added."""

    def left(each: dict[str, Any], further: set[str]) -> dict[str, Any]:
        return {key: value for key, value in each.items() if key not in further}

    facts = {"soc", "runtime", "runtime_version", "numpy_version", "python_bits"}
    return left(mapping, keys) | {
        "protocol": left(mapping["protocol"], {"cores", "sample_interval_s"}),
        "device_before": left(mapping["device_before"], facts),
        "device_after": left(mapping["device_after"], facts),
        "entries": [left(each, keys) for each in mapping["entries"]],
    }


def of_version_3(name: str, **changes: Any) -> BenchEntry:
    """An entry with every field that version 3 added."""
    window = SoakWindow(t_s=0.5, runs=2, p50_ms=1.0, p90_ms=1.0, max_ms=2.0)
    latency = entry(name).latency
    assert latency is not None
    more: dict[str, Any] = {
        "sweep": (
            ThreadLatency(threads=1, latency=latency),
            ThreadLatency(threads=4, latency=latency),
        ),
        "soak": Soak(minutes=1.0, window_s=1.0, threads=1, windows=(window,)),
        "parity": Parity(
            reference_device="local",
            reference_runtime="ai-edge-litert 2.1.0",
            n=7,
            tensors=(
                TensorParity(
                    tensor="age", unit="steps", values=7, largest=1.0, mean=0.5,
                    share_equal_ratio=0.5,
                ),
            ),
            metrics=(
                MetricAgreement(task="age", name="mae", unit="years", n=7, here=5.0, there=5.01),
            ),
        ),
        "delegation": Delegation(delegate="XNNPACK", partitions=1, delegated_ops=2, total_ops=3),
        "frames": FrameTimes(
            threads=1,
            read_each_frame=True,
            detector="haar",
            min_face_px=40,
            pictures=(PictureSize(width_px=640, height_px=480),),
            stages=("detect", "inference"),
            frames=(Frame(picture=0, faces=1, stage_ms=(3.0, 1.0)),),
        ),
    }  # fmt: skip
    return entry(name, **(more | changes))


RUNS = (
    RunSamples(
        run=0,
        what="latency of small",
        samples=(DeviceSample(t_s=0.0), DeviceSample(t_s=1.0, temperature_c=60.5, throttle_bits=4)),
        clock_jump_s=0.001,
    ),
)


def result(**changes: Any) -> BenchResult:
    made = BenchResult(
        schema_version=RESULT_SCHEMA_VERSION,
        started_utc="2025-11-22T03:16:05.000001+00:00",
        device_before=describe_local(),
        device_after=describe_local(),
        protocol=BenchProtocol(),
        runtime="ai-edge-litert",
        runtime_version="2.1.0",
        edgeface_version="0.1.0",
        commit="unknown",
        entries=(
            entry("small"),
            entry("large", trained=False, quality=None, slices=(), corruptions=()),
        ),
        baseline="large",
        data="drawn faces",
        warnings=("the fan was off",),
    )
    return replace(made, **changes)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_result(tmp_path / "new" / "folder" / "a.json", result())
    assert read_result(tmp_path / "new" / "folder" / "a.json") == result()


def test_a_file_of_version_1_is_read_and_what_it_lacks_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(version_1()))
    read = read_result(path)
    assert read.schema_version == 1
    for found, now in zip(read.entries, result().entries, strict=True):
        assert found == replace(now, compression=None, gzip_bytes=None, slices=(), corruptions=())


def test_a_file_of_version_2_is_read_and_nobody_looked_at_its_device(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(version_2()))
    read = read_result(path)
    assert (read.schema_version, read.samples, read.invalid_reasons) == (2, (), ())
    assert read.protocol == BenchProtocol(sample_interval_s=0)
    assert read.entries == result().entries
    assert read.device_before.soc is None


def test_a_file_of_version_3_is_read_and_has_no_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(version_3()))
    assert read_result(path) == result(schema_version=3)


def test_what_is_written_now_is_version_4(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", result())
    assert json.loads((tmp_path / "a.json").read_text())["schema_version"] == 4


def test_verdicts_are_read_back_and_no_older_version_can_hold_them(tmp_path: Path) -> None:
    verdict = Comparison(
        candidate="small",
        reference="large",
        n=1,
        by_group=True,
        resampling=Resampling(),
        tasks=(),
    )
    made = result(comparisons=(verdict,))
    write_result(tmp_path / "a.json", made)
    assert read_result(tmp_path / "a.json") == made
    with pytest.raises(ValueError, match="the result has fields of version 4"):
        result(schema_version=3, comparisons=(verdict,))


def test_all_that_version_3_added_is_read_back(tmp_path: Path) -> None:
    made = result(
        entries=(of_version_3("small"), entry("large")),
        samples=RUNS,
        invalid_reasons=("throttled now",),
        protocol=BenchProtocol(cores=(0, 2)),
    )
    write_result(tmp_path / "a.json", made)
    assert read_result(tmp_path / "a.json") == made


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"entries": (of_version_3("small"), entry("large"))}, "small has fields of version 3"),
        ({"samples": RUNS}, "the result has fields of version 3"),
        ({"invalid_reasons": ("throttled now",)}, "the result has fields of version 3"),
    ],
)
def test_an_older_version_cannot_hold_newer_fields(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        result(schema_version=2, **changes)


def test_a_sweep_has_each_thread_count_once() -> None:
    sweep = of_version_3("small").sweep
    with pytest.raises(ValueError, match="small: sweep has a thread count twice"):
        entry("small", sweep=(*sweep, sweep[0]))


def test_random_weights_have_no_figures_in_their_parity() -> None:
    bare: dict[str, Any] = {"trained": False, "quality": None, "slices": (), "corruptions": ()}
    with pytest.raises(ValueError, match="its weights are random"):
        of_version_3("small", **bare)
    parity = of_version_3("small").parity
    assert parity is not None
    assert of_version_3("small", **bare, parity=replace(parity, metrics=())).parity is not None


@pytest.mark.parametrize("path", RESULT_FILES, ids=lambda path: path.name)
def test_every_committed_result_can_be_read(path: Path) -> None:
    assert read_result(path).entries


finite = st.floats(allow_nan=False, allow_infinity=False)
time_ms = st.floats(1e-6, 1e9)
words = st.text(max_size=8)
optional_number = st.none() | finite
devices = st.builds(
    DeviceInfo, ram_bytes=st.none() | st.integers(), clock_mhz=optional_number,
    temperature_c=optional_number, throttle_bits=st.none() | st.integers(0, 2**20),
)  # fmt: skip
qualities = st.builds(
    Quality,
    data=st.just("drawn faces"),
    split=st.just("test"),
    manifest_sha256=st.just("ab"),
    metrics=st.lists(
        st.builds(Metric, value=finite, low=finite, high=finite), max_size=3
    ).map(tuple),
)  # fmt: skip


@st.composite
def latencies(draw: st.DrawFn) -> LatencySamples:
    repeats = draw(st.lists(st.lists(time_ms, min_size=1, max_size=4), min_size=1, max_size=3))
    return LatencySamples(
        name=draw(words),
        repeats=tuple(map(tuple, repeats)),
        load_ms=tuple(draw(time_ms) for _ in repeats),
        first_inference_ms=tuple(draw(time_ms) for _ in repeats),
    )


@st.composite
def results(draw: st.DrawFn) -> BenchResult:
    names = draw(st.lists(words, unique=True, min_size=1, max_size=3))
    entries = tuple(
        replace(
            entry(name),
            latency=draw(st.none() | latencies()),
            memory=draw(st.none() | st.just(MemoryUse(peak_rss_bytes=9, baseline_rss_bytes=2))),
            quality=draw(st.none() | qualities),
        )
        for name in names
    )
    return result(
        device_before=draw(devices),
        device_after=draw(devices),
        entries=entries,
        baseline=draw(st.none() | st.sampled_from(names)),
        data="drawn faces" if any(each.quality for each in entries) else None,
        warnings=tuple(draw(st.lists(words, max_size=2))),
    )


@given(made=results())
@settings(max_examples=20)
def test_every_result_survives_the_file(made: BenchResult) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_result(Path(folder) / "a.json", made)
        assert read_result(Path(folder) / "a.json") == made


def test_a_result_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_result(path, result())
    before = path.read_bytes()
    with pytest.raises(BenchmarkError, match=r"a\.json: there already"):
        write_result(path, result(commit="other"))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BenchmarkError, match="cannot be written"):
        write_result(tmp_path / "file" / "a.json", result())


def delete(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda mapping: mapping.pop(key)


def put(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda mapping: mapping.update({key: value})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put("schema_version", 0), "schema_version is 0, expected 1, 2, 3 or 4"),
        (put("schema_version", 5), "schema_version is 5, expected 1, 2, 3 or 4"),
        (put("schema_version", True), "schema_version is True, expected 1, 2, 3 or 4"),
        (put("schema_version", "1"), "schema_version is '1', expected 1, 2, 3 or 4"),
        (delete("schema_version"), "schema_version is None, expected 1, 2, 3 or 4"),
        (put("schema_version", 1), "small has fields of version 2, but schema_version is 1"),
        (delete("runtime"), "runtime: missing"),
        (put("note", "x"), "note: unknown key"),
        (put("baseline", "vgg"), "baseline 'vgg' is none of small, large"),
        (put("data", "photographs"), "data is 'photographs', expected 'drawn faces'"),
        (put("data", None), "data is None, expected 'drawn faces'"),
        (lambda m: m["entries"][1].update(quality=m["entries"][0]["quality"]), "weights are rando"),
        (lambda m: m["entries"][1].update(slices=m["entries"][0]["slices"]), "weights are random"),
        (lambda m: m["entries"][0]["slices"][0].update(by="hair"), r"slices\[0\].by: found 'hair'"),
        (lambda m: m["entries"][1].update(name="small"), "two entries have one name"),
        (lambda m: m["entries"][0].update(scheme="int4"), r"entries\[0\].scheme: found 'int4'"),
        (lambda m: m["entries"][0]["latency"]["repeats"].append([1.0]), "differ in length"),
        (lambda m: m["protocol"].update(threads=0), "protocol: threads is 0"),
    ],
)
def test_a_file_that_is_not_a_result_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], text: str
) -> None:
    path = tmp_path / "a.json"
    write_result(path, result())
    mapping = json.loads(path.read_text())
    change(mapping)
    path.write_text(json.dumps(mapping))
    with pytest.raises(BenchmarkError, match=text) as caught:
        read_result(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"schema_version": NaN}', "NaN is no number"),
        (b"[]", "schema_version is None"),
    ],
)
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BenchmarkError, match=text):
        read_result(tmp_path / "a.json")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be read"):
        read_result(tmp_path / "a.json")


def test_qualities_of_unlike_images_cannot_stand_in_one_result() -> None:
    other = replace(QUALITY, split="validation")
    with pytest.raises(ValueError, match=r"unlike images: drawn faces, test, abab.*; drawn faces"):
        result(entries=(entry("small"), entry("large", quality=other)))


def test_paths_sort_by_time_and_differ_by_the_microsecond() -> None:
    times = ["2025-11-22T03:16:05+00:00", "2025-11-22T03:16:05.000001Z", "2025-11-22T13:00:00Z"]
    names = [default_result_path(Path("r"), time, "local", "vgg16").name for time in times]
    assert names[0] == "2025-11-22T031605.000000Z_local_vgg16.json"
    assert names == sorted(set(names))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"started_utc": "2025-11-22T03:16:05"}, "not in UTC"),
        ({"started_utc": "2025-11-22T03:16:05+01:00"}, "not in UTC"),
        ({"started_utc": "today"}, "no ISO 8601 time"),
        ({"device": "../pi"}, "device is '../pi'"),
        ({"name": ""}, "name is ''"),
        ({"name": "a_b"}, "letters, digits, dots and hyphens"),
    ],
)
def test_names_that_cannot_be_taken_apart_are_refused(changes: dict[str, str], text: str) -> None:
    given_names = {"started_utc": "2025-11-22T03:16:05Z", "device": "local", "name": "vgg16"}
    with pytest.raises(BenchmarkError, match=text):
        default_result_path(Path("r"), **{**given_names, **changes})
