"""Weights of the members for one class, learned on labelled out-of-fold cells."""

from collections.abc import Callable

import numpy as np

from common.blending.mixing import LEAST, Mix, mix
from common.blending.params import Objective
from common.metrics.ranking import average_precision

STEPS = (0.5, 0.25, 0.1, 0.05)
SWEEPS = 20
ROUNDS, BAGS = 12, 4

Score = Callable[[np.ndarray], float]


def objective(targets: np.ndarray, kind: Objective) -> Score:
    """How good (N,) values are for (N,) targets in [0, 1]; higher is better. For ``ap``, half or more is positive."""
    if kind == "ap":
        positive = targets >= 0.5
        return lambda values: average_precision(values, positive)

    def fit(values: np.ndarray) -> float:
        sure = np.clip(values, LEAST, 1 - LEAST)
        return float(np.mean(targets * np.log(sure) + (1 - targets) * np.log1p(-sure)))

    return fit


def convex(stack: np.ndarray, score: Score, kind: Mix) -> np.ndarray:
    """Weights of sum 1 that raise ``score``: from equal ones, in shrinking steps towards single members.

    Args:
        stack: (members, N) probabilities.
    """
    corners = np.eye(len(stack))
    weights = corners.mean(axis=0)
    best = score(mix(stack, weights, kind))
    for step in STEPS:
        for _ in range(SWEEPS):
            moves = [(1 - step) * weights + step * corner for corner in corners]
            values = [score(mix(stack, move, kind)) for move in moves]
            if max(values) <= best:
                break
            best, weights = max(values), moves[int(np.argmax(values))]
    return weights


def greedy(stack: np.ndarray, score: Score, kind: Mix, rng: np.random.Generator) -> np.ndarray:
    """Ensemble selection with replacement, in bags of half the members (Caruana et al., ICML 2004).

    Args:
        stack: (members, N) probabilities.

    Returns:
        (members,) how often each was chosen, of sum 1.
    """
    size = (len(stack) + 1) // 2
    chosen = np.zeros(len(stack))
    for _ in range(BAGS):
        bag = rng.permutation(len(stack))[:size]
        counts = np.zeros(len(stack))
        for done in range(ROUNDS):
            tried = [(counts + np.eye(len(stack))[member]) / (done + 1) for member in bag]
            counts[bag[int(np.argmax([score(mix(stack, weights, kind)) for weights in tried]))]] += 1
        chosen += counts
    return chosen / chosen.sum()
