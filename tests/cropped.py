"""A store of the crops of one image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.cells import measure_cells
from common.crops import CropParams, CropStore
from common.cutting import write_store
from common.images import Field, write_png

MARGIN = 5


def random_mask(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Five boxes of cells, later ones over earlier ones, some at the border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint16)
    for cell_id in range(1, 6):
        y, x = rng.integers(0, height - 4), rng.integers(0, width - 4)
        mask[y : y + rng.integers(4, 24), x : x + rng.integers(4, 24)] = 3 * cell_id
    return mask


def stored(
    folder: Path, image: np.ndarray, mask: np.ndarray, write: Callable[..., Field], **changes: Any
) -> CropStore:
    params = CropParams(**{"field_px": 64, "margin_px": MARGIN, "box": "tight", **changes})
    (folder / "masks").mkdir()
    write_png(folder / "masks/a_cell.png", mask)
    cells = measure_cells("a", mask, mask)
    write_store([write(folder / "pixels", "a", image)], folder / "masks", cells, params, folder / "store")
    return CropStore(folder / "store")
