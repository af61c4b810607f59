"""A bundle onto a device, and back to the one before it.

In: a `Transport` and a `Bundle`. Out: what the device serves now. The former bundle serves until
the new one has passed its self-test there, and the switch is one rename on the device
(`runtime.bundle_store`): interrupted anywhere, one of the two is current and works. What an
interruption leaves is removed by the next call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

from edgeface.bench.latency import read_reply
from edgeface.bench.remote.code import device_code
from edgeface.bench.remote.python import (
    FOLDER,
    find_environment,
    find_python,
    last_line,
    make_environment,
)
from edgeface.bench.remote.sending import put_all
from edgeface.bench.remote.transport import ConnectionLostError, Finished, Transport
from edgeface.deploy.bundle import Bundle
from edgeface.deploy.environment import DeviceEnvironment
from edgeface.errors import BenchmarkError, DeviceError
from edgeface.records import RecordError, from_mapping
from edgeface.runtime.bundle_check import BundleCheck
from edgeface.runtime.bundle_files import ID_DIGITS, INTERPRETER, LAUNCHER, WHEELS
from edgeface.runtime.bundle_store import PARTIAL, StoreState
from edgeface.types import Reporter

DEPLOY = f"{FOLDER}/deploy"
"""Under the user's home on the device; see `runtime.bundle_store` for what is in it."""

_ASK_S = 600.0  # chosen: hashing and removing 200 MB on a slow SD card
_CHECK_S = 600.0  # chosen: importing and a few inferences of a VGG16 under emulation
# What the shell would start, and not what it finally is: a link out of a virtual environment would
# lead to a Python without its packages.
_ABSOLUTE = (
    'found=$(command -v "$1") || exit 127; '
    'case $found in /*) ;; *) found=$PWD/$found ;; esac; printf %s "$found"'
)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What a device serves.

    Attributes:
        bundle: name of the current bundle there; starts with the bundle's identity.
        previous: name of the one that `rollback` returns to; None if there is none.
        changed: False if the bundle was current already.
        check: of its self-test there.
    """

    bundle: str
    previous: str | None
    changed: bool
    check: BundleCheck


def install(
    transport: Transport, bundle: Bundle, environment: DeviceEnvironment, *, reporter: Reporter
) -> Deployed:
    """Bring a bundle to a device, test it there, and make it current.

    Args:
        transport: to the device; not closed.
        bundle: from `make_bundle`, with wheels if the device has no network.
        environment: from `plan_environment`.
        reporter: says what takes long.

    Returns:
        What is current now.

    Raises:
        ConnectionLostError: the device stopped answering; the former bundle or the new one is
            current, and it works. The next call goes on.
        DeviceError: no environment, a full disk, or the bundle did not pass; the former bundle is
            still current.
    """
    with _opened(transport, environment.command, reporter) as device:
        state = device.tidy()
        given = _absolute(transport, environment.command) if environment.given else None
        name = _same(state, bundle, given or environment.requirements.key)
        if name is not None:
            reporter.say(f"{transport.where}: has bundle {name} already; testing it again")
            check = device.try_check(name)
            if check is not None:
                return _made_current(device, state, name, check)
        name = _free_name(state, bundle.id)
        with _cleaned_up(device):
            device.unpack(bundle, name)
            folder = f"{DEPLOY}/bundles/{name}{PARTIAL}"
            interpreter = given or _environment(transport, environment, bundle, folder, reporter)
            transport.put(f"{interpreter}\n".encode(), f"{folder}/{INTERPRETER}")
            check = device.check(name + PARTIAL)
            return _made_current(device, state, name, check)


def rollback(transport: Transport, command: str, *, reporter: Reporter) -> Deployed:
    """Return to the bundle that was current before. Twice is forth and back.

    Args:
        transport: to the device; not closed.
        command: its Python, for what is not the bundle's own.
        reporter: says what is done.

    Raises:
        ConnectionLostError: the device stopped answering; one of the two is current.
        DeviceError: there is nothing to return to, or it does not pass its self-test any more;
            nothing has changed then.
    """
    find_python(transport, command)
    with _opened(transport, command, reporter) as device:
        state = device.tidy()
        if state.previous is None:
            raise DeviceError(
                f"{transport.where}: there is no bundle before "
                f"{state.current or 'the first deployment'}; deploy the one you want"
            )
        reporter.say(f"{transport.where}: testing {state.previous}")
        device.verify(state.previous)
        check = device.check(state.previous)
        return _made_current(device, state, state.previous, check)


@dataclass(frozen=True, kw_only=True)
class _Device:
    """A device with edgeface's code on it, for the time of one installation."""

    transport: Transport
    command: str
    code: str  # name in incoming
    reporter: Reporter

    def tidy(self, *, last: bool = False) -> StoreState:
        keep = () if last else ("--keep", self.code)
        return self._record(StoreState, self._ask("tidy", *keep))

    def unpack(self, bundle: Bundle, name: str) -> None:
        path = f"{DEPLOY}/incoming/{name}.zip"
        put_all(self.transport, [(bundle.content, path)], "the bundle", reporter=self.reporter)
        self._ask("unpack", path, bundle.sha256, name)

    def verify(self, name: str) -> None:
        self._ask("verify", name)

    def commit(self, name: str) -> StoreState:
        return self._record(StoreState, self._ask("commit", name))

    def check(self, folder: str) -> BundleCheck:
        """Run the self-test as the bundle's own program does, with the Python it will serve by."""
        done = self.transport.run(
            [
                *("sh", f"{DEPLOY}/bundles/{folder}/{LAUNCHER}", "check"),
                *("--expect", folder[:ID_DIGITS]),
            ],
            timeout_s=_CHECK_S,
        )
        check = self._record(BundleCheck, self._reply("self-test", done))
        if check.reference_kernels:
            self.reporter.say(
                f"{self.transport.where}: no delegate runs the model there; its outputs are those "
                "of TFLite's reference kernels"
            )
        return check

    def try_check(self, name: str) -> BundleCheck | None:
        """Test a bundle that lies there; None if it no longer passes and must be copied again."""
        try:
            self.verify(name)
            return self.check(name)
        except ConnectionLostError:
            raise
        except DeviceError:
            return None

    def _ask(self, *arguments: str) -> Any:
        done = self.transport.run(
            [
                *("env", f"PYTHONPATH={DEPLOY}/incoming/{self.code}", "PYTHONDONTWRITEBYTECODE=1"),
                *(self.command, "-m", "edgeface.runtime.bundle_store", DEPLOY, *arguments),
            ],
            timeout_s=_ASK_S,
        )
        return self._reply(arguments[0], done)

    def _reply(self, what: str, done: Finished) -> Any:
        try:
            return read_reply(
                f"{self.transport.where}: {what}",
                done.status,
                done.stdout.decode("utf-8", "replace"),
                done.stderr.decode("utf-8", "replace"),
            )
        except BenchmarkError as err:
            raise DeviceError(str(err)) from err

    def _record(self, cls: type[T], reply: Any) -> T:
        try:
            return from_mapping(cls, reply)
        except RecordError as err:
            raise DeviceError(f"{self.transport.where}: does not answer as agreed: {err}") from err


@contextmanager
def _opened(transport: Transport, command: str, reporter: Reporter) -> Iterator[_Device]:
    code = device_code()
    transport.put(code.content, f"{DEPLOY}/incoming/{code.name}")
    device = _Device(transport=transport, command=command, code=code.name, reporter=reporter)
    yield device
    device.tidy(last=True)


@contextmanager
def _cleaned_up(device: _Device) -> Iterator[None]:
    """Remove what was copied if the bundle is refused; say that the former one still serves."""
    try:
        yield
    except ConnectionLostError:
        raise  # there is nobody to ask; the next call tidies
    except DeviceError as err:
        try:
            current = device.tidy(last=True).current
        except DeviceError as also:
            raise err from also  # what went wrong first is what matters; the next call tidies
        serves = f"{current} is still current" if current else "nothing is current there yet"
        raise DeviceError(f"{err}; {serves}") from err


def _made_current(device: _Device, before: StoreState, name: str, check: BundleCheck) -> Deployed:
    state = device.commit(name)
    if state.current != name:
        raise DeviceError(
            f"{device.transport.where}: {state.current} is current, expected {name}; "
            "does another deployment run? deploy again"
        )
    return Deployed(
        bundle=name, previous=state.previous, changed=before.current != name, check=check
    )


def _same(state: StoreState, bundle: Bundle, interpreter: str) -> str | None:
    """Find the bundle among those there.

    Args:
        state: of the device.
        bundle: wanted.
        interpreter: in the path of its Python there: with another one it must be tested anew.
    """
    for name, its_own in state.interpreters.items():
        if name[:ID_DIGITS] == bundle.id and interpreter in its_own:
            return name
    return None


def _free_name(state: StoreState, id: str) -> str:
    """Name a folder: that of a bundle that is in use is never written to."""
    names = (id if number == 1 else f"{id}-{number}" for number in count(1))
    return next(name for name in names if name not in state.interpreters)


def _environment(
    transport: Transport,
    environment: DeviceEnvironment,
    bundle: Bundle,
    folder: str,
    reporter: Reporter,
) -> str:
    """Take the environment that is there, for the current bundle may run in it, or make one."""
    python, requirements = environment.python, environment.requirements
    interpreter = find_environment(transport, python, requirements)
    if interpreter is None:
        reporter.say(f"{transport.where}: environment with {' and '.join(requirements.packages)}")
        interpreter = make_environment(
            transport,
            environment.command,
            python,
            requirements,
            wheels=f"{folder}/{WHEELS}" if bundle.has_wheels else None,
        )
    return _absolute(transport, interpreter)


def _absolute(transport: Transport, command: str) -> str:
    done = transport.run(["sh", "-c", _ABSOLUTE, "edgeface", command], timeout_s=_ASK_S)
    path = done.stdout.decode("utf-8", "replace")
    if done.status or not path.isprintable():
        raise DeviceError(f"{transport.where}: no program {command}: {last_line(done)}")
    return path
