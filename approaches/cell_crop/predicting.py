"""Predicts cells with the trained folds of a recipe."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.origin import refuse_other_crops
from approaches.cell_crop.recipe import Recipe
from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.classifier import build_network
from common.crops import CropStore
from common.forward import make_ready, predict
from common.trained import load_trained, read_recipe, trained_folds


def predict_rows(model: Path, store: CropStore, rows: np.ndarray) -> np.ndarray:
    """(len(rows), classes) probabilities by one fold's model, the mean over its networks, of the crops at ``rows``."""
    recipe = read_recipe(model, Recipe)
    refuse_other_crops(model, store.params)
    probabilities = np.zeros((len(rows), len(CLASSES)), np.float32)
    if len(rows):
        for part in recipe.parts:
            probabilities += part.share * predict_part(model / part.folder, store, rows)
    return probabilities


def predict_part(model: Path, store: CropStore, rows: np.ndarray) -> np.ndarray:
    """(len(rows), classes) probabilities by one network."""
    network, recipe = load_trained(model, Recipe, partial(build_network, pretrained=False))
    data = CellCrops(store, rows, np.zeros((len(rows), len(CLASSES))), recipe, recipe.seen_at_the_end)
    trainer = recipe.trainer
    network, _ = make_ready(network, trainer.channels_last)
    return predict(network, data, trainer.batch_size, recipe.views, trainer.precision)


def predict_out_of_fold(models: Path, crops: Path, folds: pd.DataFrame) -> pd.DataFrame:
    """Predict each training cell by the one model that saw nothing of its image's group."""
    store = CropStore(crops)
    fold_of = store.index["image_id"].map(folds.set_index("image_id")["fold"])
    probabilities = np.zeros((len(store), len(CLASSES)), np.float32)
    for fold in sorted(folds["fold"].unique()):
        rows = np.flatnonzero(fold_of == fold)
        probabilities[rows] = predict_rows(models / f"fold-{fold}", store, rows)
    return _table(store, np.flatnonzero(fold_of.notna()), probabilities)


def predict_unseen(models: Path, crops: Path, image_ids: set[str] | None = None) -> pd.DataFrame:
    """Predict the cells of images that no fold has seen by the mean over folds; all crops without ``image_ids``."""
    store = CropStore(crops)
    chosen = np.ones(len(store), bool) if image_ids is None else store.index["image_id"].isin(image_ids)
    rows = np.flatnonzero(chosen)
    probabilities = np.zeros((len(store), len(CLASSES)), np.float32)
    probabilities[rows] = np.mean(
        [predict_rows(model, store, rows) for model in trained_folds(models)], axis=0
    )
    return _table(store, rows, probabilities)


def _table(store: CropStore, rows: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    cells = store.index.loc[rows, KEYS].reset_index(drop=True)
    return pd.concat([cells, pd.DataFrame(probabilities[rows], columns=list(PROBABILITIES))], axis=1)
