"""What is measured of pictures, and that copies of one photograph get near hashes."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeface.data import scan as scan_module
from edgeface.data.adapters.paths import image_files
from edgeface.data.adapters.utkface import list_utkface
from edgeface.data.duplicates import DISTANCE, copy_groups, hash_words
from edgeface.data.labels import Entry, Listing, Pictures
from edgeface.data.scan import MIRRORED_BITS, Scan, perceptual_hash, scan
from edgeface.errors import DataError
from edgeface.types import Advance, SilentReporter

FACES = Path(__file__).parents[3] / "shared" / "data" / "utkface"
Image = NDArray[np.uint8]


def blotches(seed: int, height_px: int = 96, width_px: int = 80) -> Image:
    """A smooth picture with as much in it as a face has, and unlike for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    smooth = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth, np.uint8)


def write(path: Path, rgb: Image) -> None:
    _, content = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    path.write_bytes(content.tobytes())


def listing_of(root: Path) -> Listing:
    return Listing(
        adapter="folders",
        root=root,
        attributes=(),
        entries=tuple(Entry(id=path.name) for path in sorted(root.iterdir())),
        left_out=(),
        pictures=image_files(root),
    )


def scanned(root: Path) -> Scan:
    return scan(listing_of(root), SilentReporter())


def bits_apart(one: str | None, other: str | None) -> int:
    assert one is not None
    assert other is not None
    words = hash_words([one, other])
    return int(np.bitwise_count(words[0] ^ words[1]).sum())


def test_a_picture_is_measured(tmp_path: Path) -> None:
    rgb = np.zeros((4, 6, 3), np.uint8)
    rgb[:, 3:] = 100
    write(tmp_path / "half.png", rgb)
    (picture,) = scanned(tmp_path).pictures
    assert (picture.id, picture.width_px, picture.height_px) == ("half.png", 6, 4)
    assert (picture.brightness, picture.contrast) == (50.0, 50.0)
    assert (
        picture.content_sha256 == hashlib.sha256((tmp_path / "half.png").read_bytes()).hexdigest()
    )
    assert picture.pixels_sha256 == hashlib.sha256(b"(4, 6, 3)" + rgb.tobytes()).hexdigest()
    assert picture.perceptual_hash == perceptual_hash(rgb)


def test_equal_pixels_in_other_formats(tmp_path: Path) -> None:
    write(tmp_path / "a.png", blotches(1))
    write(tmp_path / "b.bmp", blotches(1))
    write(tmp_path / "c.png", blotches(2))
    one, other, stranger = scanned(tmp_path).pictures
    assert one.pixels_sha256 == other.pixels_sha256 != stranger.pixels_sha256
    assert one.content_sha256 != other.content_sha256
    assert one.perceptual_hash == other.perceptual_hash


def test_equal_bytes_of_another_shape_are_other_pixels(tmp_path: Path) -> None:
    rgb = blotches(1)
    write(tmp_path / "a.png", rgb)
    write(tmp_path / "b.png", rgb.reshape(80, 96, 3))
    one, other = scanned(tmp_path).pictures
    assert one.pixels_sha256 != other.pixels_sha256


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "b.png", blotches(1))
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "a.png").write_bytes(b"not a picture at all")
    (tmp_path / "c.png").touch()
    (tmp_path / "d.png").write_bytes(whole[: len(whole) // 2])
    found = scanned(tmp_path)
    assert [picture.id for picture in found.pictures] == ["b.png"]
    assert [finding.id for finding in found.unreadable] == ["a.png", "c.png", "d.png"]
    for finding in found.unreadable:
        assert "\n" not in finding.reason
        assert str(tmp_path) not in finding.reason
    assert found.unreadable[1].reason.startswith("the file is empty")


def test_a_flat_picture_has_no_hash(tmp_path: Path) -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    write(tmp_path / "a.png", flat)
    flat[::2] += 3  # 1.5 grey levels of standard deviation
    write(tmp_path / "b.png", flat)
    flat[::2] += 3  # 3.0
    write(tmp_path / "c.png", flat)
    found = scanned(tmp_path).pictures
    assert [picture.contrast for picture in found] == [0.0, 1.5, 3.0]
    assert [picture.perceptual_hash is None for picture in found] == [True, True, False]
    assert perceptual_hash(np.full((9, 9, 3), 7, np.uint8)) is None


def test_copies_are_near_and_strangers_are_not() -> None:
    """Half size, JPEG of low quality, more light: near. 20 other pictures: half the bits differ."""
    rgb = blotches(1, 192, 160)
    small = np.asarray(
        cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
    )
    _, jpeg = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, 40])
    poor = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    bright = np.clip(rgb * 1.1, 0, 255).astype(np.uint8)
    for copy in (small, poor, bright):
        assert bits_apart(perceptual_hash(rgb), perceptual_hash(copy)) <= DISTANCE
    apart = [
        bits_apart(perceptual_hash(rgb), perceptual_hash(blotches(seed))) for seed in range(2, 22)
    ]
    assert min(apart) > 2 * DISTANCE


def test_mirroring_flips_the_bits_it_says() -> None:
    assert np.bitwise_count(hash_words([MIRRORED_BITS])).sum() == 128
    for seed in range(20):
        rgb = blotches(seed)
        flipped = hash_words([perceptual_hash(rgb[:, ::-1]) or "", MIRRORED_BITS])
        back = (flipped[0] ^ flipped[1]).tobytes().hex()
        assert bits_apart(back, perceptual_hash(rgb)) <= DISTANCE // 4
        assert bits_apart(perceptual_hash(rgb[:, ::-1]), perceptual_hash(rgb)) > 100


def test_low_frequencies_come_first() -> None:
    """Noise of single pixels leaves the first bits of a hash alone, not the last."""
    rng = np.random.default_rng(1)
    changed = np.zeros(256, np.int64)
    for seed in range(20):
        rgb = blotches(seed)
        noisy = np.clip(rgb + rng.normal(0, 40, rgb.shape), 0, 255).astype(np.uint8)
        words = hash_words([perceptual_hash(rgb) or "", perceptual_hash(noisy) or ""])
        changed += np.unpackbits((words[0] ^ words[1]).view(np.uint8))
    assert changed[:64].sum() < changed[128:192].sum() / 2


def test_mirrored_and_resized_copies_are_grouped(tmp_path: Path) -> None:
    write(tmp_path / "a.png", blotches(1))
    write(tmp_path / "b.png", blotches(2))
    write(tmp_path / "c.jpg", blotches(1)[:, ::-1])
    write(tmp_path / "d.png", blotches(2, 192, 160))
    write(tmp_path / "e.png", blotches(3))
    found = scanned(tmp_path).pictures
    groups = copy_groups(
        [picture.pixels_sha256 for picture in found],
        [picture.perceptual_hash for picture in found],
    )
    assert groups == ((0, 2), (1, 3))


def test_cores_and_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(12):
        write(tmp_path / f"{seed:02}.png", blotches(seed))
    (tmp_path / "05b.png").write_bytes(b"nothing")
    expected = scanned(tmp_path)
    assert [picture.id for picture in expected.pictures] == [f"{seed:02}.png" for seed in range(12)]
    for cores, chunk in ((1, 5), (3, 1), (8, 100)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        monkeypatch.setattr(scan_module, "_CHUNK", chunk)
        assert scanned(tmp_path) == expected


def test_every_picture_is_read_once_and_counted(tmp_path: Path) -> None:
    for seed in range(5):
        write(tmp_path / f"{seed}.png", blotches(seed))
    (tmp_path / "x.png").touch()
    steps: list[int] = []

    class Counting(SilentReporter):
        def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
            assert (label, total) == (f"reading {tmp_path.name}", 6)
            return nullcontext(lambda number, note="": steps.append(number))

    files = image_files(tmp_path)
    decoded: list[str] = []

    def decode(id: str, content: bytes) -> Image:
        decoded.append(id)
        return files.decode(id, content)

    counted = Pictures(content=files.content, decode=decode)
    scan(replace(listing_of(tmp_path), pictures=counted), Counting())
    assert sum(steps) == 6
    assert sorted(decoded) == [*(f"{seed}.png" for seed in range(5)), "x.png"]


def test_an_empty_set(tmp_path: Path) -> None:
    assert scanned(tmp_path) == Scan(pictures=(), unreadable=())


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(
        DataError, match=r"imagehash is not installed.*pip install 'edgeface\[data\]'"
    ):
        scanned(tmp_path)
    with pytest.raises(DataError, match="imagehash is not installed"):
        perceptual_hash(blotches(1))


@pytest.mark.faces
def test_the_first_real_faces() -> None:
    """Of 500 UTKFace files nothing is unreadable or flat, and a mirrored face comes back near."""
    if not FACES.is_dir():
        pytest.skip(f"the real faces are not here: {FACES}")
    whole = list_utkface(FACES)
    listing = replace(whole, entries=whole.entries[:500])
    found = scan(listing, SilentReporter())
    assert found.unreadable == ()
    assert [picture.id for picture in found.pictures] == [entry.id for entry in listing.entries]
    assert {(picture.width_px, picture.height_px) for picture in found.pictures} == {(200, 200)}
    assert all(picture.perceptual_hash for picture in found.pictures)
    for entry in listing.entries[:20]:
        rgb = listing.read(entry)
        flipped, mask = hash_words([perceptual_hash(rgb[:, ::-1]) or "", MIRRORED_BITS])
        assert bits_apart((flipped ^ mask).tobytes().hex(), perceptual_hash(rgb)) <= DISTANCE
