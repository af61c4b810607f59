"""How much of a model's quality is left on pictures that a cheap camera spoils.

In: faces, or an artifact and held-out faces. Out: spoiled faces, or `CorruptedQuality` values. The
clean faces are measured beside them, on the same images, because only the difference means much.
numpy and OpenCV; nothing here is used in training.

Source of the idea, and of the strengths of blur, noise and JPEG: Hendrycks and Dietterich 2019,
Benchmarking Neural Network Robustness to Common Corruptions and Perturbations (arXiv 1903.12261),
severities 1, 3 and 5 of its ImageNet-C. It has no rotation and one kind of light only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.bench.quality import check_predictable, predict_in_chunks, quality_of
from edgeface.data.faces import Faces
from edgeface.errors import BenchmarkError, DataError
from edgeface.model.metrics import has_truth
from edgeface.runtime.artifact import Artifact
from edgeface.runtime.predict import open_predictor, predict_faces
from edgeface.types import Metric, Reporter

Corruption = Literal["darker", "brighter", "blur", "noise", "jpeg", "rotation"]
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
STRENGTHS = (1, 2, 3)

CORRUPTION_IMAGES = 1000
"""Held-out images that corruptions are measured on, at most.

Chosen: 19 passes over all 4,073 test images of UTKFace would take VGG16 two hours. The clean images
are measured beside them, so that the loss is a paired difference and needs fewer.
"""

# chosen: photographers count light in stops (halvings); at -3 a face is hardly to be made out on a
# screen, at +1.5 half of a light skin is white
DARKER_STOPS = (-1.0, -2.0, -3.0)
BRIGHTER_STOPS = (0.5, 1.0, 1.5)
GAMMA = 2.2  # Source: IEC 61966-2-1 (sRGB), whose curve this approximates
BLUR_SIGMA_RATIO = (1 / 224, 3 / 224, 6 / 224)  # Source: ImageNet-C, pixels of its 224 px images
NOISE_LEVELS = (0.08 * 255, 0.18 * 255, 0.38 * 255)  # Source: ImageNet-C, Gaussian noise
JPEG_QUALITY = (25, 15, 7)  # Source: ImageNet-C
# chosen: 10° is within what training shows (±15°), 20° a tilted head, 30° beyond what alignment
# leaves
ROTATION_DEGREES = (10.0, 20.0, 30.0)


def _listed(values: tuple[float, ...], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


SETTINGS: dict[Corruption, str] = {
    "darker": f"{_listed(DARKER_STOPS, '+g')} stops",
    "brighter": f"{_listed(BRIGHTER_STOPS, '+g')} stops",
    "blur": f"sigma {_listed(tuple(100 * each for each in BLUR_SIGMA_RATIO), '.2g')} % of the side",
    "noise": f"sigma {_listed(NOISE_LEVELS, '.0f')} of 255",
    "jpeg": f"quality {_listed(JPEG_QUALITY, 'g')}",
    "rotation": f"{_listed(ROTATION_DEGREES, 'g')} degrees",
}
"""What strength 1, 2 and 3 of each corruption are, in words."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class CorruptedQuality:
    """A model on one kind of spoiled faces.

    Attributes:
        kind: of corruption; "none" for the same faces unspoiled.
        strength: 1 to 3; 0 with "none".
        n: images drawn, each with a label of any of the heads.
        metrics: each head's accuracy or MAE, as in `Quality`; of those with that head's label.
    """

    kind: Literal["none", "darker", "brighter", "blur", "noise", "jpeg", "rotation"]
    strength: int
    n: int
    metrics: tuple[Metric, ...]


def corrupt(images: Pixels, kind: Corruption, strength: int, seed: int) -> Pixels:
    """Spoil pictures; each by draws of its own, so that its neighbours do not matter.

    Args:
        images: uint8 [N, S, S, 3], RGB.
        kind: "darker" and "brighter": exposure, by stops; "blur": Gaussian, its width a share of
            the side; "noise": Gaussian, on every channel; "jpeg": saved at a low quality;
            "rotation": about the centre to one side or the other, the outside is the mirrored
            inside.
        strength: 1 (mild) to 3 (severe); `SETTINGS` says what they are.
        seed: of the noise and of the side turned to, 0 or more; equal seeds give equal pictures.

    Returns:
        uint8 [N, S, S, 3].

    Raises:
        DataError: the pictures have another form.
        ValueError: no such kind or strength.
    """
    if kind not in CORRUPTIONS or strength not in STRENGTHS:
        raise ValueError(
            f"corruption {kind!r} {strength}, expected one of {', '.join(CORRUPTIONS)} and 1 to 3"
        )
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise DataError(
            f"corruption: pictures are {images.dtype} {images.shape}, expected uint8 [N, S, S, 3]"
        )
    spoil = _SPOILERS[kind]
    spoiled = np.empty_like(images)
    for index, image in enumerate(images):
        random = np.random.default_rng((seed, CORRUPTIONS.index(kind), strength, index))
        spoiled[index] = spoil(image, strength - 1, random)
    return spoiled


def measure_corruptions(
    artifact: Artifact,
    faces: Faces,
    *,
    data: str,
    split: str,
    images: int = CORRUPTION_IMAGES,
    reporter: Reporter,
    threads: int = 1,
) -> tuple[CorruptedQuality, ...]:
    """Run an artifact on held-out faces as they are, then spoiled in every way and strength.

    Args:
        artifact: of a trained model.
        faces: images uint8 [N, side, side, 3] of the artifact's side.
        data: what the faces are, e.g. "drawn faces".
        split: "validation" or "test".
        images: drawn from the faces with a label of any of the heads, the same for every artifact
            of the same heads, at most; all if there are fewer.
        reporter: shows progress.
        threads: of the runtime.

    Returns:
        The clean faces, then each kind at strength 1 to 3.

    Raises:
        BenchmarkError: as `quality.measure_quality`; or `images` below 1.
        ArtifactError: the file cannot be run.
        DataError: labels that cannot be.
        ModelError: the model gives NaN.
    """
    if images < 1:
        raise BenchmarkError(f"corruptions: found {images} images, expected 1 or more")
    check_predictable(artifact, faces, data=data, split=split)
    heads = artifact.sidecar.contract.heads
    labelled = np.flatnonzero(np.any([has_truth(faces, head) for head in heads], axis=0))
    chosen = faces.take(labelled[_chosen(len(labelled), images)])
    predictor = open_predictor(artifact, threads=threads)
    found = []
    for kind, strength in _VARIANTS:
        spoiled = chosen
        if kind != "none":
            spoiled = replace(chosen, images=corrupt(chosen.images, kind, strength, _SEED))
        predicted = predict_in_chunks(
            lambda images: predict_faces(predictor, images),
            spoiled.images,
            label=f"{artifact.sidecar.name}, corruption {kind} {strength or ''}".rstrip(),
            reporter=reporter,
        )
        quality = quality_of(predicted, spoiled, heads, data=data, split=split, manifest_sha256="")
        metrics = tuple(each for each in quality.metrics if each.name in ("accuracy", "mae"))
        found.append(CorruptedQuality(kind=kind, strength=strength, n=quality.n, metrics=metrics))
    return tuple(found)


_SEED = 0  # of which images are drawn and of how they are spoiled, so that models can be compared
_Variant = tuple[Literal["none"] | Corruption, int]
_VARIANTS: tuple[_Variant, ...] = (
    ("none", 0),
    *((kind, strength) for kind in CORRUPTIONS for strength in STRENGTHS),
)


def _chosen(count: int, images: int) -> NDArray[np.int64]:
    drawn = np.random.default_rng(_SEED).permutation(count)[:images]
    return np.sort(drawn).astype(np.int64)


def _relit(image: Pixels, stops: float) -> Pixels:
    # light times 2^stops; what is stored is about light^(1 / gamma), so that it grows by the root
    levels = np.arange(256.0) * 2.0 ** (stops / GAMMA)
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    relit: Pixels = table[image]
    return relit


def _darker(image: Pixels, at: int, _: np.random.Generator) -> Pixels:
    return _relit(image, DARKER_STOPS[at])


def _brighter(image: Pixels, at: int, _: np.random.Generator) -> Pixels:
    return _relit(image, BRIGHTER_STOPS[at])


def _blurred(image: Pixels, at: int, _: np.random.Generator) -> Pixels:
    sigma_px = BLUR_SIGMA_RATIO[at] * len(image)
    blurred = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
    return blurred.astype(np.uint8, copy=False)


def _noisy(image: Pixels, at: int, random: np.random.Generator) -> Pixels:
    noise = NOISE_LEVELS[at] * random.standard_normal(image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def _jpeg(image: Pixels, at: int, _: np.random.Generator) -> Pixels:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[at]]
    done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR) if done else None
    if decoded is None:
        raise DataError(f"corruption: OpenCV cannot save a picture of {image.shape} as JPEG")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _rotated(image: Pixels, at: int, random: np.random.Generator) -> Pixels:
    degrees = ROTATION_DEGREES[at] * random.choice((-1.0, 1.0))
    centre = (len(image) - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), degrees, 1.0)
    turned = cv2.warpAffine(
        image, turn, image.shape[:2], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return turned.astype(np.uint8, copy=False)


_SPOILERS: dict[Corruption, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "darker": _darker,
    "brighter": _brighter,
    "blur": _blurred,
    "noise": _noisy,
    "jpeg": _jpeg,
    "rotation": _rotated,
}
