"""The probability that a cell shows none of the 18 patterns, by rule."""

from typing import Literal

import numpy as np

from common.classes import CLASSES, NEGATIVE

NegativeRule = Literal["output", "one_minus_max", "product"]
"""What a recipe may say: the network's own output; 1 - the highest of the patterns (systems B, 4th place, and A, 23rd,
which gained 0.006 of public mAP by it); the product of all 1 - p, as if patterns were independent (tried by A)."""


def with_negative(probabilities: np.ndarray, rule: NegativeRule) -> np.ndarray:
    """Put the probability of the class Negative in place.

    Args:
        probabilities: (N, 19), whose column of Negative only ``output`` reads; or (N, 18) of the patterns alone, in
            the order of ``CLASSES``.

    Returns:
        (N, 19), a new array of the same dtype.

    Raises:
        ValueError: another number of columns, or 18 for the rule ``output``.
    """
    columns = probabilities.shape[1]
    if columns not in (len(CLASSES), len(CLASSES) - 1) or (rule == "output" and columns != len(CLASSES)):
        raise ValueError(f"the rule {rule} has no use for probabilities {probabilities.shape}")
    if rule == "output":
        return probabilities.copy()
    patterns = np.delete(probabilities, NEGATIVE, axis=1) if columns == len(CLASSES) else probabilities
    absent = 1 - patterns
    negative = absent.min(axis=1) if rule == "one_minus_max" else absent.prod(axis=1)
    return np.insert(patterns, NEGATIVE, negative, axis=1)
