"""Layouts on given label maps: simulated stains on the outlines of real, human-checked cells."""

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from common.errors import DataError
from common.simulate.anatomy import finish
from common.simulate.layout import Frame, Layout, largest_piece
from common.simulate.outlines import reach_of, rounded
from common.simulate.shapes import Body, Cell
from common.simulate.structures import Mask, Plane

NUCLEUS_SHARE = 0.15
"""Of the area of a cell, where no nuclei are given."""
RIM_PX = 8


def lay_out_on(
    rng: np.random.Generator,
    cells: npt.NDArray[np.uint16],
    nuclei: npt.NDArray[np.uint16] | None,
    side_px: int,
    zoom: float,
) -> Layout:
    """Fill the cells of a label map; they are numbered from 1 in the order of their ids.

    Args:
        cells: (H, H) the picture's cells; brought to ``side_px`` without interpolation.
        nuclei: (H, H) nuclei numbered like their cells; without them each cell gets one where it is widest.

    Raises:
        DataError: the maps are not square, differ in size, or hold no cell.
    """
    if cells.shape[0] != cells.shape[1] or (nuclei is not None and nuclei.shape != cells.shape):
        found = cells.shape if nuclei is None else (cells.shape, nuclei.shape)
        raise DataError(f"shape is {found}, expected square maps of one size; crop them to squares")
    cell_map = _resize(cells, side_px)
    nucleus_map = None if nuclei is None else _resize(nuclei, side_px)
    filled = []
    for number, box in enumerate(ndimage.find_objects(cell_map), start=1):
        if box is not None:
            filled.append(_fill(rng, number, _widen(box, round(RIM_PX * zoom)), cell_map, nucleus_map, zoom))
    if not filled:
        raise DataError("holds no cell; expected 0 for the background and cells from 1")
    masks = np.zeros((2, side_px, side_px), np.uint16)
    for number, cell in enumerate(filled, start=1):
        masks[0][cell.box][cell.mask] = number
        masks[1][cell.box][cell.nucleus] = number
    return Layout(Frame(side_px, 0, zoom), filled, [], masks[0], masks[1])


def _resize(label_map: npt.NDArray[np.uint16], side: int) -> npt.NDArray[np.uint16]:
    resized = cv2.resize(label_map, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, np.uint16)


def _widen(box: tuple[slice, ...], rim: int) -> tuple[slice, slice]:
    y, x = (slice(max(along.start - rim, 0), along.stop + rim) for along in box)
    return y, x


def _fill(
    rng: np.random.Generator,
    number: int,
    box: tuple[slice, slice],
    cells: npt.NDArray[np.uint16],
    nuclei: npt.NDArray[np.uint16] | None,
    zoom: float,
) -> Cell:
    mask = largest_piece(cells[box] == number)
    depth = _depth(mask)
    radius = float(np.sqrt(np.count_nonzero(mask) / np.pi))
    given = None if nuclei is None else (nuclei[box] == number) & mask
    if given is not None and given.any():
        nucleus_radius = float(np.sqrt(np.count_nonzero(given) / np.pi))
        nucleus_reach = 1 - _depth(given) / np.float32(nucleus_radius)
        y, x = (float(along.mean()) for along in np.nonzero(given))
    else:
        y, x = (float(along) for along in np.unravel_index(int(np.argmax(depth)), mask.shape))
        nucleus_radius = min(radius * np.sqrt(NUCLEUS_SHARE), 0.8 * float(depth.max()))
        outline = rounded(rng, nucleus_radius, rng.uniform(0.5, 0.85), rng.uniform(0, np.pi), 0.07)
        nucleus_reach = reach_of(outline, y, x, mask.shape)
    return finish(
        rng,
        Body(
            corner=(box[0].start, box[1].start),
            centre=(y, x),
            radius=radius,
            axis=_long_axis(mask),
            mitotic=False,
            zoom=zoom,
            reach=1 - depth / max(float(depth.max()), 1),
            nucleus_radius=nucleus_radius,
            nucleus_reach=nucleus_reach,
        ),
        mask,
    )


def _depth(mask: Mask) -> Plane:
    """(h, w) pixels to the edge of ``mask``: positive inside, negative outside; the box's rim is no edge."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(inside - outside, np.float32)


def _long_axis(mask: Mask) -> float:
    """The direction of the long side, in radians."""
    y, x = np.nonzero(mask)
    if len(y) < 2:
        return 0.0
    _, vectors = np.linalg.eigh(np.cov(y, x))
    return float(np.arctan2(vectors[0, -1], vectors[1, -1]))
