"""What happens to probabilities after the networks, for recipes of all approaches, in this order:

1. the probability of the class Negative, by rule (``common.negative_class``), once folds and members are averaged;
2. all 19 are multiplied by the cell's quality weight (``common.quality``);
3. each cell is drawn towards the mean of its image's cells of full weight.

The order and the constants are system B's (github.com/CroDoc/HPA2021-data-centric-approach, 4th place), whose ablation
gives 2 and 3 about .015 of private mAP each.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.negative_class import NegativeRule, with_negative
from common.params import Params
from common.quality import ClassId, Share, Weights, quality_weight

FINAL_1: Mapping[int, float] = {0: 0.0, 1: 0.25, 11: 0.0, 13: 0.4, 14: 0.25, 16: 0.0, 18: 0.0}
"""System B's table of its first final submission, with ``weight: 0.35`` for the other classes."""


class ImageMean(Params):
    """How far a cell follows its image; the defaults are system B's second final submission."""

    weight: Share = 0.3
    """Of the image's mean; the cell's own probability has the rest."""
    by_class: dict[ClassId, Share] | Literal["final_1"] = Field(default={11: 0.0, 18: 0.0})
    """Classes with a weight of their own. Mitosis and Negative are of single cells."""
    discarded_too: bool = False
    """As published, the mean is given whole to cells of low quality weight, which lifts debris to at least ``weight`` x
    mean again. B's published numbers have this. Off: the mean is multiplied by the cell's quality weight as well."""

    @property
    def weights(self) -> np.ndarray:
        """(classes,) the weight of the image's mean."""
        own = FINAL_1 if self.by_class == "final_1" else self.by_class
        return np.array([own.get(class_id, self.weight) for class_id in range(len(CLASSES))], np.float32)


class Postprocess(Params):
    """The section ``postprocess`` of a recipe; each step is left out unless it is named."""

    negative: NegativeRule = "output"
    quality: Weights | None = None
    """``{}`` takes the published weights."""
    image_mean: ImageMean | None = None


def postprocess(table: pd.DataFrame, cells: pd.DataFrame, params: Postprocess) -> pd.DataFrame:
    """Apply the steps of a recipe to a prediction table.

    Args:
        table: image_id, cell_id and ``p_0`` to ``p_18``, with all cells of each of its images.
        cells: the cells table of at least these images.

    Raises:
        DataError: quality weights are asked for, and the cells table lacks quality columns.
    """
    found = with_negative(table[list(PROBABILITIES)].to_numpy(np.float32), params.negative)
    weight = np.ones(len(table), np.float32)
    if params.quality is not None:
        known = cells[KEYS].assign(weight=quality_weight(cells, params.quality))
        weight = (
            table[KEYS]
            .merge(known, on=KEYS, how="left", validate="one_to_one")["weight"]
            .to_numpy(np.float32)
        )
    found *= weight[:, None]
    if params.image_mean is not None:
        found = towards_image_mean(found, table["image_id"], weight, params.image_mean)
    return _with_probabilities(table, found)


def postprocess_images(table: pd.DataFrame, params: Postprocess) -> pd.DataFrame:
    """Apply to a table of image probabilities what concerns them: the rule of the class Negative."""
    return _with_probabilities(table, with_negative(table[list(PROBABILITIES)].to_numpy(), params.negative))


def towards_image_mean(
    found: np.ndarray, image_ids: pd.Series, weight: np.ndarray, params: ImageMean
) -> np.ndarray:
    """p <- (1 - w) p + w x the mean of p over the image's cells whose quality weight is exactly 1.

    In an image without such a cell nothing changes.

    Args:
        found: (N, classes) probabilities, already multiplied by ``weight``.
        image_ids: (N,).
        weight: (N,) in [0, 1].
    """
    judged = pd.DataFrame(found).where(pd.Series(weight == 1), axis=0)  # NaN does not count
    mean = judged.groupby(image_ids.to_numpy()).transform("mean").to_numpy(np.float32)
    share = np.where(np.isnan(mean), 0, params.weights)
    given = np.nan_to_num(mean) * (1 if params.discarded_too else weight[:, None])
    blended: np.ndarray = (1 - share) * found + share * given
    return blended.astype(np.float32)


def _with_probabilities(table: pd.DataFrame, found: np.ndarray) -> pd.DataFrame:
    keys = table.drop(columns=list(PROBABILITIES)).reset_index(drop=True)
    return pd.concat([keys, pd.DataFrame(found, columns=list(PROBABILITIES))], axis=1)
