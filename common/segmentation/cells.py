"""Cells grown from nuclei over the microtubule and ER channels."""

from typing import Protocol

import cv2
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from common.segmentation.grey import above_black, disc

FLOOR = 0.01
"""Added to grey levels before the logarithm, over their 99th percentile: deeper shades of black are equal."""

REACH_UM = 20.0
"""A typical cell radius: the length that ``distance_weight`` refers to."""

CRUMB_UM = 1.1
"""Radius of the disc that closes gaps between filaments and cuts spikes and crumbs off."""


class CellParams(Protocol):
    """The part of ``ClassicalParams`` that cells need."""

    @property
    def px_per_um(self) -> float: ...
    @property
    def cell_smoothing_um(self) -> float: ...
    @property
    def min_cell_um2(self) -> float: ...
    @property
    def cell_threshold_ratio(self) -> float: ...
    @property
    def distance_weight(self) -> float: ...


def grow_cells(
    microtubules: np.ndarray, reticulum: np.ndarray, nuclei: np.ndarray, params: CellParams
) -> np.ndarray:
    """Give each nucleus its cell.

    Args:
        microtubules: (h, w) float32, grey level, any scale.
        reticulum: (h, w) float32, likewise.
        nuclei: (h, w) int32, 0 background, 1..n.
        params: lengths and ratios.

    Returns:
        (h, w) int32, 0 background; value k is the cell of nucleus k, without holes. Ids of too small
        cells are missing.
    """
    if not nuclei.any():
        return np.zeros(nuclei.shape, np.int32)
    sigma = params.cell_smoothing_um * params.px_per_um
    signal = above_black(cv2.GaussianBlur(_mix(microtubules, reticulum), (0, 0), sigma))
    round_off = disc(CRUMB_UM * params.px_per_um)
    region = _region(signal, params.cell_threshold_ratio, round_off) | (nuclei > 0)
    bright = np.sqrt(np.clip(signal / max(np.percentile(signal[region], 90), 1e-9), 0, 1))
    distance = cv2.distanceTransform((nuclei == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    cost = params.distance_weight * distance / (REACH_UM * params.px_per_um) - bright
    grown = watershed(cost, nuclei, mask=region)
    return _tidy(grown, nuclei, round_off, params.min_cell_um2 * params.px_per_um**2)


def _mix(microtubules: np.ndarray, reticulum: np.ndarray) -> np.ndarray:
    """Mean of both channels over their 99th percentiles: a dim stain counts as much as a bright one."""
    tops = [float(np.percentile(channel, 99)) for channel in (microtubules, reticulum)]
    return (microtubules / max(tops[0], 1e-9) + reticulum / max(tops[1], 1e-9)) / 2


def _region(signal: np.ndarray, ratio: float, round_off: np.ndarray) -> np.ndarray:
    """What is not background, (h, w) bool. Cells fade towards their edge: hence Otsu of the logarithm."""
    floor = FLOOR * max(float(np.percentile(signal, 99)), 1e-9)
    threshold = ratio * (np.exp(threshold_otsu(np.log(signal + floor))) - floor)
    region = cv2.morphologyEx((signal > threshold).astype(np.uint8), cv2.MORPH_CLOSE, round_off)
    return cv2.morphologyEx(region, cv2.MORPH_OPEN, round_off) > 0


def _tidy(grown: np.ndarray, nuclei: np.ndarray, round_off: np.ndarray, min_area: float) -> np.ndarray:
    """Smooth each cell, keep the part that holds most of its nucleus, fill its holes, drop the small ones."""
    out = np.zeros(grown.shape, np.int32)
    for label, box in enumerate(ndimage.find_objects(grown), 1):
        if box is None:
            continue
        core = nuclei[box] == label
        cell = cv2.morphologyEx((grown[box] == label).astype(np.uint8), cv2.MORPH_OPEN, round_off) | core
        _, parts = cv2.connectedComponents(cell, connectivity=4)
        cell = ndimage.binary_fill_holes(parts == np.bincount(parts[core]).argmax())
        if np.count_nonzero(cell) >= min_area:
            free = cell & ((grown[box] == label) | (grown[box] == 0))
            out[box][free] = label
    return out
