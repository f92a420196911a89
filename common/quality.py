"""Which cells are worth training on, and how far a prediction for one can be trusted: rules of published systems.

``common.measures`` gives the numbers. Here a rule compares one with its limit, and ``QualityParams`` says what follows.
Rules look at a whole cells table, because some compare a cell with the others of its image.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from common.classes import CLASSES
from common.duplicates import keep_one
from common.errors import DataError
from common.measures import QUALITY
from common.params import Params

FREE_TO_TRAIN, FREE_ENOUGH, FREE_TOO_LITTLE = 0.2, 0.3, 0.01
"""How much of a nucleus' outer row must be free: to be trained on, for full weight, for any weight
(github.com/CroDoc/HPA2021-data-centric-approach)."""

RED_SHARE, BLUE_YELLOW_SHARE = 0.077, 0.05
"""A cell below these shares of its image's mean cell is no cell (the same source)."""

TINY_SIDE, LOW_GREEN = 0.01, 1.0
"""Side of a square as large as a tiny cell, over the picture's; mean protein, of 255, below which nothing is stained
(github.com/Fkaneko/kaggle-hpa-single-cell-image-classification)."""

OBVIOUS_GREEN = 150.0
"""``green_top`` from which staining is obvious (github.com/SamusRam/hpa-single-cell)."""

BLURRED = 0.015
"""Ours: 71 cells of real fields have .05 or more in the sharper channel; under a blur of 1 um, 99 % have less."""


def border_nucleus(cells: pd.DataFrame) -> pd.Series:
    """The nucleus is a small rest at the picture's border (SamusRam)."""
    return cells["border_nucleus"].astype(bool)


def nucleus_missing(cells: pd.DataFrame) -> pd.Series:
    """No nucleus, or a black one (CroDoc). In an image without any nucleus mask nothing is known of them."""
    return (nucleus_area(cells) == 0) | (cells["nucleus_blue_mean"] == 0)


def nucleus_cut(cells: pd.DataFrame) -> pd.Series:
    """The nucleus has a straight side (CroDoc)."""
    return nucleus_free(cells) <= FREE_TO_TRAIN


def outlier(cells: pd.DataFrame) -> pd.Series:
    """Too little red, or too little blue times yellow, for a cell of this image (CroDoc)."""
    shares = stain_shares(cells)
    return (shares["red"] < RED_SHARE) | (shares["blue_yellow"] < BLUE_YELLOW_SHARE)


def tiny(cells: pd.DataFrame) -> pd.Series:
    """26 pixels or fewer in a picture of 512 px (Fkaneko)."""
    return cells["area_share"] <= TINY_SIDE**2


def low_green(cells: pd.DataFrame) -> pd.Series:
    """Next to no protein (Fkaneko); in a negative cell that is no flaw."""
    return cells["green_mean"] < LOW_GREEN


def touches_border(cells: pd.DataFrame) -> pd.Series:
    """The picture may cut the cell (recorded by github.com/MikeyJW/HPA_single_cell_classification)."""
    return cells["touches_border"].astype(bool)


def out_of_focus(cells: pd.DataFrame) -> pd.Series:
    """Neither microtubules nor nucleus show detail of .3 um."""
    return focus(cells) < BLURRED


def nucleus_area(cells: pd.DataFrame) -> pd.Series:
    """Pixels of the nucleus, NaN in an image without any nucleus mask."""
    area = cells["nucleus_area_px"]
    return area.where(area.groupby(cells["image_id"]).transform("max") > 0)


def nucleus_free(cells: pd.DataFrame) -> pd.Series:
    """The lesser of both free shares of a nucleus, NaN without one."""
    return cells[["nucleus_free_rows", "nucleus_free_columns"]].min(axis=1)


def focus(cells: pd.DataFrame) -> pd.Series:
    """The sharpness of red or blue, whichever is larger."""
    return cells[["red_sharpness", "blue_sharpness"]].max(axis=1)


def lowest_share(cells: pd.DataFrame) -> pd.Series:
    """The lesser of both stain shares."""
    return stain_shares(cells).min(axis=1)


def stain_shares(cells: pd.DataFrame) -> pd.DataFrame:
    """Sum of red, and sum of blue times sum of yellow, over the mean of the image's cells: ``red``, ``blue_yellow``.

    As published, cells with a missing or cut nucleus are neither counted in the mean nor judged: NaN.
    """
    valid = ~nucleus_missing(cells) & ~(nucleus_free(cells) <= FREE_TOO_LITTLE)
    sums = pd.DataFrame(
        {
            "red": cells["red_mean"] * cells["area_px"],
            "blue_yellow": cells["blue_mean"] * cells["yellow_mean"] * cells["area_px"].astype(float) ** 2,
        }
    ).where(valid, axis=0)
    return sums / sums.groupby(cells["image_id"]).transform("mean")


Column = Callable[[pd.DataFrame], pd.Series]


class Rule(NamedTuple):
    """When a cell is flawed, and the number by which the worst come first: the smaller, the worse."""

    holds: Column
    number: Column
    says: str
    """What the number is, for people."""


RULES = {
    "border_nucleus": Rule(border_nucleus, nucleus_area, "area of the nucleus, px"),
    "nucleus_missing": Rule(nucleus_missing, nucleus_area, "area of the nucleus, px"),
    "nucleus_cut": Rule(nucleus_cut, nucleus_free, "free share of the nucleus' fullest outer row"),
    "outlier": Rule(outlier, lowest_share, "red, or blue x yellow, over the image's mean cell"),
    "tiny": Rule(tiny, itemgetter("area_share"), "share of the picture"),
    "low_green": Rule(low_green, itemgetter("green_mean"), "mean protein, of 255"),
    "touches_border": Rule(touches_border, itemgetter("area_share"), "share of the picture"),
    "out_of_focus": Rule(out_of_focus, focus, "sharpness of red or blue"),
}

RuleName = Literal[
    "border_nucleus",
    "nucleus_missing",
    "nucleus_cut",
    "outlier",
    "tiny",
    "low_green",
    "touches_border",
    "out_of_focus",
]
Share = Annotated[float, Field(ge=0, le=1)]
ClassId = Annotated[int, Field(ge=0, lt=len(CLASSES))]


class Weights(Params):
    """What a prediction is multiplied by where a rule holds; for ``nucleus_cut``, the least it is multiplied by."""

    border_nucleus: Share = 1.0
    nucleus_missing: Share = 0.01
    nucleus_cut: Share = 0.001
    outlier: Share = 0.001
    tiny: Share = 0.0
    low_green: Share = 1.0
    touches_border: Share = 1.0
    out_of_focus: Share = 1.0


class QualityParams(Params):
    """The section ``quality`` of params.yaml."""

    train_without: tuple[RuleName, ...] = ()
    """Rules whose cells are not trained on."""
    train_always: tuple[ClassId, ...] = (11,)
    """Cells of images with one of these labels are trained on all the same (CroDoc: mitotic spindle)."""
    duplicates: Literal["all", "one"] = "all"
    """Of near-copies among the training images, train on all, or on one."""
    weights: Weights = Weights()
    """What people are shown; a recipe that weighs its predictions says by what in ``postprocess.quality``."""


def judge_cells(cells: pd.DataFrame, params: QualityParams) -> pd.DataFrame:
    """Apply every rule: a bool column each, ``obvious_staining`` (bool) and ``weight``; the index is that of ``cells``.

    Raises:
        DataError: the table lacks quality columns.
    """
    weight = quality_weight(cells, params.weights)
    flags = {name: rule.holds(cells) for name, rule in RULES.items()}
    judged = pd.DataFrame({**flags, "obvious_staining": obvious_staining(cells)}, index=cells.index)
    return judged.assign(weight=weight)


def obvious_staining(cells: pd.DataFrame) -> pd.Series:
    """The protein is bright somewhere: in an image labelled Negative, staining that is unspecific (SamusRam)."""
    return cells["green_top"] >= OBVIOUS_GREEN


def quality_weight(cells: pd.DataFrame, weights: Weights) -> pd.Series:
    """What predictions of each cell are to be multiplied by, in [0, 1]: the product over the rules that hold.

    Raises:
        DataError: the table lacks quality columns.
    """
    _check_measured(cells)
    weight = pd.Series(1.0, index=cells.index)
    for rule, factor in weights:
        if rule == "nucleus_cut":
            for side in ("nucleus_free_rows", "nucleus_free_columns"):
                free = cells[side].where(~nucleus_missing(cells))  # as published, a missing one is not judged
                weight *= cut_weight(free.to_numpy(), factor)
        else:
            weight *= np.where(RULES[rule].holds(cells), factor, 1.0)
    return weight


def cut_weight(free: np.ndarray, least: float) -> np.ndarray:
    """CroDoc's curve of a free share: 1 above .3, (3.33 share) ** .1 down to .01, ``least`` below it. NaN gives 1."""
    graded = np.where(free > FREE_TOO_LITTLE, np.maximum((3.33 * np.abs(free)) ** 0.1, least), least)
    return np.where(free <= FREE_ENOUGH, graded, 1.0)


def training_cells(cells: pd.DataFrame, images: pd.DataFrame, params: QualityParams) -> pd.Series:
    """Which cells may be trained on: bool, with the index of ``cells``.

    Args:
        cells: a cells table.
        images: an images table, for labels and duplicate clusters.
        params: see ``QualityParams``.

    Raises:
        DataError: a rule is asked for, and the cells table lacks quality columns.
    """
    if params.train_without:
        _check_measured(cells)
    flawed = pd.Series(False, index=cells.index)
    for rule in params.train_without:
        flawed |= RULES[rule].holds(cells)
    spared = images.loc[images["labels"].map(set(params.train_always).intersection).map(len) > 0, "image_id"]
    kept = images.loc[training_images(images, params), "image_id"]
    return (~flawed | cells["image_id"].isin(spared)) & cells["image_id"].isin(kept)


def training_images(images: pd.DataFrame, params: QualityParams) -> pd.Series:
    """Which images may be trained on, near-copies once or all: bool, with the index of ``images``."""
    return keep_one(images) if params.duplicates == "one" else pd.Series(True, index=images.index)


def _check_measured(cells: pd.DataFrame) -> None:
    if missing := [column for column in QUALITY if column not in cells]:
        raise DataError(f"the cells table lacks the columns {', '.join(missing)}; run: dvc repro -f segment")
