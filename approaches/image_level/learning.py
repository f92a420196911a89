"""Trains one fold of a recipe."""

from pathlib import Path

import pandas as pd
import torch

from approaches.image_level.recipe import Recipe
from common.classifier import build_network
from common.field_data import LabelledImages, fold_parts
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
    train, valid = (LabelledImages(store, part, recipe) for part in fold_parts(store, labels, folds, fold))
    torch.manual_seed(recipe.seed)  # initial weights
    network = build_network(recipe)
    history = fit_chain(network, recipe.steps, train, valid, place.scratch, place.run).history
    save_trained(place.out, network, recipe)
    pd.DataFrame(history).to_csv(place.out / "history.csv", index=False)
