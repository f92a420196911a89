"""Post-processing of three-map networks against the published algorithm: same masks, how much less CPU time.

    python -m benchmarks.label_cells --shared PATH

The peer is the published algorithm written down plainly at full size with scikit-image and SciPy. The maps are
made from the official cell masks and the classical nuclei of real fields: drawn at a quarter of the size, blurred
and enlarged, as the networks' maps are. Times are medians of CPU seconds, measured in turn in one run.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import closing, disk, remove_small_holes, remove_small_objects
from skimage.segmentation import find_boundaries, watershed

from benchmarks.segmentation import iou_table, read_fields
from common.errors import DataError
from common.segmentation.classical import ClassicalParams, segment
from common.segmentation.label_cells import LabelCellsParams, label_cells

MODES = ("exact", "fast")
REDUCTION = 4
"""The networks see a field at a quarter of its size."""


def published(nucleus_maps: np.ndarray, cell_maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label cells as HPA-Cell-Segmentation does, accidents included, except that more than 255 cells work.

    Args:
        nucleus_maps: (3, H, W) uint8: background, border, interior.
        cell_maps: (3, H, W) uint8, likewise.

    Returns:
        nuclei and cells, (H, W) uint16, numbered alike.
    """
    border, interior = cell_maps[1] / 255, cell_maps[2] / 255
    nuclei = published_nuclei(nucleus_maps, cell_maps)
    threshold = max(0.22, threshold_otsu(interior) / 2)
    height = -np.clip(cell_maps[2].astype(float), 255 * threshold, None)
    cells = watershed(height, nuclei, mask=interior > threshold)
    cells = closing(remove_small_objects(cells, max_size=5499), disk(6))
    cells = relabel_filled(cells)
    cells = watershed(height, cells, mask=(cells > 0) | (border > 0.05))
    cells = label(relabel_filled(cells) > 0)
    cells = label(remove_small_objects(cells, max_size=5499)).astype(np.uint16)
    kept = remove_small_objects(label((nuclei > 0) & (cells > 0)), max_size=2499) > 0
    return np.where(kept, cells, 0).astype(np.uint16), cells


def published_nuclei(nucleus_maps: np.ndarray, cell_maps: np.ndarray) -> np.ndarray:
    """Label nuclei of at least 2,500 px, (H, W) int; the sum of the two borders wraps at 256 as theirs does."""
    interior = nucleus_maps[2] / 255
    free = 1 - (nucleus_maps[1] + cell_maps[1]) / 255 > 0.05
    seeds = remove_small_objects(free & (interior > 0.4 - 0.25), max_size=499)
    mask = remove_small_holes(interior > 0.4, max_size=999)
    mask = remove_small_objects(mask, max_size=7)
    nuclei = watershed(mask.astype(np.uint8), ndimage.label(seeds)[0], mask=mask, watershed_line=True)
    return label(remove_small_objects(nuclei, max_size=2499))


def relabel_filled(labels: np.ndarray) -> np.ndarray:
    """Peel a pixel off every label, fill all holes, and number what is 4-connected."""
    return ndimage.label(ndimage.binary_fill_holes((labels > 0) & ~find_boundaries(labels)))[0]
