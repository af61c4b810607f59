"""The values that pass between rooms and that a device reads too.

Shapes: B batch, H height, W width, C channels, N samples. Images are RGB, NHWC, 0 to 255.
This file also runs on a device with Python 3.9: `Optional[...]`, and no keyword-only dataclasses;
build these values with keywords all the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Dict, Literal, Optional, Protocol, Tuple

SIDECAR_SCHEMA_VERSION = 1
WHOLE_FACE = "one aligned face with hair and chin, filling most of a square"
"""What pictures show that the detectors here cut out."""
GENDER_CLASSES = ("male", "female")  # UTKFace's own coding: 0 male, 1 female

HeadKind = Literal["binary", "classes", "median", "expectation", "regression", "decades"]
Scheme = Literal["float32", "int8", "float16", "dynamic"]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output tensor of a `.tflite`.

    Attributes:
        name: the tensor's name in the flatbuffer.
        shape: with batch, e.g. (1, 128, 128, 3).
        dtype: numpy name: "float32", "int8" or "uint8".
        scale: real = scale * (q - zero_point); None for float tensors.
        zero_point: see `scale`.
    """

    name: str
    shape: Tuple[int, ...]
    dtype: str
    scale: Optional[float] = None
    zero_point: Optional[int] = None


@dataclass(frozen=True)
class HeadSpec:
    """How one output tensor becomes one attribute of a face.

    Attributes:
        name: the attribute, e.g. "gender".
        kind: "binary": one logit, its sigmoid is the probability of `classes[1]`;
            "classes": one logit a class, their softmax are the probabilities;
            "median": one logit a bin, the value is the median of their softmax over `bins`;
            "expectation": one logit a bin, the value is the softmax-weighted mean of `bins`;
            "decades": one logit a bin, the value is the likeliest of `bins`;
            "regression": the output is the value.
        tensor: name of the output tensor.
        classes: names by class number ("binary" and "classes").
        bins: the value each bin stands for, in `unit`, rising ("median", "expectation" and
            "decades").
        unit: e.g. "years"; empty for classes.
    """

    name: str
    kind: HeadKind
    tensor: str
    classes: Tuple[str, ...] = ()
    bins: Tuple[float, ...] = ()
    unit: str = ""

    @property
    def has_classes(self) -> bool:
        """Whether it names a class, and does not give a value."""
        return self.kind in ("binary", "classes")

    @property
    def has_bins(self) -> bool:
        """Whether it has one logit a bin."""
        return self.kind in ("median", "expectation", "decades")


@dataclass(frozen=True)
class ImageSpec:
    """What the model must be given.

    Attributes:
        side_px: height and width of the input.
        colour_order: of the three channels.
        low: the value of black.
        high: the value of white. Normalisation is inside the graph.
        resize: "area": OpenCV INTER_AREA when shrinking, INTER_LINEAR when enlarging.
        crop: what the pictures of the training set show, in words.
    """

    side_px: int
    colour_order: Literal["RGB"] = "RGB"
    low: float = 0.0
    high: float = 255.0
    resize: Literal["area"] = "area"
    crop: str = WHOLE_FACE


@dataclass(frozen=True)
class Contract:
    """All that a device must know to use a model as training did."""

    image: ImageSpec
    input: TensorSpec
    outputs: Tuple[TensorSpec, ...]
    heads: Tuple[HeadSpec, ...]


@dataclass(frozen=True)
class GoldenVector:
    """One input and the outputs the model must give for it.

    Attributes:
        png_base64: the picture before resizing, RGB, as PNG.
        outputs: raw output tensors flattened, in the order of `Contract.outputs`.
        tolerance: largest allowed difference of one raw value: quantization steps for integer
            outputs, absolute for float ones.
    """

    png_base64: str
    outputs: Tuple[Tuple[float, ...], ...]
    tolerance: float


@dataclass(frozen=True)
class Metric:
    """One quality figure with its bootstrap interval.

    Attributes:
        task: name of the head, e.g. "gender" or "age".
        name: e.g. "accuracy", "mae", "precision_female".
        value: in `unit`.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        unit: "ratio", "years" or "images".
        n: images it was computed on.
    """

    task: str
    name: str
    value: float
    low: float
    high: float
    unit: str
    n: int


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of training reached.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's batches, augmented, so not comparable with validation.
        validation_loss: of the same losses on the validation split, as it is; None of a model that
            was trained before this was kept.
        train: by head, the figure below on some training images as they are; says how much the
            network learned by heart, and chooses nothing.
        validation: by head, on the validation split: of classes the accuracy, 0 to 1; of age the
            mean absolute error in years.
        score: lower is better; see `model.judging.score_of`.
    """

    epoch: int
    train_loss: float
    validation_loss: Optional[float]
    train: Dict[str, float]
    validation: Dict[str, float]
    score: float


@dataclass(frozen=True)
class Quality:
    """Metrics of one artifact, computed by running the `.tflite` on held-out images.

    Attributes:
        data: what the images are, e.g. "drawn faces" or the folder's name.
        split: always a held-out one: "validation" or "test".
        manifest_sha256: of the manifest that made the split.
        n: images.
        metrics: the figures.
    """

    data: str
    split: str
    manifest_sha256: str
    n: int
    metrics: Tuple[Metric, ...]


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from: enough to make it again.

    Attributes:
        run_id: digest of recipe, data and weights; two runs with one id are the same run.
        recipe: the resolved recipe.
        seed: of everything random.
        data: what it was trained on, e.g. "drawn faces"; "none" for an untrained model.
        data_kind: "drawn", "folder" or "none".
        manifest_sha256: of the training data's manifest; empty if there was none.
        calibration_ids: training images that set the int8 ranges; empty for float models.
        weights: what training started from.
        trained: False where the weights are random, so that only latency and size mean anything.
        pruning_ratio: share of prunable channels removed, as achieved; 0 if not pruned.
        parameters: of the network as it runs.
        macs: multiply-and-adds of one inference.
        versions: of the software that made it.
        commit: of the edgeface repository, "unknown" outside one.
        created_utc: ISO 8601.
        steps: what was done to the trained network, in order and in words, e.g. "45 % of channels
            pruned"; empty for an uncompressed one.
        start_sha256: of the trained model (`.keras`) that `compress --model` started from; empty
            where the run trained its own.
    """

    run_id: str
    recipe: Dict[str, Any]
    seed: int
    data: str
    data_kind: Literal["drawn", "folder", "none"]
    manifest_sha256: str
    calibration_ids: Tuple[str, ...]
    weights: str
    trained: bool
    pruning_ratio: float
    parameters: int
    macs: int
    versions: Dict[str, str]
    commit: str
    created_utc: str
    steps: Tuple[str, ...] = ()
    start_sha256: str = ""


@dataclass(frozen=True)
class Sidecar:
    """`NAME.json`, what stands beside `NAME.tflite`; a device needs nothing but these two files.

    Attributes:
        schema_version: see `SIDECAR_SCHEMA_VERSION`.
        name: `<backbone>-a<width %>-<side>px[-p<pruned %>]-<scheme>`.
        backbone: e.g. "mobilenetv2".
        scheme: "float32"; "int8"; "float16" and "dynamic", whose inputs and outputs are float32.
        sha256: of the `.tflite` file.
        size_bytes: of the `.tflite` file.
        contract: what goes in and what comes out.
        golden: inputs with the outputs they must give.
        provenance: how the model was made.
        quality: measured on held-out images; None reads "not measured".
        licence: what the weights may be used for.
    """

    schema_version: int
    name: str
    backbone: str
    scheme: Scheme
    sha256: str
    size_bytes: int
    contract: Contract
    golden: Tuple[GoldenVector, ...]
    provenance: Provenance
    quality: Optional[Quality]
    licence: str


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, steps: int, note: str = "") -> None:
        """Advance by `steps` and show `note` beside the bar."""


class Reporter(Protocol):
    """Where stages say what they do; stages themselves never print."""

    def say(self, text: str) -> None:
        """Tell the user one line."""

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show a progress bar of `total` steps while the context is open."""


class SilentReporter:
    """A reporter that shows nothing: for library use and tests."""

    def say(self, text: str) -> None:
        """Drop the line."""

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """Show nothing."""

        def advance(steps: int, note: str = "") -> None:
            """Drop the step."""

        return nullcontext(advance)
