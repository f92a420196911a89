"""Trains one fold of a recipe."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.model import build_network, save_model
from approaches.cell_crop.recipe import Recipe
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.crops import CropStore
from common.errors import DataError
from common.tracking import Run
from common.training import Step, fit


def train_fold(
    recipe: Recipe, fold: int, crops: Path, labels: pd.DataFrame, folds: pd.DataFrame, run: Run, out: Path
) -> None:
    """Train on the labelled cells of all other folds, stop on those of ``fold``, write the model into ``out``.

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
    torch.manual_seed(recipe.trainer.seed)  # initial weights and dropout; all else has its own generator
    step = Step(build_network(recipe), recipe.loss, recipe.optimizer, recipe.schedule)
    with tempfile.TemporaryDirectory() as scratch:
        history = fit(step, parts[0], parts[1], recipe.trainer, Path(scratch), run)
    out.mkdir(parents=True, exist_ok=True)
    save_model(out, step.network, recipe, store.params)
    pd.DataFrame(history).to_csv(out / "history.csv", index=False)
