"""Fetching: what is there is not fetched again, what is wrong is refused, what stopped goes on."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeface.data.archives import UnpackLimits
from edgeface.data.fetch.run import fetch
from edgeface.data.fetch.sources import SOURCES, Source
from edgeface.errors import ConfigError, DataError
from edgeface.types import SilentReporter

Get = Callable[..., list[str]]
Serve = Callable[..., Any]
WHOLE = {"faces", "faces.fetched.json"}
LABELS = b"file,age\n1.jpg,20-29\n"


def test_download(
    serve: Serve,
    get: Get,
    at: str,
    archive: Any,
    left: Any,
    tmp_path: Path,
) -> None:
    hub = serve(content=archive(3000))
    said = get(hub)
    sha256 = hashlib.sha256(hub.content).hexdigest()
    stated = "the hub's md5" if at == "kaggle" else "the hub's sha256"
    assert said[0].startswith("Tiny faces, from https://")
    assert said[1:] == [
        "licence: do no harm; in full: https://example.org/licence",
        f"sha256 {sha256}: checked against {stated}",
        f"{tmp_path}/faces: 2 files; receipt: {tmp_path}/faces.fetched.json",
    ]
    assert (tmp_path / "faces" / "set" / "labels.csv").read_bytes() == LABELS
    assert left() == WHOLE
    receipt = json.loads((tmp_path / "faces.fetched.json").read_text())
    assert (receipt["sha256"], receipt["size_bytes"]) == (sha256, len(hub.content))
    assert (receipt["files"], receipt["unpacked_bytes"]) == (2, 3000 + len(LABELS))
    assert receipt["revision"] == ("2" if at == "kaggle" else "c" * 40)
    assert receipt["checked_against"] == [stated]
    assert hub.downloads() == [""]


def test_what_is_complete_is_not_downloaded(
    serve: Serve, get: Get, archive: Any, tmp_path: Path
) -> None:
    hub = serve(content=archive(3000))
    get(hub)
    hub.asked.clear()
    assert get(hub) == [f"{tmp_path}/faces: complete already, nothing to download"]
    assert hub.asked == []


@pytest.mark.parametrize("where", ["the hub's", "edgeface's table"])
def test_wrong_checksum(
    serve: Serve, get: Get, at: str, archive: Any, left: Any, tmp_path: Path, where: str
) -> None:
    hub = serve(content=archive(3000))
    changes = {}
    if where == "the hub's":
        hub.states = "A" * 22 + "==" if at == "kaggle" else "a" * 64
    else:
        changes = {"sha256": "a" * 64}
    with pytest.raises(DataError, match=rf"^tiny: .* by {where}.*; not unpacked, kept") as caught:
        get(hub, **changes)
    assert "\n" not in str(caught.value)
    assert left() == {".faces.download", "faces.refused"}
    assert (tmp_path / "faces.refused").read_bytes() == hub.content
    hub.states = ""
    get(hub)
    assert left() == WHOLE | {"faces.refused"}


def test_another_archive_than_at_the_first_fetch(
    serve: Serve, get: Get, archive: Any, tmp_path: Path
) -> None:
    hub = serve(content=archive(3000))
    get(hub)
    (tmp_path / "faces").rename(tmp_path / "moved away")
    hub.content = archive(3001)
    with pytest.raises(DataError, match="by the first fetch; not unpacked"):
        get(hub)
    hub.content = archive(3000)
    assert "the first fetch" in get(hub)[2]


def test_checksum_that_nobody_states(
    serve: Serve, get: Get, at: str, archive: Any, tmp_path: Path
) -> None:
    # not 64 hex digits: of a small file, Hugging Face states git's sha1
    hub = serve(content=archive(3000), states="b" * 40 if at == "huggingface" else ",")
    assert get(hub)[2].endswith(": stated by nobody; noted, and checked from now on")
    (tmp_path / "faces").rename(tmp_path / "moved away")
    assert get(hub)[2].endswith(": checked against the first fetch")


def test_archive_made_to_harm(serve: Serve, get: Get, left: Any, tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        bundle.writestr("../../evil", b"x")
    with pytest.raises(DataError, match=r"leads out of the folder.*delete that file") as caught:
        get(serve(content=file.getvalue()))
    assert left() == {".faces.download"}
    (kept,) = (tmp_path / ".faces.download").iterdir()
    assert str(kept) in str(caught.value)


def test_download_stays_when_unpacking_fails(
    serve: Serve, get: Get, at: str, archive: Any, left: Any
) -> None:
    hub = serve(content=archive(3000))
    with pytest.raises(DataError, match="more than the 100 bytes allowed"):
        get(hub, limits=UnpackLimits(total_bytes=100))
    assert left() == {".faces.download"}
    hub.asked.clear()
    get(hub)
    # kagglehub opens the download to see its length, and does not read it
    assert hub.downloads() == ([""] if at == "kaggle" else [])


@pytest.mark.parametrize(
    "changes", [{"files": 3}, {"expected": ("set/labels.csv", "set/masks.csv")}]
)
def test_not_the_set_that_edgeface_knows(
    serve: Serve, get: Get, archive: Any, left: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match=r"holds 2 files, expected \d at least, and lacks"):
        get(serve(content=archive(3000)), **changes)
    assert left() == {".faces.download"}


def test_interrupted_before_the_last_rename(
    serve: Serve, get: Get, archive: Any, left: Any, tmp_path: Path
) -> None:
    hub = serve(content=archive(3000))
    get(hub)
    (tmp_path / ".faces.download").mkdir()
    (tmp_path / "faces").rename(tmp_path / ".faces.download" / "content")
    hub.asked.clear()
    get(hub)
    assert hub.asked == []
    assert left() == WHOLE


def test_interrupted_before_the_receipt(
    serve: Serve, get: Get, archive: Any, left: Any, tmp_path: Path
) -> None:
    (tmp_path / ".faces.download" / "content").mkdir(parents=True)
    (tmp_path / ".faces.download" / "content" / "half").write_bytes(b"x")
    get(serve(content=archive(3000)))
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["set"]
    assert left() == WHOLE


def test_folder_that_was_changed(serve: Serve, get: Get, archive: Any, tmp_path: Path) -> None:
    hub = serve(content=archive(3000))
    get(hub)
    (tmp_path / "faces" / "set" / "1.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="found 2 files of 21 bytes, expected 2 of 3,021"):
        get(hub)
    (tmp_path / "faces.fetched.json").unlink()
    with pytest.raises(DataError, match=r"has no faces\.fetched\.json; choose another folder"):
        get(hub)


def test_receipt_of_another_set(serve: Serve, get: Get, archive: Any, tmp_path: Path) -> None:
    get(serve(content=archive(3000)))
    with pytest.raises(DataError, match=r"faces/tiny .*, expected huggingface py97/UTKFace"):
        fetch("utkface", tmp_path / "faces", accept_licence=True, reporter=SilentReporter())


def test_licence_is_shown_and_must_be_accepted(left: Any, tmp_path: Path) -> None:
    class Lines(SilentReporter):
        said = ""

        def say(self, text: str) -> None:
            self.said += text

    for name, source in SOURCES.items():
        lines = Lines()
        with pytest.raises(ConfigError) as caught:
            fetch(name, tmp_path / "faces", accept_licence=False, reporter=lines)
        assert str(caught.value) == (
            f"fetch {name}: licence not accepted; read {source.licence_url},"
            " then add --accept-licence"
        )
        assert source.licence in lines.said
        assert source.licence_url in lines.said
    assert left() == set()


@pytest.mark.parametrize("text", [b"{", b"{}", b"\xff", b"[]"])
def test_receipt_that_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "faces.fetched.json").write_bytes(text)
    with pytest.raises(DataError, match="not a receipt of edgeface"):
        fetch("utkface", tmp_path / "faces", accept_licence=True, reporter=SilentReporter())


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found 'lfw', expected one of utkface, fairface, fer"):
        fetch("lfw", tmp_path / "faces", accept_licence=True, reporter=SilentReporter())
    for path in (Path(), Path("a/.."), Path("/")):
        with pytest.raises(DataError, match="no name of its own"):
            fetch("utkface", path, accept_licence=True, reporter=SilentReporter())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        fetch("utkface", tmp_path / "file/a", accept_licence=True, reporter=SilentReporter())


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_table(source: Source) -> None:
    assert source.licence_url.startswith("https://")
    assert source.files > 1000
    assert (
        source.page
        == {
            "utkface": "https://huggingface.co/datasets/py97/UTKFace-Cropped",
            "fairface": "https://www.kaggle.com/datasets/aibloy/fairface",
            "fer2013": "https://www.kaggle.com/datasets/msambare/fer2013",
            "celeba": "https://www.kaggle.com/datasets/jessicali9530/celeba-dataset",
        }[source.name]
    )
    if source.hub == "huggingface":
        assert len(source.revision) == 40  # a commit, which nobody can move
        assert len(source.sha256) == 64
