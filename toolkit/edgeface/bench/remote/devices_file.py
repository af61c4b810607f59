"""The devices that the user has named: `devices.toml`.

In: TOML files, the later ones first in right. Out: `DeviceSpec` by name. Asks no device anything.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from edgeface.errors import ConfigError
from edgeface.records import RangeError, RecordError, from_mapping

PROJECT_FILE = Path("benchmarks") / "devices.toml"
OWN_FILE = Path("~/.config/edgeface/devices.toml")

# names become part of file names
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_FIELDS = {
    "local": (),
    "ssh": ("host", "port", "user", "key", "known_hosts", "ssh_config", "python"),
    "chroot": ("root", "arch", "python"),
    "adb": ("serial", "benchmark_model"),
}
_PATHS = ("key", "known_hosts", "ssh_config", "root", "benchmark_model")
_WORDS = ("host", "user", "serial")


@dataclass(frozen=True, kw_only=True)
class DeviceSpec:
    """One table of `devices.toml`. An empty text is "not set".

    Attributes:
        kind: how it is reached: not at all, over SSH, as a folder with a system of another
            processor in it, or over Android's adb.
        host: ssh: name, address, or a `Host` of the user's ssh configuration.
        port: ssh: 1 to 65535; None takes the ssh configuration's, else 22.
        user: ssh: on the device; not set takes the ssh configuration's, else the user's here.
        key: ssh: private key; no other is tried then.
        known_hosts: ssh: the only file of host keys to believe.
        ssh_config: ssh: in place of `~/.ssh/config`; "none" reads none.
        python: ssh, chroot: interpreter to use as it is, with the runtime it has.
        root: chroot: the folder.
        arch: chroot: Debian's name of the processor, as `benchmarks/emulated/setup.sh` takes it.
        serial: adb: which phone; not set takes the only one.
        benchmark_model: adb: path here of LiteRT's program of that name, built for Android.
    """

    kind: Literal["local", "ssh", "chroot", "adb"]
    host: str = ""
    port: int | None = None
    user: str = ""
    key: str = ""
    known_hosts: str = ""
    ssh_config: str = ""
    python: str = ""
    root: str = ""
    arch: Literal["", "arm64", "armhf"] = ""
    serial: str = ""
    benchmark_model: str = ""

    def __post_init__(self) -> None:
        """Check that each value can be, and belongs to the kind."""
        problems = []
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if value != field.default:
                problems += self._problems_of(field.name, value)
        if self.kind == "chroot" and not (self.root and self.arch):
            problems.append("kind 'chroot' needs root and arch")
        if problems:
            raise RangeError(problems)

    def _problems_of(self, name: str, value: Any) -> list[str]:
        if name not in _FIELDS[self.kind]:
            expected = ", ".join(("kind", *_FIELDS[self.kind]))
            return [f"{name} does not belong to kind {self.kind!r}, expected {expected}"]
        if name == "port" and not 1 <= value <= 65535:
            return [f"port is {value}, expected 1 to 65535"]
        # ssh would take a word that begins with a dash for an option
        if name in _WORDS and not re.fullmatch(r"[^\s\-@][^\s@]*", value):
            return [f"{name} is {value!r}, expected a word without spaces and @"]
        if name in _PATHS and not (value.startswith(("/", "~/")) or (name, value) == _NO_CONFIG):
            return [f"{name} is {value!r}, expected a path from / or ~/"]
        return []


_NO_CONFIG = ("ssh_config", "none")


@dataclass(frozen=True, kw_only=True)
class _File:
    devices: dict[str, DeviceSpec]


def device_files(
    extra: Path | None = None, *, project: Path = PROJECT_FILE, own: Path = OWN_FILE
) -> tuple[Path, ...]:
    """Give the files that name devices, the least important first.

    Args:
        extra: of `--devices`; taken whether it exists or not.
        project: of the folder that edgeface is called in.
        own: the user's.
    """
    found = [path for path in (project, own.expanduser()) if path.is_file()]
    return (*found, extra) if extra else tuple(found)


def read_devices(paths: Sequence[Path]) -> dict[str, DeviceSpec]:
    """Read files of devices. A table of a later file takes the whole place of an earlier one.

    Args:
        paths: as `device_files` gives them.

    Returns:
        The devices by name, in order; "local" is always among them.

    Raises:
        ConfigError: listing every problem of every file.
    """
    devices = {"local": DeviceSpec(kind="local")}
    problems: list[str] = []
    for path in paths:
        try:
            found = _read(path)
        except RecordError as err:
            problems += [f"{path}: {problem.removeprefix('devices.')}" for problem in err.problems]
        else:
            devices |= found
    if problems:
        raise ConfigError("devices", problems)
    return devices


def _read(path: Path) -> Mapping[str, DeviceSpec]:
    try:
        mapping = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as err:
        raise RecordError([f"cannot be read: {err}"]) from err
    except (ValueError, RecursionError) as err:  # also numbers and nesting beyond Python's limits
        raise RecordError([f"not TOML: {err}"]) from err
    bad_names = [
        f"{name}: expected a name of small letters, digits, dots and dashes"
        for name in mapping
        if not _NAME.fullmatch(name)
    ]
    try:
        found = from_mapping(_File, {"devices": mapping}).devices
    except RecordError as err:
        raise RecordError([*bad_names, *err.problems]) from err
    if bad_names:
        raise RecordError(bad_names)
    return found


def find_device(
    name: str, devices: Mapping[str, DeviceSpec], *, own: Path = OWN_FILE
) -> DeviceSpec:
    """Take a device that can be reached.

    Args:
        name: what the user calls it.
        devices: as `read_devices` gives them.
        own: the user's file, for the message.

    Raises:
        ConfigError: there is none of that name, or its host is not set; has the lines to add.
    """
    spec = devices.get(name)
    lines = f'[{name}] / kind = "ssh" / host = "NAME OR ADDRESS" / user = "pi"'
    add = f"to reach it over SSH, add these lines to {own}: {lines}"
    if spec is None:
        if not _NAME.fullmatch(name):
            add = "a name has small letters, digits, dots and dashes"
        known = ", ".join(devices)
        raise ConfigError(f"device {name!r}", [f"not known, expected one of {known}; {add}"])
    if spec.kind == "ssh" and not spec.host:
        raise ConfigError(f"device {name!r}", [f"no host is set; {add}"])
    return spec
