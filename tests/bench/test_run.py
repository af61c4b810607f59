"""A benchmark asks in the right order, and never gives random weights an accuracy."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeface
from edgeface.bench.compression import Compression
from edgeface.bench.corruption import CorruptedQuality
from edgeface.bench.device_outputs import DeviceOutputs
from edgeface.bench.latency import RuntimeVersion, run_worker
from edgeface.bench.plan import BenchPlan
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.quality import HeldOut
from edgeface.bench.result import BenchResult, read_result, write_result
from edgeface.bench.run import Probes, bench
from edgeface.commit import source_commit
from edgeface.data.faces import Faces
from edgeface.errors import ArtifactError, BenchmarkError, EdgefaceError
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.device_facts import DeviceInfo, describe_local
from edgeface.runtime.predict import open_predictor, predict_raw
from edgeface.types import Quality, SilentReporter

MakeArtifact = Callable[..., Artifact]
PROTOCOL = BenchProtocol(warmup_runs=0, min_runs=2, min_duration_s=0, repeats=2)


class World:
    """Stand-ins that keep in which order they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def describe(self) -> DeviceInfo:
        self.asked.append("device")
        return replace(describe_local(), governor="powersave", throttle_bits=None, cores=8)

    def worker(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        self.asked.append(f"{arguments[0]} {Path(arguments[1]).stem}")
        if arguments[0] == "memory":
            return {"peak_rss_bytes": 20, "baseline_rss_bytes": 10}
        return {
            "runtime": "fake",
            "runtime_version": "1",
            "threads": 1,
            "load_ms": 1.0,
            "first_inference_ms": 1.0,
            "warmup_ms": [],
            "latency_ms": [1.0, 3.0] if Path(arguments[1]).stem == "shaky" else [2.0, 2.0],
            "cores": None,
            "samples": [],
            "clock_jump_s": 0.0,
        }

    def predict(self, artifact: Artifact, faces: Faces, **_: Any) -> dict[str, Any]:
        self.asked.append(f"quality {artifact.sidecar.name} at {faces.images.shape[1]}")
        return {"gender": np.full(len(faces), 0.25), "age": np.full(len(faces), 3.0)}

    def corruptions(
        self, artifact: Artifact, faces: Faces, *, images: int, **_: Any
    ) -> tuple[CorruptedQuality, ...]:
        self.asked.append(f"corruptions {artifact.sidecar.name} on {images}")
        return (CorruptedQuality(kind="none", strength=0, n=len(faces), metrics=()),)

    def load(self, side_px: int) -> Faces:
        self.asked.append(f"load {side_px}")
        return Faces(
            ids=("a",),
            images=np.zeros((1, side_px, side_px, 3), np.uint8),
            age_low_years=np.zeros(1, np.int64),
            age_high_years=np.zeros(1, np.int64),
            classes={"gender": np.zeros(1, np.int64)},
        )

    def probes(self) -> Probes:
        return Probes(
            describe=self.describe,
            worker=self.worker,
            predict=self.predict,
            corruptions=self.corruptions,
            delegation=lambda artifact: None,
            commit=lambda: "c0ffee",
        )

    def held_out(self, **changes: Any) -> HeldOut:
        made = HeldOut(data="drawn faces", split="test", manifest_sha256="ab", load=self.load)
        return replace(made, **changes)


def run(world: World, artifacts: list[Artifact], **changes: Any) -> BenchResult:
    options: dict[str, Any] = {
        "plan": BenchPlan(protocol=PROTOCOL),
        "held_out": world.held_out(),
        "reporter": SilentReporter(),
        "probes": world.probes(),
    }
    return bench(artifacts, **{**options, **changes})


def known(**changes: Any) -> Quality:
    made = Quality(data="drawn faces", split="test", manifest_sha256="ab", n=1, metrics=())
    return replace(made, **changes)


def test_the_order_of_a_benchmark(make_artifact: MakeArtifact) -> None:
    world = World()
    small, large = make_artifact("small"), make_artifact("large", side_px=64)
    middle = make_artifact("middle")
    run(world, [large, small, middle])
    assert world.asked == [
        "device",
        *("latency large", "latency small", "latency middle"),
        *("latency large", "latency small", "latency middle"),
        *("memory large", "memory small", "memory middle"),
        *("load 32", "quality small at 32", "quality middle at 32"),
        *("load 64", "quality large at 64"),
        "device",
    ]


def test_random_weights_get_no_quality(make_artifact: MakeArtifact) -> None:
    world = World()
    artifacts = [make_artifact("small"), make_artifact("vgg", trained=False, side_px=64)]
    result = run(world, artifacts, plan=BenchPlan(protocol=PROTOCOL, references=("vgg",)))
    small, vgg = result.entries
    assert small.quality is not None
    assert vgg.quality is None
    assert vgg.latency is not None
    assert not vgg.trained
    assert "load 64" not in world.asked


def test_without_faces_nothing_has_a_quality(make_artifact: MakeArtifact) -> None:
    result = run(World(), [make_artifact("small")], held_out=None)
    assert result.data is None
    assert result.entries[0].quality is None


def test_known_quality_is_not_measured_again(make_artifact: MakeArtifact) -> None:
    world = World()
    quality = known(n=77)
    artifacts = [make_artifact("small"), make_artifact("other")]
    result = run(world, artifacts, known_quality={"small": quality})
    assert result.entries[0].quality == quality
    assert [text for text in world.asked if "quality" in text] == ["quality other at 32"]


def test_known_quality_needs_no_faces(make_artifact: MakeArtifact) -> None:
    world = World()
    result = run(world, [make_artifact("a")], known_quality={"a": known()}, held_out=None)
    assert result.data == "drawn faces"
    assert not any("load" in text for text in world.asked)


def test_the_record_names_what_was_measured(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    artifact = make_artifact("small")
    result = run(World(), [artifact], plan=BenchPlan(protocol=PROTOCOL, references=("small",)))
    entry = result.entries[0]
    assert entry.artifact_sha256 == artifact.sidecar.sha256
    assert entry.size_bytes == len(artifact.content)
    assert (entry.parameters, entry.macs, entry.scheme) == (8, 6, "float32")
    assert entry.gzip_bytes == len(gzip.compress(artifact.content, 9, mtime=0))
    assert entry.compression == Compression(backbone="tiny", width_ratio=None, side_px=32, steps=())
    assert (result.runtime, result.runtime_version) == ("fake", "1")
    assert (result.edgeface_version, result.commit) == (edgeface.__version__, "c0ffee")
    assert (result.baseline, result.data) == ("small", "drawn faces")
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result


def test_quality_and_slices_come_from_one_run_of_the_model(make_artifact: MakeArtifact) -> None:
    # the one face is male and newborn; the stand-in says male and 3 years
    entry = run(
        World(), [make_artifact("small")], plan=BenchPlan(protocol=PROTOCOL, references=("small",))
    ).entries[0]
    assert entry.quality is not None
    found = {metric.name: metric.value for metric in entry.quality.metrics}
    assert (found["accuracy"], found["mae"], found["mae_0_9"]) == (1.0, 3.0, 3.0)
    assert (entry.quality.data, entry.quality.split, entry.quality.manifest_sha256) == (
        "drawn faces",
        "test",
        "ab",
    )
    assert [(each.by, each.name, each.n) for each in entry.slices] == [
        ("age", "0-9", 1),
        ("gender", "male", 1),
        ("age and gender", "0-9 male", 1),
    ]
    assert entry.slices[0].figures[1].value == 3.0


def test_corruptions_are_measured_only_where_they_are_asked(make_artifact: MakeArtifact) -> None:
    world = World()
    artifacts = [make_artifact("small"), make_artifact("raw", trained=False)]
    assert run(world, artifacts).entries[0].corruptions == ()
    assert not any("corruptions" in text for text in world.asked)
    small, raw = run(world, artifacts, held_out=world.held_out(corruption_images=7)).entries
    assert [text for text in world.asked if "corruptions" in text] == ["corruptions small on 7"]
    assert [each.kind for each in small.corruptions] == ["none"]
    assert (raw.corruptions, raw.slices) == ((), ())


def test_races_of_slices_have_the_names_of_the_data(make_artifact: MakeArtifact) -> None:
    world = World()

    def load(side_px: int) -> Faces:
        faces = world.load(side_px)
        return replace(faces, classes={**faces.classes, "race": np.ones(1, np.int64)})

    held_out = world.held_out(load=load, race_names=("White", "Black"))
    entry = run(world, [make_artifact("small")], held_out=held_out).entries[0]
    assert "Black" in [each.name for each in entry.slices if each.by == "race"]


def forty(side_px: int) -> Faces:
    """Men and women of 20 to 59 years, an age each."""
    ages = np.arange(20, 60)
    return Faces(
        ids=tuple(map(str, ages)),
        images=np.zeros((40, side_px, side_px, 3), np.uint8),
        age_low_years=ages,
        age_high_years=ages,
        classes={"gender": ages % 2},
    )


def says(artifact: Artifact, faces: Faces, **_: Any) -> dict[str, Any]:
    """The model "small" is wrong by 1 year and about no gender, "large" by 4 and about all."""
    is_small, gender = artifact.sidecar.name == "small", faces.class_of("gender")
    return {
        "age": faces.exact_age_years + (1.0 if is_small else 4.0),
        "gender": np.where(gender == 1, 0.9, 0.1) if is_small else np.full(len(faces), 0.5),
    }


def test_each_model_gets_a_paired_verdict_against_the_baseline(make_artifact: MakeArtifact) -> None:
    world = World()
    artifacts = [make_artifact("small"), make_artifact("large", side_px=64)]
    probes = replace(world.probes(), predict=says)
    copies = {str(age): f"photograph {age // 2}" for age in range(20, 60)}
    plan = BenchPlan(protocol=PROTOCOL, references=("large",))
    for groups, count in (({}, 40), (copies, 20)):
        held_out = world.held_out(load=forty, groups=groups)
        (found,) = run(world, artifacts, plan=plan, held_out=held_out, probes=probes).comparisons
        assert (found.candidate, found.reference, found.n) == ("small", "large", 40)
        of = {task.task: task.overall for task in found.tasks}
        assert (of["age"].candidate, of["age"].reference, of["age"].groups) == (1.0, 4.0, count)
        assert (of["gender"].candidate, of["gender"].reference) == (100.0, 50.0)
    assert [task.overall.verdict for task in found.tasks] == ["undecided"] * 2, "20 are too few"


def test_further_references_judge_too_and_each_pair_once(make_artifact: MakeArtifact) -> None:
    artifacts = [make_artifact(name) for name in ("small", "large", "teacher")]
    plan = BenchPlan(protocol=PROTOCOL, references=("large", "teacher"))
    result = run(World(), artifacts, plan=plan)
    assert result.baseline == "large"
    assert [(each.candidate, each.reference) for each in result.comparisons] == [
        ("small", "large"),
        ("teacher", "large"),
        ("small", "teacher"),
    ]


def test_there_is_no_verdict_against_random_weights(make_artifact: MakeArtifact) -> None:
    artifacts = [make_artifact("small"), make_artifact("raw", trained=False)]
    for references in ((), ("raw",)):
        plan = BenchPlan(protocol=PROTOCOL, references=references)
        assert run(World(), artifacts, plan=plan).comparisons == ()


def test_warnings_name_the_machine_and_the_model(make_artifact: MakeArtifact) -> None:
    governor, shaky = run(World(), [make_artifact("calm"), make_artifact("shaky")]).warnings
    assert governor.startswith("governor is powersave")
    # times 1 and 3: mean and median 2, standard deviation 1
    assert shaky == (
        "shaky: standard deviation is 50 % of the mean; slowest run is 50 % off the median; "
        "fastest run is 50 % off the median"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"plan": BenchPlan(protocol=PROTOCOL, references=("vgg",))},
            "baseline 'vgg' is not measured, expected one of small, raw",
        ),
        (
            {"plan": BenchPlan(protocol=PROTOCOL, references=("small", "vgg"))},
            "baseline 'vgg' is not measured, expected one of small, raw",
        ),
        (
            {"plan": BenchPlan(protocol=PROTOCOL, references=("small", "small"))},
            "a baseline is given twice: small, small; give each once",
        ),
        ({"known_quality": {"other": known()}}, "known quality of 'other' cannot be used: expec"),
        ({"known_quality": {"raw": known()}}, "known quality of 'raw' .*: its weights are random"),
        (
            {"known_quality": {"small": known(split="validation")}},
            "unlike images: drawn faces, test, ab; drawn faces, validation, ab",
        ),
    ],
)
def test_requests_that_do_not_fit_are_refused_before_measuring(
    make_artifact: MakeArtifact, changes: dict[str, Any], text: str
) -> None:
    world = World()
    artifacts = [make_artifact("small"), make_artifact("raw", trained=False)]
    with pytest.raises(BenchmarkError, match=text):
        run(world, artifacts, **changes)
    assert world.asked == []


def test_a_split_that_is_not_held_out_is_refused_before_measuring(
    make_artifact: MakeArtifact,
) -> None:
    world = World()
    with pytest.raises(BenchmarkError, match="split is 'train'"):
        run(world, [make_artifact("small")], held_out=world.held_out(split="train"))
    assert world.asked == []


def test_one_name_twice_is_refused(make_artifact: MakeArtifact) -> None:
    artifact = make_artifact("small")
    with pytest.raises(BenchmarkError, match="two artifacts have one name: small, small"):
        run(World(), [artifact, artifact])


def test_no_artifact_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="at least one"):
        run(World(), [])


@pytest.mark.parametrize("error", [BenchmarkError("worker broke"), ArtifactError("bad file")])
def test_a_benchmark_that_fails_in_part_gives_nothing(
    make_artifact: MakeArtifact, error: EdgefaceError
) -> None:
    world = World()

    def broken(*_: Any, **__: Any) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error), match=str(error)):
        run(world, [make_artifact("a")], probes=replace(world.probes(), predict=broken))


def test_a_real_model_is_measured_for_real(make_artifact: MakeArtifact) -> None:
    artifact = make_artifact("tiny")
    result = bench(
        [artifact],
        plan=BenchPlan(protocol=PROTOCOL),
        held_out=World().held_out(),
        reporter=SilentReporter(),
    )
    entry = result.entries[0]
    assert entry.latency is not None
    assert entry.memory is not None
    assert entry.quality is not None
    assert entry.latency.runs >= PROTOCOL.repeats * PROTOCOL.min_runs
    assert len(entry.latency.repeats) == PROTOCOL.repeats
    assert entry.memory.peak_rss_bytes > entry.memory.baseline_rss_bytes
    assert entry.quality.metrics[0].n == 1
    assert result.runtime_version


def test_an_emulated_device_is_not_timed_but_compared(make_artifact: MakeArtifact) -> None:
    world = World()
    artifact = make_artifact("tiny")
    asked: list[int] = []

    def there(artifact: Artifact, images: Any, threads: int) -> DeviceOutputs:
        asked.append(len(images))
        specs = artifact.sidecar.contract.outputs
        raw = predict_raw(open_predictor(artifact), images)
        outputs = {spec.name: each.copy() for spec, each in zip(specs, raw, strict=True)}
        return DeviceOutputs(runtime=RuntimeVersion(name="fake", version="1"), outputs=outputs)

    device = replace(describe_local(), name="pi", runtime="fake", runtime_version="7")
    result = run(
        world,
        [artifact],
        plan=BenchPlan(protocol=PROTOCOL, timed=False, parity_images=3),
        held_out=None,
        probes=replace(world.probes(), run_there=there, describe=lambda: device),
    )
    entry = result.entries[0]
    assert (result.runtime, result.runtime_version) == ("fake", "7")
    assert entry.latency is None
    assert entry.memory is None
    assert world.asked == []
    assert asked == [3]
    assert entry.parity is not None
    assert entry.parity.holds
    assert entry.parity.metrics == ()  # drawn faces say nothing of quality


def test_parity_uses_held_out_faces_and_sets_the_figures_side_by_side(
    make_artifact: MakeArtifact,
) -> None:
    world = World()

    def there(artifact: Artifact, images: Any, threads: int) -> DeviceOutputs:
        specs = artifact.sidecar.contract.outputs
        outputs = {
            spec.name: np.zeros((len(images), *spec.shape[1:]), spec.dtype) for spec in specs
        }
        return DeviceOutputs(runtime=RuntimeVersion(name="fake", version="1"), outputs=outputs)

    result = run(
        world,
        [make_artifact("tiny")],
        plan=BenchPlan(protocol=PROTOCOL, parity_images=200),
        probes=replace(world.probes(), run_there=there),
    )
    parity = result.entries[0].parity
    assert parity is not None
    assert parity.n == 1  # no more than there are
    assert {each.name for each in parity.metrics} == {"accuracy", "mae"}
    assert not parity.holds  # a device that gives zeros is found out


def test_looks_at_the_device_are_kept_and_a_throttled_run_is_invalid(
    make_artifact: MakeArtifact,
) -> None:
    class Hot(World):
        def worker(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
            reply = dict(super().worker(arguments, timeout_s))
            if arguments[0] == "latency":
                reply["samples"] = [{"t_s": 0.5, "throttle_bits": 4}]
            return reply

    result = run(Hot(), [make_artifact("small")])
    assert [each.run for each in result.samples] == [0, 1]
    assert result.invalid_reasons[0].startswith("throttled now, at 2 of 2 looks")


def test_sweep_frames_and_soak_come_after_latency(make_artifact: MakeArtifact) -> None:
    class Busy(World):
        def worker(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
            reply = dict(super().worker(arguments, timeout_s))
            if "--threads" in arguments and "threads" in reply:
                reply["threads"] = int(arguments[arguments.index("--threads") + 1])
            if arguments[0] == "soak":
                del reply["latency_ms"], reply["warmup_ms"]
                reply["windows"] = [
                    {"t_s": 0.0, "runs": 2, "p50_ms": 1.0, "p90_ms": 1.0, "max_ms": 1.0}
                ]
            return reply

    world = Busy()
    plan = BenchPlan(
        protocol=replace(PROTOCOL, repeats=1), sweep_threads=(1, 2, 64), soak_minutes=1.0
    )
    entry = run(world, [make_artifact("small")], held_out=None, plan=plan).entries[0]
    assert world.asked[1:-1] == [
        *("latency small", "memory small"),
        *("latency small", "latency small"),  # 8 cores: 64 threads have none each
        "soak small",
    ]
    assert [each.threads for each in entry.sweep] == [1, 2]
    assert entry.soak is not None


def test_a_file_that_is_no_model_is_refused_in_the_runners_words(tmp_path: Path) -> None:
    path = tmp_path / "no.tflite"
    path.write_bytes(b"0000TFL3" + bytes(64))
    with pytest.raises(BenchmarkError, match=r"no\.tflite: .*refuse"):
        run_worker(("latency", str(path)), 60)


def test_importing_the_bench_leaves_tensorflow_alone() -> None:
    program = (
        "import sys, edgeface.bench.run, edgeface.report.tables; "
        "print(sorted({'tensorflow', 'tf_keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *settings, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_commit_is_that_of_the_package_and_says_if_files_differ(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert source_commit(package) == "unknown"
    git(tmp_path, "init", "--quiet")
    assert source_commit(package) == "unknown"  # in a repository that does not hold it
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert source_commit(package) == commit
    (tmp_path / "result.json").write_text("")
    assert source_commit(package) == commit
    (package / "__init__.py").write_text("changed")
    assert source_commit(package) == f"{commit}-dirty"
