"""Scores that need no true cells: average precision and F1 of cells or images against image labels.

Undefined is NaN, never 0. These are proxies: an image's labels are not its cells' labels.
"""

import numpy as np


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the precision-recall curve of one class, as scikit-learn's ``average_precision_score``.

    Args:
        scores: (n,) higher means more likely.
        truth: (n,) bool or 0/1.

    Returns:
        In [0, 1], or NaN where nothing has the class. Equal scores enter the curve together, so the result
        does not depend on the order of the rows.

    Raises:
        ValueError: the shapes differ, or a score is NaN.
    """
    if scores.shape != truth.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} do not fit truth {truth.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN; it has no place in a ranking")
    positive = truth.astype(bool)
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    precision, recall = hits / seen, hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def class_average_precisions(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Average precision of each class: (n, C), (n, C) -> (C,), NaN for a class without positives."""
    _check_table(scores, truth)
    return np.array([average_precision(scores[:, k], truth[:, k]) for k in range(scores.shape[1])])


def cell_average_precision(probabilities: np.ndarray, image_labels: np.ndarray) -> tuple[float, np.ndarray]:
    """How well cells are ranked when every cell is held to its image's labels.

    Args:
        probabilities: (N, 19) of the cells.
        image_labels: (N, 19) bool or 0/1, the labels of each cell's image.

    Returns:
        The mean over classes with positives (NaN where there are none) and the (19,) values behind it.
    """
    per_class = class_average_precisions(probabilities, image_labels)
    return _known_mean(per_class), per_class


def image_average_precision(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """How well images are ranked: (images, 19) pooled probabilities against (images, 19) labels.

    Returns:
        As ``cell_average_precision``. Pool the cells with ``pool_images`` first.
    """
    return cell_average_precision(probabilities, labels)


def pool_images(
    probabilities: np.ndarray, image_index: np.ndarray, pool: np.ufunc = np.maximum
) -> np.ndarray:
    """One row an image from its cells.

    Args:
        probabilities: (N, 19) of the cells, in any order.
        image_index: (N,) int, the image of each cell, from 0; an index that no cell has gives a row of NaN.
        pool: how two cells make one value; the maximum unless told otherwise.

    Returns:
        (images, 19), images = the highest index + 1.
    """
    if len(probabilities) != len(image_index):
        raise ValueError(f"{len(probabilities)} cells do not fit {len(image_index)} image indices")
    pooled = np.full((int(image_index.max(initial=-1)) + 1, probabilities.shape[1]), np.nan)
    order = np.argsort(image_index, kind="stable")
    present, firsts = np.unique(image_index[order], return_index=True)
    if len(present):
        pooled[present] = pool.reduceat(probabilities[order], firsts, axis=0)
    return pooled


def macro_f1(probabilities: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> float:
    """Mean F1 over the classes that occur: (n, 19), (n, 19) -> [0, 1].

    A class neither true nor predicted anywhere has no F1 and is left out; NaN where that holds for all.
    """
    _check_table(probabilities, labels)
    predicted, positive = probabilities >= threshold, labels.astype(bool)
    hits = (predicted & positive).sum(axis=0)
    total = predicted.sum(axis=0) + positive.sum(axis=0)
    seen = total > 0
    return _known_mean(2 * hits[seen] / total[seen])


def micro_f1(probabilities: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> float:
    """F1 of all (row, class) pairs together; NaN where nothing is true or predicted."""
    _check_table(probabilities, labels)
    predicted, positive = probabilities >= threshold, labels.astype(bool)
    total = int(predicted.sum() + positive.sum())
    return float(2 * (predicted & positive).sum() / total) if total else float("nan")


def _check_table(scores: np.ndarray, truth: np.ndarray) -> None:
    if scores.shape != truth.shape or scores.ndim != 2:
        raise ValueError(f"a table of scores {scores.shape} does not fit one of truth {truth.shape}")


def _known_mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
