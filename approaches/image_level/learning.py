"""Trains one fold of a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.image_level.dataset import LabelledImages
from approaches.image_level.network import build_network
from approaches.image_level.recipe import Recipe
from common.classes import PROBABILITIES
from common.errors import DataError
from common.fields import FieldStore
from common.trained import save_trained
from common.training import fit_chain
from common.training_run import Place


def train_fold(
    recipe: Recipe, fold: int, fields: Path, labels: pd.DataFrame, folds: pd.DataFrame, place: Place
) -> None:
    """Train on the labelled images of all other folds, judge by those of ``fold``, write the model.

    Args:
        labels: image_id and 0/1 in ``p_0`` to ``p_18``.

    Raises:
        DataError: one of the two parts has no labelled image; the loss is not finite.
    """
    store = FieldStore(fields)
    known = store.index[["image_id"]].merge(labels.merge(folds, on="image_id"), on="image_id", how="left")
    in_fold, labelled = known["fold"] == fold, known["fold"].notna()
    parts = []
    for name, chosen in (("training", labelled & ~in_fold), ("validation", in_fold)):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise DataError(
                f"fold {fold}: no labelled image for {name}; check data/folds.parquet and the labels"
            )
        parts.append(LabelledImages(store, rows, known.loc[rows, list(PROBABILITIES)].to_numpy(), recipe))
    torch.manual_seed(recipe.seed)  # initial weights
    network = build_network(recipe)
    history = fit_chain(network, recipe.steps, parts[0], parts[1], place.scratch, place.run)
    save_trained(place.out, network, recipe)
    pd.DataFrame(history).to_csv(place.out / "history.csv", index=False)
