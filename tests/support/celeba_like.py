"""Small sets of drawn faces in the formats of the sets that the published systems were made on.

In: an empty folder. Out: pictures and tables laid out as CelebA, UTKFace, FER2013 and the eye crops
are. No face in them is real, and nothing can be said of a model from them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeface.data.drawn import draw_face, drawn_labels

# Source: CelebA's own header.
HEADER = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
)
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

Picture = NDArray[np.uint8]


def celeba_like(
    root: Path,
    count: int,
    *,
    copies: Mapping[int, int] | None = None,
    partition: Sequence[int] = (),
    seed: int = 1,
) -> Path:
    """Write `count` faces as CelebA's authors pack them, numbered from 000001.jpg.

    Args:
        root: gets `list_attr_celeba.txt`, `identity_CelebA.txt` and `img_align_celeba/`.
        count: faces.
        copies: numbers of pictures that are another one saved again, at another JPEG quality.
        partition: 0, 1 or 2 of each face; if there are any, `list_eval_partition.txt` is written.
        seed: of the faces.

    Returns:
        The folder.
    """
    of = {number: (copies or {}).get(number, number) for number in range(1, count + 1)}
    rows, identities = [], []
    for number, shown in of.items():
        face = draw_face(seed=seed, index=shown, side_px=64)
        name = f"{number:06d}.jpg"
        # 178 × 218 in CelebA: as wide as the face, and higher
        high = np.pad(face.image, ((7, 7), (0, 0), (0, 0)), mode="edge")
        save(root / "img_align_celeba" / name, high, quality=95 if number == shown else 60)
        has = {"Male": face.gender == 0, "Young": face.age_years < 40}
        values = ["1" if has.get(name, False) else "-1" for name in HEADER.split()]
        rows.append(f"{name} {' '.join(value.rjust(2) for value in values)}\n")
        identities.append(f"{name} {shown}\n")
    (root / "list_attr_celeba.txt").write_text(f"{count}\n{HEADER} \n{''.join(rows)}")
    (root / "identity_CelebA.txt").write_text("".join(identities))
    if partition:
        lines = (f"{n:06d}.jpg {split}\n" for n, split in enumerate(partition, start=1))
        (root / "list_eval_partition.txt").write_text("".join(lines))
    return root


def utkface_like(root: Path, count: int, *, seed: int = 2) -> Path:
    """Write `count` faces named as UTKFace's are."""
    for index in range(count):
        age_years, gender = drawn_labels(seed=seed, index=index)
        name = f"{age_years}_{gender}_{index % 5}_{20170109_000000_000 + index}.jpg.chip.jpg"
        save(root / name, draw_face(seed=seed, index=index, side_px=64).image)
    return root


def fer2013_like(root: Path, counts: Mapping[str, int], *, seed: int = 3) -> Path:
    """Write grey faces of 48 px, each expression `counts[split]` times in the folder of a split."""
    index = 0
    for split, count in counts.items():
        for expression in EXPRESSIONS:
            for _ in range(count):
                face = draw_face(seed=seed, index=index, side_px=48).image
                save(root / split / expression / f"im{index}.png", grey(face))
                index += 1
    return root


def eyes_like(root: Path, count: int, *, seed: int = 4) -> Path:
    """Write `count` grey crops of a drawn face's eye, 56 px, in `female/` and `male/`."""
    for index in range(count):
        face = draw_face(seed=seed, index=index, side_px=256)
        folder = ("male", "female")[face.gender]
        save(root / folder / f"{index}.jpg", grey(face.image[90:146, 72:128]))
    return root


def with_glasses(face: Picture) -> Picture:
    """Draw dark glasses over the eyes of a drawn face."""
    side = len(face)
    drawn = face.copy()
    for x in (0.38, 0.62):
        centre, axes = (
            (round(x * side), round(0.47 * side)),
            (round(0.1 * side), round(0.07 * side)),
        )
        cv2.ellipse(drawn, centre, axes, 0, 0, 360, (10, 10, 10), -1)
    return drawn


def grey(face: Picture) -> Picture:
    """Make a picture grey, uint8 [H, W]."""
    return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)


def save(path: Path, picture: Picture, *, quality: int = 95) -> None:
    """Write an RGB or a grey picture; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    assert cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


def copy_file(path: Path, to: Path) -> None:
    """Copy a picture, byte for byte."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
