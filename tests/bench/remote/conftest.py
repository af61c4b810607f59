"""A real SSH server for a test, and connections to it that are closed in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from edgeface.bench.remote.ssh import SshTransport, connect
from support.sshd import Sshd, missing, running_sshd


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers, each with settings of its own."""
    if why := missing():
        pytest.skip(why)
    with ExitStack() as stack:

        def start(*settings: str, name: str = "sshd") -> Sshd:
            return stack.enter_context(running_sshd(tmp_path / name, *settings))

        yield start


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    return start_sshd()


@pytest.fixture
def reach() -> Iterator[Callable[..., SshTransport]]:
    """Logs in to a server as "pi"."""
    with ExitStack() as stack:

        def connected(server: Sshd, **changes: object) -> SshTransport:
            return stack.enter_context(closing(connect("pi", server.spec(**changes))))

        yield connected


@pytest.fixture
def pi(sshd: Sshd, reach: Callable[..., SshTransport]) -> SshTransport:
    """The happy case."""
    return reach(sshd)
