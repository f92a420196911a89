"""Masks as a good segmenter would draw them: outlines a little off, some cells merged, some split."""

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from common.simulate.structures import grain

LabelMap = npt.NDArray[np.uint16]

WOBBLE_PX = 0.65
"""How far outlines stray, in pixels of a 512 px picture: a mean IoU of .97, as measured for the official masks."""
WAVELENGTH_PX = 25
MERGED, SPLIT = 0.03, 0.03
"""The share of cells that swallow a neighbour, and that fall into two."""


def flawed_masks(
    rng: np.random.Generator, cells: LabelMap, nuclei: LabelMap, zoom: float
) -> tuple[LabelMap, LabelMap]:
    """Give true masks the flaws of a segmenter.

    Args:
        cells: (H, W) numbered from 1 without gaps.
        nuclei: (H, W) numbered like ``cells``.

    Returns:
        Cells and nuclei, renumbered alike from 1 without gaps; a part that was split off has no nucleus.
    """
    drawn = _displace(rng, np.stack([cells, nuclei]), zoom)
    boxes = ndimage.find_objects(drawn[0])
    for number, box in enumerate(boxes, start=1):
        fate = rng.random()
        if box is None or fate > MERGED + SPLIT:
            continue
        if fate < MERGED:
            _merge(drawn, number, box)
        else:
            _split(rng, drawn, number, box)
    return _renumber(drawn)


def _displace(rng: np.random.Generator, maps: npt.NDArray[np.uint16], zoom: float) -> npt.NDArray[np.uint16]:
    """Both maps looked up at places that stray smoothly."""
    shape = maps.shape[1:]
    grid = np.indices(shape, np.float32)
    y, x = (at + np.float32(WOBBLE_PX * zoom) * grain(rng, shape, WAVELENGTH_PX * zoom) for at in grid)
    return np.stack(
        [cv2.remap(one, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE) for one in maps]
    )


def _merge(maps: npt.NDArray[np.uint16], number: int, box: tuple[slice, ...]) -> None:
    """Let a cell swallow the neighbour that it touches most."""
    around = tuple(slice(max(along.start - 2, 0), along.stop + 2) for along in box)
    inside = (maps[0][around] == number).astype(np.uint8)
    rim = maps[0][around][(cv2.dilate(inside, np.ones((5, 5), np.uint8)) > 0) & (inside == 0)]
    touching = np.bincount(rim[rim > 0])
    if touching.any():
        maps[maps == np.argmax(touching)] = number


def _split(
    rng: np.random.Generator, maps: npt.NDArray[np.uint16], number: int, box: tuple[slice, ...]
) -> None:
    """Cut a cell along a line; what lies beyond, without the nucleus, becomes a cell."""
    inside = maps[0][box] == number
    if not inside.any():  # swallowed by a neighbour
        return
    y, x = np.nonzero(inside)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.sin(turn) * (y - y.mean()) + np.cos(turn) * (x - x.mean())
    beyond = along > rng.uniform(0.2, 0.6) * along.max()
    free = maps[1][box][y, x] != number
    maps[0][box][y[beyond & free], x[beyond & free]] = maps[0].max() + 1


def _renumber(maps: npt.NDArray[np.uint16]) -> tuple[LabelMap, LabelMap]:
    numbers = np.unique(maps[0])
    table = np.zeros(int(maps.max()) + 1, np.uint16)
    table[numbers[numbers > 0]] = np.arange(1, np.count_nonzero(numbers) + 1)
    cells, nuclei = table[maps]
    return cells, nuclei
