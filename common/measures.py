"""What the pixels of a cell say about its quality: numbers without a limit, which ``common.quality`` judges.

Brightness is on the 8-bit scale (16 bit / 257). Lengths are shares of the picture's longer side, which is taken for a
whole field of 164 um, so that a number means the same at 512 and at 3072 px.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from common.cells import BOX
from common.classes import COLORS

QUALITY = [
    "area_share",
    *(f"{color}_mean" for color in COLORS),
    "green_top",
    "nucleus_blue_mean",
    "nucleus_free_rows",
    "nucleus_free_columns",
    "border_nucleus",
    "red_sharpness",
    "blue_sharpness",
]
"""The columns of the cells table that ``measure_quality`` adds; data/README.md says what they are."""

TOP_PX, TOP_SIDE_PX = 10, 2048
"""``green_top`` is the mean of the 10 brightest pixels of 2048 px (github.com/SamusRam/hpa-single-cell)."""

SHARPNESS_SIDE_PX = 512
"""Sharpness is looked at in pixels of .32 um: finer ones hold more photon noise than structure."""

SMALL_RATIO, BAND_RATIO, TOUCH_SHARE = 1 / 3, 3.0, 2 / 512
"""A border nucleus: its box over the median nucleus, the band over the median's root, and the distance that touches
over the side (branch closer_to_orig of github.com/SamusRam/HPA-Cell-Segmentation)."""


@dataclass(frozen=True)
class Spot:
    """One object of a picture: its half-open box, and where in the box it is."""

    box: tuple[slice, slice]
    mask: np.ndarray
    """(h, w) uint8, 0 or 1."""

    def mean(self, plane: np.ndarray) -> float:
        """Mean of (H, W) in the object, NaN where it has no pixel."""
        count = np.count_nonzero(
            self.mask
        )  # a product and its sum take half the time of cv2.mean with a mask
        return cv2.sumElems(plane[self.box] * self.mask)[0] / count if count else np.nan


def measure_quality(
    image: np.ndarray, nuclei: np.ndarray, cells: np.ndarray, table: pd.DataFrame
) -> pd.DataFrame:
    """Add the columns ``QUALITY`` to the cells of one image.

    Args:
        image: (4, H, W) uint8 or uint16.
        nuclei: (H, W) uint16, numbered like ``cells``; of a nucleus, the part within its cell's box counts.
        cells: (H, W) uint16.
        table: the rows of ``measure_cells``.

    Returns:
        A new table. What is asked of a nucleus is NaN where there is none, and sharpness is NaN in a cell that
        vanishes at 512 px.
    """
    per_level = 257 if image.dtype == np.uint16 else 1
    whole = [_find(cells, cell_id, box) for cell_id, box in _places(table)]
    nucleus = [_tight(_find(nuclei, cell_id, box)) for cell_id, box in _places(table)]
    detail = sharpness(image[:3:2], cells, table["cell_id"])
    free = np.array([free_shares(spot.mask) for spot in nucleus]).reshape(-1, 2)
    columns = (
        table["area_px"] / cells.size,
        *(np.array([spot.mean(plane) for spot in whole]) / per_level for plane in image),
        green_top(image[1], whole) / per_level,
        np.array([spot.mean(image[2]) for spot in nucleus]) / per_level,
        *free.T,
        border_nuclei(nucleus, cells.shape),
        *detail,
    )
    return table.assign(**dict(zip(QUALITY, columns, strict=True)))


def _places(table: pd.DataFrame) -> Iterator[tuple[int, tuple[slice, slice]]]:
    for cell_id, y0, x0, y1, x1 in table[["cell_id", *BOX]].itertuples(index=False):
        yield cell_id, (slice(y0, y1), slice(x0, x1))


def _find(labels: np.ndarray, label: int, box: tuple[slice, slice]) -> Spot:
    return Spot(box, (labels[box] == label).view(np.uint8))


def _tight(spot: Spot) -> Spot:
    x, y, width, height = cv2.boundingRect(spot.mask)
    top, left = spot.box[0].start + y, spot.box[1].start + x
    box = slice(top, top + height), slice(left, left + width)
    return Spot(box, spot.mask[y : y + height, x : x + width])


def green_top(green: np.ndarray, cells: list[Spot]) -> np.ndarray:
    """Mean of each cell's brightest pixels: 10 where the picture has 2048 px, elsewhere as many as cover that area."""
    count = max(1, round(TOP_PX * (max(green.shape) / TOP_SIDE_PX) ** 2))
    levels = np.arange(np.iinfo(green.dtype).max, -1, -1)
    tops = []
    for cell in cells:
        histogram = cv2.calcHist([green[cell.box]], [0], cell.mask, [len(levels)], [0, len(levels)])
        taken = np.diff(np.minimum(histogram.ravel()[::-1].astype(int).cumsum(), count), prepend=0)
        tops.append(taken @ levels / taken.sum())
    return np.array(tops)


def free_shares(nucleus: np.ndarray) -> tuple[float, float]:
    """How round a nucleus ends: the shares of its box that its fullest outer row, and column, leave free.

    A nucleus that is cut off has a straight side, which fills its box: 0. The rule is of
    github.com/CroDoc/HPA2021-data-centric-approach.

    Args:
        nucleus: (h, w) 0 or 1, in its tight box; (0, 0) gives NaN.
    """
    if not nucleus.size:
        return np.nan, np.nan
    height, width = nucleus.shape
    row = max(np.count_nonzero(nucleus[0]), np.count_nonzero(nucleus[-1]))
    column = max(np.count_nonzero(nucleus[:, 0]), np.count_nonzero(nucleus[:, -1]))
    return (width - row) / width, (height - column) / height


def border_nuclei(nuclei: list[Spot], shape: tuple[int, ...]) -> np.ndarray:
    """Whether each nucleus is the small rest of one that the picture's border cuts: (cells,) bool.

    Its box is smaller than a third of the median nucleus, touches the border, and lies within the band along it.
    """
    areas = np.array([np.count_nonzero(nucleus.mask) for nucleus in nuclei])
    if not areas.any():
        return np.zeros(len(nuclei), bool)
    median = np.median(areas[areas > 0])
    low = np.array([[side.start for side in nucleus.box] for nucleus in nuclei])
    high = np.array([[side.stop for side in nucleus.box] for nucleus in nuclei])
    small = (high - low).prod(axis=1) < SMALL_RATIO * median
    touches = (np.minimum(low, shape - high) < TOUCH_SHARE * np.array(shape)).any(axis=1)
    band = BAND_RATIO * np.sqrt(median)
    within = ((high < band) | (low > shape - band)).any(axis=1)
    found: np.ndarray = (areas > 0) & small & touches & within
    return found


def sharpness(planes: np.ndarray, cells: np.ndarray, ids: pd.Series) -> np.ndarray:
    """Detail of .3 um in each cell: the variance of the Laplacian of a Gaussian over the mean brightness squared.

    Args:
        planes: (C, H, W) uint8 or uint16.
        cells: (H, W) uint16.
        ids: n cells.

    Returns:
        (C, n) float, the same for a picture twice as bright. NaN where a cell vanishes at 512 px, or is black.
    """
    ratio = SHARPNESS_SIDE_PX / max(cells.shape)
    size = (max(1, round(cells.shape[1] * ratio)), max(1, round(cells.shape[0] * ratio)))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    labels = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST_EXACT).ravel().astype(np.intp)
    inside = np.flatnonzero(labels)
    labels, last = labels[inside], int(ids.max()) if len(ids) else 0

    def mean(weights: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.bincount(labels, weights.ravel()[inside], minlength=last + 1)[ids]
        return total / count

    with np.errstate(invalid="ignore", divide="ignore"):
        count = np.bincount(labels, minlength=last + 1)[ids]
        found = []
        for plane in planes:
            grey = cv2.resize(
                plane.astype(np.float32), size, interpolation=how
            )  # 8 bit would round detail off
            detail = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F)
            found.append((mean(detail**2) - mean(detail) ** 2) / mean(grey) ** 2)
    return np.stack(found)
