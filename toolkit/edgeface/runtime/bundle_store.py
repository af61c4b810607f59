"""Keeps the bundles of a device: unpacks one, makes one current, forgets the others.

```
deploy/
├── current -> bundles/NAME    what serves; only ever changed by one rename
├── bundles/NAME               the current and the one before it (its name is in NAME/previous)
├── bundles/NAME.partial       not yet tested
├── incoming/                  what was copied and is not needed after the installation
└── lock
```

In: `python -m edgeface.runtime.bundle_store DEPLOY COMMAND ...`, from the host. Out: one JSON
object on stdout; `{"error": TEXT}` and exit status 1. Killed at any point, `current` is what it was
or what it was to become, and the next `tidy` removes what was left. Does not run a model
(`bundle_check` does). Needs only the standard library.

Source: POSIX.1-2017, rename: a link of the new name exists throughout the operation.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from edgeface.errors import ArtifactError, DeviceError, EdgefaceError
from edgeface.runtime.bundle_files import (
    ID_DIGITS,
    INTERPRETER,
    LAUNCHER,
    LISTING,
    PREVIOUS,
    bundle_id,
    file_sha256,
    is_member_name,
    parse_listing,
    verify_files,
)

PARTIAL = ".partial"
_NAME = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}(?:-[0-9]+)?")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoreState:
    """What a device has.

    Attributes:
        current: name of the bundle that serves; None if there is none.
        previous: name of the one that served before it and is still there.
        interpreters: path of the Python of each of these two.
    """

    current: Optional[str]
    previous: Optional[str]
    interpreters: Dict[str, str]


def read_state(deploy: Path) -> StoreState:
    """Say what a device has.

    Args:
        deploy: the folder; need not be there.

    Raises:
        DeviceError: `current` is there, and not a link into `bundles`.
    """
    current = _current(deploy)
    previous = None if current is None else _previous(deploy, current)
    names = [name for name in (current, previous) if name is not None]
    return StoreState(
        current=current,
        previous=previous,
        interpreters={name: _text(deploy / "bundles" / name / INTERPRETER) for name in names},
    )


def tidy(deploy: Path, keep: Sequence[str] = ()) -> StoreState:
    """Remove all but the current bundle and the one before it.

    Args:
        deploy: the folder; made if it is not there.
        keep: names in `incoming` that stay.

    Returns:
        What is left.
    """
    with _locked(deploy):
        state = read_state(deploy)
        for path in sorted(deploy.glob("*.new")):
            path.unlink()
        for path in _inside(deploy / "bundles"):
            if path.name not in (state.current, state.previous):
                _remove(path)
        for path in _inside(deploy / "incoming"):
            if path.name not in keep:
                _remove(path)
    return state


def unpack(deploy: Path, archive: Path, sha256: str, name: str) -> None:
    """Unpack a bundle to `bundles/NAME.partial`, if it is what was sent.

    Args:
        deploy: the folder.
        archive: the zip; every member stored, so that it unpacks to no more than its own size.
        sha256: of the zip, as the host has it.
        name: the bundle's identity, or with "-2" and so on behind it.

    Raises:
        ArtifactError: the zip is not what was sent, not a bundle, or has a member that would be
            written outside of the folder; nothing is written then.
    """
    found = file_sha256(archive)
    if found != sha256:
        raise ArtifactError(
            f"{archive.name}: found sha256 {found}, expected {sha256}: it was damaged on its way; "
            "deploy again"
        )
    folder = deploy / "bundles" / (_checked(name) + PARTIAL)
    with _locked(deploy):
        if folder.exists():
            _remove(folder)
        try:
            with zipfile.ZipFile(archive) as opened:
                members = opened.infolist()
                _check_members(archive.name, members)
                listing = opened.read(LISTING)
                listed = parse_listing(listing, f"{archive.name}: {LISTING}").members
                found_id, expected_id = bundle_id(listing), name[:ID_DIGITS]
                if found_id != expected_id or {*listed, LISTING} != {m.filename for m in members}:
                    raise ArtifactError(
                        f"{archive.name}: not the bundle {expected_id} that it says"
                    )
                for member in members:
                    _write_member(opened, member, folder)
        except zipfile.BadZipFile as err:
            raise ArtifactError(f"{archive.name}: not a whole zip ({err}); deploy again") from err
        verify_files(folder, expected_id)


def commit(deploy: Path, name: str) -> StoreState:
    """Make a tested bundle current; the one before it stays for `--rollback`.

    Args:
        deploy: the folder.
        name: of a bundle in `bundles`, or of one that is still partial.

    Returns:
        What the device has now.

    Raises:
        DeviceError: there is no such bundle, or another deployment has unpacked it anew.
        ArtifactError: its files are not what they were when it was tested.
    """
    with _locked(deploy):
        bundle = deploy / "bundles" / _checked(name)
        partial = bundle.with_name(name + PARTIAL)
        current = _current(deploy)
        found = bundle if bundle.exists() else partial
        if not (found / INTERPRETER).is_file():  # written just before the test
            raise DeviceError(
                f"{found}: gone in the meantime; does another deployment run? deploy again"
            )
        verify_files(found, name[:ID_DIGITS])
        if found == partial:
            os.sync()  # else a power cut could keep the names below and lose what is in the files
            partial.rename(bundle)
        former = current
        if current and current[:ID_DIGITS] == name[:ID_DIGITS]:
            former = _previous(deploy, current)  # the same content is nothing to go back to
        if former and former != name:
            # of a bundle that does not serve yet: a kill after it changes nothing that is in use
            _replace(deploy / f"{PREVIOUS}.new", bundle / PREVIOUS, former)
        if name != current:
            os.sync()
            new = deploy / "current.new"
            if os.path.lexists(new):
                new.unlink()
            new.symlink_to(Path("bundles") / name)
            new.replace(deploy / "current")
            os.sync()
        return read_state(deploy)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Do what the host asks for; see the module.

    Returns:
        Exit status: 0, or 1 for an `EdgefaceError`.
    """
    options = _parse(arguments)
    try:
        reply = _work(options)
    except EdgefaceError as err:
        reply = {"error": str(err)}
    except OSError as err:
        full = err.errno in (errno.ENOSPC, errno.EDQUOT)
        reply = {"error": "the disk is full; make room and run again" if full else str(err)}
    sys.stdout.write(json.dumps(reply) + "\n")
    return 1 if "error" in reply else 0


def _work(options: argparse.Namespace) -> Dict[str, Any]:
    deploy: Path = options.deploy
    if options.command == "tidy":
        return asdict(tidy(deploy, options.keep))
    if options.command == "unpack":
        unpack(deploy, options.archive, options.sha256, options.name)
        return {}
    bundle = deploy / "bundles" / _checked(options.name)
    if options.command == "verify":
        return {"model": verify_files(bundle, options.name[:ID_DIGITS]).model}
    return asdict(commit(deploy, options.name))


def _parse(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edgeface.runtime.bundle_store")
    parser.add_argument("deploy", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("tidy").add_argument("--keep", action="append", default=[])
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("archive", type=Path)
    unpacking.add_argument("sha256")
    unpacking.add_argument("name")
    commands.add_parser("verify").add_argument("name")
    commands.add_parser("commit").add_argument("name")
    return parser.parse_args(arguments)


@contextmanager
def _locked(deploy: Path) -> Iterator[None]:
    """Wait for whoever else changes the store now."""
    deploy.mkdir(parents=True, exist_ok=True)
    with (deploy / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go of when the file is closed, also by a kill
        yield


def _current(deploy: Path) -> Optional[str]:
    link = deploy / "current"
    if not os.path.lexists(link):
        return None
    target = link.readlink() if link.is_symlink() else Path()
    if target.parent != Path("bundles") or not _NAME.fullmatch(target.name):
        raise DeviceError(f"{link}: not a link of edgeface's into bundles; move it away")
    return target.name if (deploy / target).is_dir() else None


def _previous(deploy: Path, name: str) -> Optional[str]:
    found = _text(deploy / "bundles" / name / PREVIOUS)
    there = _NAME.fullmatch(found) and (deploy / "bundles" / found).is_dir()
    return found if there else None


def _text(path: Path) -> str:
    return path.read_text("utf-8").strip() if path.is_file() else ""


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DeviceError(f"{name!r}: not the name of a bundle")
    return name


def _replace(temporary: Path, path: Path, text: str) -> None:
    temporary.write_text(text + "\n", "utf-8")
    temporary.replace(path)


def _inside(folder: Path) -> List[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _check_members(where: str, members: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse what could be written elsewhere or grow; names and types, before a byte is written."""
    names = [member.filename for member in members]
    if LISTING not in names:
        raise ArtifactError(f"{where}: holds no {LISTING}: not a bundle of edgeface")
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where the zip does not say
        if not is_member_name(member.filename) or kind not in (0, stat.S_IFREG):
            raise ArtifactError(
                f"{where}: holds {member.filename!r}, expected files in the bundle's own folder; "
                "nothing was unpacked"
            )
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ArtifactError(
                f"{where}: {member.filename} is compressed or encrypted, expected a stored file; "
                "nothing was unpacked"
            )
    if len(set(names)) < len(names):
        raise ArtifactError(f"{where}: holds a name twice; nothing was unpacked")


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / member.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK_BYTES)
    if member.filename == LAUNCHER:
        path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
