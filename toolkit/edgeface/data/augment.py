"""What training does to faces so that the network does not learn them by heart.

In: a batch of pictures and a seed. Out: the same faces moved, turned, relit and disturbed, each by
its own random amounts. numpy and OpenCV on uint8, because that takes a fifth of the processor time
of the same steps in TensorFlow (benchmarks/LOG.md), and training needs the rest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.config import AugmentSpec

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Draws = NDArray[np.float64]

# Source: ITU-R BT.601 luma, as in PIL's ImageEnhance.Color.
LUMA = (0.299, 0.587, 0.114)
# chosen: at 128 px the widest blur leaves eyes and mouth apart; the narrowest is just visible.
BLUR_SIGMA_RATIO = (0.004, 0.016)
# Source: Zhong et al. 2020, Random Erasing (arXiv 1708.04896), aspects 0.3 to 3.3 and at least
# 2 %; at most 20 % instead of 40, chosen because two fifths of an aligned crop hide the face.
ERASE_AREA_RATIO = (0.02, 0.2)
ERASE_ASPECT = (0.3, 1 / 0.3)


class _Draws(NamedTuple):
    """Uniform draws -1 to 1, one a picture; those of a step that is off are not used."""

    flip: Draws
    zoom: Draws
    shift_x: Draws
    shift_y: Draws
    turn: Draws
    tilt: Draws
    tilt_axis: Draws
    gain: Draws
    offset: Draws
    saturation: Draws
    red: Draws
    green: Draws
    blue: Draws
    shade: Draws
    shade_from: Draws
    blur: Draws
    blur_width: Draws
    noise: Draws
    noise_from: Draws
    erase: Draws
    erase_area: Draws
    erase_aspect: Draws
    erase_x: Draws
    erase_y: Draws


def augment_batch(images: Pixels, spec: AugmentSpec, random_seed: tuple[int, ...]) -> Floats:
    """Change each picture of a batch by its own random amounts.

    In this order: moved (mirrored, zoomed, shifted, turned, tilted in depth; the outside is the
    mirrored inside), blurred, saturation, light and channels, shade, noise, a rectangle covered.
    A step whose amount is 0 is left out.

    Args:
        images: uint8 [B, side, side, 3], RGB, side 2 or more.
        spec: how much of what.
        random_seed: equal seeds give equal results.

    Returns:
        float32 [B, side, side, 3], 0 to 255; whole grey levels but for light, shade and noise.
    """
    random = np.random.default_rng(random_seed)
    draws = _Draws(*random.uniform(-1.0, 1.0, (len(_Draws._fields), len(images))))
    grain = _grain(spec, images[0].size, random)
    done = np.empty(images.shape, np.float32)
    transforms = _transforms(spec, images.shape[1], draws) if _moves(spec) else None
    tables = _light_tables(spec, draws) if spec.light_ratio or spec.colour_ratio else None
    for at, image in enumerate(images):
        picture = image if transforms is None else _moved(image, transforms[at])
        if _chosen(draws.blur[at], spec.blur_ratio):
            picture = _blurred(picture, draws.blur_width[at])
        if spec.colour_ratio:
            picture = _saturated(picture, _factor(draws.saturation[at], spec.colour_ratio))
        done[at] = picture if tables is None else cv2.LUT(picture, tables[at])
        if spec.shade_ratio:
            done[at] *= _ramp(len(image), spec.shade_ratio * draws.shade[at], draws.shade_from[at])
        if spec.noise_levels:
            start = int((draws.noise_from[at] + 1) / 2 * image.size)
            noise = grain[start : start + image.size].reshape(image.shape)
            done[at] += np.float32(draws.noise[at] * spec.noise_levels) * noise
        if _chosen(draws.erase[at], spec.erase_ratio):
            rows, columns = _rectangle(len(image), draws, at)
            hole = done[at, rows, columns]
            hole[...] = random.integers(0, 256, hole.shape, np.uint8)
    if spec.shade_ratio or spec.noise_levels:
        np.clip(done, 0.0, 255.0, out=done)
    return done


def _chosen(draw: float, share: float) -> bool:
    return bool(draw < 2 * share - 1)


def _factor(draw: float, share: float) -> float:
    # as likely below as above 1, from 1 / (1 + share) to 1 + share
    return math.exp(draw * math.log1p(share))


def _grain(spec: AugmentSpec, values: int, random: np.random.Generator) -> Floats:
    # twice a picture: each takes a stretch from its own place, which costs a twentieth of own draws
    count = 2 * values if spec.noise_levels else 0
    return random.standard_normal(count, np.float32)


def _moves(spec: AugmentSpec) -> bool:
    amounts = (spec.scale_ratio, spec.shift_ratio, spec.rotate_degrees, spec.tilt_ratio)
    return spec.flip or any(amounts)


def _transforms(spec: AugmentSpec, side_px: int, draws: _Draws) -> NDArray[np.float64]:
    """Map output to input coordinates, float64 [B, 3, 3].

    From right to left: to the centre, undo the tilt, turn and zoom, mirror, shift, back from the
    centre. The tilt divides by 1 + p·x/h (or y), h from the centre to the edge: with p = t/(2 - t)
    one edge comes out (1 - p)/(1 + p) = 1 - t as long as the opposite one. It comes first in the
    output, where |x| is at most h, so that the divisor stays above 0 at any zoom and shift.

    Source:
        Hartley and Zisserman 2004, Multiple View Geometry, 2.4: a projectivity with vanishing line.
    """
    centre = (side_px - 1) / 2
    angle = draws.turn * math.radians(spec.rotate_degrees)
    scale = 1.0 + draws.zoom * spec.scale_ratio
    mirror = np.where(draws.flip > 0, -1.0, 1.0) if spec.flip else np.ones_like(draws.flip)
    share = np.abs(draws.tilt) * spec.tilt_ratio
    bend = np.sign(draws.tilt) * share / (2 - share) / centre
    sideways = draws.tilt_axis > 0
    move, depth = np.zeros((2, len(scale), 3, 3))
    move[:, 0, 0] = mirror * scale * np.cos(angle)
    move[:, 0, 1] = -mirror * scale * np.sin(angle)
    move[:, 1, 0] = scale * np.sin(angle)
    move[:, 1, 1] = scale * np.cos(angle)
    move[:, 0, 2] = draws.shift_x * spec.shift_ratio * side_px
    move[:, 1, 2] = draws.shift_y * spec.shift_ratio * side_px
    move[:, 2, 2] = 1.0
    depth[:] = np.eye(3)
    depth[:, 2, 0] = np.where(sideways, bend, 0.0)
    depth[:, 2, 1] = np.where(sideways, 0.0, bend)
    there, back = np.eye(3), np.eye(3)
    there[:2, 2], back[:2, 2] = -centre, centre
    return np.asarray(back @ move @ depth @ there)


def _moved(picture: Pixels, transform: NDArray[np.float64]) -> Pixels:
    return cv2.warpPerspective(
        picture,
        transform,
        picture.shape[:2],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    ).astype(np.uint8, copy=False)


def _blurred(picture: Pixels, draw: float) -> Pixels:
    low, high = BLUR_SIGMA_RATIO
    sigma_px = len(picture) * (low + (high - low) * (draw + 1) / 2)
    taps = 2 * math.ceil(3 * sigma_px) + 1
    kernel = cv2.getGaussianKernel(taps, sigma_px, cv2.CV_32F)
    # not GaussianBlur, which is slower and starts threads where training needs the cores
    blurred = cv2.sepFilter2D(picture, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)
    return blurred.astype(np.uint8, copy=False)


def _saturated(picture: Pixels, factor: float) -> Pixels:
    # x + (factor - 1)(x - luma), rounded to a grey level; a grey pixel stays what it is
    mix = factor * np.eye(3) + (1 - factor) * np.array(LUMA)
    return cv2.transform(picture, mix).astype(np.uint8, copy=False)


def _light_tables(spec: AugmentSpec, draws: _Draws) -> Floats:
    """Make what each grey level becomes, float32 [B, 256, 1, 3], 0 to 255.

    ((x - 127.5) · contrast + 127.5 + lift) · channel: 256 sums a channel instead of one a pixel.
    """
    contrast = np.exp(draws.gain * math.log1p(spec.light_ratio))[:, None, None]
    lift = (draws.offset * spec.light_ratio * 127.5)[:, None, None]
    channels = np.exp(
        np.stack([draws.red, draws.green, draws.blue], axis=1) * math.log1p(spec.colour_ratio)
    )
    levels = np.arange(256.0)[None, :, None]
    relit = ((levels - 127.5) * contrast + 127.5 + lift) * channels[:, None, :]
    return np.clip(relit, 0.0, 255.0).astype(np.float32)[:, :, None, :]


def _ramp(side_px: int, strength: float, direction: float) -> Floats:
    # 1 ± strength in the two corners or edges that are farthest along the direction
    angle = direction * math.pi
    x, y = math.cos(angle), math.sin(angle)
    place = np.linspace(-1.0, 1.0, side_px) * strength / (abs(x) + abs(y))
    across = np.repeat(1.0 + x * place, 3)
    ramp = np.add.outer(y * place, across).astype(np.float32)
    return ramp.reshape(side_px, side_px, 3)


def _rectangle(side_px: int, draws: _Draws, at: int) -> tuple[slice, slice]:
    low, high = ERASE_AREA_RATIO
    area = low + (high - low) * (draws.erase_area[at] + 1) / 2
    aspect = math.exp(draws.erase_aspect[at] * math.log(ERASE_ASPECT[1]))
    height = max(1, round(side_px * math.sqrt(area * aspect)))
    width = max(1, round(side_px * math.sqrt(area / aspect)))
    top = round((side_px - height) * (draws.erase_y[at] + 1) / 2)
    left = round((side_px - width) * (draws.erase_x[at] + 1) / 2)
    return slice(top, top + height), slice(left, left + width)
