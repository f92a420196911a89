"""Images as a network sees them."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from common.cells import cell_mask_path, read_mask
from common.field_data import to_tensor
from common.fields import FieldStore, FieldView, fit


class SegmentedImages(Dataset[tuple[Tensor, Tensor, int]]):
    """One item an image: ``(pixels, mask, item)``.

    ``pixels`` is (C, size, size) uint8; ``mask`` is (size, size) int64: 0 background, k = the k-th of its cells, each
    of which has a pixel at least.
    """

    def __init__(
        self, store: FieldStore, rows: np.ndarray, masks: Path, cells: list[pd.DataFrame], view: FieldView
    ) -> None:
        store.refuse_view(view)
        self.store, self.rows, self.masks, self.cells, self.view = store, rows, masks, cells, view

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int]:
        row = int(self.rows[item])
        image_id = str(self.store.index["image_id"].iat[row])
        mask = read_mask(cell_mask_path(self.masks, image_id))
        numbered = number_cells(mask, self.cells[item], self.view.size_px)
        return to_tensor(self.store.read(row, self.view)), torch.from_numpy(numbered), item


def number_cells(mask: np.ndarray, cells: pd.DataFrame, side: int) -> np.ndarray:
    """Reduce a mask to (side, side) and number its cells 1 ... n in the order of ``cells``.

    A cell that the reduction leaves no pixel keeps the one in its middle.
    """
    numbers = np.zeros(int(mask.max(initial=0)) + 1, np.int64)
    numbers[cells["cell_id"].to_numpy(np.int64)] = np.arange(1, len(cells) + 1)
    small = numbers[fit(mask, side, nearest=True)]
    lost = np.flatnonzero(np.bincount(small.ravel(), minlength=len(cells) + 1)[1:] == 0)
    centres = cells[["centroid_y", "centroid_x"]].to_numpy()[lost] * (side / max(mask.shape))
    y, x = np.minimum(centres.astype(int), side - 1).T
    small[y, x] = lost + 1
    return small
