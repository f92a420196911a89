"""Cross-entropy on the hardest samples of each class."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from common.losses.columns import fill_unknown, mean_of_known


def hard_log(
    logits: Tensor,
    targets: Tensor,
    more: int = 2,
    least: float = 0.5,
    most: float = 0.7,
    thresholds: tuple[float, float] = (0.5, 0.5),
) -> Tensor:
    """Mean cross-entropy of a class over its positives and its hardest negatives, then the mean over classes.

    System A (23rd place): of the negatives, the K with the highest logits, K by ``negatives_kept``. A called positive
    what is above 0: its soft labels all were, nothing was mined. Here thresholds part the labels, and the kept enter
    with their soft labels, of which A's soft variant had only the positive half.

    Args:
        logits: (B, C).
        targets: (B, C) in [0, 1] or NaN, unknown. Those between the two thresholds are left out.
        more, least, most: of ``negatives_kept``.
        thresholds: below the first a target is negative, from the second on it is positive.
    """
    known, x, t = fill_unknown(logits, targets)
    positive, negative = known & (t >= thresholds[1]), known & (t < thresholds[0])
    kept = positive | hardest(
        x, negative, negatives_kept(positive.sum(0), negative.sum(0), more, least, most)
    )
    return _mean_kept(x, t, kept)


def hard_log_symmetric(
    logits: Tensor,
    targets: Tensor,
    share: float = 0.2,
    at_least: int = 2,
    thresholds: tuple[float, float] = (0.5, 0.5),
) -> Tensor:
    """Mean cross-entropy of a class over its hardest positives and its hardest negatives, then the mean over classes.

    System A's symmetric variant; its soft variant has thresholds 0.75 and 0.25.

    Args:
        logits: (B, C).
        targets: (B, C) in [0, 1] or NaN, unknown.
        share: so much of the positives, rounded down, and of the negatives is kept,
        at_least: but so many, where there are.
        thresholds: as in ``hard_log``.
    """
    known, x, t = fill_unknown(logits, targets)
    positive, negative = known & (t >= thresholds[1]), known & (t < thresholds[0])
    kept = [
        hardest(score, members, floor_of(share, members.sum(0)).clamp_min(at_least))
        for score, members in ((-x, positive), (x, negative))
    ]
    return _mean_kept(x, t, kept[0] | kept[1])


def negatives_kept(positives: Tensor, negatives: Tensor, more: int, least: float, most: float) -> Tensor:
    """System A's K: min(n, p + max(more, floor(least n)), floor(most n) + more) of p positives and n negatives."""
    wanted = positives + floor_of(least, negatives).clamp_min(more)
    return torch.minimum(torch.minimum(wanted, floor_of(most, negatives) + more), negatives)


def floor_of(share: float, counts: Tensor) -> Tensor:
    """``share`` of whole ``counts``, rounded down; in whole numbers (millionths), so that no device rounds 6.999."""
    return counts * round(share * 10**6) // 10**6


def hardest(score: Tensor, members: Tensor, counts: Tensor) -> Tensor:
    """Of each column's ``members`` (B, C), mark the ``counts`` (C,) of highest ``score`` (B, C)."""
    order = score.detach().masked_fill(~members, -torch.inf).argsort(dim=0, descending=True, stable=True)
    return members & (order.argsort(dim=0) < counts)


def _mean_kept(x: Tensor, t: Tensor, kept: Tensor) -> Tensor:
    losses = torch.where(kept, binary_cross_entropy_with_logits(x, t, reduction="none"), 0)
    return mean_of_known(losses.sum(0) / kept.sum(0).clamp_min(1), kept)
