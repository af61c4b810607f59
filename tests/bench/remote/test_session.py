"""A folder of this machine as a device: from nothing to a result, and nothing left behind."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeface.bench.frames import FrameRules
from edgeface.bench.plan import BenchPlan
from edgeface.bench.protocol import BenchProtocol
from edgeface.bench.quality import HeldOut
from edgeface.bench.remote.journal import Journal
from edgeface.bench.remote.probes import device_probes
from edgeface.bench.remote.session import Interpreter, Session, open_session
from edgeface.bench.remote.transport import ConnectionLostError, Finished, Sent, uncounted
from edgeface.bench.run import bench
from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.types import SilentReporter
from support.bars import Bars
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport

MakeArtifact = Callable[..., Artifact]
PLAN = BenchPlan(
    protocol=BenchProtocol(warmup_runs=0, min_runs=2, min_duration_s=0, repeats=2),
    parity_images=5,
)
GIVEN = Interpreter(command=sys.executable, given=True, runtime_version="2.3.0")


def ready(device: FolderTransport) -> Any:
    return open_session(device, GIVEN, reporter=SilentReporter())


def held_out(count: int = 7) -> HeldOut:
    def load(side_px: int) -> Faces:
        shape = (count, side_px, side_px, 3)
        return Faces(
            ids=tuple(map(str, range(count))),
            images=np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8),
            age_low_years=np.arange(count, dtype=np.int64),
            age_high_years=np.arange(count, dtype=np.int64),
            classes={"gender": np.arange(count, dtype=np.int64) % 2},
        )

    return HeldOut(data="made faces", split="test", manifest_sha256="ab", load=load)


def measure(session: Session, artifact: Artifact, journal: Path) -> Any:
    return bench(
        [artifact],
        plan=PLAN,
        held_out=held_out(),
        reporter=SilentReporter(),
        probes=device_probes(
            session, "folder", worker=Journal(journal, "key").worker(session.worker)
        ),
    )


def test_a_device_is_benchmarked_from_nothing_and_left_clean(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    device = FolderTransport(home)
    artifact = make_artifact("tiny")
    with ready(device) as session:
        result = measure(session, artifact, tmp_path / "journal.jsonl")
    entry = result.entries[0]
    assert result.device_before.name == "folder"
    assert result.device_before.runtime == "ai-edge-litert"
    assert entry.latency.runs >= 4
    assert entry.memory.peak_rss_bytes > entry.memory.baseline_rss_bytes
    assert entry.delegation is not None
    assert entry.quality.n == 7
    assert entry.parity.n == 5
    assert entry.parity.holds
    assert all(each.largest == 0 for each in entry.parity.tensors)  # the same kernels here
    assert device.closed
    assert device.files() == [".edgeface/lock"]


def test_the_figures_are_those_of_this_host(make_artifact: MakeArtifact, tmp_path: Path) -> None:
    artifact = make_artifact("tiny")
    here = bench([artifact], plan=PLAN, held_out=held_out(), reporter=SilentReporter())
    with ready(FolderTransport(tmp_path)) as session:
        there = measure(session, artifact, tmp_path / "journal.jsonl")
    assert there.entries[0].quality == here.entries[0].quality
    assert here.entries[0].parity is None  # this host has nothing to be compared with


def test_a_lost_connection_loses_no_finished_process(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    artifact = make_artifact("tiny")
    device = FolderTransport(tmp_path)
    with ready(device) as session:
        # asks who it is, times once; the next process never answers
        device.lose_after = len(device.commands) + 2
        with pytest.raises(ConnectionLostError):
            measure(session, artifact, journal)
    assert device.closed
    assert Journal(journal, "key").kept_replies == 1

    again = FolderTransport(tmp_path)
    with ready(again) as session:
        result = measure(session, artifact, journal)
    asked = [
        command[command.index("edgeface.runtime.runner") + 1]
        for command in again.commands
        if "-m" in command
    ]
    assert asked.count("latency") == 1  # of two: the other one's reply was kept
    assert result.entries[0].latency.runs >= 4


def test_whole_frames_need_the_sidecar_under_its_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.full((64, 64, 3), 90, np.uint8))
    artifact = load_artifact(write_dense_artifact(tmp_path, "int8"))
    plan = replace(PLAN, parity_images=0, frames=FrameRules(pictures=(picture,), seconds=0.1))
    device = FolderTransport(home)
    with ready(device) as session:
        result = bench(
            [artifact],
            plan=plan,
            held_out=None,
            reporter=SilentReporter(),
            probes=device_probes(session, "folder", worker=session.worker),
        )
    frames = result.entries[0].frames
    assert frames is not None
    assert frames.stages[0] == "read"
    assert device.files() == [".edgeface/lock"]


def test_another_benchmark_on_the_device_is_waited_for_by_the_user(tmp_path: Path) -> None:
    with ready(FolderTransport(tmp_path)) as session:
        session.identify("folder")
        with (tmp_path / ".edgeface" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(BenchmarkError, match="another benchmark runs on this device"):
                session.identify("folder")


def test_a_second_session_takes_nothing_from_the_first(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    question = ("latency", str(make_artifact("tiny").path), "--min-runs", "1")
    quick = (*question, "--min-duration-s", "0", "--sample-interval-s", "0")
    with ready(FolderTransport(tmp_path)) as first:
        first.worker(quick, 60)
        with ready(FolderTransport(tmp_path)) as second:
            second.worker(quick, 60)
        assert first.worker(quick, 60)["threads"] == 1


def test_a_runner_that_is_killed_is_one_clear_line(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    killed = Finished(status=-9, stdout=b"", stderr=b"")
    home = tmp_path / "home"
    home.mkdir()
    device = FolderTransport(home, lambda command: killed if "latency" in command else None)
    artifact = make_artifact("tiny")
    with (
        pytest.raises(BenchmarkError, match=r"folder, latency: the process was killed by SIGKILL"),
        ready(device) as session,
    ):
        measure(session, artifact, tmp_path / "journal.jsonl")
    assert device.files() == [".edgeface/lock"]


def test_models_are_sent_once_and_before_they_are_asked_for(
    make_artifact: MakeArtifact, tmp_path: Path
) -> None:
    class Counts(FolderTransport):
        def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
            puts.append(Path(path).name)
            super().put(content, path, sent=sent)

    puts: list[str] = []
    bars = Bars()
    model = make_artifact("tiny").path
    home = tmp_path / "home"
    home.mkdir()
    with ready(Counts(home)) as session:
        puts.clear()
        session.send_models([model, model], reporter=bars)
        assert puts == ["tiny.json", "tiny.tflite"]
        size_bytes = sum(path.stat().st_size for path in (model, model.with_suffix(".json")))
        assert bars.totals == [("folder: sending models, kB", size_bytes // 1000)]
        session.worker(("memory", str(model), "--threads", "1", "--runs", "1"), 60)
        session.send_models([model], reporter=bars)
        assert len(puts) == 2
        assert len(bars.totals) == 1


def test_wheels_are_sent_with_a_bar_and_removed(tmp_path: Path) -> None:
    wheels = [tmp_path / name for name in ("a.whl", "b.whl")]
    for path in wheels:
        path.write_bytes(bytes(3000))

    def answer(command: Sequence[str]) -> Finished | None:
        if command[0] == "test":  # no environment yet
            return Finished(status=1, stdout=b"", stderr=b"")
        if "venv" in command or "pip" in command:
            seen.append(device.files())
            return Finished(status=0, stdout=b"", stderr=b"")
        return None

    seen: list[list[str]] = []
    home = tmp_path / "home"
    home.mkdir()
    device = FolderTransport(home, answer)
    bars = Bars()
    interpreter = replace(
        GIVEN, given=False, wheels=lambda python, packages: tuple(wheels), pictures=False
    )
    with open_session(device, interpreter, reporter=bars):
        pass
    assert bars.totals == [("folder: sending wheels, kB", 6)]
    assert bars.notes == ["a.whl", "b.whl"]
    assert [Path(each).name for each in seen[0]] == ["a.whl", "b.whl"]
    assert not [each for each in device.files() if each.endswith(".whl")]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    class Full(FolderTransport):
        def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
            raise DeviceError("folder: no space left")

    device = Full(tmp_path)
    with pytest.raises(DeviceError, match="no space left"), ready(device):
        pass
    assert device.closed
    assert device.files() == []


def test_a_device_whose_python_runs_no_model_says_why(tmp_path: Path) -> None:
    def no_runtime(command: Sequence[str]) -> Finished | None:
        if "identify" not in command:
            return None
        done = FolderTransport(tmp_path).run(command, timeout_s=60)
        text = done.stdout.replace(b'"problem": null', b'"problem": "numpy 2 with tflite-runtime"')
        return replace(done, stdout=text)

    with ready(FolderTransport(tmp_path, no_runtime)) as session:
        assert session.identity("folder").problem == "numpy 2 with tflite-runtime"
        with pytest.raises(DeviceError, match="folder: numpy 2 with tflite-runtime"):
            session.identify("folder")


def test_a_device_that_is_gone_at_the_end_does_not_hide_the_result(tmp_path: Path) -> None:
    device = FolderTransport(tmp_path)
    with ready(device) as session:
        session.identify("folder")
        device.lose_after = len(device.commands)
    assert device.closed
