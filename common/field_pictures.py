"""Whole fields as pictures to be explained."""

from collections.abc import Iterator

import numpy as np
import torch

from common.cells import cell_mask_path, read_mask
from common.explaining import Picture, field_colors
from common.field_data import Inputs, to_tensor
from common.fields import FieldView, fit


def whole_fields(inputs: Inputs, view: FieldView, device: torch.device) -> Iterator[Picture]:
    """Each field of the store that has cells, with all of them."""
    rows = np.arange(len(inputs.fields))
    for row, cells in zip(rows.tolist(), inputs.cells_of(rows), strict=True):
        if len(cells):
            image_id = str(cells["image_id"].iat[0])
            shown = field_colors(inputs.fields.picture(row))
            mask = fit(read_mask(cell_mask_path(inputs.masks, image_id)), len(shown), nearest=True)
            pixels = to_tensor(inputs.fields.read(row, view)).to(device)
            seen = [cell_id for cell_id in cells["cell_id"].tolist() if (mask == cell_id).any()]
            yield Picture(image_id, pixels, shown, mask, seen)
