"""Every backbone, all the way: a step of training, pruning, a file, `.tflite` and int8 `.tflite`.

Random weights at the smallest side. What is converted is the pruned network, which has the same
kinds of layers and a tenth of the weights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgeface.compress.allocate import most_important, uniform
from edgeface.compress.cut import masked
from edgeface.compress.graph import channel_graph, groups_in
from edgeface.compress.importance import magnitude_scores
from edgeface.compress.prune import PruneReport, prune
from edgeface.config import ModelSpec
from edgeface.data.drawn import draw_face
from edgeface.export.convert import to_float_tflite, to_int8_tflite
from edgeface.model.backbones.picture import GREY
from edgeface.model.backbones.registry import BACKBONES
from edgeface.model.heads import head_specs, losses
from edgeface.model.networks import build_model
from edgeface.model.saved import SCHEMA_VERSION, SavedModel, read_model, write_model
from edgeface.types import SilentReporter

L = keras.layers
Outputs = dict[str, NDArray[np.float64]]
PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"
PRUNING_RATIO = 0.75
HEADS = ("gender", "age")


@dataclass(frozen=True, kw_only=True)
class Made:
    """What one backbone was made into."""

    spec: ModelSpec
    parameters: int
    loss: float
    moved: dict[str, bool]
    images: NDArray[np.uint8]
    whole: Any
    pruned: Any
    report: PruneReport


def drawn_images(side_px: int, count: int = 8) -> NDArray[np.uint8]:
    return np.stack([draw_face(seed=8, index=i, side_px=side_px).image for i in range(count)])


def train_a_step(model: Any, spec: ModelSpec, images: NDArray[np.uint8]) -> float:
    rng = np.random.default_rng(3)
    targets = {
        "gender": rng.integers(0, 2, (4, 1)).astype(np.float32),
        "age": np.eye(101, dtype=np.float32)[rng.integers(0, 101, 4)],
    }
    sgd = keras.optimizers.SGD(0.01)
    # eagerly: tracing a graph of a hundred layers takes longer than running it once
    model.compile(optimizer=sgd, loss=losses(head_specs(spec)), run_eagerly=True)
    return float(model.train_on_batch(images[:4].astype(np.float32), targets)[0])


def as_if_trained(model: Any, images: NDArray[np.uint8]) -> None:
    """Signals that stay in range and differ between images, and no layer of zeros.

    A random network of 50 layers magnifies every rounding error. Here most activations lie where
    ReLU is linear (β 1), and blocks add a little to what they are given (γ 0.25).
    """
    pixels = images.astype(np.float32)
    norms = [layer for layer in model.layers if isinstance(layer, L.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
        added = any(isinstance(n.outbound_layer, L.Add) for n in layer.outbound_nodes)
        if layer.scale:
            layer.gamma.assign(np.full(layer.gamma.shape, 0.25 if added else 1.0))
        layer.beta.assign(np.full(layer.beta.shape, 0.0 if added else 1.0))
    rng = np.random.default_rng(2)
    convolutions = [layer for layer in model.layers if isinstance(layer, L.Conv2D)]
    for layer in convolutions:
        kernel, *bias = layer.get_weights()
        if not np.any(kernel):
            spread = 1 / np.sqrt(np.prod(kernel.shape[:-1]))
            layer.set_weights([rng.normal(0, spread, kernel.shape), *bias])
    if norms:
        model(pixels, training=True)
    elif not any(isinstance(layer, L.LayerNormalization) for layer in model.layers):
        for layer in convolutions:
            normalize(layer, keras.Model(model.input, layer.input)(pixels))


def normalize(layer: Any, inputs: Any) -> None:
    """Do to a convolution's channels what a batch normalization after it would, with β 1."""
    activation, layer.activation = layer.activation, keras.activations.linear
    found = np.asarray(layer(inputs)).reshape(-1, layer.output_shape[-1])
    layer.activation = activation
    kernel, bias = layer.get_weights()
    spread = np.maximum(found.std(axis=0), 1e-6)
    shape = (-1, 1) if isinstance(layer, L.DepthwiseConv2D) else (-1,)
    layer.set_weights([kernel / spread.reshape(shape), 1 + (bias - found.mean(axis=0)) / spread])


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def made(request: pytest.FixtureRequest) -> Made:
    name = request.param
    spec = ModelSpec(
        backbone=name, side_px=BACKBONES[name].smallest_side_px, weights="none", heads=HEADS
    )
    model = build_model(spec, seed=1, reporter=SilentReporter())
    images = drawn_images(spec.side_px)
    parameters = sum(layer.count_params() for layer in model.layers if layer.name not in HEADS)
    first = next(layer for layer in model.layers if isinstance(layer, L.Conv2D))
    watched = {"first": first, **{head: model.get_layer(head) for head in HEADS}}
    as_if_trained(model, images)
    before = {part: layer.get_weights()[0] for part, layer in watched.items()}
    loss = train_a_step(model, spec, images)
    moved = {
        part: bool(np.any(layer.get_weights()[0] != before[part]))
        for part, layer in watched.items()
    }
    pruned, report = prune(model, pruning_ratio=PRUNING_RATIO, round_to=8, scope="all")
    return Made(
        spec=spec,
        parameters=parameters,
        loss=loss,
        moved=moved,
        images=images,
        whole=model,
        pruned=pruned,
        report=report,
    )


def run(model: Any, images: NDArray[np.uint8]) -> Outputs:
    outputs = model(images.astype(np.float32), training=False)
    return {name: np.asarray(value, np.float64) for name, value in outputs.items()}


def run_file(content: bytes, images: NDArray[np.uint8]) -> Outputs:
    """Outputs in real units, by the formula of the TFLite quantization specification."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    runner = interpreter.get_signature_runner("serving_default")
    (given,) = runner.get_input_details().values()
    outputs = runner.get_output_details()
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in outputs}
    for image in images:
        pixels = image[np.newaxis].astype(np.int64)
        if given["dtype"] == np.int8:  # scale 1, zero point -128
            pixels = pixels - 128
        for name, value in runner(image=pixels.astype(given["dtype"])).items():
            scale, zero_point = outputs[name]["quantization"]
            real = value.astype(np.float64)
            found[name].append((real - zero_point) * scale if scale else real)
    return {name: np.concatenate(values) for name, values in found.items()}


def table() -> dict[str, int]:
    """Parameters by backbone, as the page says them."""
    rows = re.findall(r"^\| `(\w+)` \|.*?\| ([\d,]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


def test_the_page_lists_every_backbone() -> None:
    assert list(table()) == sorted(BACKBONES)


def test_it_has_the_parameters_that_the_page_says(made: Made) -> None:
    assert made.parameters == table()[made.spec.backbone]


def test_a_step_of_training_moves_the_first_layer_and_the_heads(made: Made) -> None:
    assert np.isfinite(made.loss)
    assert made.moved == {"first": True, "gender": True, "age": True}


def test_pruning_removes_channels_and_leaves_the_rest_as_it_was(made: Made) -> None:
    before, after = made.report.parameters_before, made.report.parameters_after
    assert after == made.pruned.count_params() < 0.4 * before
    # all groups keep a multiple of 8
    assert made.report.pruning_ratio == pytest.approx(PRUNING_RATIO, abs=0.01)
    graph = channel_graph(made.whole)
    groups = groups_in(graph, "all")
    counts = uniform(groups, pruning_ratio=PRUNING_RATIO, round_to=8)
    kept = most_important(groups, magnitude_scores(made.whole, graph), counts)
    silent = masked(made.whole, graph, kept)
    expected = run(silent, made.images)
    for name, found in run(made.pruned, made.images).items():
        assert expected[name].std() > 0
        # float32 sums in another order, through up to 94 convolutions
        np.testing.assert_allclose(found, expected[name], atol=1e-3 * np.abs(expected[name]).max())


def test_it_comes_back_from_a_file_as_it_was(made: Made, tmp_path: Path) -> None:
    about = SavedModel(
        schema_version=SCHEMA_VERSION,
        sha256="",
        spec=made.spec,
        run_id="a" * 64,
        recipe={},
        data="drawn faces",
        manifest_sha256="b" * 64,
        pruning_ratio=made.report.pruning_ratio,
        history=(),
        commit="unknown",
    )
    write_model(tmp_path / "name.keras", made.pruned, about)
    back, _ = read_model(tmp_path / "name.keras")
    expected = run(made.pruned, made.images)
    for name, found in run(back, made.images).items():
        np.testing.assert_array_equal(found, expected[name])


def test_its_files_say_what_it_says(made: Made) -> None:
    as_if_trained(made.pruned, made.images)  # cutting changed the signals
    expected = run(made.pruned, made.images)
    content = to_float_tflite(made.pruned)
    for name, found in run_file(content, made.images).items():
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-4 * max(1.0, scale))
    int8 = to_int8_tflite(content, made.images, SilentReporter())
    assert len(int8) < 0.6 * len(content)
    differences, values = [], []
    for name, found in run_file(int8, made.images).items():
        assert np.isfinite(found).all()
        # what it says of each image beyond what it says of all
        values.append((expected[name] - expected[name].mean(axis=0)).ravel())
        differences.append((found - expected[name].mean(axis=0)).ravel())
    correlation = np.corrcoef(np.concatenate(values), np.concatenate(differences))[0, 1]
    assert correlation > LEAST_CORRELATION, correlation


LEAST_CORRELATION = 0.85
"""Of int8 with float. Chosen: found were 0.89 (resnet50) to 0.999; random networks of 100 layers
lose more than trained ones, and an operator that is quantized wrongly leaves nothing of it."""


def test_a_grey_model_is_pruned_and_converted_with_its_picture_whole() -> None:
    spec = ModelSpec(
        backbone="cnn3",
        side_px=32,
        weights="none",
        colour="grey",
        heads=("age",),
        age_head="regression",
        branch_units=32,
    )
    model = build_model(spec, seed=1, reporter=SilentReporter())
    assert GREY not in {group.maker for group in channel_graph(model).groups}
    pruned, report = prune(model, pruning_ratio=0.5, round_to=8)
    assert report.pruning_ratio == 0.5
    for weight, kept in zip(
        model.get_layer(GREY).get_weights(), pruned.get_layer(GREY).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, kept)
    images = drawn_images(32)
    content = to_float_tflite(pruned)
    expected = run(pruned, images)["age"]
    np.testing.assert_allclose(run_file(content, images)["age"], expected, atol=1e-5)
    int8 = run_file(to_int8_tflite(content, images, SilentReporter()), images)["age"]
    assert np.corrcoef(int8.ravel(), expected.ravel())[0, 1] > 0.98
