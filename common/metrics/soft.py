"""How well probabilities fit soft labels, which lie between no and yes.

N items, C classes. A label of NaN is unknown and does not count; undefined is NaN, never 0.
"""

import numpy as np

BINS = 20
"""System A's: 0 to .05, .05 to .1, and so on."""


def binned_accuracy(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The share of the entries (N, C) whose probability and label lie in the same twentieth of [0, 1].

    System A (23rd place) watches it. A bin holds its lower edge; 1 lies in the last one.
    """
    known = ~np.isnan(targets)
    if not known.any():
        return float("nan")
    hits = _bins(probabilities[known]) == _bins(targets[known])
    return float(hits.mean())


def _bins(values: np.ndarray) -> np.ndarray:
    edges = (np.arange(BINS) / BINS).astype(values.dtype)  # else .35 in float32 lies below .35
    return np.digitize(values, edges)


def soft_ranking(scores: np.ndarray, targets: np.ndarray) -> float:
    """How near a class's ranking is to the one by label: the mean label down to each rank, summed over all ranks.

    System B's (4th place), divided by the same sum in the best order. Items of equal score each count as their mean,
    which is what all their orders give on average.

    Args:
        scores: (N,) higher means more likely.
        targets: (N,) in [0, 1] or NaN.

    Returns:
        In (0, 1], or NaN where no label is above 0.
    """
    known = ~np.isnan(targets)
    scores, targets = scores[known], targets[known].astype(float)
    if not (targets > 0).any():
        return float("nan")
    _, ties = np.unique(-scores, return_inverse=True)
    shared = np.bincount(ties, targets) / np.bincount(ties)
    return float(_running_means(shared[np.sort(ties)]) / _running_means(np.sort(targets)[::-1]))


def _running_means(ordered: np.ndarray) -> float:
    """The sum over the ranks of the mean so far."""
    return float(np.sum(np.cumsum(ordered) / np.arange(1, len(ordered) + 1)))


def soft_ranking_map(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The mean of ``soft_ranking`` over the classes of (N, C) that have a label above 0; NaN where none has."""
    values = np.array([soft_ranking(probabilities[:, k], targets[:, k]) for k in range(targets.shape[1])])
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
