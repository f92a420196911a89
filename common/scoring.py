"""One scorer for everybody: the competition's metric where cells are known, proxies where only images are."""

import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from common.classes import PROBABILITIES
from common.evaluation import evaluate_maps
from common.labels.weak import copy_image_labels
from common.metrics.detection import precision_curve
from common.metrics.ranking import (
    cell_average_precision,
    image_average_precision,
    macro_f1,
    micro_f1,
    pool_images,
)
from common.metrics.resampling import draw_images, pivotal, resampled_mean
from common.params import Params
from common.truth import truth_maps

DIGITS = 6
CURVE_POINTS = 25
NUMBERS = r"\[([^][{}\"]*)\]"  # a list in JSON without a text or another list in it


class ScoreParams(Params):
    """The section ``score`` of params.yaml."""

    f1_threshold: float = Field(ge=0, le=1)


class Guess(NamedTuple):
    """What a system says."""

    cells: pd.DataFrame
    """A prediction table."""
    masks: Path
    """The folder of the cell masks that it speaks of."""
    images: pd.DataFrame | None = None
    """The image probabilities of a system that publishes them; else an image has its cells' highest."""


def score_part(
    guess: Guess, images: pd.DataFrame, truth: pd.DataFrame, truth_masks: Path, threshold: float
) -> dict[str, Any] | None:
    """Score the predictions of one part (out of fold or test).

    Args:
        images: the rows of the images table that make up the part.
        truth: a truth table, of any images; those of this part are used.
        truth_masks: folder of the true cell masks.
        threshold: from which probability a class counts as present, for F1.

    Returns:
        ``images``, ``cells``, ``competition`` (None where no cell is known) and ``weak`` (None where no image is
        labelled); None for a part without images.
    """
    if images.empty:
        return None
    known = truth[truth["image_id"].isin(images["image_id"])]
    scored = None if known.empty else _competition(guess, known, truth_masks)
    return {
        "images": len(images),
        "cells": len(guess.cells),
        "competition": scored,
        "weak": _weak(guess, images, threshold),
    }


def _competition(guess: Guess, truth: pd.DataFrame, truth_masks: Path) -> dict[str, Any]:
    image_ids = sorted(truth["image_id"].unique())
    result = {
        mode: evaluate_maps(truth_maps(image_ids, guess.masks, truth_masks), guess.cells, truth, mode)
        for mode in MODES
    }
    board = result["mask_all"]
    resampled = resampled_mean(board, draw_images(len(image_ids), seed=0))
    return {
        "mAP": rounded(board.mAP),
        "interval": [rounded(min(max(value, 0), 1)) for value in pivotal(resampled, board.mAP)],
        "mAP_19": rounded(board.mAP_19),
        "mAP_ties": {"best": rounded(board.best), "worst": rounded(board.worst)},
        "mAP_mask_gt": rounded(result["mask_gt"].mAP),
        "AP": by_class(board.AP),
        "curves": [_curve(ranked.hits, int(n)) for ranked, n in zip(board.ranked, board.num_gt, strict=True)],
        "resampled": [rounded(value, 4) for value in resampled],
    }


def _curve(hits: np.ndarray, n_truth: int) -> list[float | None] | None:
    return [rounded(value, 3) for value in precision_curve(hits, n_truth, CURVE_POINTS)] if n_truth else None


MODES = ("mask_all", "mask_gt")


def _weak(guess: Guess, images: pd.DataFrame, threshold: float) -> dict[str, Any] | None:
    """The proxies that need no cell truth, on the images that have labels and cells."""
    labels = copy_image_labels(images, guess.cells)
    if labels.empty:
        return None
    aligned = labels[["image_id", "cell_id"]].merge(
        guess.cells, on=["image_id", "cell_id"], validate="one_to_one"
    )
    probabilities = aligned[list(PROBABILITIES)].to_numpy()
    targets = labels[list(PROBABILITIES)].to_numpy()
    image_index, names = pd.factorize(labels["image_id"])
    by_image = pool_images(probabilities, image_index)
    if guess.images is not None:
        by_image = guess.images.set_index("image_id").loc[names, list(PROBABILITIES)].to_numpy()
    image_targets = targets[[int(np.argmax(image_index == number)) for number in range(len(names))]]
    cell_ap, per_class = cell_average_precision(probabilities, targets)
    return {
        "cell_ap": rounded(cell_ap),
        "image_ap": rounded(image_average_precision(by_image, image_targets)[0]),
        "macro_f1": rounded(macro_f1(by_image, image_targets, threshold)),
        "micro_f1": rounded(micro_f1(by_image, image_targets, threshold)),
        "cell_AP": by_class(per_class),
    }


def rounded(value: float, digits: int = DIGITS) -> float | None:
    """A number as entries hold it: rounded, None where it is undefined."""
    return None if math.isnan(value) else round(float(value), digits)


def by_class(values: np.ndarray) -> list[float | None]:
    """One value a class, in the order of ids: a list, which DVC's tables show as one column and not as 19."""
    return [rounded(value) for value in values]


def entry_text(entry: dict[str, Any]) -> str:
    """An entry as JSON with a line a key: lists of numbers would take hundreds."""
    lines = json.dumps(entry, indent=1, allow_nan=False)
    return re.sub(NUMBERS, lambda found: f"[{' '.join(found.group(1).split())}]", lines) + "\n"
