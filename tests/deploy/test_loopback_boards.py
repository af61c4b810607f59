"""`deploy` over a real SSH login to boards but for the silicon: emulated 64- and 32-bit ARM.

Each board begins with an empty home and no package index, so all that it runs was pushed. What is
refused is refused by the board's own processes, with its own wheels.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from edgeface.bench.remote import reach as reaching
from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.reach import reach
from edgeface.bench.remote.transport import Finished, Sent, Transport, uncounted
from edgeface.deploy import bundle as bundling
from edgeface.runtime.artifact import load_artifact
from edgeface.runtime.selftest import self_test
from support.loopback_pi import LoopbackPi, loopback_pi, why_no_loopback_pi

pytestmark = pytest.mark.emulated

ROOT = Path(__file__).parents[2]
DEVICES = tomllib.loads((ROOT / "benchmarks" / "devices.toml").read_text("utf-8"))
EXPORTED = ROOT / "exported"
MODEL = EXPORTED / "mobilenetv2-a100-128px-latency45-int8.tflite"
OTHER = EXPORTED / "mobilenetv2-a100-128px-bytes34-int8.tflite"
PLAIN = EXPORTED / "mobilenetv2-a100-128px-int8.tflite"
# nothing listens there: what does not come by SSH does not come
NO_INDEX = ("PIP_INDEX_URL=http://127.0.0.1:9/simple", "PIP_RETRIES=0")
BY_REFERENCE = "its outputs are those of TFLite's reference kernels"

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Board:
    """A board that serves `MODEL`.

    Attributes:
        pi: the login.
        devices: file that names it "rpi".
        online: what the first deployment said, which asked the package index.
        offline: what the second said, which did not.
    """

    pi: LoopbackPi
    devices: Path
    online: subprocess.CompletedProcess[str]
    offline: subprocess.CompletedProcess[str]

    @property
    def store(self) -> Path:
        return self.pi.home_here / ".edgeface" / "deploy"

    @property
    def current(self) -> str:
        return (self.store / "current").readlink().name

    def bundles(self) -> list[str]:
        return sorted(path.name for path in (self.store / "bundles").iterdir())

    def check(self) -> dict[str, object]:
        """Run the current bundle's self-test there, as a service would."""
        with_login = reach("rpi", DeviceSpec(**tomllib.loads(self.devices.read_text())["rpi"]))
        try:
            done = with_login.run([".edgeface/deploy/current/edgeface-run", "check"], timeout_s=600)
        finally:
            with_login.close()
        found: dict[str, object] = json.loads(done.stdout)
        return found


def board(arch: str, folder: Path) -> Iterator[Board]:
    root = Path(DEVICES[f"emulated-{arch}"]["root"])
    if why := why_no_loopback_pi(root):
        pytest.skip(why)
    if arch == "armhf" and not list(root.glob("usr/lib/python3/dist-packages/cv2*.so")):
        pytest.skip(f"{root} has no OpenCV: benchmarks/emulated/README.md says how to install it")
    with loopback_pi(root, folder, fresh_home=True, settings=NO_INDEX) as pi:
        devices = folder / "devices.toml"
        devices.write_text(pi.devices_toml("rpi"), "utf-8")

        def deploy(*more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [
                    *(sys.executable, "-m", "edgeface", "deploy", str(MODEL), "--device", "rpi"),
                    *("--devices", str(devices), *more),
                ],
                capture_output=True,
                text=True,
                check=False,
            )

        yield Board(pi=pi, devices=devices, online=deploy(), offline=deploy("--offline"))


@pytest.fixture(scope="module")
def arm64(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    yield from board("arm64", tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="module")
def armhf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    yield from board("armhf", tmp_path_factory.mktemp("armhf"))


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
        if "unpack" in command:
            assert done.status == 0, done
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
    for at in range(len(content) * 3 // 4, len(content), 499):  # weights lie there
        path.write_bytes(flipped(content, at, 0x80))
        sidecar["sha256"] = sha256(path.read_bytes()).hexdigest()
        path.with_suffix(".json").write_text(json.dumps(sidecar), "utf-8")
        if self_test(load_artifact(path)):
            return path
    raise AssertionError("no bit that was tried changes the outputs")


def test_without_a_package_index_it_says_what_to_do(arm64: Board) -> None:
    assert arm64.online.returncode == 1
    said = " ".join(arm64.online.stderr.split())
    assert "does not reach the package index; run again with --offline" in said
    assert "nothing is current there yet" in said


def test_from_nothing_to_a_passed_self_test_by_pushed_wheels(arm64: Board) -> None:
    assert arm64.offline.returncode == 0, arm64.offline.stderr
    said = " ".join((arm64.offline.stdout + arm64.offline.stderr).split())
    assert "self-test passed: 2 golden vectors of mobilenetv2-a100-128px-latency45-int8" in said
    assert BY_REFERENCE not in said
    assert ": current now, none before it" in said
    served = arm64.store / "bundles" / arm64.current
    wheels = [path.name for path in (served / "wheels").iterdir()]
    assert any(re.match(r"ai_edge_litert-.*_aarch64\.whl", name) for name in wheels)
    interpreter = (served / "interpreter").read_text().strip()
    assert interpreter.startswith(f"{arm64.pi.home}/.edgeface/venv-3.11-")
    found = arm64.check()
    assert (found["runtime"], found["reference_kernels"]) == ("ai-edge-litert", False)
    assert found["bundle"] == arm64.current[:16]


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
    python, bits = "3.11", "manylinux2014_aarch64"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *(f"--python-version={python}", f"--platform={bits}", "--only-binary=:all:"),
            *(f"--dest={tmp_path}", "tflite-runtime==2.14.0"),
        ],
        check=True,
    )
    wrong = arm64.pi.home_here / "wrong"
    wrong.mkdir()
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wrong)
    (made,) = (arm64.pi.home_here / ".edgeface").glob("venv-*/lib/python3.11/site-packages")
    for name in ("numpy", "numpy.libs", "cv2", "opencv_python_headless.libs"):
        shutil.copytree(made / name, wrong / name)
    for info in made.glob("numpy-*.dist-info"):
        shutil.copytree(info, wrong / info.name)
    program = wrong / "python"
    folder = f"{arm64.pi.home}/wrong"
    program.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{folder}"\nexec /usr/bin/python3 "$@"\n'
    )
    program.chmod(0o755)
    devices = tmp_path / "wrong.toml"
    devices.write_text(f'{arm64.devices.read_text()}python = "{folder}/python"\n', "utf-8")
    line = refused(arm64, edgeface, OTHER, devices)
    assert "with tflite-runtime 2.14.0, which needs numpy below 2" in line


def test_after_all_this_the_next_good_one_is_served_and_rollback_returns(
    arm64: Board, edgeface: Run
) -> None:
    former = arm64.current
    to_board = ("--device", "rpi", "--devices", str(arm64.devices))
    status, _, err = edgeface("deploy", str(OTHER), *to_board)
    assert status == 0, err
    assert arm64.current != former
    assert arm64.check()["model"] == OTHER.stem
    status, _, err = edgeface("deploy", "--rollback", *to_board)
    assert status == 0, err
    assert arm64.current == former
    assert arm64.check()["model"] == MODEL.stem


def test_32_bits_from_nothing_to_a_passed_self_test(armhf: Board) -> None:
    assert armhf.online.returncode == 1
    assert "run again with --offline" in " ".join(armhf.online.stderr.split())
    assert armhf.offline.returncode == 0, armhf.offline.stderr
    said = " ".join((armhf.offline.stdout + armhf.offline.stderr).split())
    assert BY_REFERENCE in said
    assert "with tflite-runtime 2.14.0" in said
    found = armhf.check()
    assert (found["runtime"], found["reference_kernels"]) == ("tflite-runtime", True)


@pytest.mark.parametrize("model", [OTHER, PLAIN], ids=lambda path: path.stem)
def test_32_bits_serve_the_other_shipped_models(armhf: Board, edgeface: Run, model: Path) -> None:
    status, out, err = edgeface(
        *("deploy", str(model), "--device", "rpi", "--devices", str(armhf.devices))
    )
    assert status == 0, err
    assert BY_REFERENCE in " ".join((out + err).split())


def test_32_bits_refuse_a_flipped_bit(armhf: Board, edgeface: Run, tmp_path: Path) -> None:
    line = refused(armhf, edgeface, damaged_model(tmp_path))
    assert "the self-test failed" in line
    assert "differs by up to" in line


def test_32_bits_need_the_reference(
    armhf: Board, edgeface: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file in the bundle is for: XNNPACK's outputs alone refuse a good board."""
    monkeypatch.setattr(bundling, "reference_golden", lambda artifact: ())
    line = refused(armhf, edgeface, MODEL)
    assert "allowed 2" in line
