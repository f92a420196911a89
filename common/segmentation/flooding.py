"""Seeded watershed that floods pixel by pixel only where seeds compete."""

import cv2
import numpy as np
from skimage.segmentation import watershed

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""A pixel and its four neighbours."""


def flood(
    height: np.ndarray, seeds: np.ndarray, mask: np.ndarray, level: int = 0, lines: bool = False
) -> np.ndarray:
    """Grow seeds over a mask from high to low: scikit-image's watershed of ``-height``, except for ties.

    A part of the mask that holds one seed goes to that seed, in whatever order its pixels are flooded; so does
    a part above some level, for the flood fills it before it leaves it. Such parts are filled at once.

    Args:
        height: (H, W) uint8.
        seeds: (H, W) int32, 0 none.
        mask: (H, W) bool; nothing outside is labelled.
        level: height above which parts are looked at, besides the parts of the whole mask; 0: only these.
        lines: leave a line of zeros between labels that meet.

    Returns:
        (H, W) int32, 0 outside the mask and where no seed reaches.
    """
    labels = np.where(mask, seeds, 0)
    rim = np.flatnonzero(_rim(labels > 0))
    owners = labels.ravel()[rim]
    if level:
        owned = _owned(mask & (height >= level), rim, owners)
        np.copyto(labels, owned, where=(labels == 0) & (owned > 0))
    owned = _owned(mask, rim, owners)
    free = labels == 0
    np.copyto(labels, owned, where=free & (owned > 0))
    disputed = free & (owned < 0)
    if disputed.any():
        _flood_disputed(height, labels, disputed, lines)
    return labels


def _rim(region: np.ndarray) -> np.ndarray:
    """The pixels of a region, (H, W) bool, that touch pixels outside it."""
    return region & (cv2.erode(region.view(np.uint8), CROSS) == 0)


def _owned(region: np.ndarray, rim: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Find the seed of each 4-connected part of a region.

    Args:
        region: (H, W) bool.
        rim: (n,) int, places of the seeds' rims in the flat picture.
        owners: (n,) int32, the labels there.

    Returns:
        (H, W) int32: the label of the part's only seed, -1 in a part with several, 0 elsewhere.
    """
    count, parts = cv2.connectedComponents(region.view(np.uint8), connectivity=4)
    at = parts.ravel()[rim]
    table = np.zeros(count, np.int32)
    table[at] = owners
    table[at[table[at] != owners]] = -1
    table[0] = 0
    return np.take(table, np.asarray(parts, np.int32))


def _flood_disputed(height: np.ndarray, labels: np.ndarray, disputed: np.ndarray, lines: bool) -> None:
    """Label the disputed pixels in place, from the labelled pixels that touch them."""
    x, y, width, tall = cv2.boundingRect(cv2.dilate(disputed.view(np.uint8), CROSS))
    box = np.s_[y : y + tall, x : x + width]
    free = disputed[box]
    near = cv2.dilate(free.view(np.uint8), CROSS) > 0
    markers = np.where(near, labels[box], 0)
    grown = watershed(255 - height[box], markers, mask=free | (markers > 0), watershed_line=lines)
    np.copyto(labels[box], grown, where=free)
