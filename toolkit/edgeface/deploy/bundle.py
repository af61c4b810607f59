"""An artifact and all that it needs on a device, as one zip named by its content.

In: an artifact, and wheels for a device that has no network. Out: `Bundle`, byte for byte the same
for the same files.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from edgeface import __version__
from edgeface.bench.remote.code import device_code
from edgeface.deploy.texts import LAUNCHER_TEXT, RUN_TEXT, licence_notes, readme
from edgeface.errors import ArtifactError, ExportError
from edgeface.records import to_mapping
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.bundle_files import (
    BUNDLE_SCHEMA_VERSION,
    CODE,
    LAUNCHER,
    LISTING,
    REFERENCE,
    RUN,
    WHEELS,
    Listing,
    Member,
    ReferenceOutputs,
    bundle_id,
    parse_listing,
)
from edgeface.runtime.selftest import reference_golden
from edgeface.types import Contract

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_UNIX = 3  # Source: APPNOTE.TXT 4.4.2.2, where the mode of a file means something


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What is copied to a device.

    Attributes:
        id: the first 16 digits of the SHA-256 of its listing, which has those of all its files.
        model: name of the artifact in it.
        content: the zip.
        sha256: of the zip.
        has_wheels: whether an environment can be made from it without network.
    """

    id: str
    model: str
    content: bytes
    sha256: str
    has_wheels: bool


def make_bundle(artifact: Artifact, wheels: Sequence[Path] = ()) -> Bundle:
    """Pack an artifact with its code, labels, licence notes, and card where it has one.

    An int8 artifact is run here, so that the bundle can also hold what a runtime without a delegate
    must give; see `runtime.selftest`.

    Args:
        artifact: from `load_artifact`. Its golden vectors are in its sidecar. `NAME.md` beside it
            is its card (`edgeface models --cards`).
        wheels: files for a device without network.

    Returns:
        The bundle.

    Raises:
        ArtifactError: no golden vectors: a device could not tell whether it works; or its name
            cannot be that of a file in a bundle; or an int8 model does not open here.
        DeviceError: this machine has no TFLite runtime.
        ExportError: a file cannot be read.
    """
    name = artifact.sidecar.name
    if not artifact.sidecar.golden:
        raise ArtifactError(f"{artifact.path}: has no golden vectors to test with; export it again")
    try:
        files = {
            f"{name}.tflite": artifact.content,
            f"{name}.json": artifact.path.with_suffix(".json").read_bytes(),
            CODE: device_code().content,
            RUN: RUN_TEXT.encode(),
            LAUNCHER: LAUNCHER_TEXT.encode(),
            "LABELS.json": _labels(artifact.sidecar.contract),
            "LICENSE": _licence_of_the_code(),
            "LICENCES.txt": licence_notes(artifact.sidecar).encode(),
            "README.txt": readme(name, artifact.sidecar.contract).encode(),
        }
        card = artifact.path.with_suffix(".md")
        if card.is_file():
            files["MODEL_CARD.md"] = card.read_bytes()
        files |= {f"{WHEELS}/{wheel.name}": wheel.read_bytes() for wheel in wheels}
    except OSError as err:
        raise ExportError(
            f"{err.filename}: cannot be read into the bundle ({err.strerror})"
        ) from err
    reference = reference_golden(artifact)
    if reference:
        files[REFERENCE] = _json(ReferenceOutputs(tuple(vector.outputs for vector in reference)))
    listing = _listing(name, files)
    parse_listing(listing, f"{name}, {LISTING}")  # a device would refuse it: better here
    content = _zip({**files, LISTING: listing})
    return Bundle(
        id=bundle_id(listing),
        model=name,
        content=content,
        sha256=sha256(content).hexdigest(),
        has_wheels=bool(wheels),
    )


def _listing(model: str, files: Mapping[str, bytes]) -> bytes:
    listing = Listing(
        schema_version=BUNDLE_SCHEMA_VERSION,
        model=model,
        edgeface_version=__version__,
        members={
            name: Member(sha256=sha256(content).hexdigest(), size_bytes=len(content))
            for name, content in sorted(files.items())
        },
    )
    return _json(listing)


def _json(record: Listing | ReferenceOutputs) -> bytes:
    return (json.dumps(to_mapping(record), indent=1) + "\n").encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Store the files: weights and wheels hardly compress, and nothing grows when unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = _UNIX
            member.external_attr = (0o100755 if name == LAUNCHER else 0o100644) << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def _labels(contract: Contract) -> bytes:
    """Say what each output means, for programs that do not read the sidecar."""
    labels = {
        head.name: {
            "tensor": head.tensor,
            "kind": head.kind,
            "classes": list(head.classes),
            "bins": list(head.bins),
            "unit": head.unit,
        }
        for head in contract.heads
    }
    return (json.dumps(labels, indent=1, ensure_ascii=False) + "\n").encode()


def _licence_of_the_code() -> bytes:
    """Read the licence that must go with every copy of the code.

    Source:
        Apache License 2.0, section 4 (a). PEP 639: where an installed package has its files.
    """
    try:
        text = distribution("edgeface").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    if not text:
        raise ExportError(
            "the installed edgeface has no licenses/LICENSE, which must go with its code; "
            "install it again: pip install ."
        )
    return text.encode()
