"""Label maps of a reduced picture brought back to full size, with the outlines that full-size maps show."""

import cv2
import numpy as np

from common.segmentation.flooding import CROSS

SQUARE = np.ones((3, 3), np.uint8)
IN_CELL, IN_NUCLEUS, NEAR_NUCLEUS = 1, 2, 4
"""Bits of a reduced picture: a pixel inside a cell or nucleus with its neighbours; one in or beside a nucleus."""


def reduce(full: np.ndarray, factor: int) -> np.ndarray:
    """Average squares of ``factor`` px of (H, W) uint8; the last row and column are repeated to fill a square."""
    down, right = (-side % factor for side in full.shape)
    if down or right:
        full = cv2.copyMakeBorder(full, 0, down, 0, right, cv2.BORDER_REPLICATE)
    while factor % 2 == 0:  # OpenCV has a fast path for halves only: twice is 10 x faster than a quarter
        full = cv2.resize(full, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        factor //= 2
    return cv2.resize(full, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)


def restore(
    cells: np.ndarray,
    nuclei: np.ndarray,
    refused: np.ndarray,
    body: np.ndarray,
    core: np.ndarray,
    factor: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Enlarge labels; near outlines, full-size masks decide, and borders that the masks lack become smooth.

    Args:
        cells: (h, w) uint16 of a picture reduced by ``reduce``.
        nuclei: (h, w) bool, where a cell's nucleus is.
        refused: (h, w) bool, no cell although the maps see one.
        body: (H, W) bool, where the full-size maps see cells.
        core: (H, W) bool, where they see nuclei.
        factor: what the picture was reduced by.

    Returns:
        nuclei and cells, (H, W) uint16. A line of at least two zeros lies between cells.
    """
    height, width = body.shape
    code = IN_CELL * _inside(cells > 0) | IN_NUCLEUS * _inside(nuclei)
    code |= NEAR_NUCLEUS * cv2.dilate(nuclei.view(np.uint8), CROSS)
    place = _repeat(code, factor)[:height, :width]
    labels = _enlarge(cells, refused, factor)[:height, :width]
    labels = np.multiply(labels, body | ((place & IN_CELL) > 0))
    labels *= cv2.dilate(labels, CROSS) == cv2.erode(labels, CROSS)
    in_nucleus = (core & (place >= NEAR_NUCLEUS)) | ((place & IN_NUCLEUS) > 0)
    return np.multiply(labels, in_nucleus), labels


def _inside(region: np.ndarray) -> np.ndarray:
    return cv2.erode(region.view(np.uint8), CROSS)


def _repeat(small: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge by whole squares. Columns first: then whole rows are copied."""
    return small.repeat(factor, 1).repeat(factor, 0)


def _enlarge(cells: np.ndarray, refused: np.ndarray, factor: int) -> np.ndarray:
    """Enlarge (h, w) uint16 labels; where they meet each other or ``refused``, the largest soft mask wins.

    Labels first grow by a pixel into what the maps leave empty: there, the full-size maps draw the outline.
    """
    grown = np.where((cells > 0) | refused, cells, cv2.dilate(cells, SQUARE))
    empty = (grown == 0) & ~refused
    big = _repeat(grown, factor)
    least = cv2.erode(np.where(empty, 65535, grown).astype(np.uint16), SQUARE)
    rows, columns = np.nonzero((cv2.dilate(grown, SQUARE) != least) & ~empty)
    padded = cv2.copyMakeBorder(np.where(empty, -1, grown).astype(np.int32), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    around = np.stack([padded[rows + i, columns + j] for i in range(3) for j in range(3)], 1)
    around = np.where(around < 0, around[:, 4:5], around)  # empty pixels take no part
    soft = (around[:, :, None] == around[:, None, :]).astype(np.float32) @ _spline(factor)
    winners = np.take_along_axis(around, soft.argmax(1), 1)
    squares = big.reshape(len(grown), factor, -1, factor)
    squares[rows, :, columns, :] = winners.reshape(-1, factor, factor)
    return big


def _spline(factor: int) -> np.ndarray:
    """Weights of 3 x 3 pixels at the centre pixel's sub-pixels, (9, factor ** 2): quadratic B-splines."""
    at = (np.arange(factor) + 0.5) / factor - 0.5
    line = np.stack([(0.5 - at) ** 2 / 2, 0.75 - at**2, (0.5 + at) ** 2 / 2])
    return np.einsum("ai,bj->abij", line, line).reshape(9, -1).astype(np.float32)
