"""Augmentations by name: functions of pixels and a generator, so that a seed decides the picture.

An entry of a recipe is ``name``, ``name=value`` or either with ``@probability``: ``rotate=90@0.5`` turns half of the
pictures by up to 90 degrees either way. Our own few lines on OpenCV: albumentations 2.0.8 takes 4 s to import and,
seeded per picture, makes all its transforms draw alike (8 orientations become 2).
"""

import re
from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np
from pydantic import AfterValidator

Rng = np.random.Generator


def orient(pixels: np.ndarray, rng: Rng) -> np.ndarray:
    """One of the 8 symmetries of a square, all alike likely (system A, 23rd place)."""
    turned = np.rot90(pixels, int(rng.integers(4)))
    return turned.swapaxes(0, 1) if rng.random() < 0.5 else turned


def rotate(pixels: np.ndarray, degrees: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Turn about the middle by up to ``degrees`` either way, in the same frame; 0 comes in from outside."""
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(-degrees, degrees), 1)
    how = cv2.INTER_NEAREST if ids else cv2.INTER_LINEAR
    return _with_channels(cv2.warpAffine(pixels, turn, (width, height), flags=how), pixels)


def rescale(pixels: np.ndarray, share: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Resize by 1 - ``share`` to 1 + ``share``; then cut a random window, or pad with 0 around (system E, 46th)."""
    height, width = pixels.shape[:2]
    scale = 1 + rng.uniform(-share, share)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    sized = _resize(pixels, size, ids)
    if scale >= 1:
        top, left = (int(rng.integers(0, extra + 1)) for extra in (size[1] - height, size[0] - width))
        return sized[top : top + height, left : left + width]
    out = np.zeros_like(pixels)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = sized
    return out


def crop(pixels: np.ndarray, least: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """A window of ``least`` to 1 of the area, 3 : 4 to 4 : 3, resized to the whole (system C, 15th place; mode 2).

    Albumentations' RandomResizedCrop: ten tries for a window that fits, then the whole picture.
    """
    height, width = pixels.shape[:2]
    for _ in range(10):
        area, ratio = rng.uniform(least, 1) * height * width, np.exp(rng.uniform(-1, 1) * np.log(4 / 3))
        rows, columns = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
        if 0 < rows <= height and 0 < columns <= width:
            top, left = (int(rng.integers(0, rest + 1)) for rest in (height - rows, width - columns))
            return _resize(pixels[top : top + rows, left : left + columns], (width, height), ids)
    return pixels


def griddrop(pixels: np.ndarray, parts: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Black squares on a grid whose unit is a ``parts``-th of the side to all of it (system C; modes 3 to 5: 4 or 3).

    A square is 0.4 of its unit wide, as in albumentations' GridDropout of that ratio.
    """
    side = min(pixels.shape[:2])
    unit = int(rng.integers(max(2, int(side / parts)), max(2, side) + 1))
    hole = max(1, int(0.4 * unit))
    kept = []
    for length in pixels.shape[:2]:
        first = int(rng.integers(0, unit - hole + 1))
        kept.append((np.arange(length) - first) % unit >= hole)
    return pixels * (kept[0][:, None] | kept[1])[..., None]


def relight(pixels: np.ndarray, share: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Contrast x (1 +- ``share``), brightness +- ``share`` of white, for all channels alike (system E)."""
    white = np.iinfo(pixels.dtype).max
    contrast, brightness = 1 + rng.uniform(-share, share), rng.uniform(-share, share) * white
    if ids:
        return pixels
    if pixels.dtype == np.uint8:
        table = np.clip(np.rint(np.arange(256) * contrast + brightness), 0, white).astype(np.uint8)
        return table[pixels]
    changed: np.ndarray = np.clip(np.rint(pixels * contrast + brightness), 0, white).astype(pixels.dtype)
    return changed


def coarsen(pixels: np.ndarray, least: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Reduce to ``least`` to 1.5 x ``least`` of the side, then enlarge again (system B, 4th: 256 to 384 of 512)."""
    height, width = pixels.shape[:2]
    share = rng.uniform(least, 1.5 * least)
    if ids:
        return pixels
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return _resize(_resize(pixels, size, ids, cv2.INTER_AREA), (width, height), ids)


def padsides(pixels: np.ndarray, most: float, rng: Rng, ids: bool = False) -> np.ndarray:
    """Put up to ``most`` of the side of black on each side, then reduce to the size before (system B: 200 of 512)."""
    height, width = pixels.shape[:2]
    top, bottom = (int(rng.uniform(0, most) * height) for _ in range(2))
    left, right = (int(rng.uniform(0, most) * width) for _ in range(2))
    padded = cv2.copyMakeBorder(pixels, top, bottom, left, right, cv2.BORDER_CONSTANT)
    return _resize(_with_channels(padded, pixels), (width, height), ids, cv2.INTER_AREA)


FIXED: dict[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "hflip": lambda pixels, rng: pixels[:, ::-1],
    "vflip": lambda pixels, rng: pixels[::-1],
    "transpose": lambda pixels, rng: pixels.swapaxes(0, 1),
    "orient": orient,
}
BY_VALUE: dict[str, tuple[Callable[[np.ndarray, float, Rng, bool], np.ndarray], float]] = {
    "rotate": (rotate, 180.0),
    "rescale": (rescale, 0.9),
    "relight": (relight, 1.0),
    "crop": (crop, 1.0),
    "griddrop": (griddrop, 16.0),
    "coarsen": (coarsen, 0.66),
    "padsides": (padsides, 1.0),
}
"""Each with the largest value it takes."""
ENTRY = re.compile(r"([a-z]+)(?:=(\d+(?:\.\d+)?))?(?:@(\d+(?:\.\d+)?))?")


def parse(entry: str) -> tuple[str, float | None, float]:
    """Name, value and probability, by default 0.5, of a recipe's entry.

    Raises:
        ValueError: says what is unknown, and what would be known.
    """
    found = ENTRY.fullmatch(entry)
    name, value, probability = found.groups() if found else (entry, None, None)
    if name not in FIXED and name not in BY_VALUE:
        known = ", ".join([*FIXED, *(f"{each}=<value>" for each in BY_VALUE)])
        raise ValueError(f"{entry!r} names no augmentation; known: {known}, each with @<probability>")
    if (name in BY_VALUE) != (value is not None):
        raise ValueError(f"{entry!r}: {name} takes {'a' if name in BY_VALUE else 'no'} value")
    if value is not None and not 0 < float(value) <= BY_VALUE[name][1]:
        raise ValueError(f"{entry!r}: the value lies above 0, and at most at {BY_VALUE[name][1]:g}")
    chance = 0.5 if probability is None else float(probability)
    if not 0 < chance <= 1:
        raise ValueError(f"{entry!r}: the probability lies above 0, and at most at 1")
    return name, None if value is None else float(value), chance


def check_entry(entry: str) -> str:
    """Return ``entry`` if it names an augmentation. Raises as ``parse``."""
    parse(entry)
    return entry


Augmentation = Annotated[str, AfterValidator(check_entry)]
"""The field of a recipe."""


def augment(pixels: np.ndarray, entries: tuple[Augmentation, ...], rng: Rng, ids: bool = False) -> np.ndarray:
    """Apply each entry, in order, with its probability, to a (H, W, C) uint8 or uint16 picture.

    Args:
        ids: the values are numbers of cells, which move but do not mix. A picture and its mask stay together where
            both are augmented by equal generators.
    """
    for entry in entries:
        name, value, probability = parse(entry)
        if rng.random() < probability:
            pixels = FIXED[name](pixels, rng) if value is None else BY_VALUE[name][0](pixels, value, rng, ids)
    return pixels


def _resize(pixels: np.ndarray, size: tuple[int, int], ids: bool, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST_EXACT if ids else how)
    return _with_channels(resized, pixels)


def _with_channels(pixels: np.ndarray, like: np.ndarray) -> np.ndarray:
    """OpenCV drops the axis of a single channel."""
    return pixels.reshape(*pixels.shape[:2], like.shape[2])
