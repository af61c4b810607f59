"""The part of edgeface that runs on a device, as one file that Python imports as it is.

In: the installed package. Out: a zip, byte for byte the same for the same code, and its digest.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import edgeface

DEVICE_MODULES = ("__init__.py", "errors.py", "records.py", "types.py")
"""What `runtime` stands on."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


@dataclass(frozen=True, kw_only=True)
class DeviceCode:
    """What is pushed.

    Attributes:
        content: a zip that can stand on PYTHONPATH.
        sha256: of it.
    """

    content: bytes
    sha256: str

    @property
    def name(self) -> str:
        """File name on the device; another code has another name."""
        return f"edgeface-{self.sha256[:16]}.zip"


def device_code() -> DeviceCode:
    """Pack `runtime` and the modules that it stands on, sources only.

    Source:
        Python documentation, zipimport: modules are imported from a zip on `sys.path`. One file
        is put whole or not at all, and leaves no half-updated package behind.
    """
    package = Path(edgeface.__file__).parent
    paths = [
        *(package / name for name in DEVICE_MODULES),
        *sorted((package / "runtime").glob("*.py")),
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            member = zipfile.ZipInfo(f"edgeface/{path.relative_to(package).as_posix()}", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, path.read_bytes())
    content = buffer.getvalue()
    return DeviceCode(content=content, sha256=sha256(content).hexdigest())
