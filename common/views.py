"""What a recipe sees of a stored crop: which window, what is hidden in it, how it becomes a square.

A stored crop is (5, h, w): the four channels, then the role of each pixel: 0 background, ``OWN`` or ``OTHER``.
Lengths are pixels of the store.
"""

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from common.classes import CHANNELS
from common.images import to_uint8
from common.params import Params

OWN, OTHER = 1, 2
Channel = Literal["microtubules", "protein", "nucleus", "reticulum"]


class Frame(Params):
    """A window round a cell."""

    box: Literal["tight", "square"] = "tight"
    """The cell's box, or that box with its short side made as long as the other."""
    margin_px: int = Field(default=0, ge=0)
    """Added to the box on every side."""
    margin_share: float = Field(default=0, ge=0)
    """Added to the box on every side, as a share of its height or width."""
    window_px: int = Field(default=0, ge=0)
    """Side of a window of fixed size, the same piece of the field for small and large cells; 0: none."""


class View(Frame):
    """How a recipe sees a crop; ``window_px`` above 0 replaces the box and its margins."""

    channels: tuple[Channel, ...] = Field(min_length=1)
    mask: Literal["none", "own", "others"]
    """What is hidden: nothing, all but the cell itself (``own``), or the other cells (``others``)."""
    dim: float = Field(default=0, ge=0, lt=1)
    """What is hidden is multiplied by this."""
    centre: Literal["box", "nucleus"] = "box"
    """The middle of a window of fixed size: of the box, or of the light of the nucleus channel in the cell."""
    repeat_below: float = Field(default=0, ge=0, le=1)
    """A crop is repeated once along its short side where that is below this share of the long side."""
    square: Literal["stretch", "pad", "tile"]
    """A crop is stretched to a square, padded to one with zeros, or repeated, unscaled, until it fills one."""
    size_px: int = Field(ge=1)
    bit_depth: Literal[8, 16] = 8

    @property
    def white(self) -> int:
        """The largest value of a pixel."""
        return 2**self.bit_depth - 1


def apply_view(crop: np.ndarray, box: np.ndarray, view: View) -> np.ndarray:
    """Bring a stored crop into a recipe's form.

    Args:
        crop: (5, h, w) uint8 or uint16.
        box: y0, x0, y1, x1 of the cell in it.

    Returns:
        (size, size, channels) uint8 or uint16, as ``view.bit_depth`` says.
    """
    planes = _look_at(crop, box, view)
    seen = _hide([planes[CHANNELS.index(channel)] for channel in view.channels], planes[-1], view)
    height, width = seen[0].shape
    if min(height, width) < view.repeat_below * max(height, width):
        seen = [np.tile(plane, (2, 1) if height < width else (1, 2)) for plane in seen]
    sized = [_to_square(plane, view) for plane in seen]
    return to_depth(cv2.merge(sized), view.bit_depth).reshape(view.size_px, view.size_px, len(sized))


def to_depth(pixels: np.ndarray, bit_depth: int) -> np.ndarray:
    """Bring uint8 or uint16 pixels to a depth so that white stays white: 16 bit = 257 x 8 bit."""
    if bit_depth == 8:
        return to_uint8(pixels)
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257


def window_of(box: np.ndarray, frame: Frame) -> tuple[int, int, int, int]:
    """The window round a box of whole numbers, both y0, x0, y1, x1; it may reach beyond the picture."""
    sides = box[2:] - box[:2]
    longer = (sides.max() - sides) * (frame.box == "square")
    margin = frame.margin_px + np.ceil(frame.margin_share * (sides + longer)).astype(int)
    y0, x0 = box[:2] - longer // 2 - margin
    y1, x1 = box[2:] + longer - longer // 2 + margin
    return int(y0), int(x0), int(y1), int(x1)


def window_at(centre: Iterable[float], side: int) -> tuple[int, int, int, int]:
    """The (side, side) window round a point y, x, as y0, x0, y1, x1; it may reach beyond the picture."""
    top, left = (round(place - side / 2) for place in centre)
    return top, left, top + side, left + side


def nucleus_of(crop: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    """The point y, x in the middle of the nucleus; of the box, where the cell has no light in that channel.

    Weighted by light, it lies 1 px (median; 4 px at most) from the middle of the nucleus' mask, in 71 real cells.
    """
    light = crop[CHANNELS.index("nucleus")] * (crop[-1] == OWN)
    found = cv2.moments(light)
    if found["m00"]:
        return found["m01"] / found["m00"] + 0.5, found["m10"] / found["m00"] + 0.5
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _look_at(crop: np.ndarray, box: np.ndarray, view: View) -> np.ndarray:
    """The planes in the view's window; a box ends where the store does, a fixed window is filled with zeros there."""
    if not view.window_px:
        y0, x0, y1, x1 = window_of(box, view)
        return crop[:, max(y0, 0) : y1, max(x0, 0) : x1]
    centre = nucleus_of(crop, box) if view.centre == "nucleus" else (box[:2] + box[2:]) / 2
    y0, x0, y1, x1 = window_at(centre, view.window_px)
    planes = np.zeros((len(crop), y1 - y0, x1 - x0), crop.dtype)
    inside = crop[:, max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    top, left = max(-y0, 0), max(-x0, 0)
    planes[:, top : top + inside.shape[1], left : left + inside.shape[2]] = inside
    return planes


def _hide(planes: list[np.ndarray], role: np.ndarray, view: View) -> list[np.ndarray]:
    if view.mask == "none":
        return planes
    kept = role == OWN if view.mask == "own" else role != OTHER
    if view.dim:
        weight = np.where(kept, 1, view.dim)
        return [np.rint(plane * weight).astype(plane.dtype) for plane in planes]
    ones = kept.view(np.uint8).astype(role.dtype, copy=False)
    return [plane * ones for plane in planes]


def _to_square(plane: np.ndarray, view: View) -> np.ndarray:
    height, width = plane.shape
    side = view.size_px
    if view.square == "tile":
        return np.tile(plane, (-(-side // height), -(-side // width)))[:side, :side]
    if view.square == "pad" and height != width:
        y, x = max(0, width - height), max(0, height - width)
        plane = cv2.copyMakeBorder(plane, y // 2, y - y // 2, x // 2, x - x // 2, cv2.BORDER_CONSTANT)
    shrinks = max(plane.shape) > side
    return cv2.resize(plane, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
