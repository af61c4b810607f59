"""`edgeface deploy`: what it refuses before it does anything, and one device from start to end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from edgeface.bench.remote import reach as reaching
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.cli_deploy import deploy
from edgeface.errors import ConfigError
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `deploy` in a folder with a model and a device "pi"; gives stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # no devices.toml of the person who tests
    write_dense_artifact(tmp_path)
    (tmp_path / "d.toml").write_text(
        f'[pi]\nkind = "ssh"\nhost = "pi"\npython = "{sys.executable}"\n'
        '[phone]\nkind = "adb"\n[fresh]\nkind = "ssh"\n'
    )
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(deploy)
    command = typer.main.get_command(app)

    def call(*arguments: str) -> str:
        command.main(list(arguments), prog_name="edgeface", standalone_mode=False)
        said = capsys.readouterr()
        return said.out + said.err

    return call


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "MODEL is missing"),
        ("dense.tflite", "nowhere to put it; give --device NAME, or --out FILE.zip"),
        ("dense.tflite --out b.zip --offline", "--offline without --device"),
        ("dense.tflite --out b.tar", "expected a name that ends in .zip"),
        ("dense.tflite --out there.zip", "there.zip: is there already, not overwritten"),
        ("--rollback", "--rollback without --device"),
        ("dense.tflite --rollback --device pi", "copies nothing, so leave out MODEL"),
        ("--rollback --device pi --out b.zip --offline", "leave out --out and --offline"),
        ("dense.tflite --device none --devices d.toml", "not known, expected one of local, pi"),
        ("dense.tflite --device fresh --devices d.toml", "no host is set"),
        ("dense.tflite --device local", "is of kind 'local', expected ssh or chroot; --out"),
        ("dense.tflite --device phone --devices d.toml", "is of kind 'adb', expected ssh"),
        ("dense.tflite --out b.zip --systemd dance", "expected a line that starts with check"),
    ],
)
def test_what_cannot_be_is_refused_at_once(run: Run, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "there.zip").write_text("mine")
    with pytest.raises(ConfigError) as info:
        run(*line.split())
    assert said in str(info.value)
    assert not (tmp_path / "b.zip").exists()
    assert (tmp_path / "there.zip").read_text() == "mine"


def test_a_bundle_to_carry_and_a_unit(run: Run, tmp_path: Path) -> None:
    said = run("dense.tflite", "--out", "b.zip", "--systemd", "watch pictures")
    assert (tmp_path / "b.zip").read_bytes()[:2] == b"PK"
    assert "b.zip, 0." in said
    assert 'edgeface-run "watch" "pictures"\n' in said


def test_to_a_device_and_back(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home of pi"
    home.mkdir()
    opened: list[FolderTransport] = []

    def reach(name: str, spec: DeviceSpec) -> FolderTransport:
        assert (name, spec.host) == ("pi", "pi")
        opened.append(FolderTransport(home))
        return opened[-1]

    monkeypatch.setattr(reaching, "reach", reach)
    to_pi = ("--device", "pi", "--devices", "d.toml")
    said = run("dense.tflite", *to_pi, "--out", "first.zip")
    assert "self-test passed: 1 golden vectors of dense with ai-edge-litert" in said
    assert ": current now, none before it" in said
    first = (home / ".edgeface/deploy/current").resolve().name
    assert f"bundle {first}: first.zip" in said
    write_dense_artifact(tmp_path, seed=4)
    said = run("dense.tflite", *to_pi)
    assert f": current now, before it: {first}" in said
    assert f"{first}: current now, before it" in run("--rollback", *to_pi)
    assert (home / ".edgeface/deploy/current").resolve().name == first
    with pytest.raises(ConfigError, match="pi names its own python: nothing is installed there"):
        run("dense.tflite", *to_pi, "--offline")
    assert all(each.closed for each in opened)
