"""Downloads: what stops goes on, what is refused is said in one line, and a token stays at home."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edgeface.data.fetch.hubs import download
from edgeface.data.fetch.run import fetch_source
from edgeface.data.fetch.sources import Source
from edgeface.errors import DataError
from edgeface.types import SilentReporter

Get = Callable[..., list[str]]
Serve = Callable[..., Any]
WHOLE = {"faces", "faces.fetched.json"}
DOWNLOAD = """if True:
    import json, sys
    from pathlib import Path
    from edgeface.data.fetch.hubs import download
    from edgeface.data.fetch.sources import Source
    from edgeface.records import from_mapping
    for _ in range(2):  # kagglehub finds stdout when it is imported
        download(from_mapping(Source, json.loads(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])
"""


def test_connection_cut_in_the_middle(
    serve: Serve, get: Get, at: str, archive: Any, left: Any
) -> None:
    content = archive(11 << 20)  # kept are whole pieces of 10 MiB and of 1 MiB, by library
    hub = serve(content=content, cuts=[len(content) - 1000])
    if at == "kaggle":  # gives up at once, and looks at the whole before it asks for the rest
        with pytest.raises(DataError, match="what came is kept, give the command again") as caught:
            get(hub)
        assert "\n" not in str(caught.value)
        assert left() == {".faces.download"}
    get(hub)
    expected = ["", "", f"bytes={10 << 20}-"] if at == "kaggle" else ["", f"bytes={10 << 20}-"]
    assert hub.downloads() == expected
    assert left() == WHOLE


def test_killed_in_the_middle(serve: Serve, archive: Any, tiny: Any, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="not installed: pip install 'edgeface[fetch]'")
    content = archive(11 << 20)
    hub = serve(content=content, holds_at=len(content) - 1000)
    source = json.dumps(asdict(tiny("huggingface")))
    command = [sys.executable, "-c", DOWNLOAD, source, str(tmp_path), hub.url]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        for _ in range(2000):
            kept_bytes = [path.stat().st_size for path in tmp_path.glob("*-faces.zip")]
            if kept_bytes == [10 << 20] or process.poll() is not None:
                break
            hub.released.wait(0.01)  # nobody sets it yet; 20 s at most
        process.kill()
    assert kept_bytes == [10 << 20]
    hub.holds_at = -1
    assert download(tiny("huggingface"), tmp_path, hub.url).path.read_bytes() == content
    assert hub.downloads() == ["", f"bytes={10 << 20}-"]


def test_stdout_is_for_results(
    serve: Serve, at: str, archive: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve(content=archive(3000))
    if at == "kaggle":  # it logs to stdout, if it is let
        monkeypatch.setenv("http_proxy", hub.url)
    command = [sys.executable, "-c", DOWNLOAD, json.dumps(asdict(tiny(at))), str(tmp_path), hub.url]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b""
    assert hub.downloads()[0] == ""


def test_server_that_cannot_go_on(serve: Serve, get: Get, at: str, archive: Any, left: Any) -> None:
    hub = serve(content=archive(3 << 20), cuts=[2 << 20], ranges=False)
    if at == "kaggle":
        with pytest.raises(DataError, match="what came is kept"):
            get(hub)
        with pytest.raises(DataError, match="by the hub's size; not unpacked, kept as"):
            get(hub)  # kagglehub appends the whole file to the part, which is noticed
        assert left() == {".faces.download", "faces.refused"}
    get(hub)  # huggingface_hub starts anew by itself
    assert left() >= WHOLE


def test_part_that_is_longer_than_the_whole(
    serve: Serve, at: str, archive: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve(content=archive(3000))
    if at == "kaggle":
        monkeypatch.setenv("http_proxy", hub.url)
    path = download(tiny(at), tmp_path, hub.url).path
    path.write_bytes(hub.content * 2)
    assert download(tiny(at), tmp_path, hub.url).path == path
    assert path.read_bytes() == hub.content


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "access refused (401), or the set is gone; "),
        (403, "access refused (403), or the set is gone; "),
        (404, "not found (404), revision "),
        (500, "download not finished ("),
    ],
)
def test_hub_that_refuses(
    serve: Serve, get: Get, at: str, left: Any, status: int, text: str
) -> None:
    with pytest.raises(DataError) as caught:
        get(serve(status=status))
    line = str(caught.value)
    assert line.startswith(f"tiny: {at} faces/tiny: {text}")
    assert "\n" not in line
    if status in (401, 403):
        assert ("~/.kaggle" if at == "kaggle" else "hf auth login") in line
    assert left() == {".faces.download"}


def test_server_that_is_down(serve: Serve, get: Get, left: Any) -> None:
    hub = serve()
    hub.port = 1  # nobody but root may listen there
    with pytest.raises(DataError, match=r"^tiny: .*: download not finished .*give the command"):
        get(hub)
    assert left() == {".faces.download"}


def test_token_stays_at_the_hub(
    serve: Serve, get: Get, archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve(content=archive(3000))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_secret")
    get(hub)
    seen = {("/cdn/" in path, authorization[-7:]) for _, path, _, authorization in hub.asked}
    assert seen == {(True, ""), (False, "_secret")}


def test_newest_version_is_noted_and_kept(
    serve: Serve, archive: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kagglehub", reason="not installed: pip install 'edgeface[fetch]'")
    hub = serve(content=archive(3000))
    monkeypatch.setenv("http_proxy", hub.url)
    out = tmp_path / "faces"
    for expected in (["GetDataset", "DownloadDataset"], ["DownloadDataset"]):
        hub.asked.clear()
        source = tiny("kaggle", revision="")
        fetch_source(source, out, accept_licence=True, reporter=SilentReporter())
        assert json.loads((tmp_path / "faces.fetched.json").read_text())["revision"] == "7"
        calls = [path.rpartition("/")[2] for method, path, _, _ in hub.asked if method == "POST"]
        assert calls == expected
        out.rename(tmp_path / f"moved {len(calls)}")


@pytest.mark.parametrize(
    ("hub", "library"), [("huggingface", "huggingface_hub"), ("kaggle", "kagglehub")]
)
def test_library_that_is_missing(
    tiny: Callable[..., Source],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hub: str,
    library: str,
) -> None:
    for module in [key for key in sys.modules if key.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DataError, match=rf"^fetch: {library} is not installed.*edgeface\[fetch\]"):
        download(tiny(hub), tmp_path)
