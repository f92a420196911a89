"""Losses that judge each entry of a batch alone, then average.

Logits and targets are (B, C), or (B, C, H, W) for maps; targets lie in [0, 1], NaN where nothing is known. An unknown
entry, and a row of nothing else, changes neither loss nor gradient; where nothing at all is known the loss is 0.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

Reduction = Literal["mean", "sum_classes"]
"""The mean over all entries; or the sum over the classes of a row (a pixel), then the mean over rows."""


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of soft targets, t softplus(-x) + (1 - t) softplus(x), as a mean."""
    known, x, t = known_entries(logits, targets)
    return binary_cross_entropy_with_logits(x, t) if len(x) else _reduce(x, known, "mean")


def focal(
    logits: Tensor,
    targets: Tensor,
    gamma: float = 2.0,
    modulation: Literal["margin", "loss"] = "margin",
    reduction: Reduction = "sum_classes",
) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4) without class balance, for soft targets.

    Systems A (23rd place) and C (15th): ``margin``, ``sum_classes`` (C on maps: ``mean``). System B (4th): ``loss``,
    ``mean``. For targets 0 and 1 both modulations are (1 - probability of the truth) ** gamma.

    Args:
        modulation: what weighs an entry's cross-entropy b: sigmoid(-x (2 t - 1)) ** gamma, or (1 - exp(-b)) ** gamma.
    """
    known, x, t = known_entries(logits, targets)
    losses = binary_cross_entropy_with_logits(x, t, reduction="none")
    if modulation == "margin":
        weights = (gamma * logsigmoid(-x * (2 * t - 1))).exp()
    else:
        # Below the smallest normal number the slope of a power under 1 is infinite, and 0 x infinity is NaN.
        surprise = -torch.expm1(-losses.clamp_min(torch.finfo(x.dtype).tiny))
        weights = surprise**gamma
    return _reduce(weights * losses, known, reduction)


def alpha_gamma(
    logits: Tensor,
    targets: Tensor,
    alpha: float | Tensor,
    gamma: float | Tensor,
    reduction: Reduction = "mean",
) -> Tensor:
    """Focal loss with class balance (Lin et al. 2017, eq. 5) as system E (46th place) has it, for soft targets.

    Targets from 0.5 on: alpha (1 - p) ** gamma b, others: (1 - alpha) p ** gamma b, b their binary cross-entropy.
    Alpha 0.5 with gamma 0, which E calls BCE, is half of it.

    Args:
        alpha: (C,) or one number for all classes; so is gamma.
    """
    known, x, t = known_entries(logits, targets)
    classes = logits.movedim(1, -1)
    balance, power = (
        torch.as_tensor(each, dtype=x.dtype, device=x.device).expand_as(classes).movedim(-1, 1)[known]
        for each in (alpha, gamma)
    )
    positive = t >= 0.5
    balance = torch.where(positive, balance, 1 - balance)
    weights = (power * logsigmoid(torch.where(positive, -x, x))).exp()
    return _reduce(
        balance * weights * binary_cross_entropy_with_logits(x, t, reduction="none"), known, reduction
    )


def known_entries(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which entries have a known target, of the input's shape, and the logits and targets there, (known,).

    Half precision becomes single: a sum of 19 losses of 16 bit would overflow from a logit of 3,500 on.

    Raises:
        ValueError: the shapes differ, and would broadcast into a wrong answer.
    """
    if logits.shape != targets.shape or logits.ndim < 2:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    known = ~targets.isnan()
    kind = torch.promote_types(logits.dtype, torch.float32)
    return known, logits[known].to(kind), targets[known].to(kind)


def _reduce(losses: Tensor, known: Tensor, reduction: Reduction) -> Tensor:
    """Average ``losses`` (known,) of the entries that ``known`` (B, C, ...) marks."""
    count = known.sum() if reduction == "mean" else known.any(1).sum()
    return losses.sum() / count.clamp_min(1)
