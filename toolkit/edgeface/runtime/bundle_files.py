"""What a bundle consists of: the files of one deployment, listed with their digests.

In: a folder or the bytes of a listing (untrusted). Out: the listing, or what is wrong with the
files, in one line. Needs only the standard library: a device without numpy can verify a bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from edgeface.errors import ArtifactError
from edgeface.records import RecordError, from_mapping

BUNDLE_SCHEMA_VERSION = 1
LISTING = "bundle.json"
CODE = "edgeface.zip"
RUN = "run.py"
LAUNCHER = "edgeface-run"
WHEELS = "wheels"
REFERENCE = "reference.json"
"""A `ReferenceOutputs`; not in every bundle."""
INTERPRETER = "interpreter"
"""Written at installation: path of the Python that the bundle was tested with there."""
PREVIOUS = "previous"
"""Written at installation: name of the bundle that served before this one."""

ID_DIGITS = 16
"""Of a bundle's identity: of the hexadecimal SHA-256 of its listing. Chosen: 64 bits name the two
bundles of a device; what guards their content is the whole SHA-256 of each file."""

_CHUNK_BYTES = 1 << 20
# Letters, digits and what names of wheels have: no separator but one, no "..", nothing hidden.
# Source: PEP 427, escaping; PEP 440, "+" of a local version and "!" of an epoch.
_MEMBER = re.compile(rf"(?:{WHEELS}/)?[A-Za-z0-9][A-Za-z0-9._+!-]*")


@dataclass(frozen=True)
class Member:
    """One file of a bundle.

    Attributes:
        sha256: of its bytes, hexadecimal.
        size_bytes: of it.
    """

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Listing:
    """`bundle.json`: every file of a bundle but itself.

    Attributes:
        schema_version: see `BUNDLE_SCHEMA_VERSION`.
        model: name of the artifact: its files are `<model>.tflite` and `<model>.json`.
        edgeface_version: that made the bundle.
        members: by name, with forward slashes.
    """

    schema_version: int
    model: str
    edgeface_version: str
    members: Dict[str, Member]


@dataclass(frozen=True)
class ReferenceOutputs:
    """What a runtime without a delegate must give for the golden vectors of an int8 model.

    Attributes:
        outputs: for each golden vector of the sidecar, as its `outputs`, of TFLite's reference
            kernels.
    """

    outputs: Tuple[Tuple[Tuple[float, ...], ...], ...]


def bundle_id(listing: bytes) -> str:
    """Name a bundle by its content: the listing has the digest of every other file."""
    return hashlib.sha256(listing).hexdigest()[:ID_DIGITS]


def is_member_name(name: str) -> bool:
    """Tell whether a file of this name may be in a bundle: in its folder, or in `wheels/`."""
    return _MEMBER.fullmatch(name) is not None


def file_sha256(path: Path) -> str:
    """Digest a file without holding it in memory.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def parse_listing(content: bytes, where: str) -> Listing:
    """Read `bundle.json`.

    Args:
        content: the file.
        where: it is, for messages.

    Raises:
        ArtifactError: not JSON, of another schema, not a listing, or it names a file that no
            bundle may have.
    """
    try:
        mapping = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise ArtifactError(f"{where}: not JSON ({err}); deploy the bundle again") from err
    version = mapping.get("schema_version") if isinstance(mapping, dict) else None
    if isinstance(version, int) and version != BUNDLE_SCHEMA_VERSION:
        raise ArtifactError(
            f"{where}: found schema_version {version}, this edgeface reads "
            f"{BUNDLE_SCHEMA_VERSION}; deploy with the edgeface that runs here"
        )
    try:
        listing = from_mapping(Listing, mapping)
    except RecordError as err:
        raise ArtifactError(f"{where}: not the listing of a bundle: {err}") from err
    model = listing.model
    wanted = [f"{model}.tflite", f"{model}.json", CODE, RUN, LAUNCHER]
    problems = [f"lists no {name}" for name in wanted if name not in listing.members]
    problems += [
        f"lists {name!r}, expected the name of a file in the bundle"
        for name in listing.members
        if not is_member_name(name) or name in (LISTING, INTERPRETER, PREVIOUS)
    ]
    if problems:
        raise ArtifactError(f"{where}: {'; '.join(problems)}; deploy the bundle again")
    return listing


def parse_reference(content: bytes, where: str) -> ReferenceOutputs:
    """Read `reference.json`.

    Args:
        content: the file.
        where: it is, for messages.

    Raises:
        ArtifactError: not JSON, or not what it should hold.
    """
    try:
        return from_mapping(ReferenceOutputs, json.loads(content.decode("utf-8")))
    except (ValueError, RecursionError, RecordError) as err:
        raise ArtifactError(f"{where}: not outputs of golden vectors: {err}") from err


def verify_files(folder: Path, expected_id: str = "") -> Listing:
    """Compare every file of an unpacked bundle with its listing.

    Args:
        folder: of the bundle.
        expected_id: the bundle that it must be; any if empty.

    Returns:
        The listing; every file is there with its SHA-256, and no other but what the installation
        writes (`INTERPRETER`, `PREVIOUS`).

    Raises:
        ArtifactError: a file is missing, changed, too many or a link; all are named.
    """
    try:
        content = (folder / LISTING).read_bytes()
        found = set(_files(folder))
    except OSError as err:
        raise ArtifactError(f"{folder}: cannot be read as a bundle: {err}") from err
    listing = parse_listing(content, f"{folder / LISTING}")
    problems: List[str] = []
    if expected_id and bundle_id(content) != expected_id:
        problems.append(f"{LISTING} is of bundle {bundle_id(content)}, expected {expected_id}")
    for name, member in sorted(listing.members.items()):
        if name not in found:
            problems.append(f"{name} is missing")
        else:
            problems += _differences(folder / name, name, member)
    extra = found - set(listing.members) - {LISTING, INTERPRETER, PREVIOUS}
    problems += [f"{name!r} does not belong to it" for name in sorted(extra)]
    if problems:
        raise ArtifactError(
            f"{folder}: the bundle is damaged: {'; '.join(problems)}; deploy it again"
        )
    return listing


def _differences(path: Path, name: str, member: Member) -> Iterator[str]:
    if path.is_symlink():
        yield f"{name} is a link"
        return
    try:
        digest = file_sha256(path)
    except OSError as err:
        yield f"{name} cannot be read ({err.strerror})"
        return
    if digest != member.sha256:
        yield f"{name} has sha256 {digest[:ID_DIGITS]}…, listed {member.sha256[:ID_DIGITS]}…"


def _files(folder: Path) -> Iterator[str]:
    """Walk over everything that is no folder; links to folders count as files."""
    for above, folders, files in os.walk(folder, onerror=_refuse):
        links = [name for name in folders if (Path(above) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(above) / name).relative_to(folder).as_posix()


def _refuse(err: OSError) -> None:
    raise err
