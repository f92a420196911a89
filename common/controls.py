"""What anybody could say without a network: scored like every system, so that the board has a floor."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.labels.weak import copy_image_labels
from common.metrics.overlap import overlap_matrix


def class_prior(images: pd.DataFrame, cells: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """Give every cell the class frequencies of the training images of the other folds (test cells: of all).

    Returns:
        A prediction table of all ``cells``.
    """
    frequencies = copy_image_labels(images, images[["image_id"]].assign(cell_id=0)).set_index("image_id")
    fold_of = folds.set_index("image_id")["fold"]
    known = frequencies[list(PROBABILITIES)].loc[fold_of.index]
    overall = known.mean()
    prior = {fold: known[fold_of != fold].mean() for fold in fold_of.unique()}
    rows = [prior.get(fold, overall) for fold in cells["image_id"].map(fold_of)]
    return _table(cells, np.array(rows).reshape(-1, len(CLASSES)))


def image_labels(images: pd.DataFrame, cells: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Copy an image's labels to all its cells: a perfect image classifier that knows nothing of cells.

    Labels of the images table are used; where an image has none, the classes of its true cells; where those are
    unknown too, zeros, and nothing can score them. The cells of an image tie: look at the bounds of the score.

    Returns:
        A prediction table of all ``cells``.
    """
    in_truth = truth.groupby("image_id")[list(PROBABILITIES)].max()
    known = dict(zip(images["image_id"], images["labels"], strict=True))
    multi_hot = np.zeros((len(cells), len(CLASSES)))
    for row, image_id in enumerate(cells["image_id"]):
        if len(known[image_id]):
            multi_hot[row, list(known[image_id])] = 1
        elif image_id in in_truth.index:
            multi_hot[row] = in_truth.loc[image_id]
    return _table(cells, multi_hot)


def true_cells(
    cells: pd.DataFrame, truth: pd.DataFrame, maps: Iterable[tuple[str, np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    """Give every found cell the classes of the true cell that it overlaps most: what these masks allow at best.

    Args:
        maps: image_id, found and true label map of the images with truth. Cells of other images get zeros.

    Returns:
        A prediction table of all ``cells``.
    """
    column = {key: row for row, key in enumerate(truth[KEYS].itertuples(index=False, name=None))}
    row_of = {key: row for row, key in enumerate(cells[KEYS].itertuples(index=False, name=None))}
    known, multi_hot = truth[list(PROBABILITIES)].to_numpy(float), np.zeros((len(cells), len(CLASSES)))
    for image_id, found, true in maps:
        overlap = overlap_matrix(found, true)
        for cell_id, iou in zip(overlap.predicted.tolist(), overlap.iou, strict=True):
            likeliest = (image_id, int(overlap.truth[iou.argmax()])) if iou.any() else None
            if (image_id, cell_id) in row_of and likeliest in column:
                multi_hot[row_of[image_id, cell_id]] = known[column[likeliest]]
    return _table(cells, multi_hot)


def _table(cells: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(probabilities, columns=list(PROBABILITIES))
    return pd.concat([cells[KEYS].reset_index(drop=True), table], axis=1)
