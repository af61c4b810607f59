"""Fetch a public set: licence, download, checksums, unpacking, receipt.

In: the name of a set and the folder to make. Out, all of it in the folder's parent:

- `NAME/`: the set, whole or not at all.
- `NAME.fetched.json`: the receipt, with the archive's sha256. A later fetch of the same set must
  have that sha256, and the folder must still hold as many files and bytes.
- `.NAME.download/`: what is under way; a later call goes on with it. Gone when the set is there.
- `NAME.refused`: the last archive that had a wrong checksum, for inspection.

Two fetches into one folder at the same time are not kept apart; the checksums notice.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from edgeface.data.archives import DEFAULT_LIMITS, UnpackLimits, unpack
from edgeface.data.fetch.hubs import Download, download
from edgeface.data.fetch.sources import SOURCES, Source
from edgeface.errors import ConfigError, DataError
from edgeface.records import RecordError, from_mapping, write_json
from edgeface.types import Reporter

RECEIPT_SCHEMA_VERSION = 1
CHUNK_BYTES = 1 << 20  # chosen: large enough that Python's own cost does not show


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What was fetched, and how far it was checked.

    Attributes:
        schema_version: see `RECEIPT_SCHEMA_VERSION`.
        name: of the set.
        hub: as in `Source`.
        slug: as in `Source`.
        revision: commit or version number, as the hub gave it.
        size_bytes: of the archive.
        sha256: of the archive.
        checked_against: who else stated a checksum that it had; empty: nobody.
        files: in the folder.
        unpacked_bytes: of these files.
        licence: accepted by the user.
        licence_url: accepted by the user.
        fetched_utc: ISO 8601.
    """

    schema_version: int
    name: str
    hub: str
    slug: str
    revision: str
    size_bytes: int
    sha256: str
    checked_against: tuple[str, ...]
    files: int
    unpacked_bytes: int
    licence: str
    licence_url: str
    fetched_utc: str


def fetch(
    name: str,
    out: Path,
    *,
    accept_licence: bool,
    reporter: Reporter,
    endpoint: str | None = None,
) -> Path:
    """Fetch one of the sets that edgeface knows; see `fetch_source`.

    Args:
        name: a key of `SOURCES`.
        out: the folder to make.
        accept_licence: the user has read and accepted the licence.
        reporter: gets the licence, progress, and what was checked.
        endpoint: of the Hugging Face hub; None: the library's own.

    Returns:
        The folder.

    Raises:
        ConfigError: no such set, or the licence is not accepted.
        DataError: see `fetch_source`.
    """
    if name not in SOURCES:
        raise ConfigError("fetch", [f"found {name!r}, expected one of {', '.join(SOURCES)}"])
    return fetch_source(
        SOURCES[name], out, accept_licence=accept_licence, reporter=reporter, endpoint=endpoint
    )


def fetch_source(
    source: Source,
    out: Path,
    *,
    accept_licence: bool,
    reporter: Reporter,
    endpoint: str | None = None,
    limits: UnpackLimits = DEFAULT_LIMITS,
) -> Path:
    """Download, check and unpack a set; go on with what an earlier call has left.

    Args:
        source: the set.
        out: the folder to make. If it is there, it is compared with its receipt, and nothing is
            downloaded.
        accept_licence: the user has read and accepted the licence.
        reporter: gets the licence, progress, and what was checked.
        endpoint: of the Hugging Face hub; None: the library's own.
        limits: of the unpacked set.

    Returns:
        The folder.

    Raises:
        ConfigError: the licence is not accepted.
        DataError: library missing, hub or network fails, a checksum is wrong, the archive is not
            what it should be, or the folder was changed since it was fetched.
    """
    if out.name in ("", ".."):
        raise DataError(f"{out}: has no name of its own; give the name of a folder to make")
    receipt_path = out.with_name(f"{out.name}.fetched.json")
    receipt = _read_receipt(receipt_path, source)
    if out.exists():
        _check_complete(out, receipt, receipt_path)
        reporter.say(f"{out}: complete already, nothing to download")
        return out
    reporter.say(f"{source.title}, from {source.page}")
    reporter.say(f"licence: {source.licence}; in full: {source.licence_url}")
    if not accept_licence:
        raise ConfigError(
            f"fetch {source.name}",
            [f"licence not accepted; read {source.licence_url}, then add --accept-licence"],
        )
    work = out.with_name(f".{out.name}.download")
    content = work / "content"
    try:
        if receipt is None or not content.is_dir() or _measure(content) != _counts(receipt):
            work.mkdir(parents=True, exist_ok=True)
            if content.is_dir():  # the receipt of an earlier call is missing, the archive is not
                shutil.rmtree(content)
            if receipt is not None:
                source = replace(source, revision=receipt.revision)
            archive = download(source, work, endpoint)
            sha256, checked_against = _verify(source, archive, receipt, out, reporter)
            _unpack(archive.path, content, reporter, limits)
            files, unpacked_bytes = _check_content(content, source, archive.path)
            receipt = Receipt(
                schema_version=RECEIPT_SCHEMA_VERSION,
                name=source.name,
                hub=source.hub,
                slug=source.slug,
                revision=archive.revision,
                size_bytes=archive.path.stat().st_size,
                sha256=sha256,
                checked_against=checked_against,
                files=files,
                unpacked_bytes=unpacked_bytes,
                licence=source.licence,
                licence_url=source.licence_url,
                fetched_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            write_json(receipt_path, receipt)
        content.rename(out)
        shutil.rmtree(work)
    except OSError as err:
        raise DataError(f"{out}: cannot be written: {err}") from err
    reporter.say(f"{out}: {receipt.files:,} files; receipt: {receipt_path}")
    return out


def _unpack(archive: Path, content: Path, reporter: Reporter, limits: UnpackLimits) -> None:
    try:
        unpack(archive, content, reporter, limits)
    except DataError as err:
        # it may be the disk's fault, so the download stays
        raise DataError(f"{err}; or delete that file to download it anew") from err


def _read_receipt(path: Path, source: Source) -> Receipt | None:
    try:
        receipt = from_mapping(Receipt, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err}") from err
    except (ValueError, RecordError) as err:
        raise DataError(f"{path}: not a receipt of edgeface: {err}; move it away") from err
    found = (receipt.hub, receipt.slug, receipt.revision)
    expected = (source.hub, source.slug, source.revision or receipt.revision)
    if found != expected:
        raise DataError(
            f"{path}: is of {' '.join(found)}, expected {' '.join(expected)}; choose another folder"
        )
    return receipt


def _check_complete(out: Path, receipt: Receipt | None, receipt_path: Path) -> None:
    if receipt is None:
        raise DataError(f"{out}: is there, but has no {receipt_path.name}; choose another folder")
    files, unpacked_bytes = _measure(out)
    if (files, unpacked_bytes) != _counts(receipt):
        raise DataError(
            f"{out}: found {files:,} files of {unpacked_bytes:,} bytes, expected {receipt.files:,}"
            f" of {receipt.unpacked_bytes:,} as fetched; move it away to fetch it again"
        )


def _counts(receipt: Receipt) -> tuple[int, int]:
    return receipt.files, receipt.unpacked_bytes


def _measure(folder: Path) -> tuple[int, int]:
    """Count files and their bytes, links not followed."""
    sizes = [
        Path(parent, name).lstat().st_size for parent, _, names in os.walk(folder) for name in names
    ]
    return len(sizes), sum(sizes)


def _check_content(content: Path, source: Source, archive: Path) -> tuple[int, int]:
    files, unpacked_bytes = _measure(content)
    lacking = [path for path in source.expected if not (content / path).exists()]
    if lacking or files < source.files:
        shutil.rmtree(content)
        raise DataError(
            f"{source.name}: the archive holds {files:,} files, expected {source.files:,} at least,"
            f" and lacks {', '.join(lacking) or 'no folder'}; it is kept as {archive}"
        )
    return files, unpacked_bytes


def _verify(
    source: Source, archive: Download, receipt: Receipt | None, out: Path, reporter: Reporter
) -> tuple[str, tuple[str, ...]]:
    """Compare the archive with every checksum there is; move it aside if one differs.

    Returns:
        Its sha256, and who stated a checksum that it has.
    """
    sha256, md5 = _digests(archive.path, reporter)
    size_bytes = archive.path.stat().st_size
    stated = (
        ("the hub's size", archive.size_bytes, size_bytes),
        ("the hub's sha256", archive.sha256, sha256),
        ("the hub's md5", archive.md5, md5),
        ("edgeface's table", source.sha256, sha256),
        ("the first fetch", receipt.sha256 if receipt else "", sha256),
    )
    for who, expected, found in stated:
        if expected not in ("", None) and expected != found:
            refused = out.with_name(f"{out.name}.refused")
            archive.path.replace(refused)
            raise DataError(
                f"{source.name}: found {found}, expected {expected} by {who}; not unpacked, kept as"
                f" {refused}; give the command again to download it anew"
            )
    checked_against = tuple(who for who, expected, _ in stated[1:] if expected)
    if checked_against:
        reporter.say(f"sha256 {sha256}: checked against {', '.join(checked_against)}")
    else:
        reporter.say(f"sha256 {sha256}: stated by nobody; noted, and checked from now on")
    return sha256, checked_against


def _digests(path: Path, reporter: Reporter) -> tuple[str, str]:
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    chunks = -(-path.stat().st_size // CHUNK_BYTES)
    with path.open("rb") as file, reporter.track("verify, MiB", chunks) as advance:
        while chunk := file.read(CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
            advance(1)
    return sha256.hexdigest(), md5.hexdigest()
