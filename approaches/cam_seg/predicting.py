"""Predicts images and their cells with the trained folds of a recipe."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from approaches.cam_seg.asking import Networks, ask, load_folds
from approaches.cam_seg.cell_labels import label_cells
from approaches.cam_seg.dataset import AskedImages
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.field_data import Inputs
from common.postprocess import Postprocess, postprocess, postprocess_images
from common.trained import trained_folds


class Found(NamedTuple):
    """What was found: image_id and a probability a class; and a prediction table."""

    images: pd.DataFrame
    cells: pd.DataFrame

    def postprocessed(self, cells: pd.DataFrame, params: Postprocess) -> "Found":
        """What the networks found, after the steps of ``postprocess``; ``cells`` is the cells table."""
        return Found(postprocess_images(self.images, params), postprocess(self.cells, cells, params))


def predict_out_of_fold(models: Path, inputs: Inputs, folds: pd.DataFrame) -> Found:
    """Predict each training image and its cells by the two networks of its fold."""
    parts = []
    for fold, members in folds.groupby("fold"):
        rows = inputs.rows(set(members["image_id"]))
        if len(rows):
            parts.append(predict(load_folds([models / f"fold-{fold}"]), inputs, rows))
    images, cells = zip(*parts, strict=True)
    return Found(pd.concat(images, ignore_index=True), pd.concat(cells, ignore_index=True))


def predict_unseen(models: Path, inputs: Inputs, image_ids: set[str]) -> Found:
    """Predict images that no fold has seen, and their cells, by the maps and probabilities of all folds together."""
    return predict(load_folds(trained_folds(models)), inputs, inputs.rows(image_ids))


def predict(networks: Networks, inputs: Inputs, rows: np.ndarray) -> Found:
    """Predict the images in ``rows`` of the store."""
    recipe = networks.recipe
    images = AskedImages(inputs, rows, recipe, recipe.cells.size_px)
    tables, answers = inputs.cells_of(rows), []
    per_cell = [np.zeros((0, len(PROBABILITIES)))]
    for (_, seen, asker), table in zip(ask(networks, images, "prediction"), tables, strict=True):
        maps, probabilities = asker.ensemble(recipe.cells.size_px)
        ids = table["cell_id"].to_numpy(np.int64)
        found = label_cells(maps, probabilities, seen.masks, seen.protein, ids, recipe.cells)
        answers.append(probabilities)
        per_cell.append(found.confidence)
    keys = pd.concat([inputs.cells.head(0), *tables], ignore_index=True)[KEYS]
    of_images = np.reshape(answers, (len(answers), len(PROBABILITIES)))
    return Found(
        _table(pd.DataFrame({"image_id": images.ids}), of_images), _table(keys, np.concatenate(per_cell))
    )


def _table(keys: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    # A mean of ones in single precision may lie a rounding above 1.
    found = pd.DataFrame(probabilities.clip(0, 1), columns=list(PROBABILITIES))
    return pd.concat([keys, found], axis=1)
