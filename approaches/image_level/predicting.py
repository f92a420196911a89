"""Predicts images and their cells with the trained folds of a recipe."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch.utils.data import DataLoader

from approaches.image_level.dataset import SegmentedImages
from approaches.image_level.recipe import Recipe
from approaches.image_level.scorers import score_cells
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.classifier import build_network
from common.field_data import Inputs
from common.forward import half_precision, loader_options, make_ready
from common.predictions import Predictions
from common.progress import track
from common.trained import load_trained, trained_folds


class Found(NamedTuple):
    """What was found in images, in the order of their rows; cells in the order of the table of cells."""

    images: pd.DataFrame
    """image_id and a probability a class."""
    cells: pd.DataFrame
    """A prediction table."""
    embeddings: np.ndarray | None
    """(N, E) float16, a row for each of ``cells``, where the recipe publishes them."""

    @property
    def predictions(self) -> Predictions:
        """Without the embeddings."""
        return Predictions(self.cells, self.images)


def predict_out_of_fold(models: Path, inputs: Inputs, folds: pd.DataFrame) -> Found:
    """Predict each training image and its cells by the one model that saw nothing of its group."""
    parts = []
    for fold, members in folds.groupby("fold"):
        rows = inputs.rows(set(members["image_id"]))
        if len(rows):
            parts.append(predict_fold(models / f"fold-{fold}", inputs, rows))
    images, cells, embeddings = zip(*parts, strict=True)
    joined = None if embeddings[0] is None else np.concatenate(embeddings)
    return Found(pd.concat(images, ignore_index=True), pd.concat(cells, ignore_index=True), joined)


def predict_unseen(models: Path, inputs: Inputs, image_ids: set[str]) -> Found:
    """Predict images that no fold has seen, and their cells, by the mean over folds; without embeddings."""
    rows = inputs.rows(image_ids)
    parts = [predict_fold(model, inputs, rows) for model in trained_folds(models)]
    tables = []
    for alike in list(zip(*parts, strict=True))[:2]:
        mean = np.mean([table[list(PROBABILITIES)] for table in alike], axis=0)
        tables.append(alike[0].assign(**dict(zip(PROBABILITIES, mean.T, strict=True))))
    return Found(tables[0], tables[1], None)


def predict_fold(model: Path, inputs: Inputs, rows: np.ndarray) -> Found:
    """Predict the images in ``rows`` of the store by one fold's model."""
    network, recipe = load_trained(model, Recipe, partial(build_network, pretrained=False))
    if not len(rows):
        nothing = np.empty((0, len(PROBABILITIES)), np.float32)
        ids = pd.DataFrame({"image_id": inputs.ids(rows)})
        return Found(_table(ids, nothing), _table(inputs.cells.head(0)[KEYS], nothing), None)
    cells = inputs.cells_of(rows)
    data = SegmentedImages(inputs.fields, rows, inputs.masks, cells, recipe.view)
    network, device = make_ready(network, recipe.trainer.channels_last)
    scorer, views = recipe.cells.scorer, recipe.cells.views
    batch_size = recipe.trainer.batch_size
    scored = []
    with half_precision(device, recipe.trainer.precision):
        loader = DataLoader(data, batch_size=None, **loader_options())
        for pixels, mask, _ in track(loader, len(data), "prediction"):
            one = score_cells(network, scorer, views, pixels.to(device), mask.to(device), batch_size)
            scored.append([part.float().cpu().numpy() for part in one])
    images, per_cell, embeddings = zip(*scored, strict=True)
    keys = pd.concat(cells, ignore_index=True)[KEYS]
    return Found(
        _table(pd.DataFrame({"image_id": inputs.ids(rows)}), np.stack(images)),
        _table(keys, np.concatenate(per_cell)),
        np.concatenate(embeddings).astype(np.float16) if recipe.embeddings else None,
    )


def _table(keys: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    return pd.concat([keys, pd.DataFrame(probabilities, columns=list(PROBABILITIES))], axis=1)
