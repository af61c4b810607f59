"""Which faces models can be measured on together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgeface.bench.held_out import find_held_out
from edgeface.errors import BenchmarkError
from edgeface.runtime.artifact import Artifact
from edgeface.types import SilentReporter


class Keeps(SilentReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def of_data(artifact: Artifact, manifest_sha256: str) -> Artifact:
    """The artifact, trained on a folder."""
    provenance = replace(
        artifact.sidecar.provenance, data_kind="folder", manifest_sha256=manifest_sha256
    )
    return replace(artifact, sidecar=replace(artifact.sidecar, provenance=provenance))


def test_models_of_unlike_data_have_no_faces_in_common(
    make_artifact: Callable[..., Artifact], tmp_path: Path
) -> None:
    models = [of_data(make_artifact("faces"), "a"), of_data(make_artifact("eyes"), "b")]
    reporter = Keeps()
    assert find_held_out(models, [], reporter) is None, "their times can be set side by side"
    assert reporter.said == ["quality: not measured, faces, eyes were trained on unlike data"]
    with pytest.raises(BenchmarkError, match=r"faces, eyes: .*expected one; bench them apart"):
        find_held_out(models, [tmp_path], reporter)
