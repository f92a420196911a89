"""Masks and the cells in them.

A mask is (H, W) uint16: 0 background, k = cell k. The nucleus mask numbers a nucleus like its cell.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from common.errors import DataError
from common.images import write_png
from common.tables import read_table

KEYS = ["image_id", "cell_id"]
BOX = ["y0", "x0", "y1", "x1"]
COLUMNS = [
    *KEYS,
    *BOX,
    "area_px",
    "nucleus_area_px",
    "centroid_y",
    "centroid_x",
    "touches_border",
]


def cell_mask_path(folder: Path, image_id: str) -> Path:
    """Where the cell mask of an image lies in a folder of masks."""
    return folder / f"{image_id}_cell.png"


def nucleus_mask_path(folder: Path, image_id: str) -> Path:
    """Where the nucleus mask of an image lies in a folder of masks."""
    return folder / f"{image_id}_nucleus.png"


def read_mask(path: Path, shape: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask as (H, W) uint16; ``shape`` is the (H, W) it must have.

    Raises:
        DataError: the file is absent or damaged, is no grey 8 or 16 bit picture, or has another size.
    """
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if mask is None:
        state = "cannot be decoded" if path.exists() else "no such file"
        raise DataError(
            f"{path}: {state}; expected a mask, a grey PNG of 8 or 16 bit; run: dvc repro segment"
        )
    if mask.ndim != 2 or mask.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: is {mask.dtype} {mask.shape}, expected a grey mask of 8 or 16 bit")
    if shape is not None and mask.shape != shape:
        raise DataError(
            f"{path}: mask is {mask.shape} (height, width), its image {shape}; segment that image again"
        )
    return mask.astype(np.uint16, copy=False)


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write an (H, W) uint16 mask, whole or not at all."""
    # A mask is read 2.6 x faster without the filter and the run lengths that suit pictures.
    plain = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
    write_png(path, mask, (*plain, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT))


def measure_cells(image_id: str, nuclei: np.ndarray, cells: np.ndarray) -> pd.DataFrame:
    """Describe each cell of an image, one row a cell in the order of ids.

    Args:
        nuclei: (H, W) uint16, numbered like ``cells``.
        cells: (H, W) uint16.

    Returns:
        ``COLUMNS``: the half-open box y0, x0, y1, x1 and the areas in pixels of the image.
    """
    boxes = ndimage.find_objects(cells)
    areas = np.bincount(cells.ravel(), minlength=len(boxes) + 1)
    nucleus_areas = np.bincount(nuclei.ravel(), minlength=len(boxes) + 1)
    rows = []
    for cell_id, box in enumerate(boxes, start=1):
        if box is None:
            continue
        rows_of, columns_of = box
        inside = cells[box] == cell_id
        y, x = (float(along.mean()) for along in np.nonzero(inside))
        corners = (rows_of.start, columns_of.start, rows_of.stop, columns_of.stop)
        edge = rows_of.start == 0 or columns_of.start == 0
        border = edge or rows_of.stop == cells.shape[0] or columns_of.stop == cells.shape[1]
        centre = (y + rows_of.start, x + columns_of.start)
        rows.append((image_id, cell_id, *corners, areas[cell_id], nucleus_areas[cell_id], *centre, border))
    return pd.DataFrame(rows, columns=COLUMNS)


def read_cells(path: Path) -> pd.DataFrame:
    """Read data/cells.parquet.

    Raises:
        DataError: see ``read_table``; or a cell is there twice.
    """
    cells = read_table(path, COLUMNS, "dvc repro segment")
    if cells.duplicated(KEYS).any():
        raise DataError(
            f"{path}: {int(cells.duplicated(KEYS).sum())} cells are there twice; dvc repro -f segment"
        )
    return cells
