"""Nuclei of the blue channel: a threshold for the field, one for each nucleus, then splitting at necks."""

from typing import Protocol

import cv2
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from common.segmentation.grey import above_black, disc
from common.segmentation.label_maps import drop_small, renumber

STRUCTURE_RATIO = 0.25
"""Share of its variance that a picture of nuclei keeps under a three times wider blur; noise keeps 1/9."""

FIELD_RATIO = 0.5
"""Nuclei are looked for above this share of the field's Otsu threshold, so that dim ones are not lost."""

HEIGHT_RATIO = 0.4
"""A nucleus ends where its brightness falls to this share of its own upper quartile."""

DETAIL_UM = 1.0
"""Radius of the disc that closes bites of a nucleus (nucleoli at its edge) and smooths its outline."""


class NucleusParams(Protocol):
    """The part of ``ClassicalParams`` that nuclei need."""

    @property
    def px_per_um(self) -> float: ...
    @property
    def nucleus_smoothing_um(self) -> float: ...
    @property
    def min_nucleus_um2(self) -> float: ...
    @property
    def neck_ratio(self) -> float: ...
    @property
    def min_part_ratio(self) -> float: ...


def find_nuclei(blue: np.ndarray, params: NucleusParams) -> np.ndarray:
    """Label the nuclei.

    Args:
        blue: (h, w) float32, grey level, any scale.
        params: lengths and ratios.

    Returns:
        (h, w) int32, 0 background, 1..n without gaps. All zero where nothing but noise is seen.
    """
    scale = params.px_per_um
    sigma = params.nucleus_smoothing_um * scale
    smooth = above_black(cv2.GaussianBlur(blue, (0, 0), sigma))
    wide = cv2.GaussianBlur(smooth, (0, 0), 8**0.5 * sigma)
    if wide.var() <= STRUCTURE_RATIO * smooth.var():
        return np.zeros(blue.shape, np.int32)
    min_area = params.min_nucleus_um2 * scale**2
    mask = cv2.morphologyEx(_bright_objects(smooth, min_area), cv2.MORPH_CLOSE, disc(DETAIL_UM * scale))
    parts = split_touching(mask > 0, DETAIL_UM * scale, params.neck_ratio, params.min_part_ratio)
    return drop_small(parts, min_area)


def _bright_objects(smooth: np.ndarray, min_area: float) -> np.ndarray:
    """Mask of nuclei, (h, w) uint8: a low threshold finds them, each is then cut at a share of its height."""
    found = smooth > FIELD_RATIO * threshold_otsu(np.sqrt(smooth)) ** 2
    parts, _ = ndimage.label(found)
    out = np.zeros(found.shape, np.uint8)
    for part, box in enumerate(ndimage.find_objects(parts), 1):
        own = parts[box] == part
        if np.count_nonzero(own) >= min_area / 2:
            out[box] |= own & (smooth[box] > HEIGHT_RATIO * np.percentile(smooth[box][own], 75))
    return out


def split_touching(mask: np.ndarray, radius: float, neck_ratio: float, min_part_ratio: float) -> np.ndarray:
    """Label a mask of convex things that touch: watershed of the distance to the edge, then merging of lobes.

    Args:
        mask: (h, w) bool.
        radius: px; details of the outline below it are smoothed away.
        neck_ratio: two parts whose neck is wider than this share of the narrower part's width are one.
        min_part_ratio: a part with less than this share of the median part's area is a lobe of its neighbour.

    Returns:
        (h, w) int32, 0 background, 1..n without gaps.
    """
    solid = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc(radius))
    solid = ndimage.binary_fill_holes(solid)
    depth = cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    depth = cv2.GaussianBlur(depth, (0, 0), max(radius / 2, 1.0))
    tops, _ = ndimage.label((depth == cv2.dilate(depth, np.ones((5, 5)))) & solid, np.ones((3, 3)))
    parts = watershed(-depth, tops, mask=solid)
    return _merge_lobes(parts, depth, neck_ratio, min_part_ratio)


def _merge_lobes(
    parts: np.ndarray, depth: np.ndarray, neck_ratio: float, min_part_ratio: float
) -> np.ndarray:
    """Join neighbours, the least separate first, until each pair has a narrow neck and two full parts."""
    count = int(parts.max())
    index = np.arange(count + 1)
    area = np.bincount(parts.ravel(), minlength=count + 1).astype(float)
    peak = np.asarray(ndimage.maximum(depth, parts, index))
    necks = _necks(parts, depth)
    owner = index.copy()
    while necks:
        full_part = min_part_ratio * np.median(area[np.unique(owner[1:])])
        unity = {  # above 1: one nucleus
            (a, b): max(neck / (neck_ratio * min(peak[a], peak[b])), full_part / min(area[a], area[b]))
            for (a, b), neck in necks.items()
        }
        keep, gone = max(unity, key=unity.__getitem__)
        if unity[keep, gone] <= 1:
            break
        owner[owner == gone] = keep
        area[keep] += area[gone]
        peak[keep] = max(peak[keep], peak[gone])
        necks = _rename(necks, gone, keep)
    return renumber(owner[parts])


def _necks(parts: np.ndarray, depth: np.ndarray) -> dict[tuple[int, int], float]:
    """For each pair of neighbouring parts (smaller id first): half the width of their neck, px."""
    necks: dict[tuple[int, int], float] = {}
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = parts[first], parts[second]
        border = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
        width = np.minimum(depth[first][border], depth[second][border])
        for pair, value in zip(zip(low.tolist(), high.tolist(), strict=True), width.tolist(), strict=True):
            necks[pair] = max(necks.get(pair, 0.0), value)
    return necks


def _rename(necks: dict[tuple[int, int], float], gone: int, keep: int) -> dict[tuple[int, int], float]:
    renamed: dict[tuple[int, int], float] = {}
    for pair, neck in necks.items():
        a, b = sorted(keep if part == gone else part for part in pair)
        if a != b:
            renamed[a, b] = max(renamed.get((a, b), 0.0), neck)
    return renamed
