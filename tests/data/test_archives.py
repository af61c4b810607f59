"""Archives: what is in them comes out, or nothing does, and never outside the folder."""

from __future__ import annotations

import io
import stat
import sys
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeface.data.archives import DEFAULT_LIMITS, UnpackLimits, unpack
from edgeface.errors import DataError
from edgeface.types import Advance, SilentReporter

FILES = {
    "set/train/1.jpg": np.random.default_rng(1).bytes(5000),
    "set/train/2.jpg": b"",
    "set/labels.csv": b"file,age\n" + b"train/1.jpg,20-29\n" * 200,
}
KINDS = ("zip", "tar", "tar.gz", "tar.xz")
MODES = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}


def make(path: Path, kind: str, files: dict[str, bytes]) -> Path:
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, content in files.items():
                bundle.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return path
    return make_tar(
        path, kind, [(tar_info(name, content), content) for name, content in files.items()]
    )


def tar_info(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mode = len(content), kind, 0o4755
    return info


def make_tar(path: Path, kind: str, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, MODES[kind]) as tar:  # type: ignore[call-overload]  # one of three modes
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refuse(archive: Path, text: str, limits: UnpackLimits = DEFAULT_LIMITS) -> None:
    """Unpacking raises one line with `text`, and the folder is as it was before."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DataError) as caught:
        unpack(archive, archive.parent / "out", SilentReporter(), limits)
    line = str(caught.value)
    assert text in line
    assert str(archive) in line
    assert "\n" not in line
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_packed_comes_out(tmp_path: Path, kind: str) -> None:
    archive = make(tmp_path / "download", kind, FILES)  # the kind is seen in the content
    assert unpack(archive, tmp_path / "new" / "out", SilentReporter()) == 3
    assert tree(tmp_path / "new" / "out") == FILES
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    mode = (tmp_path / "new" / "out" / "set" / "labels.csv").stat().st_mode
    assert not mode & (stat.S_IXUSR | stat.S_ISUID)


def test_tar_of_the_current_folder(tmp_path: Path) -> None:
    members = [
        (tar_info("./", kind=tarfile.DIRTYPE), b""),
        (tar_info("./a/", kind=tarfile.DIRTYPE), b""),
    ]
    archive = make_tar(tmp_path / "x.tar", "tar", [*members, (tar_info("./a/1.jpg", b"x"), b"x")])
    assert unpack(archive, tmp_path / "out", SilentReporter()) == 1
    assert tree(tmp_path / "out") == {"a/1.jpg": b"x"}


def test_archive_in_an_archive_stays_one(tmp_path: Path) -> None:
    inner = make(tmp_path / "inner.zip", "zip", {"../x": b"x"}).read_bytes()
    unpack(
        make(tmp_path / "x.zip", "zip", {"inner.zip": inner}), tmp_path / "out", SilentReporter()
    )
    assert tree(tmp_path / "out") == {"inner.zip": inner}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/etc/passwd", "absolute"),
        ("../evil", "out of the folder"),
        ("a/../../evil", "out of the folder"),
        ("a/.. /evil", "out of the folder"),  # Windows drops the space
        ("C:/evil", "backslash or a colon"),
        ("a:stream", "backslash or a colon"),
        ("..\\evil", "backslash or a colon"),
        ("a\nb.jpg", "control character"),
        ("x" * 513, "too long or too deep"),
        ("a/" * 16 + "b", "too long or too deep"),
        ("x" * 300, "too long"),  # allowed by us, refused by the file system
    ],
)
def test_names_that_are_refused(tmp_path: Path, kind: str, name: str, text: str) -> None:
    refuse(make(tmp_path / "x", kind, {"good.jpg": b"x", name: b"x"}), text)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 need Linux")
def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    refuse(make(tmp_path / "x.tar", "tar", {"a\udcff.jpg": b"x"}), "not UTF-8")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/Face.jpg", "a/face.JPG"),
        ("A/1.jpg", "a/2.jpg"),
        ("a", "a/1.jpg"),
        ("a/1.jpg", "A"),
        ("ß.jpg", "SS.jpg"),
        ("a./1.jpg", "a/2.jpg"),
        (unicodedata.normalize("NFC", "é.jpg"), unicodedata.normalize("NFD", "é.jpg")),
    ],
)
def test_two_members_in_one_place(tmp_path: Path, kind: str, first: str, second: str) -> None:
    refuse(make(tmp_path / "x", kind, {first: b"1", second: b"2"}), "the same place as")


def test_one_name_twice(tmp_path: Path) -> None:
    members = [(tar_info("1.jpg", b"x"), b"x"), (tar_info("./1.jpg", b"y"), b"y")]
    refuse(make_tar(tmp_path / "x.tar", "tar", members), "the same place as '1.jpg'")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "neither"),
        (tarfile.BLKTYPE, "neither"),
        (tarfile.FIFOTYPE, "neither"),
        (tarfile.CONTTYPE, "neither"),
    ],
)
def test_what_is_no_plain_file_in_a_tar(tmp_path: Path, kind: bytes, text: str) -> None:
    info = tar_info("evil", kind=kind)
    info.linkname = "good.jpg"
    refuse(make_tar(tmp_path / "x.tar", "tar", [(tar_info("good.jpg"), b""), (info, b"")]), text)


def test_number_of_members(tmp_path: Path) -> None:
    for kind in KINDS:
        archive = make(tmp_path / kind, kind, FILES)
        refuse(archive, "more than 2 members", UnpackLimits(members=2))
        assert (
            unpack(archive, tmp_path / f"{kind}.out", SilentReporter(), UnpackLimits(members=3))
            == 3
        )


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_bytes_of_all_files(tmp_path: Path, kind: str) -> None:
    total = sum(map(len, FILES.values()))
    archive = make(tmp_path / "x", kind, FILES)
    refuse(archive, "more than the", UnpackLimits(total_bytes=total - 1))
    limits = UnpackLimits(total_bytes=total)
    assert unpack(archive, tmp_path / "out", SilentReporter(), limits) == len(FILES)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz"])
def test_bytes_of_a_compressed_tar(tmp_path: Path, kind: str) -> None:
    total = make(tmp_path / "plain", "tar", FILES).stat().st_size
    archive = make(tmp_path / "x", kind, FILES)
    refuse(archive, "more than the", UnpackLimits(total_bytes=total - 1))
    limits = UnpackLimits(total_bytes=total)
    assert unpack(archive, tmp_path / "out", SilentReporter(), limits) == len(FILES)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_bomb(tmp_path: Path, kind: str) -> None:
    zeros = bytes(20 << 20)
    archive = make(tmp_path / "bomb", kind, {"zeros": zeros})
    assert len(zeros) > 500 * archive.stat().st_size
    refuse(archive, "more than the 16,777,216 bytes allowed")
    limits = UnpackLimits(ratio_from_bytes=0, ratio=1e6)
    assert unpack(archive, tmp_path / "out", SilentReporter(), limits) == 1


def test_ratio_is_of_the_whole_archive() -> None:
    limits = UnpackLimits(ratio=10.0, ratio_from_bytes=500, total_bytes=2000)
    assert [limits.allowed_bytes(size) for size in (0, 49, 60, 200, 9999)] == [
        500,
        500,
        600,
        2000,
        2000,
    ]


def test_the_sets_that_edgeface_knows_fit() -> None:
    images, size_bytes = 202_599, 1_414_826_162  # CelebA, the largest; its archive is as large
    assert DEFAULT_LIMITS.members > images
    assert DEFAULT_LIMITS.allowed_bytes(size_bytes) > 1.2 * size_bytes


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("packed")
    return {kind: make(folder / kind, kind, FILES).read_bytes() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_cut_short_anywhere(
    packed: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    data: st.DataObject,
) -> None:
    whole = packed[kind]
    # a tar ends in 10 KiB blocks of zeros; of these the first 512 are its end mark
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 1023 if kind == "tar" else len(whole) - 1
    folder = tmp_path_factory.mktemp("cut")
    (folder / "x").write_bytes(whole[: data.draw(st.integers(0, end))])
    refuse(folder / "x", "nothing was unpacked")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
@settings(max_examples=60)
@given(data=st.data())
def test_one_wrong_byte_is_noticed_or_harmless(
    packed: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    data: st.DataObject,
) -> None:
    content = bytearray(packed[kind])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("flip")
    (folder / "x").write_bytes(content)
    try:
        unpack(folder / "x", folder / "out", SilentReporter())
    except DataError:
        assert [path.name for path in folder.iterdir()] == ["x"]
    else:
        assert tree(folder / "out") == FILES


PIECES = ["..", ".", "", "a", "A", "b", "é", "C:", "con", "~", "a\\b", " ", "..."]


@settings(max_examples=60)
@given(
    names=st.lists(
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("/".join), max_size=3
    ),
    kind=st.sampled_from(["zip", "tar"]),
)
def test_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], kind: str
) -> None:
    folder = tmp_path_factory.mktemp("slip")
    archive = make(folder / "x", kind, dict.fromkeys(names, b"evil"))
    (folder / "deep").mkdir()
    try:
        count = unpack(archive, folder / "deep" / "out", SilentReporter())
    except DataError:
        assert not list((folder / "deep").iterdir())
    else:
        inside = tree(folder / "deep" / "out")
        assert len(inside) == count
        assert set(inside.values()) <= {b"evil"}
    assert {path.name for path in folder.iterdir()} == {"x", "deep"}


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive" * 100, b"\x1f\x8bx"])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    refuse(tmp_path / "x.zip", "nothing was unpacked")


def test_archive_that_is_not_there(tmp_path: Path) -> None:
    refuse(tmp_path / "x.zip", "No such file")


def test_target_that_exists_is_left_alone(tmp_path: Path) -> None:
    archive = make(tmp_path / "x.zip", "zip", FILES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(DataError, match="out: exists already"):
        unpack(archive, tmp_path / "out", SilentReporter())
    assert tree(tmp_path / "out") == {"mine": b"mine"}
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="link: exists already"):
        unpack(archive, tmp_path / "link", SilentReporter())


def test_interrupted_by_the_user(tmp_path: Path) -> None:
    class Stop(SilentReporter):
        def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
            assert (label, total) == ("unpack x.zip", 3)
            return self.stop()

        @contextmanager
        def stop(self) -> Iterator[Advance]:
            def advance(steps: int, note: str = "") -> None:
                raise KeyboardInterrupt

            yield advance

    archive = make(tmp_path / "x.zip", "zip", FILES)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", Stop())
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_leftovers_of_a_killed_unpacking_are_named(tmp_path: Path) -> None:
    class Listener(SilentReporter):
        lines: list[str] = []  # noqa: RUF012  # one listener, one list

        def say(self, text: str) -> None:
            self.lines.append(text)

    archive = make(tmp_path / "x.zip", "zip", FILES)
    (tmp_path / ".out.abc.unpacking").mkdir()
    (tmp_path / ".other.abc.unpacking").mkdir()
    unpack(archive, tmp_path / "out", listener := Listener())
    assert listener.lines == [
        f"{tmp_path}/.out.abc.unpacking: left by an unpacking that was cut off; can be deleted"
    ]
    assert (tmp_path / ".out.abc.unpacking").is_dir()
