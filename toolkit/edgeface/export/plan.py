"""What is done to quantize one float `.tflite`: a value, so that plans can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeface.errors import CompressionError

QuantizationScheme = Literal["int8", "float16", "dynamic"]
RangeChoice = Literal["extremes", "error"]


@dataclass(frozen=True, kw_only=True)
class QuantizePlan:
    """How a float model becomes a quantized one.

    Attributes:
        scheme: "int8": weights and activations int8, ranges from calibration images; "float16":
            weights stored in 16 bits, computed in float32, half the bytes; "dynamic": weights
            int8, activations float32 that the kernels quantize as they run.
        equalize: shift scale between the channels of neighbouring layers, so that one step of
            int8 suits all of them; see `equalization.equalize`.
        ranges: of the activations: "extremes" over the calibration images, or those with the
            least squared "error" there; see `range_search.least_error_ranges`.
        correct_biases: take back the shift that rounding gives each channel; see
            `bias_correction.correct_biases`.
        refit_heads: fit the heads anew on the quantized features; see `head_refit.refit_heads`.
        float_layers: output tensors of convolutions and dense layers that stay float32, as
            `sensitivity` names them.
        allow_slow: take a scheme that is known to be slower than float32 for this network.

    Raises:
        CompressionError: a choice that the scheme has no place for.

    Source:
        Extremes with corrected biases cost 0.01 to 0.03 years on UTKFace (benchmarks/LOG.md). The
        other steps are off until they are shown to gain on it: benchmarks/quantization.py measures
        them. The scheme: docs/field.md, box B.
    """

    scheme: QuantizationScheme = "int8"
    equalize: bool = False
    ranges: RangeChoice = "extremes"
    correct_biases: bool = True
    refit_heads: bool = False
    float_layers: tuple[str, ...] = ()
    allow_slow: bool = False

    def __post_init__(self) -> None:
        """Refuse what would be ignored."""
        asked = {
            "equalize": self.equalize,
            "ranges = error": self.ranges != "extremes",
            "refit_heads": self.refit_heads,
            "float_layers": bool(self.float_layers),
        }
        unused = [name for name, chosen in asked.items() if chosen]
        if self.scheme != "int8" and unused:
            raise CompressionError(
                f"quantization plan: {', '.join(unused)} with scheme {self.scheme}, expected "
                "scheme int8: activations stay float32 here, so there is nothing to choose; "
                "leave it out"
            )
