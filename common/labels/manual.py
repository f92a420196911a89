"""Sources of labels that people made: scores of cells, and grades of images that speak for a whole sample."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common.cells import KEYS
from common.errors import DataError
from common.labels.scores import NO_IMAGE, PLACE, MadeOn, attach, locate, read_scores
from common.labels.sources import Classes, Known, Source
from common.labels.table import CellLabels
from common.quality import ClassId, Share

SOFT = {0: 0.0, 1: 0.0, 2: 0.25, 3: 0.5, 4: 0.9, 5: 1.0}
"""Confidence 0 to 5 as a probability (github.com/CroDoc/HPA2021-data-centric-approach)."""


class Scores(Source):
    """Scores of cells, as probabilities."""

    kind: Literal["scores"]
    file: str
    """A CSV: ID, class, score, and y, x or a number of the cell."""
    classes: Classes
    rows: dict[str, str] = Field(default={})
    """Only rows of the file that have these values in these columns."""
    made_on: MadeOn | None = None
    """For a file with numbers of cells."""
    map: dict[int, Share] = SOFT
    """The probability for each score."""
    ungraded: Share | None = None
    """For cells without a score, of these classes, whose value was at least .5; none: that value stays."""

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Set the scored cells' values; list the scores that found no cell."""
        scores = self._read()
        found = attach(self._places(scores, known), labels.cells, known.folder("masks"), self.name)
        hit = found[found["cell_id"] > 0]
        labels.missed.append(found[found["cell_id"] == 0].assign(source=self.name))
        rows = labels.cells.reset_index().merge(hit, on=KEYS)
        for class_id in self.classes:
            graded = rows[rows["class"] == class_id]
            if self.ungraded is not None:
                rest = labels.values[:, class_id] >= 0.5
                rest[graded["index"]] = False
                labels.put(self.name, class_id, rest, self.ungraded)
            labels.put(
                self.name, class_id, graded["index"].to_numpy(), graded["score"].map(self.map).to_numpy()
            )

    def _read(self) -> pd.DataFrame:
        numbers = (self.made_on.column,) if self.made_on else tuple(PLACE)
        scores = _of_classes(read_scores(Path(self.file), self.rows, numbers), self.classes, self.file)
        if strange := sorted(set(scores["score"]) - set(self.map)):
            raise DataError(
                f"{self.file}: has scores {strange}, but the map of {self.name} has {sorted(self.map)}"
            )
        return scores

    def _places(self, scores: pd.DataFrame, known: Known) -> pd.DataFrame:
        images = known.images
        if self.made_on:
            sizes = zip(images["height"], images["width"], strict=True)
            by_image = dict(zip(images["image_id"], sizes, strict=True))
            return locate(scores, self.made_on, by_image, self.name)
        return scores.assign(reason=np.where(scores["image_id"].isin(images["image_id"]), "", NO_IMAGE))


class Samples(Source):
    """Grades of images that speak for all images of their sample: stained by the same antibody.

    Defaults: github.com/CroDoc/HPA2021-data-centric-approach, class 6. An image without a sample stands for itself;
    there, its grade was lost.
    """

    kind: Literal["samples"]
    file: str
    """A CSV: ID, class, score. The last grade of an image counts."""
    class_id: ClassId
    rows: dict[str, str] = Field(default={})
    confirmed: tuple[int, ...] = Field(default=(3,), min_length=1)
    """Grades that say the label is right."""
    value: Share = 1.0
    doubtful: Share = 0.51
    """For the samples of images graded otherwise."""

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Set the class in all cells whose image is labelled with it."""
        grades = _of_classes(read_scores(Path(self.file), self.rows, ()), (self.class_id,), self.file)
        grades = grades.drop_duplicates("image_id", keep="last")
        images = known.images
        strangers = grades[~grades["image_id"].isin(images["image_id"])]
        labels.missed.append(strangers.assign(source=self.name, reason=NO_IMAGE))
        otherwise = grades.loc[~grades["score"].isin(self.confirmed), "image_id"]
        sample = images["sample_id"].where(images["sample_id"] != "", images["image_id"])
        doubted = sample.isin(sample[images["image_id"].isin(otherwise)])
        image_ids = labels.cells["image_id"]
        labelled = known.labelled(image_ids, self.class_id)
        in_doubt = image_ids.isin(images.loc[doubted, "image_id"]).to_numpy()
        labels.put(self.name, self.class_id, labelled, self.value)
        labels.put(self.name, self.class_id, labelled & in_doubt, self.doubtful)


def _of_classes(scores: pd.DataFrame, classes: Classes, file: str) -> pd.DataFrame:
    """The scores of ``classes``; a file without a column ``class`` is of the only one.

    Raises:
        DataError: there are none, or the file does not say of which class they are.
    """
    if "class" not in scores:
        if len(classes) > 1:
            raise DataError(f"{file}: lacks the column class, and classes names {len(classes)}; name one")
        return scores.assign(**{"class": classes[0]})
    chosen = scores[scores["class"].isin(classes)]
    if chosen.empty:
        raise DataError(
            f"{file}: has no score of class {', '.join(map(str, classes))}; see the source's rows, too"
        )
    return chosen
