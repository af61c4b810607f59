"""Locks that end with the process that held them, however it ends.

In: the path of a file. Out: a lock on it. The kernel lifts an `flock` when the last descriptor of
the process is closed, also after SIGKILL, so nobody has to guess from a process id, a time stamp or
a heartbeat whether the holder still lives.

Source: flock(2). Python opens descriptors close-on-exec (PEP 446), so no child keeps the lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeface.errors import CompressionError


class FileLock:
    """An exclusive lock on one file; two locks on one file exclude each other in a process too."""

    def __init__(self, path: Path) -> None:
        """Name the file; it and its folder are made when the lock is first taken."""
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if nobody holds it.

        Raises:
            CompressionError: the file cannot be made or locked.
        """
        return self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Give the lock back; does nothing where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def held(self, before_waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Wait for the lock and hold it while the context is open.

        Args:
            before_waiting: called if somebody else holds it.

        Raises:
            CompressionError: the file cannot be made or locked.
        """
        if not self.try_acquire():
            if before_waiting:
                before_waiting()
            self._acquire(fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.release()

    def _acquire(self, how: int) -> bool:
        if self._descriptor is not None:
            raise CompressionError(f"{self._path}: this worker holds its lock already")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise CompressionError(
                f"{self._path}: cannot be written: {err.strerror}; give another --out"
            ) from err
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError as err:
            os.close(descriptor)
            raise CompressionError(
                f"{self._path}: cannot be locked: {err.strerror}; give an --out on a file system "
                "that knows flock"
            ) from err
        self._descriptor = descriptor
        return True
