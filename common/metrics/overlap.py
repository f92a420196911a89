"""How far predicted masks and true objects cover each other, from run lengths or from label maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from common.rle import RLE


@dataclass(frozen=True)
class MapOverlap:
    """Cells of a predicted and a true label map against each other.

    Attributes:
        predicted: (P,) ids of the predicted cells, ascending.
        truth: (T,) ids of the true cells, ascending.
        iou: (P, T) float32 intersection over union.
    """

    predicted: np.ndarray
    truth: np.ndarray
    iou: np.ndarray


def rle_overlap(predicted: Sequence[RLE], truth: Sequence[RLE], group_of: np.ndarray) -> np.ndarray:
    """Overlap of P predicted masks with T true objects of one image.

    Args:
        predicted: P masks, T true ones of the same size.
        truth: T masks.
        group_of: (T,) bool, the objects that stand for a group.

    Returns:
        (P, T) float32: intersection over union with an ordinary object, the covered share of the predicted
        mask with a group. Each value equals the quotient of two float32 areas, bit for bit.
    """
    if not len(predicted) or not len(truth):
        return np.zeros((len(predicted), len(truth)), dtype=np.float32)
    return coco.iou(list(predicted), list(truth), group_of.astype(np.uint8).tolist()).astype(np.float32)


def overlap_matrix(predicted: np.ndarray, truth: np.ndarray) -> MapOverlap:
    """Overlap of all cells of two label maps, by counting pairs of labels once.

    Args:
        predicted: (H, W) unsigned integers, 0 background.
        truth: (H, W) likewise; its ids need not be those of ``predicted``.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted map {predicted.shape} and true map {truth.shape} must have one shape")
    rows, predicted_ids = _numbered(predicted)
    columns, truth_ids = _numbered(truth)
    width = len(truth_ids) + 1
    rows *= width  # in place: at full size each of these arrays is 75 megabytes
    rows += columns
    table = np.bincount(rows.ravel(), minlength=(len(predicted_ids) + 1) * width).reshape(-1, width)
    both = table[1:, 1:]
    either = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - both
    return MapOverlap(predicted_ids, truth_ids, (both / either).astype(np.float32))


def _numbered(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map with its ids renumbered 1, 2, ... without holes, and the ids."""
    present = np.bincount(mask.ravel()) > 0
    present[:1] = True
    number = np.cumsum(present, dtype=np.intp) - 1
    return number[mask], np.flatnonzero(present)[1:]
