"""What a zip, a tar, a gzip and an xz file say and hold, read with bounds on every step.

In: an open file that nobody has vouched for. Out: its members as they call themselves, and their
bytes in pieces. Nothing is judged here but the format, and nothing is written.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

CHUNK_BYTES = 1 << 20  # chosen: large enough that Python's own cost does not show
XZ_MEMORY_BYTES = 256 << 20  # chosen: `xz -9` needs 65 MiB to decompress, says its manual page
TAR_HEADER_BYTES = 64 << 10  # chosen: a path is 4 KiB at most; tarfile itself reads any length
ZIP_ENTRY_BYTES = 300  # chosen: 46 bytes are fixed (PKWARE APPNOTE 4.3.12), the rest is the name

_TAR_WANTED = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
# What zipfile, tarfile, gzip and lzma raise on bytes that they cannot read; RuntimeError is also
# RecursionError (headers in headers) and NotImplementedError, ValueError also UnicodeDecodeError.
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
)


@dataclass(frozen=True, kw_only=True)
class Member:
    """What an archive says about one of its members.

    Attributes:
        name: as it stands in the archive.
        size_bytes: unpacked, as declared.
        folder: True for a folder.
        unwanted: what kind of thing it is, if it is neither file nor folder.
        at: where its bytes are: a zip's entry or an offset in a tar.
    """

    name: str
    size_bytes: int
    folder: bool
    unwanted: str
    at: Any


@dataclass(frozen=True)
class _BoundedReads:
    """A file that gives at most `most_bytes` a read.

    zipfile and tarfile read headers in one piece, of the length that the archive states.
    """

    file: IO[bytes]
    most_bytes: int

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(self.most_bytes + 1 if size < 0 else min(size, self.most_bytes + 1))
        if len(data) > self.most_bytes:
            raise ValueError(f"a header of more than {self.most_bytes} bytes")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True


def open_zip(file: IO[bytes], members: int) -> zipfile.ZipFile:
    """Open a zip whose directory is no larger than `members` entries may need.

    Raises:
        One of `BROKEN`: not a zip, cut short, or too large a directory.
    """
    most_bytes = max(members * ZIP_ENTRY_BYTES, CHUNK_BYTES)
    return zipfile.ZipFile(cast(IO[bytes], _BoundedReads(file, most_bytes)))


def zip_members(bundle: zipfile.ZipFile) -> Iterator[Member]:
    """Yield the members of a zip, in the order of its directory."""
    for entry in bundle.infolist():
        # `filename` is cut at a NUL and has the separators of this machine
        name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
        unwanted = ""
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            unwanted = "a link, or neither a plain file nor a folder"
        elif entry.flag_bits & 0b10_0000_0100_0001:  # bits 0, 6 and 13, PKWARE APPNOTE 4.4.4
            unwanted = "encrypted"
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            unwanted = f"compressed by method {entry.compress_type}, expected 0 or 8"
        elif not name.strip("/"):
            unwanted = "no name"
        yield Member(
            name=name,
            size_bytes=entry.file_size,
            folder=name.endswith("/"),
            unwanted=unwanted,
            at=entry,
        )


def tar_members(file: IO[bytes]) -> Iterator[Member]:
    """Yield the members of a plain tar; at the end, check that it ends as a tar must.

    Whoever reads must not go on after a negative size: tarfile would, backwards and for ever
    (CVE-2025-8194).

    Raises:
        One of `BROKEN`: damaged, cut short, or headers of more than `TAR_HEADER_BYTES`.
    """
    bounded = cast(IO[bytes], _BoundedReads(file, TAR_HEADER_BYTES))
    with tarfile.open(fileobj=bounded, mode="r:") as tar:
        while (entry := tar.next()) is not None:
            # each holds a copy of the headers that are for all
            tar.members.clear()  # type: ignore[attr-defined]  # not in typeshed
            unwanted = ""
            if entry.issym() or entry.islnk():
                unwanted = "a link"
            elif entry.issparse() or entry.type not in _TAR_WANTED:
                unwanted = "neither a plain file nor a folder"
            elif entry.size < 0:
                unwanted = "a negative size"
            yield Member(
                name=entry.name,
                size_bytes=entry.size,
                folder=entry.isdir(),
                unwanted=unwanted,
                at=entry.offset_data,
            )
        end = tar.offset
    # tarfile takes a damaged header for the end; the real end is 512 zeros at least, and no more
    file.seek(end)
    rest = file.read(tarfile.BLOCKSIZE)
    if len(rest) < tarfile.BLOCKSIZE:
        raise EOFError("no end mark")
    while rest:
        if rest.strip(b"\0"):
            raise tarfile.ReadError(f"no header where one should be, {end} bytes in")
        rest = file.read(CHUNK_BYTES)


def zip_chunks(bundle: zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    """Yield the bytes of one member, no more than it declares, and check its CRC-32."""
    with bundle.open(member.at) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def tar_chunks(file: IO[bytes], member: Member) -> Iterator[bytes]:
    """Yield the bytes of one member, no more than it declares."""
    file.seek(member.at)
    left_bytes = member.size_bytes
    while chunk := file.read(min(CHUNK_BYTES, left_bytes)):
        left_bytes -= len(chunk)
        yield chunk


def gzip_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what a gzip file decompresses to, and check its CRC-32 and length."""
    with gzip.GzipFile(fileobj=file) as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def xz_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what an xz file of one stream decompresses to, in `XZ_MEMORY_BYTES` at most."""
    # lzma.open has no limit of memory, and an .xz may ask for 4 GiB in its header
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)
    while not decompressor.eof:
        data = file.read(CHUNK_BYTES) if decompressor.needs_input else b""
        if not data and decompressor.needs_input:
            raise EOFError("no end of stream")
        yield decompressor.decompress(data, max_length=CHUNK_BYTES)
    if decompressor.unused_data or file.read(1):
        raise lzma.LZMAError("something after the end of the stream")
