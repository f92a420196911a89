"""Class activation maps: normalised, seen in several views, averaged over networks.

B pictures, C classes, h x w the grid of maps. Maps leave this module as 0 (nothing) to 1 (the strongest place).
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from approaches.cam_seg.network import CamClassifier
from approaches.cam_seg.recipe import MapParams, Member
from common.classes import CLASSES
from common.tta import predict_maps_with

EPSILON = MapParams().epsilon


def normalise_maps(maps: Tensor, weights: Tensor, epsilon: float = EPSILON) -> Tensor:
    """What is above 0, as a share of the strongest place of each map, times the weight of its class (system C).

    Args:
        maps: (B, C, h, w) of any sign.
        weights: (B, C): 1 for the labels of an image, 0 for the other classes, as published; or probabilities.
        epsilon: added to the maximum, so that an empty map stays empty.
    """
    active = maps.relu()
    return active / (active.amax((2, 3), keepdim=True) + epsilon) * weights[:, :, None, None]


def predict_maps(
    network: CamClassifier,
    pixels: Tensor,
    views: Sequence[str],
    size: tuple[int, int],
    black: float | Tensor = 0.0,
) -> tuple[Tensor, Tensor]:
    """Average the active part of the maps, and the probabilities, over views; networks run once a view.

    Args:
        pixels: (B, channels, H, W).
        size: height and width of the result.
        black: as in ``common.tta.see``.

    Returns:
        (B, 19, *size) maps, not normalised, and (B, 19) probabilities, both float32.
    """
    seen: list[Tensor] = []

    def active(picture: Tensor) -> Tensor:
        maps = network.maps_of(network.features(picture))[:, : len(CLASSES)].float()
        seen.append(maps.mean((2, 3)).sigmoid())
        return maps.relu()

    maps = predict_maps_with(views, active, pixels, size, black)
    return maps, torch.stack(seen).mean(0)


def enlarge(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(C, h, w) to (C, *size) float32, bilinearly."""
    pixels = torch.from_numpy(np.asarray(maps, np.float32))[None]
    return interpolate(pixels, size, mode="bilinear", align_corners=False)[0].numpy()


def shares(members: Sequence[Member], what: Literal["maps", "probabilities"]) -> list[float]:
    """The share of each member in the ensemble's maps or probabilities; 0 for those that do not give them.

    System C: eight classifiers give both, five U-Nets maps only.
    """
    weights = [member.weight if member.role in ("both", what) else 0.0 for member in members]
    return [weight / sum(weights) for weight in weights]


def combine(
    maps: Iterable[np.ndarray], shares: Sequence[float], zero: float = MapParams().zero
) -> np.ndarray:
    """The weighted mean of maps (C, h, w) of several networks, one in memory at a time; values up to ``zero`` become 0.

    A sigmoid is never 0: with a U-Net in the ensemble, a map is active wherever it is above ``zero``.
    """
    total = sum(np.float32(share) * each for each, share in zip(maps, shares, strict=True))
    return np.where(total > zero, total, 0).astype(np.float32)
