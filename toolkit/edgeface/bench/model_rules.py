"""The rules that `inspect` judges a `.tflite` by: each in plain words, with where it comes from.

Figures "measured" are of a MobileNetV2 of 160 px, one thread, ai-edge-litert 2.3 on x86 (docs of
the field research that this project rests on); ratios differ on ARM, their cause does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class ModelFinding:
    """One thing about a model that its user should know.

    Attributes:
        rule: key of `RULES`.
        severity: "error": the file does not do what it claims, or is several times slower or wrong
            for sure; "warning": it costs accuracy, speed or size; "note": good to know.
        text: what was found, in one line; names in it are escaped.
        because: the rule, in one sentence.
        source: of the rule.
        operators: that it is about, by index; empty where it is about the whole file.
    """

    rule: str
    severity: Severity
    text: str
    because: str
    source: str
    operators: tuple[int, ...]


_MEASURED = "measured, MobileNetV2 160 px, ai-edge-litert 2.3, x86"
RULES: dict[str, tuple[str, str]] = {
    "runtime-refuses": (
        "A file that the runtime does not open runs nowhere that has this runtime.",
        "the runtime's own answer",
    ),
    "runtime-crashes": (
        "A file that ends the runtime's process would end the program that uses it.",
        "the end of the process that opened the file",
    ),
    "partitions-not-known": (
        "Only the runtime knows what its delegate takes; edgeface does not guess.",
        "edgeface's own rule",
    ),
    "outside-delegate": (
        "Operators that the delegate leaves run on slower kernels, and each change between the two "
        "costs time.",
        "read from the runtime's own nodes; LiteRT delegates/xnnpack/README.md",
    ),
    "dynamic-range-depthwise": (
        "XNNPACK takes no DEPTHWISE_CONV_2D of float activations with integer weights, so each one "
        "falls back and splits the graph: 3.1 to 4.2 times slower than float32. Use static int8.",
        f"XNNPACK: 'unsupported mixed types in DEPTHWISE_CONV_2D operator'; {_MEASURED}",
    ),
    "16x8": (
        "XNNPACK takes no int16 activations, so nothing is delegated: 47 times slower than "
        "float32. Use static int8, and keep sensitive layers float.",
        f"tensorflow#40282: no optimized kernels; {_MEASURED}",
    ),
    "float-inside-int8": (
        "What is computed in float gains neither int8's speed nor an integer-only device, and int8 "
        "weights alone are dynamic range: calibration had no effect on them.",
        "roboflow/rf-detr#1364, ai-edge-quantizer#474: 'int8' files that were dynamic range",
    ),
    "per-tensor-depthwise": (
        "Channels of a depthwise convolution differ much in range; one scale for all can cost most "
        "of the accuracy (99.5 % to 0.1 % in one report). Quantize per channel.",
        "Tiarin-Hino/ability-draft-plus#80; Krishnamoorthi 2018, arXiv 1806.08342, section 3",
    ),
    "float-input": (
        "The graph quantizes its input itself: the caller converts each picture to four times the "
        "bytes first, and a caller that passes int8 gets wrong answers.",
        "AEQ and the TensorFlow converter differ in just this; haverland#25: float fed to int8",
    ),
    "sparse-not-faster": (
        "Zeros make inference faster only on XNNPACK's sparse path, which takes whole float "
        "clusters and has six conditions; else they only make the download smaller.",
        "XNNPACK src/subgraph.c and LiteRT delegates/xnnpack/README.md, 2026-08",
    ),
    "sparse-stored-dense": (
        "Zeros that are stored like other values shrink only a compressed download, not the file, "
        "and change nothing in how long inference takes.",
        "tensorflow/model-optimization#722, #173; measured: same bytes at 80 % zeros",
    ),
    "sidecar-missing": (
        "Without NAME.json nobody knows how to prepare a picture or read the outputs.",
        "edgeface's artifact: NAME.tflite with NAME.json",
    ),
    "sidecar-mismatch": (
        "A sidecar that does not describe its file gives wrong answers without an error.",
        "edgeface's artifact: NAME.tflite with NAME.json",
    ),
    "output-clips": (
        "What an output cannot represent, it cannot predict: a ReLU6 ends at 6, a quantized tensor "
        "at its range. Take age from a linear output or over bins.",
        "tensorflow#44007: a regression output clamped to 0 to 6",
    ),
    "several-graphs": (
        "Only the first graph is inspected; what others hold is not known.",
        "edgeface's own limit",
    ),
}
"""By name: the rule in plain words, and its source."""


def finding(
    rule: str, severity: Severity, text: str, operators: tuple[int, ...] = ()
) -> ModelFinding:
    """Make a finding of one rule, with the rule's words and source."""
    because, source = RULES[rule]
    return ModelFinding(
        rule=rule,
        severity=severity,
        text=text,
        because=because,
        source=source,
        operators=operators,
    )
