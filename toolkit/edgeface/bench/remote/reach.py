"""From a named device to a `Transport`. Imports what a kind needs only when it is asked for."""

from __future__ import annotations

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.transport import Transport
from edgeface.errors import DeviceError


def reach(name: str, spec: DeviceSpec) -> Transport:
    """Connect to a device that runs commands.

    Args:
        name: of the device, for messages.
        spec: of kind "ssh" or "chroot".

    Raises:
        DeviceError: it cannot be reached, or is of another kind, or paramiko is not installed.
    """
    if spec.kind == "ssh":
        try:
            from edgeface.bench.remote.ssh import connect
        except ModuleNotFoundError as err:
            if err.name != "paramiko":
                raise
            raise DeviceError(
                f"{name}: paramiko is not installed, SSH needs it; install with: "
                "pip install 'edgeface[remote]'"
            ) from err
        return connect(name, spec)
    if spec.kind == "chroot":
        from edgeface.bench.remote.chroot import enter

        return enter(name, spec)
    raise DeviceError(f"{name}: is of kind {spec.kind!r}, expected ssh or chroot to run commands")
