"""Rules by which an epoch's items are drawn, so that rare classes are seen.

Functions of labels and a generator to (K,) indices of items, in random order. N items, C classes; ``members`` (N, C)
bool says which item has which class.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

QUOTA_SHARES = (2, 0.5, 1, 0.5, 0.5, 1, 0.5, 1, 0.5, 0.5, 0.5, 1 / 3, 0.5, 1, 1, 0.5, 2, 1)
"""System B (4th place): what it draws of each of the 18 patterns, as a share of 20 000 cells, which is also what it
draws of cells without any: 316 666 an epoch."""
MULTIPLICITIES: Mapping[int, Sequence[tuple[float, int]]] = {
    11: ((1e-9, 41), (0.99, 123)),
    12: ((0.7, 2), (0.9, 16)),
}
"""System B's multiplicities of a class: from this soft label on, so many copies lie in the list it draws from."""
OTHER_MULTIPLICITIES = ((0.9, 2),)
"""System B's of all other classes."""
REPEATS: Mapping[int, int] = {
    1: 2,
    2: 3,
    3: 2,
    4: 5,
    5: 5,
    6: 4,
    7: 7,
    8: 2,
    9: 2,
    10: 3,
    12: 5,
    15: 4,
    17: 7,
}
"""System B's repeats of a graded cell, by class; cells graded for other classes alone do not come."""


def top_up(members: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Go through the classes in random order, each time adding items until ``per_class`` chosen ones have the class.

    System A (23rd place), 1500 images a class. No item is drawn twice: a rare class gives all it has, items without a
    class are never drawn, and a class that often joins others may exceed ``per_class``.
    """
    chosen = np.zeros(len(members), bool)
    for class_id in rng.permutation(members.shape[1]):
        has = members[:, class_id]
        candidates = np.flatnonzero(has & ~chosen)
        lacking = max(0, per_class - int((has & chosen).sum()))
        chosen[rng.choice(candidates, min(lacking, len(candidates)), replace=False)] = True
    return rng.permutation(np.flatnonzero(chosen))


@dataclass(frozen=True)
class Minority:
    """Items that take the place of others: system A's mitotic cells, tiled to the size of an image."""

    items: np.ndarray
    """(M,) indices, in a data set that holds them behind the others."""
    weights: np.ndarray
    """(M,) above 0: how often each is taken, relative to the others; A: 4 for a pure cell, else 1."""
    share: float
    """The probability that an item is replaced, A: 0.1."""


def replace_by(order: np.ndarray, minorities: Sequence[Minority], rng: np.random.Generator) -> np.ndarray:
    """Replace items of ``order`` (K,) by those of the first minority, what that leaves by the second, and so on."""
    drawn, left = order.copy(), np.ones(len(order), bool)
    for minority in minorities:
        taken = left & (rng.random(len(order)) < minority.share)
        odds = minority.weights / minority.weights.sum()
        drawn[taken] = rng.choice(minority.items, int(taken.sum()), p=odds)
        left &= ~taken
    return drawn


def repeat(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw each item ``times`` (N,): A meant rare cells to come 10 times, B those graded by hand 2 to 7."""
    return rng.permutation(np.repeat(np.arange(len(times)), times))


def grade_times(graded: np.ndarray, soft: np.ndarray, ungraded: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) how often each item comes in system B's pass over what people graded.

    A graded item comes as often as ``REPEATS`` says of its class, the highest of several. Of all others come
    ``ungraded`` at most, once each, but of those with class 17 only a quarter, and all that are surely of class 11 or
    15. What is surely of class 11 comes four times as often, of class 6 twice.

    Args:
        graded: (N, C) bool, which labels people gave.
        soft: (N, C) in [0, 1] or NaN.
    """
    factors = np.array([REPEATS.get(class_id, 0) for class_id in range(soft.shape[1])])
    times: np.ndarray = (graded * factors).max(axis=1)
    others = np.flatnonzero(~graded.any(axis=1))
    drawn = rng.choice(others, min(ungraded, len(others)), replace=False)
    times[drawn[(rng.random(len(drawn)) < 0.25) | ~(soft[drawn, 17] > 0.5)]] = 1
    times[others[(soft[others][:, [11, 15]] >= 0.9).any(axis=1)]] = 1
    times *= np.where(soft[:, 11] >= 0.9, 4, 1) * np.where(soft[:, 6] == 1, 2, 1)
    return times


def draw_quotas(
    members: np.ndarray, copies: np.ndarray, quotas: Sequence[int], without: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw a number of items for each class, and of those without one.

    System B (4th place). The list of a class is walked in random order, again and again, until the quota is full; an
    item with n classes is accepted with probability n ** -0.5, a mitotic spindle always ("fair"; see ``acceptance``).
    A class that no item has gets no draws.

    Args:
        copies: (N, C) int, how often an item lies in the list of a class, see ``multiplicities``.
        quotas: (C,) items for each class.
        without: items that have no class.
    """
    parts = []
    for class_id, quota in enumerate(quotas):
        pool = np.repeat(np.arange(len(members)), np.where(members[:, class_id], copies[:, class_id], 0))
        parts.append(_walk(pool, acceptance(members, class_id)[pool], quota, rng))
    pool = np.flatnonzero(~members.any(axis=1))
    parts.append(_walk(pool, np.ones(len(pool)), without, rng))
    return rng.permutation(np.concatenate(parts))


def acceptance(
    members: np.ndarray, class_id: int, power: float = 0.5, free: Sequence[int] = (11,)
) -> np.ndarray:
    """(N,) system B's probability that an item met in the list of a class is taken: (1 / its classes) ** power.

    Args:
        free: classes whose lists refuse nothing; B: Mitotic spindle.
    """
    if class_id in free:
        return np.ones(len(members))
    return np.maximum(members.sum(axis=1), 1) ** -power


def quotas_of(size: int, shares: Sequence[float] = QUOTA_SHARES) -> list[int]:
    """How many items to draw of each class, from shares of ``size``, rounded down."""
    return [int(share * size) for share in shares]


def multiplicities(
    soft: np.ndarray,
    steps: Mapping[int, Sequence[tuple[float, int]]] = MULTIPLICITIES,
    other: Sequence[tuple[float, int]] = OTHER_MULTIPLICITIES,
) -> np.ndarray:
    """(N, C) int: how often an item lies in the list of a class.

    Args:
        soft: (N, C) soft labels in [0, 1]; NaN, unknown, lies there once.
        steps: for a class, pairs of a threshold and the copies from there on, ascending; below the first: 1.
        other: the same for the classes not in ``steps``.
    """
    copies = np.ones(soft.shape, int)
    for class_id in range(soft.shape[1]):
        for threshold, times in steps.get(class_id, other):
            copies[soft[:, class_id] >= threshold, class_id] = times
    return copies


def _walk(pool: np.ndarray, accept: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """The first ``wanted`` accepted items of ``pool`` (M,), walked in random order as often as it takes."""
    found = [pool[:0]]
    while len(pool) and sum(map(len, found)) < wanted:
        order = rng.permutation(len(pool))
        found.append(pool[order[rng.random(len(pool)) < accept[order]]])
    return np.concatenate(found)[:wanted]
