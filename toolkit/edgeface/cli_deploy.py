"""The command `deploy`: a model to a device, tested there. Parse, call, print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from edgeface.console import print_line, reporter_of
from edgeface.errors import ConfigError, ExportError

if TYPE_CHECKING:  # imported inside the command, so that `edgeface --help` starts fast
    from edgeface.bench.remote.devices_file import DeviceSpec
    from edgeface.bench.remote.python import DevicePython
    from edgeface.bench.remote.transport import Transport
    from edgeface.deploy.bundle import Bundle
    from edgeface.deploy.install import Deployed
    from edgeface.runtime.artifact import Artifact
    from edgeface.types import Reporter


def deploy(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="Artifact (.tflite with its .json beside it)."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where to: a name in devices.toml, of kind ssh or chroot.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.zip", help="Also write the bundle there, to carry it by hand."),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Return to the bundle before; without MODEL.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="The device has no network: fetch its wheels here."),
    ] = False,
    systemd: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Print a systemd user unit that runs this command of the bundle, "
            'e.g. "watch pictures".',
        ),
    ] = None,
    devices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More devices, over those of devices.toml.")
    ] = None,
) -> None:
    """Copy a model with all that it needs to a device, test it there, and switch to it."""
    from edgeface.deploy.systemd import unit_text

    unit = unit_text(systemd) if systemd is not None else None
    reporter = reporter_of(context)
    _check_usage(model, device, out, rollback=rollback, offline=offline)
    if rollback:
        assert device is not None  # just checked
        _print(_rolled_back(device, devices, reporter), reporter)
    else:
        assert model is not None
        _deployed(model, device, out, devices, reporter, offline=offline)
    if unit is not None:
        print_line(unit.rstrip("\n"))


def _check_usage(
    model: Path | None, device: str | None, out: Path | None, *, rollback: bool, offline: bool
) -> None:
    problems = []
    if rollback:
        given = [
            name
            for name, value in (("MODEL", model), ("--out", out), ("--offline", offline))
            if value
        ]
        if given:
            problems.append(f"--rollback copies nothing, so leave out {' and '.join(given)}")
        if device is None:
            problems.append("--rollback without --device, expected both")
    else:
        if model is None:
            problems.append("MODEL is missing, expected an artifact (.tflite)")
        if device is None and out is None:
            problems.append("nowhere to put it; give --device NAME, or --out FILE.zip")
        if offline and device is None:
            problems.append("--offline without --device: which wheels depends on its Python")
        if out is not None and out.suffix != ".zip":
            problems.append(f"--out {out}: expected a name that ends in .zip")
        if out is not None and out.exists():
            problems.append(f"--out {out}: is there already, not overwritten; give another name")
    if problems:
        raise ConfigError("deploy", problems)


def _deployed(
    model: Path,
    device: str | None,
    out: Path | None,
    devices: Path | None,
    reporter: Reporter,
    *,
    offline: bool,
) -> None:
    from edgeface.bench.remote.python import host_runtime_version
    from edgeface.deploy.bundle import make_bundle
    from edgeface.deploy.environment import plan_environment
    from edgeface.deploy.install import install
    from edgeface.runtime.artifact import load_artifact

    artifact = load_artifact(model)
    if device is None:
        _write(out, make_bundle(artifact), reporter)
        return
    with _reached(device, devices) as (transport, spec):
        if offline and spec.python:
            raise ConfigError(
                "--offline", [f"{device} names its own python: nothing is installed there"]
            )
        environment = plan_environment(transport, spec.python, host_runtime_version())
        if offline:
            python, packages = environment.python, environment.requirements.packages
            bundle = _with_wheels(artifact, python, packages, reporter)
        else:
            bundle = make_bundle(artifact)
        _write(out, bundle, reporter)
        _print(install(transport, bundle, environment, reporter=reporter), reporter)


def _rolled_back(device: str, devices: Path | None, reporter: Reporter) -> Deployed:
    from edgeface.deploy.install import rollback

    with _reached(device, devices) as (transport, spec):
        return rollback(transport, spec.python or "python3", reporter=reporter)


@contextmanager
def _reached(device: str, devices: Path | None) -> Iterator[tuple[Transport, DeviceSpec]]:
    from edgeface.bench.remote.devices_file import device_files, find_device, read_devices
    from edgeface.bench.remote.reach import reach

    spec = find_device(device, read_devices(device_files(devices)))
    if spec.kind in ("local", "adb"):
        raise ConfigError(
            f"--device {device}",
            [f"is of kind {spec.kind!r}, expected ssh or chroot; --out FILE.zip writes the bundle"],
        )
    with closing(reach(device, spec)) as transport:
        yield transport, spec


def _with_wheels(
    artifact: Artifact, python: DevicePython, packages: tuple[str, ...], reporter: Reporter
) -> Bundle:
    from edgeface.bench.remote.wheels import download_wheels
    from edgeface.deploy.bundle import make_bundle

    reporter.say(f"fetching wheels of {' and '.join(packages)}")
    with TemporaryDirectory(prefix="edgeface-wheels-") as folder:
        return make_bundle(artifact, download_wheels(python, packages, Path(folder)))


def _write(out: Path | None, bundle: Bundle, reporter: Reporter) -> None:
    from edgeface.records import write_bytes

    if out is None:
        return
    try:
        write_bytes(out, bundle.content)
    except OSError as err:
        raise ExportError(f"--out {out}: cannot be written ({err.strerror})") from err
    reporter.say(f"bundle {bundle.id}: {out}, {len(bundle.content) / 1e6:.1f} MB")


def _print(deployed: Deployed, reporter: Reporter) -> None:
    check = deployed.check
    say = reporter.say
    say(
        f"self-test passed: {check.vectors} golden vectors of {check.model} with {check.runtime} "
        f"{check.runtime_version}, OpenCV {check.opencv_version}"
    )
    now = "current now" if deployed.changed else "was current already"
    before = f"before it: {deployed.previous}" if deployed.previous else "none before it"
    say(f"{deployed.bundle}: {now}, {before}")
