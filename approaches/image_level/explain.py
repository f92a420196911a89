"""What ``hpa explain`` shows of this approach."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from approaches.image_level.recipe import Recipe
from approaches.image_level.scorers import alone, tiled
from common.cells import read_cells
from common.classifier import build_network
from common.explaining import Explainable, Picture, last_features, view_colors
from common.field_data import Inputs
from common.field_pictures import whole_fields
from common.fields import FieldStore, fit
from common.trained import load_trained, trained_folds


def explainable(models: Path, data: Path) -> Explainable:
    """The network of the first fold, shown what the recipe's scorer shows it, and its class activation maps."""
    inputs = Inputs(FieldStore(data / "fields"), data / "masks", read_cells(data / "cells.parquet"))
    network, recipe = load_trained(trained_folds(models)[0], Recipe, partial(build_network, pretrained=False))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()

    def class_maps(pixels: Tensor) -> Tensor:
        return network.class_maps(network.features(pixels)[0])[None]

    fields = whole_fields(inputs, recipe.view, device)
    pictures = _cell_by_cell(fields, recipe) if recipe.cells.scorer in ("alone", "tiled") else fields
    return Explainable(network, last_features(network.body), pictures, {"CAM": class_maps})


def _cell_by_cell(fields: Iterator[Picture], recipe: Recipe) -> Iterator[Picture]:
    """A picture a cell, as the scorer makes it."""
    for field in fields:
        mask = torch.from_numpy(fit(field.mask, recipe.view.size_px, nearest=True).astype(np.int64))
        mask = mask.to(field.pixels.device)
        for cell_id in field.ids:
            if not (mask == cell_id).any():
                continue
            if recipe.cells.scorer == "alone":
                yield replace(field, pixels=alone(field.pixels, mask, cell_id), ids=[cell_id])
            else:
                pixels = tiled(field.pixels, mask, cell_id)
                shown = view_colors(pixels.permute(1, 2, 0).cpu().numpy(), recipe.view.channels)
                yield Picture(field.image_id, pixels, shown, np.full(shown.shape[:2], cell_id), [cell_id])
