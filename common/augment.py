"""Augmentations by name: functions of pixels and a generator, so that a seed decides the picture.

The flips are our own three lines: albumentations 2.0.8 takes 4 s to import and, seeded per picture, makes all its
transforms draw alike (8 orientations become 2).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

Name = Literal["hflip", "vflip", "transpose"]
TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hflip": lambda pixels: pixels[:, ::-1],
    "vflip": lambda pixels: pixels[::-1],
    "transpose": lambda pixels: pixels.swapaxes(0, 1),
}


def augment(pixels: np.ndarray, names: tuple[Name, ...], rng: np.random.Generator) -> np.ndarray:
    """Apply each named transform with probability one half to a (H, W, C) picture."""
    for name in names:
        if rng.random() < 0.5:
            pixels = TRANSFORMS[name](pixels)
    return pixels
