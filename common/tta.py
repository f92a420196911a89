"""Test-time views: a picture is seen in several ways, the predictions of all are averaged.

B pictures, C channels or K maps, H x W pixels. A view is named: one of ``ORIENTATIONS``, ``rotate=12.5`` (degrees,
anti-clockwise), ``scale=1.2`` (of both sides), or several with ``+``, applied from the left: ``scale=1.2+hflip``.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

ORIENTATIONS: dict[str, tuple[int, bool]] = {
    "identity": (0, False),
    "rot90": (1, False),
    "rot180": (2, False),
    "rot270": (3, False),
    "hflip": (0, True),
    "transpose": (1, True),
    "vflip": (2, True),
    "antitranspose": (3, True),
}
"""The symmetries of a square: first mirrored left to right or not, then so many quarter turns anti-clockwise."""
SCALES = (0.25, 4.0)
"""A picture is not made smaller or larger than this."""


def check_view(name: str) -> str:
    """Return ``name`` if it names a view.

    Raises:
        ValueError: says what is unknown, and what would be known.
    """
    for part in name.split("+"):
        if part not in ORIENTATIONS and not _number(part, "rotate") and not _number(part, "scale"):
            known = ", ".join(ORIENTATIONS)
            raise ValueError(f"{part!r} names no view; known: {known}, rotate=<degrees>, scale=<factor>")
        scale = _number(part, "scale")
        if scale and not SCALES[0] <= float(scale[1]) <= SCALES[1]:
            raise ValueError(f"{part}: a scale lies between {SCALES[0]} and {SCALES[1]}")
    return name


ViewName = Annotated[str, AfterValidator(check_view)]
Views = Annotated[tuple[ViewName, ...], Field(min_length=1)]
"""The field of a recipe."""


def see(pixels: Tensor, view: str, black: float | Tensor = 0.0) -> Tensor:
    """The picture as ``view`` has it: (B, C, H, W) -> (B, C, H', W').

    Args:
        black: what a rotation fills the corners with: where pixels are normalised, -mean / std as (C, 1, 1).
    """
    for part in view.split("+"):
        if part in ORIENTATIONS:
            pixels = _orient(pixels, *ORIENTATIONS[part])
        elif angle := _number(part, "rotate"):
            pixels = _rotate(pixels - black, float(angle[1])) + black
        elif scale := _number(part, "scale"):
            height, width = (max(1, round(side * float(scale[1]))) for side in pixels.shape[-2:])
            pixels = _resize(pixels, (height, width))
    return pixels


def undo(maps: Tensor, view: str, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bring maps of a seen picture back over the picture itself.

    Args:
        maps: (B, K, h, w) of ``see(pixels, view)``, at any resolution.
        size: the height and width wanted, in the orientation of the picture.

    Returns:
        (B, K, *size) maps, and (1, 1, *size) how much of each place the view shows, 0 to 1: below 1 only where a
        rotation turned it out of the frame; the maps are as much darker there.
    """
    shown = torch.ones_like(maps[:1, :1])
    for part in reversed(view.split("+")):
        if part in ORIENTATIONS:
            turns, mirrored = ORIENTATIONS[part]
            back = turns if mirrored else -turns  # a mirror image is its own inverse
            maps, shown = _orient(maps, back, mirrored), _orient(shown, back, mirrored)
        elif angle := _number(part, "rotate"):
            maps, shown = _rotate(maps, -float(angle[1])), _rotate(shown, -float(angle[1]))
    return _resize(maps, size), _resize(shown, size)


def predict_with(
    views: Sequence[str], network: Callable[[Tensor], Tensor], pixels: Tensor, black: float | Tensor = 0.0
) -> Tensor:
    """Average the probabilities of all views.

    Args:
        network: from (B, C, H, W) pixels to (B, classes) logits.
        black: as in ``see``.

    Returns:
        (B, classes) float32.
    """
    total = network(see(pixels, views[0], black)).float().sigmoid()
    for view in views[1:]:
        total = total + network(see(pixels, view, black)).float().sigmoid()
    return total / len(views)


def predict_maps_with(
    views: Sequence[str],
    network: Callable[[Tensor], Tensor],
    pixels: Tensor,
    size: tuple[int, int],
    black: float | Tensor = 0.0,
) -> Tensor:
    """Average the maps of all views, each brought back over the picture; a place counts where a view shows it.

    Args:
        network: from (B, C, H, W) pixels to (B, K, h, w) maps.
        size: the height and width of the result.
        black: as in ``see``.

    Returns:
        (B, K, *size) float32; 0 where no view shows a place.
    """
    pairs = (undo(network(see(pixels, view, black)).float(), view, size) for view in views)
    total, shown = next(pairs)
    for maps, weight in pairs:
        total, shown = total + maps, shown + weight
    return total / shown.clamp_min(1e-6)


def _number(part: str, word: str) -> re.Match[str] | None:
    return re.fullmatch(rf"{word}=(-?\d+(?:\.\d+)?)", part)


def _orient(pixels: Tensor, turns: int, mirrored: bool) -> Tensor:
    return (pixels.flip(-1) if mirrored else pixels).rot90(turns, (-2, -1))


def _rotate(pixels: Tensor, degrees: float) -> Tensor:
    """Turn anti-clockwise about the middle, bilinearly, in the same frame; 0 comes in from outside."""
    height, width = pixels.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = pixels.new_tensor([[cos, -sin * height / width, 0], [sin * width / height, cos, 0]])
    grid = affine_grid(turn.expand(len(pixels), 2, 3), list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, align_corners=False)


def _resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    return interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
