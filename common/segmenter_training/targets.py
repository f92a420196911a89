"""What a segmentation network is to say of each pixel, made from label maps: background, border or interior."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

BACKGROUND, BORDER, INTERIOR = 0, 1, 2
"""The order of the maps of HPA-Cell-Segmentation, which ``label_cells`` reads."""

CLASS_WEIGHTS = (1.0, 3.0, 1.0)
"""Borders are thin, and what separates cells."""


def nucleus_target(nuclei: np.ndarray, rim_px: int) -> np.ndarray:
    """Border is a rim outside nuclei, and inside where two touch: their interiors are whole, yet apart.

    Args:
        nuclei: (H, W) int, 0 background.
        rim_px: width of the rim.

    Returns:
        (H, W) uint8.
    """
    low, high = _lowest(nuclei, rim_px), _highest(nuclei, rim_px)
    touching = (nuclei > 0) & (low != high)
    near = (nuclei == 0) & (high > 0)
    return _classes(touching | near, nuclei > 0)


def cell_target(cells: np.ndarray, rim_px: int) -> np.ndarray:
    """Border is a rim inside cells, all round, except along the picture's edge; (H, W) int to (H, W) uint8."""
    rim = (_least(cells, rim_px) != _highest(cells, rim_px)) & (cells > 0)
    return _classes(rim, cells > 0)


def _classes(border: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.where(border, BORDER, np.where(inside, INTERIOR, BACKGROUND)).astype(np.uint8)


def _disc(radius_px: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))


def _highest(labels: np.ndarray, radius_px: int) -> np.ndarray:
    """The highest label near each pixel; beyond the picture's edge there is none."""
    return cv2.dilate(labels.astype(np.uint16), _disc(radius_px))


def _least(labels: np.ndarray, radius_px: int) -> np.ndarray:
    """The lowest value near each pixel, background included."""
    return cv2.erode(labels.astype(np.uint16), _disc(radius_px))


def _lowest(labels: np.ndarray, radius_px: int) -> np.ndarray:
    """The lowest label near each pixel, background left out."""
    return _least(np.where(labels > 0, labels, np.iinfo(np.uint16).max), radius_px)


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Weighted cross-entropy plus soft dice, the mean over nuclei and cells.

    Args:
        logits: (B, 6, H, W), three of nuclei, three of cells.
        targets: (B, 2, H, W) uint8, classes of nuclei and of cells.
    """
    weights = logits.new_tensor(CLASS_WEIGHTS)
    parts = [
        cross_entropy(half, truth.long(), weights) + _dice_loss(half, truth)
        for half, truth in zip(logits.split(3, 1), targets.unbind(1), strict=True)
    ]
    return torch.stack(parts).mean()


def _dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """One minus the dice of border and interior, over the whole batch."""
    probabilities = logits.softmax(1)
    losses = []
    for index in (BORDER, INTERIOR):
        found, wanted = probabilities[:, index], (truth == index).to(logits.dtype)
        losses.append(1 - (2 * (found * wanted).sum() + 1) / (found.sum() + wanted.sum() + 1))
    return torch.stack(losses).mean()
