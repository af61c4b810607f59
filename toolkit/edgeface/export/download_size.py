"""What a file takes in a compressed download: zeros and repeated weights show here only.

In: the bytes of a file. Out: their number after gzip. It does not say what a device stores or
loads.
"""

from __future__ import annotations

import gzip


def gzip_bytes(content: bytes) -> int:
    """Count the bytes of a file after gzip.

    Args:
        content: of the file.

    Returns:
        Size in bytes, header included; the same for the same content at any time.

    Source:
        RFC 1952. Level 9, the smallest, is what a build does once for many downloads; no file name
        and time 0, so that the count is a property of the content.
    """
    return len(gzip.compress(content, compresslevel=9, mtime=0))
