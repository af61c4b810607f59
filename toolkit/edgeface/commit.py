"""Which commit of edgeface this is: part of every artifact's and result's provenance."""

from __future__ import annotations

import subprocess
from pathlib import Path


def source_commit(package: Path = Path(__file__).parent) -> str:
    """Name the commit that edgeface runs from.

    Args:
        package: folder of the package.

    Returns:
        The full hash, with "-dirty" if files differ from it; "unknown" outside the repository of
        edgeface (another repository that only holds an installed copy does not count).
    """
    git = ["git", "-C", str(package)]
    try:
        _output([*git, "ls-files", "--error-unmatch", "__init__.py"])  # fails where not tracked
        commit = _output([*git, "rev-parse", "HEAD"])
        changed = _output([*git, "status", "--porcelain", "--", "."])
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
