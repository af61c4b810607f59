"""A device for deployments: a folder here, whose programs run in this process to be quick."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgeface.bench.remote.python import DevicePython, Requirements, find_python
from edgeface.bench.remote.transport import ConnectionLostError, Finished, Sent, uncounted
from edgeface.deploy.bundle import Bundle, make_bundle
from edgeface.deploy.environment import DeviceEnvironment
from edgeface.deploy.install import DEPLOY
from edgeface.runtime import bundle_run, bundle_store
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.bundle_check import check_bundle
from edgeface.runtime.interpreter import open_model
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport

PACKAGES = Requirements(packages=("ai-edge-litert==1",), system_packages=False)


class Device(FolderTransport):
    """Counts its calls, and loses the connection before or after one of them."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, self._quick)
        self.calls: list[str] = []
        self.break_at: int | None = None
        self.after = False

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        what = next((word for word in command if word in _STEPS), command[0])
        with self._breaking(what):
            if list(command[1:2]) != ["-c"] or command[0] == "sh":
                return super().run(command, stdin=stdin, timeout_s=timeout_s)
            if command[0] not in _PROBED:  # what a Python is stays the same
                _PROBED[command[0]] = super().run(command, stdin=stdin, timeout_s=timeout_s)
            return _PROBED[command[0]]

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        with self._breaking(f"put {Path(path).suffix or Path(path).name}"):
            super().put(content, path, sent=sent)

    @contextlib.contextmanager
    def _breaking(self, what: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        here = len(self.calls) == self.break_at
        self.calls.append(what)
        if here and not self.after:
            raise ConnectionLostError("folder: stopped answering")
        yield
        if here:
            raise ConnectionLostError("folder: stopped answering")

    def _quick(self, command: Sequence[str]) -> Finished | None:
        """Do in this process what needs no other, with the folder as working folder."""
        words = list(command)
        with contextlib.chdir(self.home):
            if "edgeface.runtime.bundle_store" in words:
                start = words.index("edgeface.runtime.bundle_store") + 1
                return _spoken(lambda: bundle_store.main(words[start:]))
            if words[0] == "sh" and words[1].endswith("/edgeface-run"):
                folder = Path(words[1]).resolve().parent
                return _spoken(lambda: bundle_run.main(folder, words[2:]))
            if words[1:3] == ["-m", "venv"]:
                made = Path(words[-1]) / "bin" / "python"
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
                made.chmod(0o755)
                return Finished(status=0, stdout=b"", stderr=b"")
            if words[1:3] == ["-m", "pip"]:
                return Finished(status=0, stdout=b"", stderr=b"")
        return None

    @property
    def deploy(self) -> Path:
        return self.home / DEPLOY

    def serves(self) -> str:
        """Name of the current bundle, after its self-test."""
        folder = (self.deploy / "current").resolve()
        check_bundle(folder)
        assert (folder / "interpreter").read_text().startswith("/")
        return folder.name

    def bundles(self) -> list[str]:
        return sorted(path.name for path in (self.deploy / "bundles").iterdir())

    def leftovers(self) -> list[str]:
        """What a finished deployment does not leave."""
        found = [path.name for path in (self.deploy / "incoming").iterdir()]
        return found + [path.name for path in self.deploy.glob("*.new")]

    def copy(self, home: Path) -> Device:
        shutil.copytree(self.home, home, symlinks=True)
        return Device(home)


_PROBED: dict[str, Finished] = {}
_STEPS = ("tidy", "unpack", "verify", "commit", "check", "venv", "pip")


def _spoken(work: Callable[[], int]) -> Finished:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = work()
    return Finished(status=status, stdout=out.getvalue().encode(), stderr=b"")


class Quiet:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def track(self, label: str, total: int) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext(lambda steps, note="": None)


@pytest.fixture
def reporter() -> Quiet:
    return Quiet()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setattr(os, "sync", lambda: None)  # slow where much else is written
    home = tmp_path / "home"
    home.mkdir()
    return Device(home)


@pytest.fixture(scope="session")
def this_python(tmp_path_factory: pytest.TempPathFactory) -> DevicePython:
    return find_python(FolderTransport(tmp_path_factory.mktemp("home")), sys.executable)


@pytest.fixture
def given(this_python: DevicePython) -> DeviceEnvironment:
    """The Python of these tests, used as it is."""
    return DeviceEnvironment(
        command=sys.executable, given=True, python=this_python, requirements=PACKAGES
    )


@pytest.fixture
def made(this_python: DevicePython) -> DeviceEnvironment:
    """An environment that the device pretends to make."""
    return DeviceEnvironment(
        command=sys.executable, given=False, python=this_python, requirements=PACKAGES
    )


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, ...]:
    """Three bundles of unlike models."""
    folders = [tmp_path_factory.mktemp(f"model{seed}") for seed in range(3)]
    return tuple(
        make_bundle(load_artifact(write_dense_artifact(folder, "int8", seed)))
        for seed, folder in enumerate(folders)
    )


def first_weights(content: bytes) -> range:
    """Find where in an int8 file the weights of its first convolution lie."""
    interpreter = open_model(content, where="m", reference_kernels=True).interpreter
    for details in interpreter.get_tensor_details():
        shape = tuple(details["shape"])
        if len(shape) == 4 and shape[0] > 1 and shape[3] == 3:  # out, height, width, RGB
            weights = interpreter.get_tensor(details["index"]).tobytes()
            at = content.index(weights)
            return range(at, at + len(weights))
    raise AssertionError("no convolution of three channels")


@pytest.fixture
def flipped_model(tmp_path: Path) -> Bundle:
    """A bundle of a model with one bit flipped in a weight, every digest made anew."""
    path = write_dense_artifact(tmp_path, "int8", seed=9)
    content = bytearray(path.read_bytes())
    # the kernels are the long runs of int8; its highest bit changes a weight by 128 steps
    kernel = load_artifact(path).content.index(_kernel_start(path))
    content[kernel] ^= 0x80
    path.write_bytes(bytes(content))
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar["sha256"] = hashlib.sha256(content).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return make_bundle(load_artifact(path))


def _kernel_start(path: Path) -> bytes:
    from support.dense_artifact import dense_model

    model = dense_model("int8", seed=9)
    steps = (model.kernels["gender"] / 2e-5).round().astype("int8")
    return steps.ravel()[:32].tobytes()
