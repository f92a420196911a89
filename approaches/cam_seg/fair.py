"""Training pictures in which single cells stand alone, so that maps light up in all cells and not in the clearest one.

The idea of the 1st place ("fair cell activation"): its training pictures mix the original with single masked cells. It
published no details; the grid of tiles is ours.
"""

import cv2
import numpy as np
from scipy import ndimage

from approaches.cam_seg.recipe import FairParams


def mix_single_cells(
    image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, params: FairParams
) -> tuple[np.ndarray, np.ndarray]:
    """Replace tiles of a picture, each with a probability, by single cells on black; each cell once at most.

    A cell stands in the middle of its tile, shrunk where it is larger.

    Args:
        image: (C, H, W) pixels before normalisation: black is 0.
        mask: (H, W) cells.

    Returns:
        The mixed picture and where its cells are now, both new, of the shapes and types of the given.
    """
    mixed, places = image.copy(), mask.copy()
    boxes = ndimage.find_objects(mask)
    ids = rng.permutation([number for number, box in enumerate(boxes, 1) if box is not None])
    tiles = [tile for tile in _tiles(mask.shape, params.splits) if rng.random() < params.share]
    for cell_id, tile in zip(ids.tolist(), tiles, strict=False):  # as many as there are of both
        box = boxes[cell_id - 1]
        alone = mask[box] == cell_id
        planes = [_place(plane, places[tile].shape, cv2.INTER_AREA) for plane in image[:, *box] * alone]
        mixed[:, *tile] = np.stack(planes)
        places[tile] = _place(mask[box] * alone, places[tile].shape, cv2.INTER_NEAREST)
    return mixed, places


def _tiles(shape: tuple[int, ...], splits: int) -> list[tuple[slice, slice]]:
    rows, columns = (np.linspace(0, side, splits + 1).astype(int).tolist() for side in shape)
    return [
        (slice(*rows[y : y + 2]), slice(*columns[x : x + 2])) for y in range(splits) for x in range(splits)
    ]


def _place(plane: np.ndarray, shape: tuple[int, ...], how: int) -> np.ndarray:
    """Centre ``plane`` on black of ``shape``, shrunk to fit."""
    ratio = min(1.0, *(room / side for room, side in zip(shape, plane.shape, strict=True)))
    if ratio < 1:
        height, width = (max(1, int(side * ratio)) for side in plane.shape)
        plane = cv2.resize(plane, (width, height), interpolation=how)
    canvas = np.zeros(shape, plane.dtype)
    y, x = ((room - side) // 2 for room, side in zip(shape, plane.shape, strict=True))
    canvas[y : y + plane.shape[0], x : x + plane.shape[1]] = plane
    return canvas
