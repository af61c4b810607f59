"""What archives say of themselves: lies, bombs in headers, damage that looks like the end."""

from __future__ import annotations

import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

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
from edgeface.data.archives import unpack
from edgeface.errors import DataError
from edgeface.types import SilentReporter

FACE = np.random.default_rng(1).bytes(5000)


def packed_zip(**attributes: int) -> bytearray:
    """A zip of two files; the second has the attributes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("good.jpg", b"x")
        info = zipfile.ZipInfo("face.jpg")
        for name, value in attributes.items():
            setattr(info, name, value)
        bundle.writestr(info, FACE)
    return bytearray(content.getvalue())


def last_of_zip(content: bytes | bytearray) -> tuple[zipfile.ZipFile, Member]:
    bundle = open_zip(io.BytesIO(content), members=2)
    return bundle, list(zip_members(bundle))[-1]


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, "good.jpg"
    return info.tobuf(tarfile.GNU_FORMAT)  # GNU: sizes may be negative or beyond 8 GiB


def read_tar(content: bytes | bytearray) -> list[Member]:
    return list(tar_members(io.BytesIO(content)))


def test_zip_member() -> None:
    bundle, member = last_of_zip(packed_zip())
    assert (member.name, member.size_bytes, member.unwanted) == ("face.jpg", 5000, "")
    assert b"".join(zip_chunks(bundle, member)) == FACE


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_what_is_no_plain_file_in_a_zip(kind: int) -> None:
    _, member = last_of_zip(packed_zip(external_attr=(kind | 0o777) << 16))
    assert member.unwanted == "a link, or neither a plain file nor a folder"


@pytest.mark.parametrize(
    ("offset", "value", "unwanted"),
    [
        (8, b"\x01\x00", "encrypted"),
        (8, b"\x40\x00", "encrypted"),
        (8, b"\x00\x20", "encrypted"),
        (10, b"\x09\x00", "compressed by method 9, expected 0 or 8"),
        (10, b"\x0e\x00", "compressed by method 14, expected 0 or 8"),
    ],
)
def test_zip_member_that_cannot_be_read(offset: int, value: bytes, unwanted: str) -> None:
    content = packed_zip()
    at = content.rindex(b"PK\x01\x02") + offset  # PKWARE APPNOTE 4.3.12: flags at 8, method at 10
    content[at : at + 2] = value
    assert last_of_zip(content)[1].unwanted == unwanted


@pytest.mark.parametrize("name", ["", "/", "//"])
def test_zip_member_without_a_name(name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.writestr(zipfile.ZipInfo(name), b"")
    assert last_of_zip(content.getvalue())[1].unwanted == "no name"


@pytest.mark.parametrize(
    ("offset", "value", "text"),
    [
        (24, 10, "CRC"),  # says less than there is: no more than that is given
        (24, 6000, "5000 bytes or more, declared 6000"),
        (16, 0, "CRC"),
    ],
)
def test_zip_header_that_lies(tmp_path: Path, offset: int, value: int, text: str) -> None:
    content = packed_zip()
    at = content.rindex(b"PK\x01\x02") + offset  # 4.3.12: CRC-32 at 16, unpacked size at 24
    content[at : at + 4] = struct.pack("<I", value)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=text):
        unpack(tmp_path / "x", tmp_path / "out", SilentReporter())
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_directory_of_a_zip_is_not_read_beyond_the_bound() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        for index in range(6000):  # 6000 * (46 + 200) bytes are 1.48e6 in the directory
            bundle.writestr(f"{index:0200d}", b"")
    with pytest.raises(BROKEN, match="a header of more than 1048576 bytes"):
        open_zip(content, members=100)
    assert len(open_zip(content, members=6000).infolist()) == 6000


def test_tar_member() -> None:
    file = io.BytesIO(tar_header("face.jpg", 5000) + FACE + bytes(120 + 1024))  # 5120 = 10 * 512
    (member,) = tar_members(file)
    assert (member.name, member.size_bytes, member.unwanted) == ("face.jpg", 5000, "")
    assert b"".join(tar_chunks(file, member)) == FACE


@pytest.mark.parametrize(
    ("kind", "unwanted"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "neither a plain file nor a folder"),
        (tarfile.BLKTYPE, "neither a plain file nor a folder"),
        (tarfile.FIFOTYPE, "neither a plain file nor a folder"),
        (tarfile.CONTTYPE, "neither a plain file nor a folder"),
        (b"Z", "neither a plain file nor a folder"),
    ],
)
def test_what_is_no_plain_file_in_a_tar(kind: bytes, unwanted: str) -> None:
    assert read_tar(tar_header("evil", 0, kind) + bytes(1024))[0].unwanted == unwanted


def test_file_with_holes_in_a_tar() -> None:
    info = tarfile.TarInfo("holes")
    info.size = 512
    info.pax_headers = {"GNU.sparse.size": "9999999999999", "GNU.sparse.map": "0,1"}
    content = info.tobuf(tarfile.PAX_FORMAT) + bytes(512) + bytes(1024)
    assert read_tar(content)[0].unwanted == "neither a plain file nor a folder"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (tar_header("x", 8 << 40, tarfile.XHDTYPE), "header of more than 65536"),
        (tar_header("x", 8 << 40, tarfile.GNUTYPE_LONGNAME), "header of more than 65536"),
        (tar_header("x", -1024, tarfile.XHDTYPE), "header of more than 65536"),
        (tar_header("x", 8 << 40), "unexpected end"),
        (tar_header("x", 0, tarfile.XHDTYPE) * 3000, "recursion"),
    ],
    ids=["pax of 8 TiB", "long name of 8 TiB", "pax of -1 KiB", "8 TiB", "pax of pax of pax"],
)
def test_tar_headers_made_to_harm(content: bytes, text: str) -> None:
    file = io.BytesIO(tar_header("first", 0) + content + bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(BROKEN, match=text):
        list(tar_members(file))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 16 << 20


def test_negative_size_in_a_tar(tmp_path: Path) -> None:
    content = tar_header("first", 0) + tar_header("x", -1024) + bytes(1024)
    assert next(iter(tar_members(io.BytesIO(content)))).unwanted == ""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match="'x': a negative size"):
        unpack(tmp_path / "x", tmp_path / "out", SilentReporter())


def test_headers_for_all_members_are_not_kept_for_each() -> None:
    records = b"".join(b"14 key%05d=v\n" % index for index in range(4000))  # 14 bytes each
    shared = tar_header("g", len(records), tarfile.XGLTYPE) + records + bytes(-len(records) % 512)
    content = shared + tar_header("x", 0) * 300 + bytes(1024)
    tracemalloc.start()
    assert sum(1 for _ in tar_members(io.BytesIO(content))) == 300
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 << 20  # 300 copies of 4000 keys would take 30 MiB


@pytest.mark.parametrize("rest", [b"", bytes(511), bytes(512) + b"x", b"x" * 512])
def test_tar_that_does_not_end_as_it_must(rest: bytes) -> None:
    with pytest.raises(BROKEN):
        read_tar(tar_header("first", 0) + rest)
    assert len(read_tar(tar_header("first", 0) + bytes(512))) == 1


def test_damaged_header_is_not_the_end_of_a_tar() -> None:
    content = bytearray(tar_header("1", 0) + tar_header("2", 0) + bytes(1024))
    content[512] ^= 1
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert len(tar.getmembers()) == 1  # the library is silent
    with pytest.raises(BROKEN, match="no header where one should be, 512 bytes in"):
        read_tar(content)


def test_gzip_of_several_parts() -> None:
    parts = [zlib.compress(part, wbits=31) for part in (b"a" * 3, FACE)]  # 31: gzip, zlib manual
    assert b"".join(gzip_chunks(io.BytesIO(b"".join(parts)))) == b"a" * 3 + FACE
    with pytest.raises(BROKEN, match="end-of-stream"):
        list(gzip_chunks(io.BytesIO(parts[1][:-1])))


def test_xz() -> None:
    zeros = bytes(5 << 20)
    chunks = list(xz_chunks(io.BytesIO(lzma.compress(zeros))))
    assert b"".join(chunks) == zeros
    assert max(map(len, chunks)) == 1 << 20  # a bomb never stands in memory


@pytest.mark.parametrize("tail", [b"x", lzma.compress(b"second")])
def test_something_after_the_end_of_an_xz(tail: bytes) -> None:
    with pytest.raises(BROKEN, match="after the end"):
        list(xz_chunks(io.BytesIO(lzma.compress(FACE) + tail)))


def test_xz_that_asks_for_too_much_memory() -> None:
    content = bytearray(lzma.compress(FACE))
    block = 12  # the stream header before it; .xz file format 1.2, section 2.1.1
    length = (content[block] + 1) * 4  # section 3.1.1
    assert content[block + 2 : block + 4] == b"\x21\x01"  # LZMA2, one byte of properties
    content[block + 4] = 39  # a dictionary of 3 GiB, section 5.3.1
    content[block + length - 4 : block + length] = struct.pack(
        "<I", zlib.crc32(content[block : block + length - 4])
    )
    with pytest.raises(BROKEN, match="Memory usage limit exceeded"):
        list(xz_chunks(io.BytesIO(content)))
