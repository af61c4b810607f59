"""How a model was made small is read from its sidecar, and from its name where that is all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgeface.bench.compression import Compression, compression_from_name, compression_of
from edgeface.export.artifact import artifact_name
from edgeface.runtime.artifact import Artifact
from edgeface.training_specs import ModelSpec
from edgeface.types import Sidecar

MakeArtifact = Callable[..., Artifact]


@pytest.mark.parametrize("variant", ["", "expression", "a50"])
@pytest.mark.parametrize(
    ("tags", "steps"),
    [
        ((), ()),
        (("p40",), ("40 % of channels pruned",)),
        (("macs50", "s80"), ("pruned to 50 % of the MACs", "80 % of weights 0")),
        (
            ("p30", "c16", "qat"),
            ("30 % of channels pruned", "clustered, 16 values a layer", "QAT"),
        ),
    ],
)
def test_a_name_that_edgeface_makes_is_read_back(
    tags: tuple[str, ...], steps: tuple[str, ...], variant: str
) -> None:
    spec = ModelSpec(width_ratio=0.35, side_px=96)
    name = artifact_name(spec, scheme="int8", tags=tags, variant=variant)
    assert compression_from_name(name) == Compression(
        backbone="mobilenetv2", width_ratio=0.35, side_px=96, steps=steps
    )


@pytest.mark.parametrize(
    ("part", "step"),
    [
        ("macs50", "pruned to 50 % of the MACs"),
        ("latency60", "pruned to 60 % of the latency"),
        ("x9", "x9"),  # of a later edgeface
    ],
)
def test_other_parts_of_a_name_are_steps_too(part: str, step: str) -> None:
    found = compression_from_name(f"vgg16-a100-128px-{part}-float16")
    assert found is not None
    assert found.steps == (step,)


@pytest.mark.parametrize("name", ["tiny", "mobilenetv2-128px-int8", "a-a100-128px", ""])
def test_a_name_of_another_form_says_nothing(name: str) -> None:
    assert compression_from_name(name) is None


def sidecar(make_artifact: MakeArtifact, name: str = "tiny", **changes: Any) -> Sidecar:
    made = make_artifact(name).sidecar
    return replace(made, provenance=replace(made.provenance, **changes))


def test_the_sidecar_says_it_in_its_own_words(make_artifact: MakeArtifact) -> None:
    steps = ("45 % of channels pruned (taylor)", "int8 after training")
    recipe = {"model": {"width_ratio": 0.5}}
    found = compression_of(sidecar(make_artifact, recipe=recipe, steps=steps, pruning_ratio=0.45))
    assert found == Compression(backbone="tiny", width_ratio=0.5, side_px=32, steps=steps)


def test_what_an_older_sidecar_lacks_is_taken_from_its_ratio_and_name(
    make_artifact: MakeArtifact,
) -> None:
    # a recipe asks for pruning also in the sidecar of the float model that is not pruned yet
    recipe = {"prune": {"pruning_ratio": 0.3}}
    name = "mobilenetv2-a75-32px-p30-float32"
    pruned = compression_of(sidecar(make_artifact, name, recipe=recipe, pruning_ratio=0.2956))
    assert pruned.steps == ("30 % of channels pruned",)
    assert pruned.width_ratio == 0.75
    assert compression_of(sidecar(make_artifact, recipe=recipe)).steps == ()


@pytest.mark.parametrize("model", [None, {}, {"width_ratio": "1"}, {"width_ratio": True}, [1]])
def test_a_width_that_is_no_number_is_not_known(make_artifact: MakeArtifact, model: Any) -> None:
    assert compression_of(sidecar(make_artifact, recipe={"model": model})).width_ratio is None
