"""Downloads through the hubs' own libraries: one archive, going on where it stopped.

In: a source and a folder for the download. Out: the archive's path and what the hub states of it.
Nothing is judged or unpacked here. Credentials are found by the libraries where they always look.

Both libraries' one-call functions do too much or too little for this: huggingface_hub's
`hf_hub_download` deletes what it has when it is interrupted (so since its pull request 4228) and
would use Xet's own protocol; kagglehub's `dataset_download` unpacks by itself, without any bound.
So the functions below them are used, which request, resume, retry and show progress.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from edgeface.data.fetch.sources import Source
from edgeface.errors import DataError

MESSAGE_MOST = 200  # chosen: the libraries write paragraphs


@dataclass(frozen=True, kw_only=True)
class Download:
    """An archive, and what the hub states of it.

    Attributes:
        path: where it is.
        revision: commit or version number.
        size_bytes: stated by the hub; None if it is not.
        sha256: stated by the hub, lower-case hex; empty if it is not.
        md5: the same.
    """

    path: Path
    revision: str
    size_bytes: int | None
    sha256: str
    md5: str


def download(source: Source, folder: Path, endpoint: str | None = None) -> Download:
    """Download a source's archive, or the rest of it.

    Args:
        source: what to download.
        folder: where to; must exist. What a download before has left there is used.
        endpoint: of the Hugging Face hub; None: the library's own. kagglehub takes none.

    Returns:
        The archive, unchecked.

    Raises:
        DataError: the library is missing, the hub refuses, or the network fails; what came is kept.
    """
    if source.hub == "kaggle":
        # kagglehub logs and warns on stdout, where a command's results go
        with redirect_stdout(sys.stderr), _quiet_log("kagglehub"):
            return _download_kaggle(source, folder)
    return _download_huggingface(source, folder, endpoint)


@contextmanager
def _quiet_log(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _download_huggingface(source: Source, folder: Path, endpoint: str | None) -> Download:
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import HTTPError
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers
    except ImportError as err:
        raise _missing("huggingface_hub", err) from err
    try:
        url = hf_hub_url(
            source.slug,
            source.file,
            repo_type="dataset",
            revision=source.revision or None,
            endpoint=endpoint,
        )
        stated = get_hf_file_metadata(url, endpoint=endpoint)
        etag = str(stated.etag)  # of a large file the sha256, of a small one git's sha1
        # the name says of which file this is a part: another version starts anew
        path = folder / f"{hashlib.sha256(etag.encode()).hexdigest()[:16]}-{source.file}"
        _drop_if_longer(path, stated.size)
        with path.open("ab") as file:
            http_get(
                url,
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(),  # httpx drops the token where another host is next
                expected_size=stated.size,
                displayed_filename=source.file,
            )
    except (HTTPError, OSError, ValueError) as err:
        raise _failed(source, err) from err
    return Download(
        path=path,
        revision=str(stated.commit_hash),
        size_bytes=stated.size,
        sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else "",
        md5="",
    )


def _download_kaggle(source: Source, folder: Path) -> Download:
    try:
        from kagglehub.clients import build_kaggle_client, download_file
        from kagglehub.handle import DatasetHandle
        from kagglehub.integrity import get_md5_checksum_from_response
        from kagglesdk.datasets.types.dataset_api_service import (
            ApiDownloadDatasetRequest,
            ApiGetDatasetRequest,
        )
    except ImportError as err:
        raise _missing("kagglehub", err) from err
    owner, _, dataset = source.slug.partition("/")
    try:
        with build_kaggle_client() as client:
            hub = client.datasets.dataset_api_client
            version = int(source.revision or 0)
            if not version:
                newest = ApiGetDatasetRequest()
                newest.owner_slug, newest.dataset_slug = owner, dataset
                version = int(hub.get_dataset(newest).current_version_number)
                if version < 1:
                    raise ValueError("the hub states no version")
            wanted = ApiDownloadDatasetRequest()
            wanted.owner_slug, wanted.dataset_slug = owner, dataset
            wanted.dataset_version_number = version
            path = folder / f"{dataset}-v{version}.archive"
            with hub.download_dataset(wanted) as response:
                length = response.headers.get("Content-Length")
                size_bytes = None if length is None else int(length)
                md5 = base64.b64decode(get_md5_checksum_from_response(response) or "").hex()
                # kagglehub would delete a file with a wrong md5, and not look at one it finds whole
                response.headers.pop("X-Goog-Hash", None)
                _drop_if_longer(path, size_bytes)
                handle = DatasetHandle(owner=owner, dataset=dataset, version=version)
                download_file(response, str(path), handle)
    except (OSError, ValueError) as err:
        raise _failed(source, err) from err
    return Download(path=path, revision=str(version), size_bytes=size_bytes, sha256="", md5=md5)


def _drop_if_longer(path: Path, size_bytes: int | None) -> None:
    """Delete what cannot be the beginning of the file; the libraries would ask for the rest."""
    if size_bytes is not None and path.exists() and path.stat().st_size > size_bytes:
        path.unlink()


def _missing(library: str, err: ImportError) -> DataError:
    return DataError(
        f"fetch: {library} is not installed, or not in a version that edgeface knows"
        f" ({_short(err)}); install with: pip install 'edgeface[fetch]'"
    )


def _failed(source: Source, err: Exception) -> DataError:
    where = f"{source.name}: {source.hub} {source.slug}"
    status = getattr(getattr(err, "response", None), "status_code", None)
    if status in (401, 403):
        login = {
            "huggingface": "log in with `hf auth login`",
            "kaggle": "put an API token of https://www.kaggle.com/settings into ~/.kaggle",
        }[source.hub]
        return DataError(
            f"{where}: access refused ({status}), or the set is gone; {login}, accept the terms on"
            f" {source.page} if it asks for it, and give the command again"
        )
    if status == 404:
        return DataError(
            f"{where}: not found (404), revision {source.revision or 'newest'}; see whether"
            f" {source.page} is still there"
        )
    return DataError(
        f"{where}: download not finished ({_short(err)}); what came is kept, give the command again"
        " to go on from there"
    )


def _short(err: Exception) -> str:
    text = " ".join(str(err).split()) or type(err).__name__
    return text if len(text) <= MESSAGE_MOST else text[:MESSAGE_MOST] + "…"
