"""Whole fields as approaches see them: labelled ones to train on, by fold, and all of them to be asked about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pydantic import model_validator
from torch import Tensor
from torch.utils.data import Dataset

from common.augment import augment
from common.classes import PROBABILITIES
from common.errors import DataError
from common.fields import FieldStore, FieldView
from common.images import to_uint8
from common.recipes import NetworkRecipe


class FieldRecipe(NetworkRecipe):
    """A competing system whose network sees whole fields."""

    view: FieldView

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "FieldRecipe":
        self.normalize.check(len(self.view.channels))
        return self


class Part(NamedTuple):
    """Images of a field store: (n,) rows of it, and (n, 19) their labels, 0 or 1."""

    rows: np.ndarray
    targets: np.ndarray


def fold_parts(store: FieldStore, labels: pd.DataFrame, folds: pd.DataFrame, fold: int) -> tuple[Part, Part]:
    """The labelled images of all other folds, and those of ``fold``.

    Args:
        labels: image_id and 0/1 in ``p_0`` to ``p_18``.

    Raises:
        DataError: one of the two has no image.
    """
    known = store.index[["image_id"]].merge(labels.merge(folds, on="image_id"), on="image_id", how="left")
    in_fold, labelled = known["fold"] == fold, known["fold"].notna()
    parts = []
    for name, chosen in (("training", labelled & ~in_fold), ("validation", in_fold)):
        rows = np.flatnonzero(chosen)
        if not len(rows):
            raise DataError(
                f"fold {fold}: no labelled image for {name}; check data/folds.parquet and the labels"
            )
        parts.append(Part(rows, known.loc[rows, list(PROBABILITIES)].to_numpy()))
    return parts[0], parts[1]


class LabelledImages(Dataset[Any]):
    """One item an image: ``(pixels, targets, row)``, indexed by item, or by ``(epoch, item)`` for augmented pixels.

    ``pixels`` is (C, size, size) uint8; ``targets`` is (classes,) float32; ``row`` is the image's row in the store.
    """

    def __init__(self, store: FieldStore, part: Part, recipe: FieldRecipe) -> None:
        store.refuse_view(recipe.view)
        self.store, self.recipe = store, recipe
        self.rows, self.targets = part.rows, part.targets.astype(np.float32)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, row: int) -> str:
        """The id of the image in a row of the store."""
        return str(self.store.index["image_id"].iat[row])

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        epoch, item = key if isinstance(key, tuple) else (None, key)
        row = int(self.rows[item])
        pixels = self.picture(row, epoch)
        if epoch is not None:
            pixels = augment(pixels, self.recipe.augment, self.generator(epoch, row))
        return to_tensor(pixels), torch.from_numpy(self.targets[item]), row

    def picture(self, row: int, epoch: int | None) -> np.ndarray:
        """The (size, size, C) pixels of an image before augmentation; a subclass may change them by epoch."""
        return to_uint8(self.store.read(row, self.recipe.view))

    def generator(self, epoch: int, row: int) -> np.random.Generator:
        """What an image is augmented by in an epoch."""
        return np.random.default_rng((self.recipe.seed, epoch, row))


@dataclass(frozen=True)
class Inputs:
    """What a prediction reads: the field store, the folder of masks, and the cells table."""

    fields: FieldStore
    masks: Path
    cells: pd.DataFrame

    def rows(self, image_ids: set[str]) -> np.ndarray:
        """Where the store holds these images."""
        return np.flatnonzero(self.fields.index["image_id"].isin(image_ids))

    def ids(self, rows: np.ndarray) -> np.ndarray:
        """The ids of images by row of the store."""
        return self.fields.index["image_id"].to_numpy()[rows]

    def cells_of(self, rows: np.ndarray) -> list[pd.DataFrame]:
        """The cells of each image."""
        groups = dict(list(self.cells.groupby("image_id")))
        return [groups.get(image_id, self.cells.head(0)) for image_id in self.ids(rows)]


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, C) -> (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
