"""A loss for the overlap of predicted and true cells of a class: a convex surface over the Jaccard index."""

from typing import Literal

import torch
from torch import Tensor

from common.losses.columns import fill_unknown, mean_of_known


def symmetric_lovasz(logits: Tensor, targets: Tensor, over: Literal["batch", "classes"] = "batch") -> Tensor:
    """Mean of the Lovász hinge of the classes and that of their absence.

    System A (23rd place). Its text says that the classes of a sample play the pixels, its code lets the samples of a
    class play them; the code's way is the default.

    Args:
        logits: (B, C).
        targets: (B, C) in [0, 1], NaN where unknown: such entries do not count.
        over: what the Jaccard index is taken over: the samples of each class, or the classes of each sample.
    """
    if over == "classes":
        logits, targets = logits.T, targets.T
    return (lovasz_hinge(logits, targets) + lovasz_hinge(-logits, 1 - targets)) / 2


def lovasz_hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovász hinge (Berman et al. 2018, algorithm 1) of each column, then the mean over columns with a known target.

    Errors are 1 - x (2 t - 1). Soft targets enter intersection and union by their share.

    Args:
        logits: (B, C).
        targets: (B, C) in [0, 1] or NaN.
    """
    known, x, t = fill_unknown(logits, targets)
    errors = (1 - x * (2 * t - 1)).masked_fill(~known, -torch.inf)  # last, where the hinge is flat
    ordered, order = errors.sort(dim=0, descending=True, stable=True)
    truth = torch.where(known, t, 0).gather(0, order)
    falsehood = torch.where(known, 1 - t, 0).gather(0, order)
    columns = (ordered.relu() * _jaccard_steps(truth, falsehood)).sum(0)
    return mean_of_known(columns, known)


def _jaccard_steps(truth: Tensor, falsehood: Tensor) -> Tensor:
    """(B, C): by how much the Jaccard loss grows when one sample more, from the top, is wrong."""
    total = truth.sum(0)
    union = total + falsehood.cumsum(0)
    loss = 1 - (total - truth.cumsum(0)) / union.clamp_min(1)  # below 1 only where nothing is known
    return loss.diff(dim=0, prepend=torch.zeros_like(loss[:1]))
