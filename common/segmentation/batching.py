"""Pictures of any size through a fully convolutional network, in batches that do not change the result."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

STRIDE_PX = 32
"""U-Nets halve a picture up to five times: its sides must be multiples of this."""


def in_batches(
    pictures: Sequence[np.ndarray],
    forward: Callable[[Tensor], Tensor],
    device: torch.device,
    batch_size: int,
    margin_px: int = 0,
) -> list[np.ndarray]:
    """Run ``forward`` over pictures; only those of equal padded size share a batch.

    Args:
        pictures: (C, h, w) float32 each. They are mirrored outwards until their sides are multiples of the stride.
        forward: (B, C, H, W) to (B, K, H, W) on ``device``; it must treat each picture by itself.
        margin_px: at least so much is mirrored on each side.

    Returns:
        (K, h, w) float32 each, in the order of ``pictures``, without what was mirrored.
    """
    groups = defaultdict(list)
    for index, picture in enumerate(pictures):
        groups[picture.shape[1:]].append(index)
    maps: dict[int, np.ndarray] = {}
    for (height, width), members in groups.items():
        for start in range(0, len(members), batch_size):
            batch = members[start : start + batch_size]
            pixels = torch.from_numpy(_pad(np.stack([pictures[index] for index in batch]), margin_px))
            with torch.inference_mode():
                found = forward(pixels.to(device, memory_format=torch.channels_last))
            window = np.s_[:, margin_px : margin_px + height, margin_px : margin_px + width]
            for index, own in zip(batch, found.cpu().numpy(), strict=True):
                maps[index] = np.ascontiguousarray(own[window])
    return [maps[index] for index in range(len(pictures))]


def _pad(batch: np.ndarray, margin_px: int) -> np.ndarray:
    rims = [(0, 0), (0, 0)]
    for side in batch.shape[2:]:
        rims.append((margin_px, margin_px + -(side + 2 * margin_px) % STRIDE_PX))
    return np.pad(batch, rims, mode="symmetric")
