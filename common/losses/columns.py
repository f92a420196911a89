"""What losses over the samples of each class share."""

import torch
from torch import Tensor


def fill_unknown(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which targets are known, the logits, and the targets with 0.5 for the unknown, all (B, C).

    Half precision becomes single. The logits of unknown targets become 0, so that they have no gradient.

    Raises:
        ValueError: the shapes differ or are not (B, C).
    """
    if logits.shape != targets.shape or logits.ndim != 2:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    known = ~targets.isnan()
    kind = torch.promote_types(logits.dtype, torch.float32)
    return known, torch.where(known, logits, 0).to(kind), torch.where(known, targets, 0.5).to(kind)


def mean_of_known(columns: Tensor, known: Tensor) -> Tensor:
    """The mean of ``columns`` (C,) over those with a known entry in ``known`` (B, C); 0 where there is none."""
    present = known.any(0)
    return torch.where(present, columns, 0).sum() / present.sum().clamp_min(1)
