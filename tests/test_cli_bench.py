"""`bench` on a device that is a folder of this machine, `bench compare`, and `devices`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeface.bench.remote.transport import ConnectionLostError, Sent, uncounted
from edgeface.bench.result import read_result, write_result
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport

Run = Callable[..., tuple[int, str, str]]
QUICK = ("--repeats", "2", "--min-duration-s", "0")


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderTransport:
    """A device named `pi` in a file of the user's, which is a folder here."""
    home = tmp_path / "home"
    home.mkdir()
    device = FolderTransport(home)
    monkeypatch.setattr("edgeface.bench.remote.device.reach", lambda name, spec: device)
    (tmp_path / "devices.toml").write_text(
        f'[pi]\nkind = "ssh"\nhost = "pi"\npython = "{sys.executable}"\n'
    )
    return device


def test_a_device_is_measured_and_compared_with_this_host(
    edgeface: Run, pi: FolderTransport, tmp_path: Path
) -> None:
    write_dense_artifact(tmp_path, "int8")
    status, out, err = edgeface(
        *("bench", "dense.tflite", "--device", "pi", "--devices", "devices.toml"),
        *("--json", "r/result.json", "--sweep", *QUICK),
    )
    assert status == 0, err
    result = read_result(tmp_path / "r" / "result.json")
    entry = result.entries[0]
    assert result.device_before.name == "pi"
    assert entry.latency is not None
    assert entry.sweep[0].threads == 1
    assert entry.parity is not None
    assert entry.parity.n == 200
    assert entry.parity.holds
    assert result.samples  # the device was looked at meanwhile
    assert "folder: sending models, kB: dense.tflite" in err
    assert "Parity" in out
    assert pi.files() == [".edgeface/lock"]
    assert [path.name for path in (tmp_path / "r").iterdir() if path.is_file()] == ["result.json"]
    assert not list((tmp_path / "r").rglob("*.jsonl"))


def test_a_device_that_is_lost_goes_on_where_it_was(
    edgeface: Run, pi: FolderTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dense_artifact(tmp_path, "int8")
    call = (
        *("bench", "dense.tflite", "--device", "pi", "--devices", "devices.toml"),
        *("--json", "result.json", *QUICK),
    )

    def lost(
        self: FolderTransport, content: bytes | Path, path: str, *, sent: Sent = uncounted
    ) -> None:
        if path.endswith(".npz"):
            raise ConnectionLostError("pi: stopped answering")
        put(self, content, path, sent=sent)

    put = FolderTransport.put
    monkeypatch.setattr(FolderTransport, "put", lost)
    status, _, err = edgeface(*call)
    assert (status, err.strip().splitlines()[-1]) == (1, "edgeface: pi: stopped answering")
    assert not (tmp_path / "result.json").exists()
    monkeypatch.setattr(FolderTransport, "put", put)
    pi.commands.clear()
    status, _, err = edgeface(*call)
    assert status == 0, err
    assert "pi: goes on after 3 processes of an earlier run" in err  # 2 latency, 1 memory
    assert "sending models" not in err, "over the line that was just lost, only what is asked for"
    assert not any("latency" in command for command in pi.commands)
    result = read_result(tmp_path / "result.json")
    assert result.entries[0].latency is not None
    assert any("interrupted" in warning for warning in result.warnings)


def test_compare_says_slower_and_fails_when_asked_to(
    edgeface: Run, pi: FolderTransport, tmp_path: Path
) -> None:
    write_dense_artifact(tmp_path, "int8")
    assert edgeface("bench", "dense.tflite", "--json", "a.json", *QUICK)[0] == 0
    first = read_result(tmp_path / "a.json")
    entry = first.entries[0]
    assert entry.latency is not None
    steady = tuple(tuple(1.0 + 0.001 * (i % 7) for i in range(200)) for _ in range(3))
    twice = tuple(tuple(2 * time for time in repeat) for repeat in steady)
    for name, repeats in (("a2.json", steady), ("b.json", twice)):
        ones = (1.0,) * len(repeats)
        latency = replace(entry.latency, repeats=repeats, load_ms=ones, first_inference_ms=ones)
        protocol = replace(first.protocol, repeats=3)
        changed = replace(first, protocol=protocol, entries=(replace(entry, latency=latency),))
        write_result(tmp_path / name, changed)
    status, out, _ = edgeface("bench", "compare", "a2.json", "b.json", "--json")
    assert status == 0
    assert json.loads(out)["percentiles"][0]["change"] == "slower"
    status, _, err = edgeface("bench", "compare", "a2.json", "b.json", "--fail-on", "p50:+5%")
    assert status == 1
    assert "dense" in err
    assert edgeface("bench", "compare", "b.json", "a2.json", "--fail-on", "p50:+5%")[0] == 0
    status, _, err = edgeface("bench", "compare", "a.json", "b.json")
    assert status == 1
    assert "repeats" in err  # runs by unlike rules are refused
    assert edgeface("bench", "compare", "a2.json", "b.json", "--fail-on", "p51")[0] == 2


def test_against_may_be_repeated_but_not_with_one_model(edgeface: Run, tmp_path: Path) -> None:
    write_dense_artifact(tmp_path, "int8")
    twice = ("--against", "dense.tflite") * 2
    status, _, err = edgeface("bench", "dense.tflite", *twice, "--json", "a.json", *QUICK)
    assert status == 1
    assert err.strip().splitlines()[-1] == (
        "edgeface: a baseline is given twice: dense, dense; give each once"
    )


def test_devices_that_are_not_ready_say_what_to_do(edgeface: Run, tmp_path: Path) -> None:
    (tmp_path / "devices.toml").write_text(
        '[rpi]\nkind = "ssh"\nhost = ""\n[phone]\nkind = "adb"\n'
        '[arm]\nkind = "chroot"\nroot = "/nowhere"\narch = "arm64"\n'
    )
    status, out, _ = edgeface("devices", "--devices", "devices.toml")
    said = " ".join(out.split())
    assert status == 0
    assert "no host is set; to reach it over SSH, add these lines" in said
    assert "no benchmark_model is set" in said
    assert "/nowhere" in said
    assert "x86_64" in said or "aarch64" in said  # this host answers


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--soak", "-1"), "--soak: found -1, expected 0 to 1440 minutes"),
        (("--frames", "none.jpg"), "--frames: none.jpg: no such picture"),
        (("--cores", "0,a"), "bench: invalid literal"),
        (("--cores", "1,1"), "bench: cores is 1, 1, expected"),
        (("--images", "5"), "--images: no held-out faces; give --data"),
    ],
)
def test_bad_options_are_one_line(
    edgeface: Run, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    write_dense_artifact(tmp_path, "int8")
    status, _, err = edgeface("bench", "dense.tflite", *arguments)
    assert status == 2
    assert err.strip().splitlines()[-1].startswith(f"edgeface: {text}")
