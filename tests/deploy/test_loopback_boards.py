"""`deploy` over a real SSH login to boards but for the silicon: emulated 64- and 32-bit ARM.

Each board begins with an empty home and no package index, so all that it runs was pushed. What is
refused is refused by the board's own processes, with its own wheels. An environment takes minutes
to make under qemu: one test makes it, and the others unpack the same wheels beforehand.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.conftest import first_weights
from edgeface.bench.remote import reach as reaching
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.python import find_python, host_runtime_version
from edgeface.bench.remote.reach import reach
from edgeface.bench.remote.transport import Finished, Sent, Transport, uncounted
from edgeface.bench.remote.wheels import download_wheels
from edgeface.deploy import bundle as bundling
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.interpreter import open_model
from edgeface.runtime.selftest import golden_problems
from support.loopback_pi import LoopbackPi, loopback_pi, why_no_loopback_pi

pytestmark = pytest.mark.emulated

ROOT = Path(__file__).parents[2]
DEVICES = tomllib.loads((ROOT / "benchmarks" / "devices.toml").read_text("utf-8"))
EXPORTED = ROOT / "exported"
MODEL = EXPORTED / "mobilenetv2-a100-128px-latency45-int8.tflite"
OTHER = EXPORTED / "mobilenetv2-a100-128px-bytes34-int8.tflite"
PLAIN = EXPORTED / "mobilenetv2-a100-128px-int8.tflite"
LARGEST = EXPORTED / "mobilenetv1-a100-160px-bytes77-int8.tflite"
# Nothing listens there: what does not come by SSH does not come. Compiling what is installed takes
# longer than all else under qemu.
SETTINGS = ("PIP_INDEX_URL=http://127.0.0.1:9/simple", "PIP_RETRIES=0", "PIP_NO_COMPILE=1")
NUMPY_2, OPENCV = "numpy>=2", "opencv-python-headless>=4.10,<5"
TFLITE_RUNTIME = "tflite-runtime==2.14.0"
BY_REFERENCE = "its outputs are those of TFLite's reference kernels"

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Board:
    """A board, and the file of devices that names it "rpi"."""

    pi: LoopbackPi
    devices: Path

    @property
    def store(self) -> Path:
        return self.pi.home_here / ".edgeface" / "deploy"

    @property
    def current(self) -> str:
        return (self.store / "current").readlink().name

    @property
    def spec(self) -> DeviceSpec:
        return DeviceSpec(**tomllib.loads(self.devices.read_text("utf-8"))["rpi"])

    def bundles(self) -> list[str]:
        return sorted(path.name for path in (self.store / "bundles").iterdir())

    def deploy(self, *arguments: str) -> str:
        """Deploy as a person does, in a process of its own; gives what it said, in one line."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "edgeface", "deploy", *arguments),
                *("--device", "rpi", "--devices", str(self.devices)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return " ".join((done.stdout + done.stderr).split())

    def check(self) -> dict[str, object]:
        """Run the current bundle's self-test there, as a service would."""
        with closing(reach("rpi", self.spec)) as login:
            done = login.run([".edgeface/deploy/current/edgeface-run", "check"], timeout_s=600)
        found: dict[str, object] = json.loads(done.stdout)
        return found


@contextmanager
def started(arch: str, folder: Path) -> Iterator[Board]:
    """A board with nothing on it but its system."""
    root = Path(DEVICES[f"emulated-{arch}"]["root"])
    if why := why_no_loopback_pi(root):
        pytest.skip(why)
    if arch == "armhf" and not list(root.glob("usr/lib/python3/dist-packages/cv2*.so")):
        pytest.skip(f"{root} has no OpenCV: benchmarks/emulated/README.md says how to install it")
    with loopback_pi(root, folder, fresh_home=True, settings=SETTINGS) as pi:
        devices = folder / "devices.toml"
        devices.write_text(pi.devices_toml("rpi"), "utf-8")
        yield Board(pi=pi, devices=devices)


def give_python(board: Board, name: str, packages: tuple[str, ...], folder: Path) -> Path:
    """Unpack wheels on a board and name a Python that has them; gives the file of devices."""
    with closing(reach("rpi", board.spec)) as login:
        python = find_python(login)
    site = board.pi.home_here / name
    for wheel in download_wheels(python, packages, folder):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    there = f"{board.pi.home}/{name}"
    program = site / "python"
    program.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{there}"\n'
        'exec /usr/bin/python3 "$@"\n'
    )
    program.chmod(0o755)
    devices = folder / "given.toml"
    devices.write_text(f'{board.pi.devices_toml("rpi")}python = "{there}/python"\n', "utf-8")
    return devices


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board that serves `MODEL`."""
    with started("arm64", tmp_path_factory.mktemp("arm64")) as bare:
        packages = (f"ai-edge-litert=={host_runtime_version()}", NUMPY_2, OPENCV)
        devices = give_python(bare, "given", packages, tmp_path_factory.mktemp("wheels"))
        board = replace(bare, devices=devices)
        assert ": current now, none before it" in board.deploy(str(MODEL))
        yield board


@pytest.fixture(scope="module")
def armhf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A board that serves `MODEL`."""
    with started("armhf", tmp_path_factory.mktemp("armhf")) as bare:
        devices = give_python(bare, "given", (TFLITE_RUNTIME,), tmp_path_factory.mktemp("wheels"))
        board = replace(bare, devices=devices)
        said = board.deploy(str(MODEL))
        assert BY_REFERENCE in said
        assert "with tflite-runtime 2.14.0" in said
        yield board


class Meddled:
    """A login to a board, on the way to which, or on which, something happens to a bundle."""

    def __init__(
        self, inner: Transport, on_its_way: Callable[[bytes], bytes], arrived: Callable[[], None]
    ) -> None:
        self.inner, self.on_its_way, self.arrived = inner, on_its_way, arrived
        self.where, self.get, self.close = inner.where, inner.get, inner.close

    def put(self, content: bytes | Path, path: str, *, sent: Sent = uncounted) -> None:
        if re.search("/[0-9a-f]{16}.zip$", path):
            assert isinstance(content, bytes)
            content = self.on_its_way(content)
        self.inner.put(content, path, sent=sent)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_s: float) -> Finished:
        done = self.inner.run(command, stdin=stdin, timeout_s=timeout_s)
        if "unpack" in command and not done.status:
            self.arrived()
        return done


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def start(
        on_its_way: Callable[[bytes], bytes] = lambda content: content,
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        monkeypatch.setattr(
            reaching, "reach", lambda name, spec: Meddled(reach(name, spec), on_its_way, arrived)
        )

    return start


def flipped(content: bytes, at: int, bit: int = 0x01) -> bytes:
    changed = bytearray(content)
    changed[at] ^= bit
    return bytes(changed)


def refused(board: Board, edgeface: Run, model: Path, devices: Path | None = None) -> str:
    """Deploy what cannot be; gives the line. The former bundle is current, and alone there."""
    current, there = board.current, board.bundles()
    status, out, err = edgeface(
        *("deploy", str(model), "--device", "rpi", "--devices", str(devices or board.devices))
    )
    assert status == 1, out + err
    line = " ".join(err.split())
    assert f"; {current} is still current" in line
    assert (board.current, board.bundles()) == (current, there)
    assert not list((board.store / "incoming").iterdir())
    return line


def damaged_model(folder: Path) -> Path:
    """Write `OTHER` with one bit of one weight flipped, and a sidecar that says so."""
    content = OTHER.read_bytes()
    sidecar = json.loads(OTHER.with_suffix(".json").read_text("utf-8"))
    path = folder / OTHER.name
    for at in first_weights(content):
        path.write_bytes(flipped(content, at, 0x80))
        sidecar["sha256"] = sha256(path.read_bytes()).hexdigest()
        path.with_suffix(".json").write_text(json.dumps(sidecar), "utf-8")
        artifact = load_artifact(path)
        # by more than kernels differ, which is 4 steps
        golden = [replace(vector, tolerance=8) for vector in artifact.sidecar.golden]
        model = open_model(artifact.content, where=path.name)
        if golden_problems(model, artifact.sidecar.contract, golden):
            return path
    raise AssertionError("no bit that was tried changes the outputs")


def test_a_zip_that_was_damaged_on_its_way(
    arm64: Board, edgeface: Run, meddle: Callable[..., None]
) -> None:
    meddle(on_its_way=lambda content: flipped(content, len(content) // 2))
    assert "it was damaged on its way" in refused(arm64, edgeface, OTHER)


def test_a_bit_that_flipped_on_the_board(
    arm64: Board, edgeface: Run, meddle: Callable[..., None]
) -> None:
    def flip() -> None:
        (model,) = arm64.store.glob(f"bundles/*.partial/{OTHER.name}")
        content = model.read_bytes()
        model.write_bytes(flipped(content, len(content) // 2))

    meddle(arrived=flip)
    line = refused(arm64, edgeface, OTHER)
    assert f"the bundle is damaged: {OTHER.name} has sha256" in line


def test_a_bit_that_flipped_before_every_digest_was_made(
    arm64: Board, edgeface: Run, tmp_path: Path
) -> None:
    line = refused(arm64, edgeface, damaged_model(tmp_path))
    assert "self-test: mobilenetv2-a100-128px-bytes34-int8: the self-test failed" in line
    assert "differs by up to" in line


def test_a_wrong_runtime(arm64: Board, edgeface: Run, tmp_path: Path) -> None:
    """The last tflite-runtime, beside the numpy 2 that goes with ai-edge-litert."""
    packages = (TFLITE_RUNTIME, NUMPY_2, OPENCV)
    devices = give_python(arm64, "wrong", packages, tmp_path)
    line = refused(arm64, edgeface, OTHER, devices)
    assert "with tflite-runtime 2.14.0, which needs numpy below 2" in line


def test_the_next_good_one_is_served_and_rollback_returns(arm64: Board) -> None:
    former = arm64.current
    assert f": current now, before it: {former}" in arm64.deploy(str(OTHER))
    assert arm64.check()["model"] == OTHER.stem
    arm64.deploy("--rollback")
    assert arm64.current == former
    assert arm64.check()["model"] == MODEL.stem


@pytest.mark.parametrize("model", [OTHER, PLAIN, LARGEST], ids=lambda path: path.stem)
def test_32_bits_serve_the_other_shipped_models(armhf: Board, model: Path) -> None:
    assert BY_REFERENCE in armhf.deploy(str(model))
    assert armhf.check()["model"] == model.stem


def test_32_bits_refuse_a_flipped_bit(armhf: Board, edgeface: Run, tmp_path: Path) -> None:
    line = refused(armhf, edgeface, damaged_model(tmp_path))
    assert "the self-test failed" in line
    assert "differs by up to" in line


def test_32_bits_need_the_reference(
    armhf: Board, edgeface: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file in the bundle is for: XNNPACK's outputs alone refuse a good board."""
    artifact = load_artifact(PLAIN)
    plain = open_model(artifact.content, where=PLAIN.name, reference_kernels=True)
    if not golden_problems(plain, artifact.sidecar.contract, artifact.sidecar.golden):
        pytest.skip(f"{PLAIN.name} gives its golden outputs by both kernels")
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: ())
    line = refused(armhf, edgeface, PLAIN)
    assert "allowed 2" in line


@pytest.mark.parametrize(
    ("arch", "runtime", "wheel", "by_reference"),
    [
        ("arm64", "ai-edge-litert", "ai_edge_litert-*_aarch64.whl", False),
        ("armhf", "tflite-runtime", "tflite_runtime-2.14.0-*_armv7l.whl", True),
    ],
)
def test_from_nothing_to_a_passed_self_test_by_pushed_wheels(
    tmp_path: Path, arch: str, runtime: str, wheel: str, by_reference: bool
) -> None:
    with started(arch, tmp_path) as board:
        said = board.deploy(str(MODEL), "--offline")
        vectors = len(load_artifact(MODEL).sidecar.golden)
        assert f"self-test passed: {vectors} golden vectors of {MODEL.stem} with {runtime}" in said
        assert (BY_REFERENCE in said) is by_reference
        assert ": current now, none before it" in said
        served = board.store / "bundles" / board.current
        assert list(served.glob(f"wheels/{wheel}"))
        interpreter = (served / "interpreter").read_text().strip()
        assert interpreter.startswith(f"{board.pi.home}/.edgeface/venv-3.11-")
        found = board.check()
        assert (found["runtime"], found["reference_kernels"]) == (runtime, by_reference)
        assert found["bundle"] == board.current[:16]
