"""What every test run shares."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from hypothesis import settings

# the machine's speed is not what the properties are about, and a failure must come again
settings.register_profile("edgeface", deadline=None, derandomize=True)
settings.load_profile("edgeface")


def pytest_report_header(config: pytest.Config) -> str:
    packages = ("numpy", "opencv-python-headless", "ai-edge-litert", "tensorflow", "tf-keras")
    return "versions: " + ", ".join(f"{name} {version(name)}" for name in packages)
