"""What the U-Net learns: a plane a class, painted with whole cells."""

import numpy as np

from approaches.cam_seg.cell_labels import CellLabels
from approaches.cam_seg.recipe import PseudoMaskParams
from common.classes import CLASSES, NEGATIVE


def paint_targets(labels: CellLabels, cells: np.ndarray, params: PseudoMaskParams) -> np.ndarray:
    """Paint each cell into the planes of the classes it shows (system C).

    Args:
        labels: of the cells of one image; a judged cell without a class above the threshold is Negative.
        cells: (H, W) mask, at any size.

    Returns:
        (20, H, W) uint8, 0 or 1: the classes, then what shows none: background and cells that were not judged.
    """
    shown = labels.confidence >= params.threshold
    shown[:, NEGATIVE] |= ~shown.any(axis=1)
    shown &= labels.judged[:, None]
    last = max(int(cells.max(initial=0)), int(labels.ids.max(initial=0)))
    planes = np.zeros((len(CLASSES) + 1, last + 1), np.uint8)
    planes[:-1, labels.ids] = shown.T
    planes[-1] = ~planes.any(axis=0)
    return planes[:, cells]
