"""A hub in this process, and a tiny set at it.

The server speaks what huggingface_hub and kagglehub ask of theirs. kagglehub has no endpoint
argument: its own variables send it to `http://localhost`, by way of this server as an HTTP proxy.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgeface.data.archives import UnpackLimits
from edgeface.data.fetch.run import fetch_source
from edgeface.data.fetch.sources import Source
from edgeface.types import SilentReporter

COMMIT = "c" * 40
LABELS = b"file,age\n1.jpg,20-29\n"
JSON = {"Content-Type": "application/json"}


class Lines(SilentReporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def pack(size_bytes: int) -> bytes:
    """A zip of a picture of `size_bytes` and a label file; the same for the same size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as bundle:
        picture = np.random.default_rng(size_bytes).bytes(size_bytes)
        bundle.writestr(zipfile.ZipInfo("set/1.jpg"), picture)
        bundle.writestr(zipfile.ZipInfo("set/labels.csv"), LABELS)
    return file.getvalue()


@dataclass
class Hub:
    """The server's orders, and what it was asked for.

    Attributes:
        content: the archive.
        status: answers everything with it.
        cuts: breaks off so many bytes into each answer, while there are any.
        holds_at: sends so many bytes and then nothing, until released.
        released: see `holds_at`.
        ranges: understands Range.
        states: the checksum that it states, where it is not the right one.
        asked: method, path, Range and Authorization of each request.
        port: on 127.0.0.1.
    """

    content: bytes = b""
    status: int = 0
    cuts: list[int] = field(default_factory=list)
    holds_at: int = -1
    released: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    states: str = ""
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def downloads(self) -> list[str]:
        """The Range of each request for the file's bytes."""
        return [asked_range for _, path, asked_range, _ in self.asked if path == "/cdn/file"]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.server.hub, urlsplit(self.path).path
        asked_range = self.headers.get("Range", "")
        hub.asked.append((self.command, path, asked_range, self.headers.get("Authorization", "")))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if hub.status:
            self.answer(hub.status, JSON, {"code": hub.status, "message": "no"})
        elif path == "/cdn/file":
            self.send_file(int(asked_range[6:-1]) if asked_range and hub.ranges else 0)
        elif path == f"/datasets/faces/tiny/resolve/{COMMIT}/faces.zip":
            headers = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{hub.states or hashlib.sha256(hub.content).hexdigest()}"',
                "X-Linked-Size": str(len(hub.content)),
                "Location": f"http://localhost:{hub.port}/cdn/file",
            }
            self.answer(302, headers)
        elif path.endswith("/v1/datasets.DatasetApiService/GetDataset"):
            assert json.loads(body) == {"ownerSlug": "faces", "datasetSlug": "tiny"}
            self.answer(200, JSON, {"currentVersionNumber": 7})
        elif path.endswith("/v1/datasets.DatasetApiService/DownloadDataset"):
            assert json.loads(body)["datasetVersionNumber"] in (2, 7)
            self.answer(302, {"Location": "http://storage.test/cdn/file"})
        else:
            self.answer(404, {})

    do_HEAD = do_POST = do_GET

    def answer(
        self, status: int, headers: dict[str, str], body: dict[str, Any] | None = None
    ) -> None:
        content = json.dumps(body).encode() if body else b""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_file(self, start: int) -> None:
        hub = self.server.hub
        size, rest = len(hub.content), hub.content[start:]
        md5 = hub.states or base64.b64encode(hashlib.md5(hub.content).digest()).decode()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Goog-Hash", f"crc32c=AAAAAA==,md5={md5}")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.end_headers()
        if hub.holds_at >= 0:
            self.wfile.write(rest[: hub.holds_at])
            hub.released.wait(20)
        else:
            self.wfile.write(rest[: hub.cuts.pop(0)] if hub.cuts else rest)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """Start a hub; no variable, token or proxy of this machine has a say."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("HF_", "KAGGLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    running: list[Server] = []

    def start(**orders: Any) -> Hub:
        server = Server(("127.0.0.1", 0), Handler)
        server.hub = Hub(port=server.server_address[1], **orders)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return server.hub

    yield start
    for server in running:
        server.hub.released.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def archive() -> Callable[[int], bytes]:
    return pack


@pytest.fixture
def tiny() -> Callable[..., Source]:
    """Makes the table's row of the tiny set."""

    def make(hub: str, **changes: Any) -> Source:
        at_kaggle = hub == "kaggle"
        source = Source(
            name="tiny",
            title="Tiny faces",
            hub="kaggle" if at_kaggle else "huggingface",
            slug="faces/tiny",
            revision="2" if at_kaggle else COMMIT,
            file="" if at_kaggle else "faces.zip",
            sha256="",
            expected=("set/labels.csv",),
            files=2,
            licence="do no harm",
            licence_url="https://example.org/licence",
        )
        return replace(source, **changes)

    return make


@pytest.fixture(params=["huggingface", "kaggle"])
def at(request: pytest.FixtureRequest) -> str:
    """Each hub in turn, if its library is there."""
    library = {"huggingface": "huggingface_hub", "kaggle": "kagglehub"}[request.param]
    reason = f"{library} is not installed: pip install 'edgeface[fetch]'"
    pytest.importorskip(library, reason=reason)
    return str(request.param)


@pytest.fixture
def get(
    at: str, tiny: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[str]]:
    """Fetches the tiny set into `tmp_path / "faces"`, and gives what was said."""

    def fetch_tiny(hub: Hub, limits: UnpackLimits | None = None, **changes: Any) -> list[str]:
        lines = Lines()
        if at == "kaggle":
            monkeypatch.setenv("http_proxy", hub.url)
        fetch_source(
            tiny(at, **changes),
            tmp_path / "faces",
            accept_licence=True,
            reporter=lines,
            endpoint=None if at == "kaggle" else hub.url,
            limits=limits or UnpackLimits(),
        )
        return lines.said

    return fetch_tiny


@pytest.fixture
def left(tmp_path: Path) -> Callable[[], set[str]]:
    """Gives the names in the folder that the set was fetched into."""
    return lambda: {path.name for path in tmp_path.iterdir() if path.name != "home"}
