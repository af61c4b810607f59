"""Archives to folders: whole or not at all, and never outside the folder.

In: a .zip, .tar, .tar.gz or .tar.xz that nobody has vouched for. Out: a folder that was not there
before, with the files of the archive and nothing else: no links, no devices, no modes, no times.
Every member is checked before the first is written. An archive inside an archive stays one.

A .tar.gz or .tar.xz is decompressed once, into a bounded temporary file beside the target, and read
from there: so its own checksum and its end are checked before any member is believed.
"""

from __future__ import annotations

import glob
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from edgeface.data.archive_readers import (
    BROKEN,
    Member,
    gzip_chunks,
    open_zip,
    tar_chunks,
    tar_members,
    xz_chunks,
    zip_chunks,
    zip_members,
)
from edgeface.errors import DataError
from edgeface.types import Reporter

NAME_MOST = 512  # chosen: twice what one file name may have on the usual file systems
DEPTH_MOST = 16  # chosen: the sets that edgeface knows have 3
NAME_SHOWN = 120  # chosen: a name may be 64 KiB long, a message is one line

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # the second is a zip without members
_GZIP_START = b"\x1f\x8b"
_XZ_START = b"\xfd7zXZ\x00"


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """How large an archive may become.

    Attributes:
        members: files and folders named in the archive.
        total_bytes: of all files together; for a compressed tar, of the tar.
        ratio: unpacked bytes to bytes of the archive.
        ratio_from_bytes: what unpacks to less than this may have any ratio.

    Source:
        Chosen: the largest set that edgeface knows, CelebA, has 202,599 images of 1.4 GB together.
        JPEG files do not shrink and CSV files do by 3 to 20; deflate's most is 1032 (zlib manual),
        so that 100 stops bombs and no face set. 16 MiB harm nobody.
    """

    members: int = 300_000
    total_bytes: int = 8 << 30
    ratio: float = 100.0
    ratio_from_bytes: int = 16 << 20

    def allowed_bytes(self, archive_bytes: int) -> int:
        """Give what an archive of `archive_bytes` may become, in bytes."""
        return min(self.total_bytes, max(self.ratio_from_bytes, int(self.ratio * archive_bytes)))


DEFAULT_LIMITS = UnpackLimits()


def unpack(
    archive: Path, target: Path, reporter: Reporter, limits: UnpackLimits = DEFAULT_LIMITS
) -> int:
    """Unpack an archive into a new folder.

    Args:
        archive: .zip, .tar, .tar.gz or .tar.xz, told apart by content, not by name.
        target: the folder to make; must not exist.
        reporter: gets a bar of files.
        limits: how large it may become.

    Returns:
        The number of files.

    Raises:
        DataError: the target exists; the archive is damaged, cut short, encrypted, too large or
            holds anything but plain files and folders with plain names. Nothing is left behind.
    """
    if target.exists() or target.is_symlink():
        raise DataError(f"{target}: exists already; unpacking needs a new folder, move it away")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{glob.escape(target.name)}.*.unpacking"):
            reporter.say(f"{left}: left by an unpacking that was cut off; can be deleted")
        # mkdtemp's folder is for its owner only; the one inside it gets the usual permissions
        holder = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".unpacking", dir=target.parent)
        )
    except OSError as err:
        raise DataError(f"{target.parent}: cannot be written: {err}") from err
    try:
        files = _unpack_into(holder, archive, reporter, limits)
        (holder / "content").rename(target)
    except BROKEN as err:
        raise DataError(
            f"{archive}: damaged, cut short or made to mislead"
            f" ({err or type(err).__name__}); nothing was unpacked"
        ) from err
    except OSError as err:
        raise DataError(f"{archive}: nothing was unpacked into {target}: {err}") from err
    finally:
        shutil.rmtree(holder, ignore_errors=True)
    return files


def _unpack_into(holder: Path, archive: Path, reporter: Reporter, limits: UnpackLimits) -> int:
    allowed_bytes = limits.allowed_bytes(archive.stat().st_size)
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(archive.open("rb"))
        start = file.read(6)
        file.seek(0)
        listed: Iterable[Member]
        chunks_of: Callable[[Member], Iterator[bytes]]
        if start[:4] in _ZIP_STARTS:
            bundle = stack.enter_context(open_zip(file, limits.members))
            listed, chunks_of = zip_members(bundle), partial(zip_chunks, bundle)
        else:
            if start[:2] == _GZIP_START:
                file = stack.enter_context(
                    _spool(gzip_chunks(file), holder, archive, allowed_bytes)
                )
            elif start == _XZ_START:
                file = stack.enter_context(_spool(xz_chunks(file), holder, archive, allowed_bytes))
            listed, chunks_of = tar_members(file), partial(tar_chunks, file)
        plan = _checked(listed, archive, limits, allowed_bytes)
        return _write(plan, chunks_of, holder / "content", archive, reporter)


def _checked(
    listed: Iterable[Member], archive: Path, limits: UnpackLimits, allowed_bytes: int
) -> list[tuple[tuple[str, ...], Member]]:
    """Give path and member, in the archive's order, or raise for the first that is refused."""
    plan: list[tuple[tuple[str, ...], Member]] = []
    taken: dict[str, tuple[str, bool]] = {}
    total_bytes = 0
    for count, member in enumerate(listed, start=1):
        if count > limits.members:
            raise _refused(archive, f"more than {limits.members} members")
        parts = _parts(member.name)
        if member.unwanted or isinstance(parts, str):
            raise _refused(archive, f"member {_shown(member.name)}: {member.unwanted or parts}")
        total_bytes += member.size_bytes
        if total_bytes > allowed_bytes:
            raise _too_large(archive, allowed_bytes)
        if not parts and member.folder:
            continue  # "./", the folder itself
        clash = _clash(parts, member.folder, taken)
        if clash is not None:
            raise _refused(
                archive,
                f"member {_shown(member.name)}: the same place as {_shown(clash)}, at least where"
                " upper and lower case are one",
            )
        plan.append((parts, member))
    return plan


def _parts(name: str) -> tuple[str, ...] | str:
    """Split a member's name into path components, or say why it is refused."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    problems = (
        (name.startswith("/"), "an absolute path"),
        # Windows reads ".. " as ".."
        (any(not part.rstrip(" .") for part in parts), "a path that leads out of the folder"),
        ("\\" in name or ":" in name, "a backslash or a colon, to Windows a path or a drive"),
        (
            any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name),
            "a control character or a byte that is not UTF-8",
        ),
        (len(name) > NAME_MOST or len(parts) > DEPTH_MOST, "a name too long or too deep"),
    )
    return next((problem for found, problem in problems if found), parts)


def _clash(parts: tuple[str, ...], folder: bool, taken: dict[str, tuple[str, bool]]) -> str | None:
    """Note a path and its parents in `taken`; give the earlier one that stands in its place."""
    for depth in range(1, len(parts) + 1):
        place = ("/".join(parts[:depth]), folder or depth < len(parts))
        # macOS takes composed and decomposed letters for one, Windows drops dots and spaces
        key = "/".join(
            unicodedata.normalize("NFC", part.rstrip(" .").casefold()) for part in parts[:depth]
        )
        earlier = taken.setdefault(key, place)
        if earlier is not place and (earlier != place or not place[1]):
            return earlier[0]  # a folder may be named again, as a parent; a file may not
    return None


def _refused(archive: Path, problem: str) -> DataError:
    return DataError(f"{archive}: {problem}; refused, nothing was unpacked")


def _too_large(archive: Path, allowed_bytes: int) -> DataError:
    return _refused(archive, f"unpacks to more than the {allowed_bytes:,} bytes allowed for it")


def _shown(name: str) -> str:
    return repr(name if len(name) <= NAME_SHOWN else name[:NAME_SHOWN] + "…")


def _spool(chunks: Iterator[bytes], holder: Path, archive: Path, allowed_bytes: int) -> IO[bytes]:
    """Write decompressed bytes to a file in `holder`, no more than are allowed, and open it."""
    path, total_bytes = holder / "plain.tar", 0
    with path.open("wb") as plain:
        for chunk in chunks:
            total_bytes += len(chunk)
            if total_bytes > allowed_bytes:
                raise _too_large(archive, allowed_bytes)
            plain.write(chunk)
    return path.open("rb")


def _write(
    plan: list[tuple[tuple[str, ...], Member]],
    chunks_of: Callable[[Member], Iterator[bytes]],
    content: Path,
    archive: Path,
    reporter: Reporter,
) -> int:
    files = sum(not member.folder for _, member in plan)
    content.mkdir()
    with reporter.track(f"unpack {archive.name}", files) as advance:
        for parts, member in plan:
            path = content.joinpath(*parts)
            if member.folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            written_bytes = 0
            with path.open("xb") as file:
                for chunk in chunks_of(member):
                    written_bytes += len(chunk)
                    if written_bytes > member.size_bytes:
                        break
                    file.write(chunk)
            if written_bytes != member.size_bytes:
                raise _refused(
                    archive,
                    f"member {_shown(member.name)}: {written_bytes} bytes or more, declared"
                    f" {member.size_bytes}",
                )
            advance(1)
    return files
