"""Images as the two networks see them, and as cells are looked for in them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from approaches.cam_seg.cell_labels import CellLabels, at_size
from approaches.cam_seg.fair import mix_single_cells
from approaches.cam_seg.pseudo_masks import paint_targets
from approaches.cam_seg.recipe import Recipe
from common.augment import augment
from common.cells import cell_mask_path, nucleus_mask_path, read_mask
from common.classes import CHANNELS, PROBABILITIES
from common.field_data import Inputs, LabelledImages, Part, to_tensor
from common.fields import FieldStore, fit
from common.images import to_uint8

MIXING = 1
"""Sets the generator of mixing apart from that of augmentation."""


class MixedImages(LabelledImages):
    """Labelled images in which, to train on, single cells stand alone (``fair``)."""

    def __init__(self, store: FieldStore, part: Part, recipe: Recipe, masks: Path) -> None:
        super().__init__(store, part, recipe)
        self.fair, self.masks = recipe.fair, masks

    def picture(self, row: int, epoch: int | None) -> np.ndarray:
        """Mixed anew in each epoch of a training."""
        pixels = super().picture(row, epoch)
        if epoch is None or self.fair is None:
            return pixels
        cells = fit(read_mask(cell_mask_path(self.masks, self.name(row))), len(pixels), nearest=True)
        rng = np.random.default_rng((self.recipe.seed, epoch, row, MIXING))
        mixed, _ = mix_single_cells(pixels.transpose(2, 0, 1), cells, rng, self.fair)
        return mixed.transpose(1, 2, 0)


class PaintedImages(LabelledImages):
    """One item an image: ``(pixels, planes, row)``, ``planes`` (20, size, size) uint8 as ``paint_targets`` has them.

    Indexed as ``LabelledImages``; pixels and planes move together.
    """

    def __init__(
        self, store: FieldStore, part: Part, recipe: Recipe, masks: Path, labels: dict[str, CellLabels]
    ) -> None:
        super().__init__(store, part, recipe)
        self.painting, self.masks, self.labels = recipe.pseudo_masks, masks, labels

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        pixels, _, row = super().__getitem__(key)
        mask = fit(read_mask(cell_mask_path(self.masks, self.name(row))), pixels.shape[1], nearest=True)
        if isinstance(key, tuple):
            mask = augment(
                mask[..., None], self.recipe.augment, self.generator(key[0], row), ids=True
            ).squeeze(-1)
        labels = self.labels.get(self.name(row), NOTHING)
        return pixels, torch.from_numpy(paint_targets(labels, mask, self.painting)), row


NOTHING = CellLabels(np.zeros(0, np.int64), np.zeros((0, len(PROBABILITIES))), np.zeros(0, bool))
"""The labels of an image without a cell."""


def labels_by_image(table: pd.DataFrame) -> dict[str, CellLabels]:
    """Read a labels table (image_id, cell_id, ``p_0`` to ``p_18``), which holds the cells that were judged."""
    return {
        str(image_id): CellLabels(
            rows["cell_id"].to_numpy(np.int64),
            rows[list(PROBABILITIES)].to_numpy(float),
            np.ones(len(rows), bool),
        )
        for image_id, rows in table.groupby("image_id")
    }


class Seen(NamedTuple):
    """A field to be asked about: (1, C, size, size) float32 pixels in [0, 1], and cells, nuclei and the protein
    channel (8 bit) at the size at which cells are looked for."""

    pixels: Tensor
    masks: tuple[np.ndarray, np.ndarray]
    protein: np.ndarray


class AskedImages(Dataset[Seen]):
    """The images in ``rows`` of the store of ``inputs``."""

    def __init__(self, inputs: Inputs, rows: np.ndarray, recipe: Recipe, size_px: int) -> None:
        inputs.fields.refuse_view(recipe.view)
        self.inputs, self.rows, self.view, self.size_px = inputs, rows, recipe.view, size_px
        self.ids = inputs.ids(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> Seen:
        row, image_id, folder = int(self.rows[item]), self.ids[item], self.inputs.masks
        cells = read_mask(cell_mask_path(folder, image_id))
        nuclei = read_mask(nucleus_mask_path(folder, image_id), cells.shape)
        protein = to_uint8(self.inputs.fields.picture(row)[CHANNELS.index("protein")])
        pixels = to_tensor(to_uint8(self.inputs.fields.read(row, self.view)))
        small = at_size(cells, nuclei, protein, self.size_px)
        return Seen(pixels[None].float() / 255, small[:2], small[2])
