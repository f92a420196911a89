"""Losses of the classifier: sub-classes beside classes, and agreement of a picture with its tiles.

B pictures, K maps (classes, then sub-classes), s tiles along a side, h x w the grid of maps.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from approaches.cam_seg.maps import normalise_maps
from approaches.cam_seg.network import CamClassifier
from approaches.cam_seg.recipe import PuzzleParams
from common.classes import CLASSES

Loss = Callable[[Tensor, Tensor], Tensor]


def with_subcategories(logits: Tensor, targets: Tensor, loss: Loss, weight: float = 5.0) -> Tensor:
    """The loss over the classes + ``weight`` x that over the sub-classes (system C); both (B, K).

    Raises:
        ValueError: the shapes differ, or there are classes only.
    """
    count = len(CLASSES)
    if logits.shape != targets.shape or logits.shape[1] <= count:
        raise ValueError(f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)}: no sub-classes")
    return loss(logits[:, :count], targets[:, :count]) + weight * loss(logits[:, count:], targets[:, count:])


def puzzle_loss(
    network: CamClassifier, pixels: Tensor, targets: Tensor, loss: Loss, params: PuzzleParams, progress: float
) -> Tensor:
    """Classification of the picture and of its tiles, and how far apart their maps are (Puzzle-CAM).

    Args:
        pixels: (B, C, H, W); sides are multiples of ``params.splits`` x the stride of the network.
        targets: (B, K) of the logits.
        loss: of logits and targets.
        progress: the share of training that is done, 0 to 1.
    """
    whole = network.features(pixels)
    tiles = network.features(split(pixels, params.splits))
    merged = merge(tiles, params.splits)
    total = loss(network.logits_of(whole), targets)
    if params.tiles == "each":
        # Tiles of a picture are neighbours in the batch.
        repeated = targets.repeat_interleave(params.splits**2, 0)
        total = total + params.tile_weight * loss(network.logits_of(tiles), repeated)
    else:
        total = total + params.tile_weight * loss(network.logits_of(merged), targets)
    return total + reconstruction_weight(params, progress) * _distance(
        network, whole, merged, targets, params
    )


def reconstruction_weight(params: PuzzleParams, progress: float) -> float:
    """From 0 to ``most_weight``, linearly over the ramp."""
    return params.most_weight * (min(1.0, progress / params.ramp) if params.ramp else 1.0)


def reconstruction(whole: Tensor, merged: Tensor, labels: Tensor) -> Tensor:
    """Mean distance of two sets of maps (B, K, h, w), both normalised, of the classes of ``labels`` (B, K)."""
    return l1_loss(normalise_maps(merged, labels), normalise_maps(whole, labels))


def split(pixels: Tensor, splits: int) -> Tensor:
    """(B, C, H, W) to (B s s, C, H / s, W / s): the tiles of each picture together, row by row.

    Raises:
        ValueError: a side is no multiple of ``splits``.
    """
    batch, channels, height, width = pixels.shape
    if height % splits or width % splits:
        raise ValueError(f"a picture of {height} x {width} px has no {splits} x {splits} equal tiles")
    grid = pixels.reshape(batch, channels, splits, height // splits, splits, width // splits)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // splits, width // splits)


def merge(maps: Tensor, splits: int) -> Tensor:
    """The inverse of ``split``: (B s s, K, h, w) to (B, K, s h, s w)."""
    tiles, channels, height, width = maps.shape
    grid = maps.reshape(tiles // splits**2, splits, splits, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(-1, channels, splits * height, splits * width)


def _distance(
    network: CamClassifier, whole: Tensor, merged: Tensor, targets: Tensor, params: PuzzleParams
) -> Tensor:
    if whole.shape != merged.shape:
        raise ValueError(
            f"tiles give maps of {tuple(merged.shape[2:])}, the picture {tuple(whole.shape[2:])}; "
            "take sides that are multiples of splits x the stride of the backbone"
        )
    if params.target == "features":
        return l1_loss(merged, whole)
    maps, pieces = network.maps_of(whole), network.maps_of(merged)
    count = maps.shape[1] if params.sub else len(CLASSES)
    labels = targets[:, :count]
    wanted = torch.ones_like(labels) if params.labels == "ones" else labels
    return reconstruction(maps[:, :count], pieces[:, :count], wanted)
