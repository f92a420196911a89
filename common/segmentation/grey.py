"""Grey pictures: what nuclei and cells both need."""

import cv2
import numpy as np

EMPTY_RATIO = 1e-3
"""A picture whose brightest pixel stands less than this share above its black level is evenly grey."""


def above_black(grey: np.ndarray) -> np.ndarray:
    """Subtract the black level (1st percentile) of (H, W); what lies below is 0. An even picture is all 0."""
    black, top = np.percentile(grey, 1), grey.max()
    if top - black <= EMPTY_RATIO * top:
        return np.zeros_like(grey)
    return np.maximum(grey - black, 0).astype(np.float32)


def disc(radius: float) -> np.ndarray:
    """A disc for morphology, (2r + 1, 2r + 1) uint8, with r = ``radius`` px rounded, at least 1."""
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
