"""What every test run shares."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

from edgeface.cli import main

# the machine's speed is not what the properties are about, and a failure must come again
settings.register_profile("edgeface", deadline=None, derandomize=True)
settings.load_profile("edgeface")


def pytest_report_header(config: pytest.Config) -> str:
    packages = ("numpy", "opencv-python-headless", "ai-edge-litert", "tensorflow", "tf-keras")
    return "versions: " + ", ".join(f"{name} {version(name)}" for name in packages)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes, begin with the files that take minutes: last, others would wait."""
    if hasattr(config, "workerinput"):  # Source: pytest-xdist, of its workers alone
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def heeds_ctrl_c() -> Iterator[None]:
    """A shell that starts pytest in the background has it, and all it starts, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def edgeface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in a folder of its own; gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        status: object = 0
        try:
            main(list(arguments))
        except SystemExit as done:
            status = done.code
        captured = capfd.readouterr()
        assert status is None or isinstance(status, int)
        return status or 0, captured.out, captured.err

    return call
