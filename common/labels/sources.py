"""The sources of labels that a recipe may list: each changes some values of the labels that those before it left.

The key ``labels`` of a recipe is ``image``, or a list of mappings, each with the ``kind`` of a source and its values:

    labels:
      - image
      - {kind: auto_negative, system: image_level/efficientnet, classes: [0, 2]}
      - {kind: exclusive, classes: [11], at_least: 0.2}
"""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.errors import ParamsError
from common.labels.fitting import fit_to_scores
from common.labels.published import read_out_of_fold
from common.labels.table import CellLabels
from common.labels.weak import copy_image_labels
from common.params import Params
from common.quality import ClassId, Share
from common.roster import System

ALL = tuple(range(len(CLASSES)))
Classes = Annotated[tuple[ClassId, ...], Field(min_length=1)]


@dataclass(frozen=True)
class Known:
    """What sources may look at."""

    images: pd.DataFrame
    cells: pd.DataFrame
    """All cells: not only those that get labels."""
    folders: dict[str, Path | None]
    """``masks``, ``predictions`` and ``embeddings``, where the labels stage got them."""

    def folder(self, name: str) -> Path:
        """A folder that a source needs.

        Raises:
            ParamsError: the stage was run without it, so that DVC would not see it change.
        """
        if not (path := self.folders.get(name)):
            raise ParamsError(f"these labels need --{name}: add it to the stage's cmd and its folder to deps")
        return path

    def labelled(self, image_ids: pd.Series, class_id: int) -> np.ndarray:
        """(N,) bool: whether the image of each cell is labelled with a class."""
        shows = self.images["labels"].map(lambda labels: class_id in labels)
        return image_ids.isin(self.images.loc[shows, "image_id"]).to_numpy()


class Source(Params):
    """An entry of the list."""

    name: Annotated[str, Field(pattern=r"^[a-z]\w*$")]
    """Names the source in tables and reports; a recipe that gives none gets the kind."""

    @abstractmethod
    def apply(self, labels: CellLabels, known: Known) -> None:
        """Change values of ``labels``."""


class ImageLabels(Source):
    """Every class of an image's labels is 1 in all its cells, every other class 0."""

    kind: Literal["image"]

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Set all classes of the cells of labelled images."""
        rows = labels.cells["image_id"].isin(
            known.images.loc[known.images["labels"].map(len) > 0, "image_id"]
        )
        copied = copy_image_labels(known.images, labels.cells)
        for class_id, column in enumerate(PROBABILITIES):
            labels.put(self.name, class_id, rows.to_numpy(), copied[column].to_numpy())


class Pseudo(Source):
    """What a system predicts for a cell, out of fold."""

    kind: Literal["pseudo"]
    system: System
    """``approach/recipe``."""
    classes: Classes = ALL
    labelled_only: bool = False
    """Only where the image has the label: elsewhere values stay as they are."""
    relative: bool = False
    """Divided by the highest of the image's cells: some cell shows what the image is labelled with. What a network that
    learned from image labels predicts is lower, for it doubts the image, too."""
    fitted_to: tuple[str, ...] = ()
    """Sources whose values people gave. Those stay, and the predictions are fitted to them (``fit_to_scores``)."""

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Set ``classes`` of all cells of training images.

        Raises:
            DataError: nothing that ``fitted_to`` names scored a cell that is predicted.
        """
        columns = _predicted(self.system, self.classes, labels, known)
        predicted = np.column_stack([column for _, column in columns])
        if self.relative:
            highest = pd.DataFrame(predicted).groupby(labels.cells["image_id"]).transform("max").to_numpy()
            predicted = predicted / np.where(highest > 0, highest, 1)
        rows, scored = ~np.isnan(predicted), np.zeros(predicted.shape, bool)
        for place, (class_id, _) in enumerate(columns):
            if self.labelled_only:
                rows[:, place] &= known.labelled(labels.cells["image_id"], class_id)
            scored[:, place] = labels.set_by(self.fitted_to, class_id)
        if self.fitted_to:
            fitted = fit_to_scores(predicted, labels.values[:, self.classes], rows & scored, self.name)
            predicted, rows = fitted, rows & ~scored
        for place, (class_id, _) in enumerate(columns):
            labels.put(self.name, class_id, rows[:, place], predicted[rows[:, place], place])


class AutoNegative(Source):
    """A label is taken back where a model hardly sees it, out of fold: the published under-fitted ResNet18 a class.

    Defaults: github.com/CroDoc/HPA2021-data-centric-approach. There a value of 0 became .01, too; here none rises.
    """

    kind: Literal["auto_negative"]
    system: System
    classes: Classes
    below: Share = 0.3
    lowest: Share | None = None
    """Instead of a threshold: this share of a class's cells, those of the lowest probability. ``below`` took back about
    .15 of the published labels; a model that rates all cells low would lose most."""
    value: Share = 0.01

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Lower ``classes`` to ``value`` where the probability is less than ``below``, or among the ``lowest``."""
        for class_id, predicted in _predicted(self.system, self.classes, labels, known):
            above = ~(labels.values[:, class_id] <= self.value)
            rated = predicted[above & ~np.isnan(predicted)]
            below = np.quantile(rated, self.lowest) if self.lowest is not None and len(rated) else self.below
            rows = (predicted < below) & above
            labels.put(self.name, class_id, rows, self.value)


class AutoPositive(Source):
    """A label is added where a model is sure of it, out of fold; the published threshold is unknown: ours mirrors .3.

    Value: github.com/CroDoc/HPA2021-data-centric-approach. There a value of 1 became .99, too; here none falls.
    """

    kind: Literal["auto_positive"]
    system: System
    classes: Classes
    above: Share = 0.7
    value: Share = 0.99

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Raise ``classes`` to ``value`` where the probability is more than ``above``."""
        for class_id, predicted in _predicted(self.system, self.classes, labels, known):
            rows = (predicted > self.above) & ~(labels.values[:, class_id] >= self.value)
            labels.put(self.name, class_id, rows, self.value)


class Draw(Source):
    """Every known value is replaced by 1, with the value as probability, or 0 (github.com/SamusRam/hpa-single-cell)."""

    kind: Literal["draw"]
    seed: Annotated[int, Field(ge=0)]
    classes: Classes = ALL

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Draw ``classes`` of all cells."""
        chance = np.random.default_rng(self.seed).random(labels.values.shape, np.float32)
        for class_id in self.classes:
            rows = ~np.isnan(labels.values[:, class_id])
            labels.put(self.name, class_id, rows, chance[rows, class_id] < labels.values[rows, class_id])


class Exclusive(Source):
    """A cell that shows one of ``classes`` shows nothing else: every other class becomes 0.

    Default: github.com/CroDoc/HPA2021-data-centric-approach, for mitotic spindles that people had graded.
    """

    kind: Literal["exclusive"]
    classes: Classes
    at_least: Share = 0.2
    set_by: tuple[str, ...] = ()
    """Only values that one of these sources set; none named: all."""

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Clear the other classes of the cells that reach ``at_least``."""
        shows: np.ndarray = labels.values[:, self.classes] >= self.at_least
        if self.set_by:
            shows &= np.column_stack([labels.set_by(self.set_by, class_id) for class_id in self.classes])
        rows = np.flatnonzero(shows.any(axis=1))
        for class_id in set(ALL) - set(self.classes):
            labels.put(self.name, class_id, rows, 0.0)


def _predicted(
    system: str, classes: Classes, labels: CellLabels, known: Known
) -> list[tuple[int, np.ndarray]]:
    """Each class with a system's out-of-fold probabilities of the cells, NaN for those of other images."""
    table = read_out_of_fold(known.folder("predictions"), system, known.images, known.cells)
    found = labels.cells.merge(table, on=KEYS, how="left", validate="one_to_one")
    return [(class_id, found[PROBABILITIES[class_id]].to_numpy()) for class_id in classes]
