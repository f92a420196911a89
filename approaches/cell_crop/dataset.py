"""Cells as a network sees them."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from approaches.cell_crop.recipe import Recipe
from common.augment import augment
from common.crops import CropStore
from common.views import View, apply_view


class CellCrops(Dataset[tuple[Tensor, Tensor, int]]):
    """One item a cell: ``(pixels, targets, row)``, indexed by row, or by ``(epoch, row)`` for augmented pixels.

    ``pixels`` is (C, size, size), uint8, or float32 in [0, 1] where the view has 16 bit; ``targets`` is (classes,)
    float32; ``row`` is the cell's row in the crop store.
    """

    def __init__(
        self, store: CropStore, rows: np.ndarray, targets: np.ndarray, recipe: Recipe, view: View
    ) -> None:
        store.refuse_view(view)
        self.store, self.rows, self.targets = store, rows, targets.astype(np.float32)
        self.recipe, self.view = recipe, view

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        row = int(self.rows[index])
        pixels = apply_view(*self.store.read(row), self.view)
        if epoch is not None:
            rng = np.random.default_rng((self.recipe.seed, epoch, index))
            pixels = augment(pixels, self.recipe.augment, rng)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        if self.view.bit_depth == 16:  # torch knows little of uint16
            planes = planes.astype(np.float32) / self.view.white
        return torch.from_numpy(planes), torch.from_numpy(self.targets[index]), row

    def name(self, row: int) -> str:
        """The cell at a row of the crop store."""
        cell = self.store.index.iloc[row]
        return f"{cell['image_id']} cell {cell['cell_id']}"
