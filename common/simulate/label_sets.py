"""Which label sets proteins have: as often together as in the 21,806 images of the competition, or balanced."""

from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from common.classes import CLASSES

LabelSet = tuple[int, ...]

TOGETHER = np.array(
    (
        (1551, 305, 596, 286, 51, 383, 34, 481, 136, 130, 103, 7, 414, 576, 378, 37, 1278, 113, 0),
        (305, 221, 53, 8, 25, 14, 21, 9, 6, 1, 2, 0, 9, 18, 23, 0, 85, 3, 0),
        (596, 53, 515, 0, 20, 11, 23, 46, 25, 4, 31, 0, 25, 78, 78, 2, 225, 10, 0),
        (286, 8, 0, 549, 4, 4, 17, 22, 5, 7, 9, 0, 4, 14, 29, 3, 98, 9, 0),
        (51, 25, 20, 4, 788, 5, 2, 19, 11, 18, 16, 0, 11, 84, 34, 5, 211, 13, 0),
        (383, 14, 11, 4, 5, 636, 6, 36, 12, 12, 12, 2, 17, 38, 22, 23, 238, 2, 0),
        (34, 21, 23, 17, 2, 6, 476, 18, 0, 3, 0, 0, 9, 25, 3, 0, 61, 6, 0),
        (481, 9, 46, 22, 19, 36, 18, 719, 2, 4, 4, 0, 19, 36, 3, 1, 88, 2, 0),
        (136, 6, 25, 5, 11, 12, 0, 2, 529, 9, 0, 0, 7, 14, 1, 16, 59, 0, 0),
        (130, 1, 4, 7, 18, 12, 3, 4, 9, 306, 10, 0, 20, 91, 4, 0, 99, 2, 0),
        (103, 2, 31, 9, 16, 12, 0, 4, 0, 10, 404, 10, 13, 15, 2, 0, 87, 2, 0),
        (7, 0, 0, 0, 0, 2, 0, 0, 0, 0, 10, 1, 6, 7, 0, 0, 14, 0, 0),
        (414, 9, 25, 4, 11, 17, 9, 19, 7, 20, 13, 6, 561, 34, 30, 10, 188, 0, 0),
        (576, 18, 78, 14, 84, 38, 25, 36, 14, 91, 15, 7, 34, 942, 22, 5, 358, 3, 0),
        (378, 23, 78, 29, 34, 22, 3, 3, 1, 4, 2, 0, 30, 22, 1054, 3, 91, 1, 0),
        (37, 0, 2, 3, 5, 23, 0, 1, 16, 0, 0, 0, 10, 5, 3, 82, 35, 0, 0),
        (1278, 85, 225, 98, 211, 238, 61, 88, 59, 99, 87, 14, 188, 358, 91, 35, 906, 43, 0),
        (113, 3, 10, 9, 13, 2, 6, 2, 0, 2, 2, 0, 0, 3, 1, 0, 43, 330, 0),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 34),
    ),
    float,
)
"""(19, 19) images with exactly these two labels; on the diagonal, with this one alone."""
LABELS_PER_IMAGE = (10508, 8873, 2233, 190)
"""Images with one, two, three and four labels."""
SURPLUS = np.array((0.92, 1.05, 1.22, 1.25))
"""How much oftener than in images proteins have one to four classes: a class that few cells show gets no label."""
AFFINITY = 0.6
"""A set of three or four is as frequent as the product of its pairs to this power: nearest to the real triples."""


@lru_cache(maxsize=1)
def label_sets() -> tuple[list[LabelSet], npt.NDArray[np.float64]]:
    """All label sets of up to four classes with their share of the images."""
    sets: list[LabelSet] = []
    weights: list[npt.NDArray[np.float64]] = []
    for size, images in enumerate(LABELS_PER_IMAGE, start=1):
        some = list(combinations(range(len(CLASSES)), size))
        weight = np.array([_frequency(classes) for classes in some])
        sets += some
        weights.append(images * weight / weight.sum())
    joined = np.concatenate(weights)
    return [s for s, w in zip(sets, joined, strict=True) if w > 0], joined[joined > 0] / joined.sum()


def _frequency(classes: LabelSet) -> float:
    if len(classes) == 1:
        return float(TOGETHER[classes[0], classes[0]])
    pairs = np.array([TOGETHER[pair] for pair in combinations(classes, 2)])
    return float(pairs.prod() ** (1 if len(classes) == 2 else AFFINITY))


def class_shares() -> npt.NDArray[np.float64]:
    """(19,) the share of images with each class."""
    sets, weights = label_sets()
    return np.array([weights[[c in s for s in sets]].sum() for c in range(len(CLASSES))])


def deal_label_sets(
    rng: np.random.Generator, count: int, balance: float, allowed: frozenset[int]
) -> list[LabelSet]:
    """Draw the label sets of ``count`` proteins, spread evenly over their distribution.

    Independent draws would leave a small data set without some common class: sets are ordered by their rarest
    class, and every ``1 / count`` of the distribution gives one.

    Args:
        balance: 0 for sets as frequent as in the atlas, 1 where each class is the rarest of as many sets.
        allowed: the classes that sets may hold.
    """
    sets, weights = label_sets()
    shares = class_shares()
    rarest = [min(classes, key=lambda c: (shares[c], c)) for classes in sets]
    usable = np.array([allowed.issuperset(classes) for classes in sets])
    surplus = SURPLUS[[len(classes) - 1 for classes in sets]]
    wanted = weights * surplus * usable / shares[rarest] ** balance
    order = np.argsort(rarest, kind="stable")
    places = (np.arange(count) + rng.random()) / count * wanted.sum()
    chosen = order[np.searchsorted(wanted[order].cumsum(), places).clip(0, len(sets) - 1)]
    return [sets[index] for index in rng.permutation(chosen)]
