"""A device made ready for a benchmark, and let go of afterwards.

In: a `Transport`. Out: a `Worker` as `bench.latency` takes it, whose processes run on the device.
Pushes code, models and faces under `.edgeface`, and removes them; the environment stays for the
next time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from edgeface.bench.latency import read_reply
from edgeface.bench.partitions import ProbeReply
from edgeface.bench.remote.code import device_code
from edgeface.bench.remote.files import FACES_SUFFIX, names_a_file
from edgeface.bench.remote.python import (
    FOLDER,
    DevicePython,
    find_environment,
    find_python,
    make_environment,
    requirements_for,
)
from edgeface.bench.remote.sending import put_all
from edgeface.bench.remote.transport import Finished, Transport
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.types import Reporter, SilentReporter

_CODE = "edgeface.zip"  # of the session's folder
_BUSY = 75  # Source: sysexits.h, EX_TEMPFAIL: try again later
_QUICK_S = 120.0
_STALE_DAYS = 2  # chosen: longer than any benchmark


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """What a session runs.

    Attributes:
        command: `python3`, or another that the device's entry names.
        given: whether the entry named it: then it is used as it is, with the runtime it has.
        runtime_version: of ai-edge-litert that an environment gets.
        pictures: whether it reads pictures, which takes OpenCV.
        wheels: gives wheel files for a Python where the device has no network; None installs there.
    """

    command: str = "python3"
    given: bool = False
    runtime_version: str
    pictures: bool = False
    wheels: Callable[[DevicePython, tuple[str, ...]], tuple[Path, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a device is.

    Attributes:
        device: what it says of itself.
        problem: why its Python runs no model, and what to do; None if it does.
    """

    device: DeviceInfo
    problem: str | None


@dataclass
class Session:
    """A device that is ready. Made by `open_session`.

    Attributes:
        transport: to it.
        python: its interpreter, with a TFLite runtime.
        folder: of this session there: two sessions never share one.
        pushed: paths of what is there of this run, each in a folder named by its content.
    """

    transport: Transport
    python: str
    folder: str
    pushed: set[str] = field(default_factory=set)

    def identify(self, name: str) -> DeviceInfo:
        """Ask the device what it is and in what state.

        Raises:
            DeviceError: its Python runs no model, says why; or it does not answer as agreed.
        """
        identity = self.identity(name)
        if identity.problem:
            raise DeviceError(f"{self.transport.where}: {identity.problem}")
        return identity.device

    def identity(self, name: str) -> Identity:
        """Ask the device what it is, also where it cannot run a model yet.

        Raises:
            DeviceError: it does not answer as agreed.
        """
        reply = self.worker(("identify", "--name", name), _QUICK_S)
        try:
            return from_mapping(Identity, reply)
        except RecordError as err:
            raise DeviceError(f"{self.transport.where}: {err}") from err

    def send_models(self, paths: Iterable[Path], *, reporter: Reporter) -> None:
        """Push models before a process asks for them, so that a bar shows it.

        Args:
            paths: of `.tflite` files here.
            reporter: shows the bar.

        Raises:
            BenchmarkError: one cannot be read.
            DeviceError: the device does not answer, or is full.
        """
        files = [file for path in paths for file in self._files(path)]
        put_all(self.transport, files, "models", reporter=reporter, there=self.pushed)

    def worker(self, arguments: tuple[str, ...], timeout_s: float) -> Mapping[str, Any]:
        """Run `edgeface.runtime.runner` on the device; files named by path here are pushed first.

        Raises:
            BenchmarkError: it failed, printed something else, or another benchmark runs there.
            DeviceError: the device does not answer, is full, or took too long.
        """
        done = self._run(arguments, timeout_s)
        self._forget_faces()
        what = f"{self.transport.where}, {arguments[0]}"
        return read_reply(
            what,
            done.status,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
        )

    def probe(self, model: Path) -> ProbeReply:
        """Ask the device's runtime what it makes of a model; see `bench.partitions`.

        Raises:
            BenchmarkError: another benchmark runs there.
            DeviceError: the device does not answer, or is full.
        """
        done = self._run(("partitions", str(model)), _QUICK_S)
        return ProbeReply(
            status=done.status,
            stdout=done.stdout.decode("utf-8", "replace"),
            stderr=done.stderr.decode("utf-8", "replace"),
        )

    def close(self) -> None:
        """Remove what was pushed, as far as the device still answers."""
        try:
            with suppress(DeviceError):  # a later session removes it; no result may be lost for it
                self.transport.run(["rm", "-rf", self.folder], timeout_s=_QUICK_S)
        finally:
            self.transport.close()

    def _run(self, arguments: Sequence[str], timeout_s: float) -> Finished:
        there = [self._pushed(Path(each)) if names_a_file(each) else each for each in arguments]
        done = self.transport.run(
            [
                *("flock", "--nonblock", "--conflict-exit-code", str(_BUSY), f"{FOLDER}/lock"),
                *("env", f"PYTHONPATH={self.folder}/{_CODE}", "PYTHONDONTWRITEBYTECODE=1"),
                *(self.python, "-m", "edgeface.runtime.runner", *there),
            ],
            timeout_s=timeout_s,
        )
        if done.status == _BUSY:
            raise BenchmarkError(
                f"{self.transport.where}: another benchmark runs on this device; wait for its end"
            )
        return done

    def _pushed(self, path: Path) -> str:
        files = self._files(path)
        put_all(self.transport, files, "files", reporter=SilentReporter(), there=self.pushed)
        return files[-1][1]

    def _files(self, path: Path) -> list[tuple[bytes | Path, str]]:
        """What belongs to a file, itself last, and where each goes.

        It keeps its own name, because an artifact needs it, and has its sidecar beside it.
        """
        try:
            content = path.read_bytes()
        except OSError as err:
            raise BenchmarkError(f"{path}: cannot be read: {err}") from err
        folder = f"{self.folder}/{sha256(content).hexdigest()[:16]}"
        files: list[tuple[bytes | Path, str]] = []
        sidecar = path.with_suffix(".json")
        if path.suffix == ".tflite" and sidecar.is_file():
            files.append((sidecar, f"{folder}/{sidecar.name}"))
        return [*files, (content, f"{folder}/{path.name}")]

    def _forget_faces(self) -> None:
        """Remove faces at once: all chunks of a test split may not fit on the device."""
        for path in [each for each in self.pushed if each.endswith(FACES_SUFFIX)]:
            with suppress(DeviceError):  # `close` removes it too; the reply must not be lost
                folder = str(PurePosixPath(path).parent)
                self.transport.run(["rm", "-rf", folder], timeout_s=_QUICK_S)
                self.pushed.remove(path)


@contextmanager
def open_session(
    transport: Transport, interpreter: Interpreter, *, reporter: Reporter
) -> Iterator[Session]:
    """Make a device ready, from nothing if need be, and clean up at the end.

    Args:
        transport: to it; closed at the end.
        interpreter: what to run.
        reporter: says what takes long.

    Raises:
        DeviceError: no Python, no wheel, no network, a full disk; says what to do.
    """
    try:
        python = _interpreter(transport, interpreter, reporter)
    except BaseException:
        transport.close()
        raise
    with bare_session(transport, python) as session:
        yield session


@contextmanager
def bare_session(transport: Transport, python: str) -> Iterator[Session]:
    """Push the code for an interpreter as it is, and clean up at the end.

    Args:
        transport: to the device; closed at the end.
        python: interpreter there; without a TFLite runtime it can only say who the device is.

    Raises:
        DeviceError: the device does not answer, or its disk is full.
    """
    session = None
    try:
        # an interrupted session's folder, with pictures perhaps, goes when nothing can need it
        old = ["-name", "run-*", "-mtime", f"+{_STALE_DAYS}", "-exec", "rm", "-rf", "{}", "+"]
        transport.run(["find", FOLDER, "-maxdepth", "1", *old], timeout_s=_QUICK_S)
        session = Session(
            transport=transport, python=python, folder=f"{FOLDER}/run-{session_name()}"
        )
        transport.put(device_code().content, f"{session.folder}/{_CODE}")
        yield session
    finally:
        if session is not None:
            session.close()
        else:
            transport.close()


def session_name() -> str:
    """Name a session as no other is named."""
    return secrets.token_hex(4)


def _interpreter(transport: Transport, interpreter: Interpreter, reporter: Reporter) -> str:
    python = find_python(transport, interpreter.command)
    if interpreter.given:
        return interpreter.command
    requirements = requirements_for(
        python, interpreter.runtime_version, pictures=interpreter.pictures
    )
    there = find_environment(transport, python, requirements)
    if there:
        return there
    wheels = None
    if interpreter.wheels:
        wheels = f"{FOLDER}/wheels-{requirements.key}"
        found = interpreter.wheels(python, requirements.packages)
        files = [(path, f"{wheels}/{path.name}") for path in found]
        put_all(transport, files, "wheels", reporter=reporter)
    reporter.say(
        f"{transport.where}: installing {' and '.join(requirements.packages)} under ~/{FOLDER}"
    )
    try:
        return make_environment(transport, interpreter.command, python, requirements, wheels=wheels)
    finally:
        if wheels:
            with suppress(DeviceError):
                transport.run(["rm", "-rf", wheels], timeout_s=_QUICK_S)
