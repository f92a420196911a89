"""Trains one fold of a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.origin import note_crops
from approaches.cell_crop.recipe import Recipe
from common.cells import KEYS
from common.classes import PROBABILITIES
from common.classifier import build_network
from common.crops import CropStore
from common.drawing import grade_times
from common.errors import DataError
from common.labels.table import sources_of
from common.trained import save_recipe, save_trained, start_from
from common.training import Learned, fit_chain
from common.training_run import Place


def train_fold(
    recipe: Recipe,
    fold: int,
    crops: Path,
    labels: pd.DataFrame,
    folds: pd.DataFrame,
    place: Place,
    start: Path | None = None,
) -> None:
    """Train on the labelled cells of all other folds, judge by those of ``fold``, write the model.

    Args:
        start: the trained fold with whose weights training starts.

    Raises:
        DataError: one of the two parts has no labelled cell; the loss is not finite.
    """
    store = CropStore(crops)
    cells = store.index[KEYS].merge(labels.merge(folds, on="image_id"), on=KEYS, how="left")
    in_fold, labelled = cells["fold"] == fold, cells["fold"].notna()
    rows = [np.flatnonzero(labelled & ~in_fold), np.flatnonzero(in_fold)]
    for part, name in zip(rows, ("training", "validation"), strict=True):
        if not len(part):
            raise DataError(
                f"fold {fold}: no labelled cell for {name}; check data/folds.parquet and the labels"
            )
    histories, parts = [], iter(recipe.parts)
    for name, _, member in recipe.systems:
        learned = _train(member, store, cells, rows, place._replace(scratch=place.scratch / name), start)
        histories.append(pd.DataFrame(learned.history).assign(**({"member": name} if name else {})))
        network = build_network(member, pretrained=False)
        for _, weights in learned.networks:
            network.load_state_dict(weights)
            save_trained(place.out / next(parts).folder, network, member)
    save_recipe(place.out, recipe)
    note_crops(place.out, store.params)
    pd.concat(histories).to_csv(place.out / "history.csv", index=False)


def _train(
    recipe: Recipe,
    store: CropStore,
    cells: pd.DataFrame,
    rows: list[np.ndarray],
    place: Place,
    start: Path | None,
) -> Learned:
    """Train one network.

    Args:
        cells: the labels of each row of the store.
        rows: those to train on, and those to judge by.
    """
    targets = cells[list(PROBABILITIES)].to_numpy()
    train = CellCrops(store, rows[0], targets[rows[0]], recipe, recipe.view)
    valid = CellCrops(store, rows[1], targets[rows[1]], recipe, recipe.seen_at_the_end)
    steps, sets = recipe.steps, dict.fromkeys(recipe.steps, train)
    if graded := recipe.graded:
        by_people = np.isin(sources_of(cells.loc[rows[0]]).astype(str), graded.sources)
        rng = np.random.default_rng(recipe.seed)
        again = np.repeat(rows[0], grade_times(by_people, train.targets, graded.ungraded, rng))
        sets[graded.step] = CellCrops(store, again, targets[again], recipe, recipe.view)
        if not by_people.any():
            print(f"{graded.step}: left out, for no cell's label is of {', '.join(graded.sources)}")
            steps = {name: step for name, step in steps.items() if name != graded.step}
    torch.manual_seed(recipe.seed)  # initial weights
    network = build_network(recipe, pretrained=start is None)
    if start:
        start_from(network, start)
    return fit_chain(network, steps, sets, valid, place.scratch, place.run)
