"""Files onto a device, while a bar shows how much of them has left.

In: a `Transport`, and files with their paths there. Out: the same files there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgeface.bench.remote.transport import Transport, size_bytes_of
from edgeface.types import Reporter

_BYTES_PER_STEP = 1000  # chosen: kB, so that a bar moves on a bad wireless line too


def put_all(
    transport: Transport,
    files: Sequence[tuple[bytes | Path, str]],
    what: str,
    *,
    reporter: Reporter,
    there: set[str] | None = None,
) -> None:
    """Write files on a device, one after the other; shows nothing where none is to be written.

    Args:
        transport: to the device.
        files: bytes, or a file here, and the path on the device.
        what: they are, for the bar, e.g. "models".
        reporter: shows the bar; its notes are the names of files that have arrived.
        there: paths that need not be written again; each that has arrived is added.

    Raises:
        ConnectionLostError: the device stopped answering.
        DeviceError: as `Transport.put`; or a file here cannot be read.
    """
    there = set() if there is None else there
    new = {path: content for content, path in files if path not in there}
    if not new:
        return
    total_bytes = sum(size_bytes_of(content) for content in new.values())
    label = f"{transport.where}: sending {what}, kB"
    with reporter.track(label, total_bytes // _BYTES_PER_STEP) as advance:
        sent_bytes = 0

        def sent(more_bytes: int) -> None:
            nonlocal sent_bytes
            before_bytes, sent_bytes = sent_bytes, sent_bytes + more_bytes
            advance(sent_bytes // _BYTES_PER_STEP - before_bytes // _BYTES_PER_STEP)

        for path, content in new.items():
            transport.put(content, path, sent=sent)
            there.add(path)
            advance(0, PurePosixPath(path).name)
