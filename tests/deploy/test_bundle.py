"""What is in a bundle, and that it is the same for the same files."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from edgeface.bench.remote.python import DevicePython
from edgeface.deploy import environment
from edgeface.deploy.bundle import make_bundle
from edgeface.deploy.environment import plan_environment
from edgeface.deploy.systemd import unit_text
from edgeface.errors import ArtifactError, ConfigError
from edgeface.runtime.artifact import Artifact, load_artifact
from edgeface.runtime.predict import describe_picture, open_predictor
from edgeface.types import HeadKind
from runtime.conftest import DECADES, EXPRESSIONS, build_tiny_model, write_tiny
from support.dense_artifact import write_dense_artifact
from support.folder_transport import FolderTransport


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return load_artifact(write_dense_artifact(tmp_path, "int8"))


def opened(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_files_give_the_same_bytes(artifact: Artifact) -> None:
    one, two = make_bundle(artifact), make_bundle(artifact)
    assert one == two
    assert one.sha256 == hashlib.sha256(one.content).hexdigest()
    assert one.id == hashlib.sha256(opened(one.content)["bundle.json"]).hexdigest()[:16]


def test_every_file_is_listed_with_its_digest(artifact: Artifact) -> None:
    files = opened(make_bundle(artifact).content)
    listing = json.loads(files.pop("bundle.json"))
    assert listing["model"] == "dense"
    assert list(files) == sorted(files)
    assert listing["members"] == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in files.items()
    }
    assert set(files) == {
        *("dense.tflite", "dense.json", "edgeface.zip", "run.py", "edgeface-run"),
        *("LABELS.json", "LICENSE", "LICENCES.txt", "README.txt", "reference.json"),
    }
    assert files["dense.tflite"] == artifact.content


def test_labels_and_licences_say_what_they_must(artifact: Artifact) -> None:
    files = opened(make_bundle(artifact).content)
    labels = json.loads(files["LABELS.json"])
    assert list(labels) == ["age", "gender"]
    assert labels["gender"]["classes"] == ["male", "female"]
    assert labels["age"]["bins"] == [0, 20, 40, 60, 80]
    assert b"Version 2.0, January 2004" in files["LICENSE"]
    terms = replace(artifact.sidecar, licence="for tests only")
    files = opened(make_bundle(replace(artifact, sidecar=terms)).content)
    assert b"for tests only" in files["LICENCES.txt"]


def test_a_bundle_of_other_heads_says_what_they_mean(tmp_path: Path) -> None:
    model = build_tiny_model("int8", 3, ("expression", "decade"))
    picture = np.random.default_rng(2).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    path = write_tiny(tmp_path / "moods.tflite", model, [picture])
    files = opened(make_bundle(load_artifact(path)).content)
    labels = json.loads(files["LABELS.json"])
    assert labels["expression"] == {
        "tensor": "expression",
        "kind": "classes",
        "classes": list(EXPRESSIONS),
        "bins": [],
        "unit": "",
    }
    assert labels["decade"]["kind"] == "decades"
    assert labels["decade"]["bins"] == list(DECADES)
    text = files["README.txt"].decode()
    assert "The attributes of a face: expression, decade.\n" in text
    assert "gender" not in text
    # every kind that a sidecar can have is explained
    lines = text.split("of an output:\n\n")[1].splitlines()
    explained = [line.split()[0] for line in lines if not line.startswith("   ")]
    assert sorted(explained) == sorted(get_args(HeadKind))


def test_card_and_wheels_go_along_and_change_the_name(artifact: Artifact, tmp_path: Path) -> None:
    bare = make_bundle(artifact)
    artifact.path.with_suffix(".md").write_text("# dense")
    carded = make_bundle(artifact)
    assert opened(carded.content)["MODEL_CARD.md"] == b"# dense"
    wheel = tmp_path / "numpy-2.0.0+local-cp311-cp311-manylinux_2_17_aarch64.whl"
    wheel.write_bytes(b"wheel")
    wheeled = make_bundle(artifact, [wheel])
    assert opened(wheeled.content)[f"wheels/{wheel.name}"] == b"wheel"
    assert [each.has_wheels for each in (bare, carded, wheeled)] == [False, False, True]
    assert len({bare.id, carded.id, wheeled.id}) == 3


def test_what_could_not_be_tested_there_is_refused_here(artifact: Artifact) -> None:
    untested = replace(artifact, sidecar=replace(artifact.sidecar, golden=()))
    with pytest.raises(ArtifactError, match="has no golden vectors to test with"):
        make_bundle(untested)
    hidden = replace(artifact, sidecar=replace(artifact.sidecar, name="..dense"))
    with pytest.raises(ArtifactError, match=r"'..dense.tflite', expected the name of a file in"):
        make_bundle(hidden)


def test_carried_by_hand_it_predicts_as_edgeface_does(artifact: Artifact, tmp_path: Path) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), picture[..., ::-1])
    (tmp_path / "carried.zip").write_bytes(make_bundle(artifact).content)
    command = [sys.executable, "-m", "zipfile", "-e", "carried.zip", "carried"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(
        [sys.executable, "carried/run.py", "predict", "--no-detect", "face.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = describe_picture(open_predictor(artifact), picture, None)
    assert json.loads(done.stdout) == {"image": "face.png", "faces": expected}


@pytest.mark.parametrize(
    ("machine", "bits", "packages"),
    [
        (
            "aarch64",
            64,
            ("ai-edge-litert==2.3.0", "numpy>=1.26", "opencv-python-headless>=4.10,<5"),
        ),
        ("aarch64", 32, ("tflite-runtime==2.14.0", "numpy<2")),  # Debian's OpenCV
        ("armv7l", 32, ("tflite-runtime==2.14.0", "numpy<2")),
    ],
)
def test_opencv_goes_with_the_runtime_where_it_is_published(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    bits: int,
    packages: tuple[str, ...],
) -> None:
    found = DevicePython(
        version=(3, 11, 2),
        bits=bits,
        machine=machine,
        libc=("glibc", "2.36"),
        has_venv=True,
        free_bytes=1,
    )
    monkeypatch.setattr(environment, "find_python", lambda transport, command: found)
    plan = plan_environment(FolderTransport(tmp_path), "", "2.3.0")
    assert (plan.command, plan.given) == ("python3", False)
    assert plan.requirements.packages == packages
    assert plan.requirements.system_packages is (bits == 32)


def test_a_unit_runs_the_command_as_it_was_typed() -> None:
    unit = unit_text("""watch 'my "100 %" $pictures' --no-detect""")
    program = "%h/.edgeface/deploy/current/edgeface-run"
    assert f"\nExecStartPre={program} check\n" in unit
    words = r'"watch" "my \"100 %%\" $$pictures" "--no-detect"'
    assert f"\nExecStart={program} {words}\n" in unit


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "expected a line that starts with check or predict or watch"),
        ("live --headless", "expected a line that starts with check or predict or watch"),
        ("watch 'open", "No closing quotation"),
        ("watch 'a\nb'", "has a character that cannot be in a unit"),
    ],
)
def test_a_line_that_no_bundle_has_is_refused(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        unit_text(line)
