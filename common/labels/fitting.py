"""Predictions made probabilities by what people scored: the noise of labels, corrected from a few cells."""

import numpy as np
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from common.errors import DataError

LEAST = 1e-3
"""Probabilities are fitted above this and below the rest."""
PRIOR = 1.0
"""The inverse variance of the classes' offsets: a class of few scores stays near the others."""


def fit_to_scores(predicted: np.ndarray, values: np.ndarray, scored: np.ndarray, name: str) -> np.ndarray:
    """Map predictions to probabilities by a logistic curve: one slope, and an offset for each class.

    A network that learned from image labels rates all cells of rare classes low, for it doubts the image. Where the
    image's label is known, the share of cells that show it is another, and a few scores tell it.

    Args:
        predicted: (N, C) in [0, 1]; NaN stays NaN.
        values: (N, C) scores in [0, 1], where ``scored`` (N, C bool).
        name: of the source, for messages.

    Returns:
        (N, C).

    Raises:
        DataError: no scores, or all on one side of .5.
    """
    rows, classes = np.nonzero(scored)
    shown = values[rows, classes]
    if not (len(shown) and shown.min() < 0.5 <= shown.max()):
        raise DataError(
            f"{name}: {len(shown)} scored cells are predicted, and fitted_to needs some that show their class and "
            "some that do not; score more cells, or drop fitted_to"
        )
    known = np.nan_to_num(predicted)
    fitted = LogisticRegression(C=1 / PRIOR).fit(
        np.tile(_features(known[rows, classes], classes, predicted.shape[1]), (2, 1)),
        np.repeat([1, 0], len(shown)),
        sample_weight=np.r_[shown, 1 - shown],  # a soft score counts on both sides
    )
    result = np.empty_like(predicted)
    for each in range(predicted.shape[1]):
        features = _features(known[:, each], np.full(len(known), each), predicted.shape[1])
        result[:, each] = fitted.predict_proba(features)[:, 1]
    return np.where(np.isnan(predicted), np.nan, result)


def _features(probabilities: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """(n, 1 + C): the logit, and which class it is of."""
    return np.column_stack([logit(np.clip(probabilities, LEAST, 1 - LEAST)), np.eye(count)[classes]])
