"""How the probabilities of several members become one: one class at a time, every rule in [0, 1]."""

from typing import Literal

import numpy as np

Mix = Literal["arithmetic", "geometric"]
LEAST = 1e-6  # a zero of one member must not silence all others, and has no logarithm


def mix(stack: np.ndarray, weights: np.ndarray, kind: Mix) -> np.ndarray:
    """Mix the members' probabilities of one class.

    Args:
        stack: (members, N) probabilities.
        weights: (members,) not negative, of sum 1.
        kind: ``arithmetic`` is the weighted mean, ``geometric`` the weighted product.

    Returns:
        (N,) probabilities.
    """
    if kind == "arithmetic":
        return np.asarray(weights @ stack)
    return np.asarray(np.exp(weights @ np.log(LEAST + (1 - LEAST) * stack)))


def with_image(cell: np.ndarray, image: np.ndarray, weight: float) -> np.ndarray:
    """Cell probability ** (1 - weight) x image probability ** weight: (N,), (N,) -> (N,)."""
    return mix(np.stack([cell, image]), np.array([1 - weight, weight]), "geometric")
