"""Trains one fold of a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.model import build_network, note_crops
from approaches.cell_crop.recipe import Recipe
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.crops import CropStore
from common.errors import DataError
from common.trained import save_trained
from common.training import fit_chain
from common.training_run import Place


def train_fold(
    recipe: Recipe, fold: int, crops: Path, labels: pd.DataFrame, folds: pd.DataFrame, place: Place
) -> None:
    """Train on the labelled cells of all other folds, judge by those of ``fold``, write the model.

    Raises:
        DataError: one of the two parts has no labelled cell; the loss is not finite.
    """
    store = CropStore(crops)
    known = labels.merge(folds, on="image_id")
    cells = store.index[KEYS].merge(known, on=KEYS, how="left")
    in_fold, labelled = cells["fold"] == fold, cells["fold"].notna()
    parts = []
    for name, chosen, view in (
        ("training", labelled & ~in_fold, recipe.view),
        ("validation", in_fold, recipe.seen_at_the_end),
    ):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise DataError(
                f"fold {fold}: no labelled cell for {name}; check data/folds.parquet and the labels"
            )
        targets = cells.loc[rows, list(PROBABILITIES)].to_numpy()
        parts.append(CellCrops(store, rows, targets, recipe, view))
    torch.manual_seed(recipe.seed)  # initial weights
    network = build_network(recipe)
    history = fit_chain(network, recipe.steps, parts[0], parts[1], place.scratch, place.run)
    save_trained(place.out, network, recipe)
    note_crops(place.out, store.params)
    pd.DataFrame(history).to_csv(place.out / "history.csv", index=False)
