"""Keeps litert-quantizer from printing its own bars: only the command line talks."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed and the one warning that the quantizer's calibration always gives."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all")
        logging.getLogger("absl").setLevel(logging.ERROR)
        yield
