"""What a picture's maps hold in each cell, for all cells and classes at once.

n cells, C classes, H x W pixels, P pixels in cells.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

Pooling = Literal["mean", "max", "positive_mean"]


class CellPixels:
    """The pixels of chosen cells of a mask, gathered once; ids that are not in the mask have none."""

    def __init__(self, mask: np.ndarray, ids: np.ndarray) -> None:
        """Take an (H, W) mask and the (n,) ids that give results their rows."""
        row_of = np.full(max(int(mask.max(initial=0)), int(ids.max(initial=0))) + 1, -1)
        row_of[ids] = np.arange(len(ids))
        rows = row_of[mask.ravel()]
        self.places = np.flatnonzero(rows >= 0)
        self.places = self.places[np.argsort(rows[self.places], kind="stable")]
        self.areas = np.bincount(rows[self.places], minlength=len(ids))
        ends = np.cumsum(self.areas)
        self._full = self.areas > 0
        self._starts = (ends - self.areas)[self._full]

    def gather(self, maps: np.ndarray) -> np.ndarray:
        """(C, H, W) to (C, P), cell by cell."""
        values: np.ndarray = maps.reshape(len(maps), math.prod(maps.shape[1:])).take(self.places, axis=1)
        return values

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(C, P) to (n, C) float64; of booleans, counts."""
        return self._reduce(np.add, values, np.intp if values.dtype == bool else np.float64)

    def maxima(self, values: np.ndarray) -> np.ndarray:
        """(C, P) to (n, C) float64; 0 for cells without pixels."""
        return self._reduce(np.maximum, values, values.dtype)

    def _reduce(self, how: np.ufunc, values: np.ndarray, kind: DTypeLike) -> np.ndarray:
        found = np.zeros((len(self.areas), len(values)))
        if len(self._starts):  # reduceat takes no empty list, and reads a neighbour's pixel for an empty cell
            found[self._full] = how.reduceat(values, self._starts, axis=1, dtype=kind).T
        return found


def pool_maps(maps: np.ndarray, cells: np.ndarray, ids: np.ndarray, how: Pooling) -> np.ndarray:
    """A score of each cell for each class: (n, C) float64, 0 for cells that the mask does not show.

    Args:
        maps: (C, H, W).
        cells: (H, W) mask.
        ids: (n,).
        how: the mean or the maximum over the cell, or the mean over its places above 0.
    """
    pixels = CellPixels(cells, ids)
    values = pixels.gather(maps)
    if how == "max":
        return pixels.maxima(values)
    counts = pixels.areas[:, None] if how == "mean" else pixels.sums(values > 0)
    return pixels.sums(values) / np.maximum(counts, 1)
