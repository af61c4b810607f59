"""Download bytes: the count is a property of the content, and zeros make it less."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeface.export.download_size import gzip_bytes


@given(st.binary(max_size=500))
def test_it_is_header_deflated_content_and_trailer(content: bytes) -> None:
    deflater = zlib.compressobj(level=9, wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(content) + deflater.flush()
    # RFC 1952: ten bytes before, CRC and length after, four bytes each
    assert gzip_bytes(content) == 10 + len(deflated) + 4 + 4


def test_half_zeros_take_less_and_what_is_counted_can_be_read_back() -> None:
    weights = np.random.default_rng(1).normal(size=10_000).astype(np.float32)
    sparse = np.where(np.abs(weights) < np.median(np.abs(weights)), 0, weights).astype(np.float32)
    dense_bytes, sparse_bytes = (gzip_bytes(each.tobytes()) for each in (weights, sparse))
    # at least 20,000 bytes of the non-zero half stay: their mantissas are noise
    assert 14_000 < sparse_bytes < 0.7 * dense_bytes
    packed = gzip.compress(sparse.tobytes(), compresslevel=9, mtime=0)
    assert len(packed) == sparse_bytes
    assert gzip.decompress(packed) == sparse.tobytes()
