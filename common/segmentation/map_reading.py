"""From the maps of the ``unet`` segmenter to labels: every nucleus grows to a cell, up to the borders it is shown.

``label_cells`` reads such maps as the competition's official code does. That code is meant for maps of 2048 px: it
gives a rim of each cell away, which is wide at the network's scale, and two nuclei never share a cell.
"""

from typing import Protocol

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from common.segmentation.label_maps import drop_small, fill_labels, renumber


class MapParams(Protocol):
    """The part of ``UnetParams`` that is needed here."""

    @property
    def nucleus_threshold(self) -> float: ...
    @property
    def cell_threshold(self) -> float: ...
    @property
    def join_threshold(self) -> float: ...
    @property
    def min_nucleus_um2(self) -> float: ...
    @property
    def min_cell_um2(self) -> float: ...


def read_maps(maps: np.ndarray, px_per_um: float, params: MapParams) -> tuple[np.ndarray, np.ndarray]:
    """Label nuclei and cells.

    Args:
        maps: (6, h, w) float32, probabilities of background, border and interior, of nuclei and then of cells.
        px_per_um: pixels of the maps in a um.
        params: thresholds and areas.

    Returns:
        nuclei and cells, (h, w) int32, 0 background; nuclei of one cell share its number, which is 1..n.
    """
    _, _, nucleus, background, border, interior = maps
    core = ndimage.binary_fill_holes(nucleus > params.nucleus_threshold)
    seeds = drop_small(ndimage.label(core)[0], params.min_nucleus_um2 * px_per_um**2)
    region = (1 - background > params.cell_threshold) | (seeds > 0)
    cells = join(watershed(border - interior, seeds, mask=region), border, params.join_threshold)
    cells = drop_small(fill_labels(cells), params.min_cell_um2 * px_per_um**2)
    return np.where(core, cells, 0), cells


def join(labels: np.ndarray, border: np.ndarray, threshold: float) -> np.ndarray:
    """Make neighbours one where the border along their contact is, on average, less probable than ``threshold``.

    Args:
        labels: (h, w) int32, 0 background.
        border: (h, w) float32, in [0, 1].

    Returns:
        (h, w) int32, 1..n without gaps.
    """
    owner = np.arange(int(labels.max(initial=0)) + 1)
    for (a, b), strength in sorted(_contacts(labels, border).items(), key=lambda item: item[1]):
        if strength < threshold:
            owner[owner == owner[b]] = owner[a]
    return renumber(owner[labels])


def _contacts(labels: np.ndarray, border: np.ndarray) -> dict[tuple[int, int], float]:
    """For each pair of neighbours, the mean over their contact of the border's probability."""
    firsts, seconds, strengths = [], [], []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = labels[one], labels[other]
        touch = (a != b) & (a > 0) & (b > 0)
        firsts.append(np.minimum(a[touch], b[touch]))
        seconds.append(np.maximum(a[touch], b[touch]))
        strengths.append(np.maximum(border[one][touch], border[other][touch]))
    pairs = np.stack([np.concatenate(firsts), np.concatenate(seconds)], 1)
    known, index = np.unique(pairs, axis=0, return_inverse=True)
    index = index.ravel()
    mean = np.bincount(index, np.concatenate(strengths)) / np.maximum(np.bincount(index), 1)
    return {(int(a), int(b)): float(value) for (a, b), value in zip(known, mean, strict=True)}
