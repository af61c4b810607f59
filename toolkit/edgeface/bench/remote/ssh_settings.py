"""How to reach a host by SSH: what the user's own ssh would do.

In: a `DeviceSpec`. Out: `SshSettings`. OpenSSH's client is asked (`ssh -G`), so that its whole
configuration counts (Include, Match, ProxyJump). Nothing is connected here.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeface.bench.remote.devices_file import DeviceSpec
from edgeface.bench.remote.shell import said
from edgeface.errors import DeviceError

_ASK_S = 30.0  # chosen: a `Match exec` of the user's may be slow
_SSH_PORT = 22


@dataclass(frozen=True, kw_only=True)
class SshSettings:
    """Where to connect, as whom, and whom to believe.

    Attributes:
        host: as the user names it.
        hostname: name or address to connect to.
        port: 1 to 65535.
        user: on the device.
        key_name: under which `known_hosts` has the host.
        identity_files: private keys, in the order to try; they may not exist.
        identities_only: whether the agent may offer these keys only.
        known_hosts: files; they may not exist.
        proxy_command: that connects to it, for `sh`; None for a direct connection.
        ssh_words: an `ssh` command that does the same, for messages.
    """

    host: str
    hostname: str
    port: int
    user: str
    key_name: str
    identity_files: tuple[Path, ...]
    identities_only: bool
    known_hosts: tuple[Path, ...]
    proxy_command: str | None
    ssh_words: tuple[str, ...]

    @property
    def destination(self) -> str:
        """User, host and port, e.g. "pi@192.0.2.7" or "pi@192.0.2.7:2222"."""
        return f"{self.user}@{self.hostname}" + ("" if self.port == _SSH_PORT else f":{self.port}")


def read_settings(spec: DeviceSpec) -> SshSettings:
    """Ask OpenSSH's client how it would reach a device.

    Args:
        spec: of kind "ssh", with a host. What it sets goes before the ssh configuration.

    Raises:
        DeviceError: there is no `ssh` here, or its configuration is wrong.

    Source:
        ssh_config(5), TOKENS; ssh(1), -G.
    """
    config = ["-F", str(_path(spec.ssh_config))] if spec.ssh_config else []
    options = [*config, *(["-p", str(spec.port)] if spec.port else [])]
    target = f"{spec.user}@{spec.host}" if spec.user else spec.host
    says = _ask(options, target)
    if spec.key and not _path(spec.key).is_file():
        raise DeviceError(f"{spec.host}: there is no key {spec.key}; set key in devices.toml right")
    hostname, port, user = says["hostname"][0], int(says["port"][0]), says["user"][0]
    local = pwd.getpwuid(os.getuid())
    tokens = {"%": "%", "h": hostname, "n": spec.host, "p": str(port), "r": user}
    tokens |= {"u": local.pw_name, "d": local.pw_dir}
    alias = _set(says, "hostkeyalias")
    bracketed = hostname if port == _SSH_PORT else f"[{hostname}]:{port}"
    files = _set(says, "userknownhostsfile").split() + _set(says, "globalknownhostsfile").split()
    identities = [spec.key] if spec.key else says["identityfile"]
    trust = ["-o", f"UserKnownHostsFile={_path(spec.known_hosts)}"] if spec.known_hosts else []
    return SshSettings(
        host=spec.host,
        hostname=hostname,
        port=port,
        user=user,
        key_name=alias or bracketed,
        identity_files=tuple(_path(_expanded(each, tokens)) for each in identities),
        identities_only=bool(spec.key) or _set(says, "identitiesonly") == "yes",
        known_hosts=tuple(
            _path(_expanded(each, tokens))
            for each in ([spec.known_hosts] if spec.known_hosts else files)
        ),
        proxy_command=_proxy(says, config, tokens),
        ssh_words=("ssh", *options, *trust, target),
    )


def _ask(options: list[str], target: str) -> dict[str, list[str]]:
    command = ["ssh", "-G", *options, target]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_ASK_S, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as err:
        raise DeviceError(
            "ssh is not installed here; install it (sudo apt install openssh-client): edgeface "
            "reads your ssh configuration with it"
        ) from err
    except subprocess.TimeoutExpired as err:
        raise DeviceError(
            f"{shlex.join(command)} does not end; see your ssh configuration"
        ) from err
    if done.returncode:
        raise DeviceError(f"{shlex.join(command)} fails: {said(done.stderr)}")
    says = defaultdict(list)
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        says[key.lower()].append(value)
    return says


def _proxy(
    says: Mapping[str, list[str]], config: list[str], tokens: Mapping[str, str]
) -> str | None:
    if command := _set(says, "proxycommand"):
        return _expanded(command, tokens)
    if not (jumps := _set(says, "proxyjump")):
        return None
    *first, last = jumps.split(",")
    via = ["-J", ",".join(first)] if first else []
    return shlex.join(
        [
            *("ssh", *config, "-o", "BatchMode=yes", *via, "-W"),
            f"[{tokens['h']}]:{tokens['p']}",
            last if last.startswith("ssh://") else f"ssh://{last}",
        ]
    )


def _set(says: Mapping[str, list[str]], key: str) -> str:
    """Give a setting, "" where ssh has it as none."""
    value = says[key][0] if says.get(key) else ""
    return "" if value == "none" else value


def _expanded(text: str, tokens: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in tokens:
            raise DeviceError(
                f"your ssh configuration has {text!r}: edgeface does not know {match[0]}"
            )
        return tokens[match[1]]

    return re.sub("%(.)", value, text)


def _path(text: str) -> Path:
    return Path(text).expanduser()
