"""Trains one fold of a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.image_level.dataset import LabelledImages
from approaches.image_level.network import build_network
from approaches.image_level.recipe import Recipe
from common.errors import DataError
from common.fields import FieldStore
from common.labels.weak import multi_hot
from common.tracking import Run
from common.trained import save_trained
from common.training import fit_chain


def train_fold(
    recipe: Recipe,
    fold: int,
    fields: Path,
    images: pd.DataFrame,
    folds: pd.DataFrame,
    run: Run,
    scratch: Path,
    out: Path,
) -> None:
    """Train on the labelled ``images`` of all other folds, choose by those of ``fold``, write the model into ``out``.

    Raises:
        DataError: one of the two parts has no labelled image; the loss is not finite.
    """
    store = FieldStore(fields)
    labelled = images[images["labels"].map(len) > 0]
    known = store.index[["image_id"]].merge(labelled[["image_id", "labels"]], on="image_id", how="left")
    fold_of = known["image_id"].map(folds.set_index("image_id")["fold"])
    usable = known["labels"].notna() & fold_of.notna()
    parts = []
    for name, chosen in (
        ("training", usable & (fold_of != fold)),
        ("validation", usable & (fold_of == fold)),
    ):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise DataError(
                f"fold {fold}: no labelled image for {name}; check data/folds.parquet and the labels"
            )
        targets = multi_hot(known["labels"].iloc[rows])
        parts.append(LabelledImages(store, rows, targets, recipe, seed_of(recipe)))
    torch.manual_seed(seed_of(recipe))  # initial weights; all else has its own generator
    network = build_network(recipe)
    history = fit_chain(network, recipe.steps, parts[0], parts[1], scratch, run)
    save_trained(out, network, recipe)
    pd.DataFrame(history).to_csv(out / "history.csv", index=False)


def seed_of(recipe: Recipe) -> int:
    """The seed of the first step."""
    return next(iter(recipe.steps.values())).trainer.seed
