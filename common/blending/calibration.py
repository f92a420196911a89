"""Makes probabilities of one class mean the same in every member, fitted on labelled out-of-fold cells."""

from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from common.blending.mixing import LEAST
from common.blending.params import Calibration

Calibrator = Callable[[np.ndarray], np.ndarray]
OWN_SHARE = 1e-3  # of the raw value in an isotonic one: its steps must not tie cells that were told apart
TINY = 1e-12  # to apply a curve; it is fitted above LEAST, where no single cell weighs much


def ranks(values: np.ndarray) -> np.ndarray:
    """(N,) -> (N,) the share of cells below, in (0, 1); equal values keep equal ranks. Needs no label."""
    return np.asarray((rankdata(values) - 0.5) / max(len(values), 1))


def fit_calibrator(values: np.ndarray, targets: np.ndarray, kind: Calibration) -> Calibrator:
    """Learn a rising map of one member's probabilities of one class.

    Args:
        values: (N,) probabilities of labelled cells.
        targets: (N,) in [0, 1], all of one kind make the identity.
        kind: ``platt``: a logistic curve over the logit (never a falling one); ``isotonic``: the best rising steps,
            mixed with a thousandth of the raw value. ``none`` and ``rank`` (see ``ranks``) have nothing to learn.
    """
    if kind in ("none", "rank") or not len(targets) or targets.min() == targets.max():
        return _same
    if kind == "isotonic":
        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values, targets)
        return lambda new: (1 - OWN_SHARE) * steps.predict(new) + OWN_SHARE * new
    slope, offset = _logistic(values, targets)
    return (lambda new: expit(slope * _logit(new, TINY) + offset)) if slope > 0 else _same


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _logit(values: np.ndarray, least: float) -> np.ndarray:
    return np.asarray(logit(np.clip(values, least, 1 - least)))


def _logistic(values: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Slope and offset; a soft target counts as a positive and a negative cell of its shares."""
    column = np.tile(_logit(values, LEAST), 2)[:, None]
    outcome = np.repeat([1, 0], len(values))
    fitted = LogisticRegression(C=np.inf).fit(column, outcome, sample_weight=np.r_[targets, 1 - targets])
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
