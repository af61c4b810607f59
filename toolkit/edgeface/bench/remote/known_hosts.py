"""Which keys of a host are known, as OpenSSH's files say it.

In: `known_hosts` files and a name. Out: the keys. Certificate authorities are not supported: a host
that only they vouch for counts as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paramiko import PKey, SSHException
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from edgeface.errors import DeviceError

_REVOKED = "@revoked"


@dataclass(frozen=True, kw_only=True)
class KnownKey:
    """A line of a file that speaks of the host.

    Attributes:
        key: the public key.
        revoked: whether it must never be taken.
        path: of the file.
        line: number of the line, from 1.
    """

    key: PKey
    revoked: bool
    path: Path
    line: int


def known_keys(paths: Sequence[Path], name: str) -> tuple[KnownKey, ...]:
    """Find the keys of a host.

    Args:
        paths: the files; one that does not exist is empty.
        name: of the host: `host`, or `[host]:port` where the port is not 22.

    Raises:
        DeviceError: a file cannot be read, or a line about the host has no key.

    Source:
        sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
    """
    found = []
    for path in paths:
        try:
            lines = path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as err:
            raise DeviceError(f"{path}: known hosts cannot be read: {err}") from err
        for number, line in enumerate(lines, 1):
            found += _read_line(line, path, number, name.lower())
    return tuple(found)


def _read_line(line: str, path: Path, number: int, name: str) -> list[KnownKey]:
    words = line.split()
    revoked = words[:1] == [_REVOKED]
    fields = words[1:] if revoked else words
    if len(fields) < 3 or fields[0].startswith(("#", "@")) or not _speaks_of(fields[0], name):
        return []
    try:
        entry = HostKeyEntry.from_line(" ".join(fields[:3]), number)
    except (InvalidHostKey, SSHException, ValueError) as err:
        raise DeviceError(f"{path}, line {number}: no host key; remove the line") from err
    # None: a kind of key that paramiko does not have, so the host cannot prove it to us
    return (
        [] if entry is None else [KnownKey(key=entry.key, revoked=revoked, path=path, line=number)]
    )


def _speaks_of(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return HostKeys.hash_host(name, patterns) == patterns
    speaks = False
    for pattern in patterns.lower().split(","):
        # not fnmatch: the brackets of [host]:port are not a set of letters
        form = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(form, name):
            if pattern.startswith("!"):
                return False
            speaks = True
    return speaks
