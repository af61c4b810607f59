"""A named device as a benchmark sees it: reached, made ready, its replies kept until the end.

In: a `DeviceSpec`. Out: `Probes` for `bench.run`, and what the device alone can tell.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from edgeface.bench.plan import BenchPlan
from edgeface.bench.remote.adb import AdbTransport
from edgeface.bench.remote.android import open_android
from edgeface.bench.remote.code import device_code
from edgeface.bench.remote.devices_file import DeviceSpec, find_device
from edgeface.bench.remote.journal import Journal
from edgeface.bench.remote.probes import as_emulated, device_probes
from edgeface.bench.remote.python import (
    DevicePython,
    find_environment,
    find_python,
    host_runtime_version,
    requirements_for,
)
from edgeface.bench.remote.reach import reach
from edgeface.bench.remote.session import (
    Identity,
    Interpreter,
    Session,
    bare_session,
    open_session,
)
from edgeface.bench.remote.wheels import download_wheels
from edgeface.bench.run import Probes
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.records import from_mapping, to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.device_facts import DeviceInfo
from edgeface.runtime.runner_identify import identify
from edgeface.types import Reporter


@dataclass(frozen=True, kw_only=True)
class ReadyDevice:
    """A device that can be benchmarked.

    Attributes:
        probes: for `bench.run.bench`.
        has_python: False on a phone, where only latency and memory can be measured.
        emulated: in words; empty for a real device.
        journal: of the replies; None on a phone.
        invalid_reasons: asked at the end: why what was measured does not count.
    """

    probes: Probes
    has_python: bool
    emulated: str
    journal: Journal | None
    invalid_reasons: Callable[[], tuple[str, ...]]

    def warnings(self) -> tuple[str, ...]:
        """Say what of a result was not measured in one go."""
        kept = self.journal.used_replies if self.journal else 0
        if not kept:
            return ()
        return (f"{kept} processes were measured in an earlier run that was interrupted",)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a device is wanted for.

    Attributes:
        artifacts: to be measured.
        plan: of the benchmark.
        unfinished: folder of this machine where replies are kept until the result is written.
        offline: whether the device gets its wheels from here.
    """

    artifacts: Sequence[Artifact]
    plan: BenchPlan
    unfinished: Path
    offline: bool = False


def emulated_by(spec: DeviceSpec) -> str:
    """Say how a device is emulated; empty for one that is not."""
    if spec.kind != "chroot":
        return ""
    return f"{spec.arch} emulated by qemu on this host: for parity, never for times"


@contextmanager
def open_device(
    name: str, spec: DeviceSpec, request: Request, *, reporter: Reporter
) -> Iterator[ReadyDevice]:
    """Reach a device and make it ready; clean up at the end.

    Args:
        name: what the user calls it.
        spec: how to reach it; not of kind "local".
        request: what for.
        reporter: says what takes long.

    Raises:
        DeviceError: it cannot be reached or made ready; says what to do.
        BenchmarkError: replies of an earlier run cannot be read.
    """
    if spec.kind == "adb":
        with open_android(_phone(name, spec), Path(spec.benchmark_model).expanduser()) as phone:

            def describe() -> DeviceInfo:
                return phone.identify(name)

            phone.send_models((each.path for each in request.artifacts), reporter=reporter)
            yield ReadyDevice(
                probes=Probes(
                    describe=describe, worker=phone.worker, delegation=lambda artifact: None
                ),
                has_python=False,
                emulated="",
                journal=None,
                invalid_reasons=phone.invalid_reasons,
            )
        return
    emulated = emulated_by(spec)
    pictures = request.plan.frames is not None and not emulated
    with open_python(
        name, spec, pictures=pictures, offline=request.offline, reporter=reporter
    ) as session:
        key = _key(session.identify(name), request)
        journal = Journal(request.unfinished / f"{name}-{key[:16]}.jsonl", key)
        if journal.kept_replies:
            reporter.say(
                f"{name}: goes on after {journal.kept_replies} processes of an earlier run"
            )
        else:  # of an earlier run some are done: the worker sends what is asked for
            session.send_models((each.path for each in request.artifacts), reporter=reporter)
        worker = journal.worker(session.worker)
        ready = ReadyDevice(
            probes=device_probes(session, name, worker=worker, emulated=emulated),
            has_python=True,
            emulated=emulated,
            journal=journal,
            invalid_reasons=lambda: (),
        )
        try:
            yield ready
        except BenchmarkError as err:
            if not journal.path.exists():
                raise
            raise BenchmarkError(
                f"{err}; what was finished is kept in {journal.path}: run again to go on, or "
                "remove it to measure anew"
            ) from err


def identify_device(name: str, spec: DeviceSpec) -> Identity:
    """Ask a device who it is and whether it can run models, without installing anything.

    Args:
        name: what the user calls it.
        spec: how to reach it.

    Raises:
        DeviceError: it does not answer, or has no usable Python; says what to do.
        ConfigError: no host is set; has the lines to add.
    """
    if spec.kind == "local":
        return from_mapping(Identity, identify(name))
    if spec.kind == "adb":
        with open_android(_phone(name, spec), Path(spec.benchmark_model).expanduser()) as phone:
            return Identity(device=phone.identify(name), problem=None)
    transport = reach(name, find_device(name, {name: spec}))
    command = spec.python or "python3"
    try:
        python = find_python(transport, command)
        requirements = requirements_for(python, host_runtime_version())
        made = None if spec.python else find_environment(transport, python, requirements)
    except BaseException:
        transport.close()
        raise
    with bare_session(transport, made or command) as session:
        found = session.identity(name)
    device = as_emulated(found.device, emulated_by(spec))
    if made or spec.python:
        return Identity(device=device, problem=found.problem)
    if not python.has_venv:
        return Identity(device=device, problem="no venv there: sudo apt install python3-venv")
    return Identity(device=device, problem=None)  # the first bench makes the environment


@contextmanager
def open_python(
    name: str, spec: DeviceSpec, *, pictures: bool, offline: bool, reporter: Reporter
) -> Iterator[Session]:
    """Reach a device that has Python, and make it ready.

    Args:
        name: what the user calls it.
        spec: of kind "ssh" or "chroot".
        pictures: whether it reads pictures, which takes OpenCV.
        offline: whether it gets its wheels from here.
        reporter: says what takes long.

    Raises:
        DeviceError: it cannot be reached or made ready; says what to do.
    """
    with tempfile.TemporaryDirectory() as folder:

        def wheels(python: DevicePython, packages: tuple[str, ...]) -> tuple[Path, ...]:
            reporter.say(f"{name}: fetching wheels of {' and '.join(packages)}")
            return download_wheels(python, packages, Path(folder))

        interpreter = Interpreter(
            command=spec.python or "python3",
            given=bool(spec.python),
            runtime_version=host_runtime_version(),
            pictures=pictures,
            wheels=wheels if offline else None,
        )
        with open_session(reach(name, spec), interpreter, reporter=reporter) as session:
            yield session


def _phone(name: str, spec: DeviceSpec) -> AdbTransport:
    if not spec.benchmark_model:
        raise DeviceError(
            f"{name}: no benchmark_model is set; build LiteRT's tool for Android and name its path "
            "in devices.toml"
        )
    return AdbTransport(name, serial=spec.serial or None)


def _key(device: DeviceInfo, request: Request) -> str:
    """Name a run by all that makes its replies what they are."""
    same = replace(device, clock_mhz=None, temperature_c=None, throttle_bits=None, governor=None)
    facts = {
        "device": to_mapping(same),
        "code": device_code().sha256,
        "protocol": to_mapping(request.plan.protocol),
        "models": [to_mapping(artifact.sidecar) for artifact in request.artifacts],
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
