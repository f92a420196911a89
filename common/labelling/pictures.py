"""The picture of one cell, as the page shows it: four tiles in a square JPEG.

protein alone        microtubules, protein and nucleus in colour
each channel         the neighbourhood, the cell outlined
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

import cv2
import numpy as np
from PIL import ImageColor

from common.cells import BOX, cell_mask_path, read_mask
from common.classes import CHANNELS
from common.images import read_image, to_uint8
from common.labelling.subjects import Subjects
from common.overlay import outline

TILE_PX = 512
MARGIN = 0.12
"""Round the cell, as a share of its longer side."""
AROUND = 3.0
"""The side of the neighbourhood, in longer sides of the cell."""
DIM = 0.4
"""What is not of the cell is so bright."""
QUALITY = 88
BLACK_BELOW = 40.0
"""A channel whose brightest pixels are below this is not stretched further: an empty one stays black."""
COLORS = {"microtubules": "#ff5050", "protein": "#50ff50", "nucleus": "#6080ff", "reticulum": "#ffe050"}
KEPT_FIELDS, KEPT_PICTURES = 6, 1200
"""A field of 2048 px takes 25 MB, a picture about 100 KB."""

V = TypeVar("V")


class Kept(Generic[V]):
    """Remembers the last results of ``make``, which works once for several threads that ask for the same."""

    def __init__(self, make: Callable[[int | str], V], most: int) -> None:
        self._make, self._most = make, most
        self._lock, self._busy = Lock(), dict[int | str, Lock]()
        self._values: OrderedDict[int | str, V] = OrderedDict()

    def __call__(self, key: int | str) -> V:
        with self._lock:
            busy = self._busy.setdefault(key, Lock())
        with busy:
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    return self._values[key]
            value = self._make(key)
            with self._lock:
                self._values[key] = value
                self._busy.pop(key, None)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return value


class Pictures:
    """Draws cells of ``subjects``; safe to use from several threads."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects
        self._boxes = subjects.cells[BOX].to_numpy()
        self._ids = subjects.cells["image_id"].to_numpy()
        self._numbers = subjects.cells["cell_id"].to_numpy()
        self._field = Kept(self._read, KEPT_FIELDS)
        self._mask = Kept(self._read_mask, KEPT_FIELDS)
        self.of = Kept(self._draw, KEPT_PICTURES)

    def place(self, row: int) -> tuple[int, int]:
        """The pixel (y, x) of a cell that is farthest from its edge."""
        mask = self._mask(self._ids[row])
        y0, x0, y1, x1 = self._boxes[row]
        own = np.pad((mask[y0:y1, x0:x1] == self._numbers[row]).astype(np.uint8), 1)
        depth = cv2.distanceTransform(own, cv2.DIST_L2, 5)
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        return int(y0 + y - 1), int(x0 + x - 1)

    def cell_at(self, image_id: str, y: int, x: int) -> int:
        """The number of the cell at a pixel; 0 for none and beyond the image."""
        mask = self._mask(image_id)
        inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
        return int(mask[y, x]) if inside else 0

    def _read_mask(self, image_id: int | str) -> np.ndarray:
        return read_mask(cell_mask_path(self._subjects.masks, str(image_id)))

    def _read(self, image_id: int | str) -> tuple[np.ndarray, np.ndarray]:
        """A field (4, H, W) uint8, each channel stretched to its own brightest pixels, and its mask."""
        image = to_uint8(read_image(self._subjects.fields[str(image_id)]))
        mask = read_mask(
            cell_mask_path(self._subjects.masks, str(image_id)), (image.shape[1], image.shape[2])
        )
        return np.stack([stretch(channel) for channel in image]), mask

    def _draw(self, row: int | str) -> bytes:
        row = int(row)
        image, mask = self._field(self._ids[row])
        pixels = draw_cell(image, mask, int(self._numbers[row]), self._boxes[row])
        _, content = cv2.imencode(".jpg", pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
        return content.tobytes()


def stretch(channel: np.ndarray) -> np.ndarray:
    """(H, W) uint8 so that its 99.8 % quantile is white; the same for all cells of an image, which so compare."""
    brightest = max(BLACK_BELOW, float(np.percentile(channel[::4, ::4], 99.8)))
    table = 255 * np.clip(np.arange(256) / brightest, 0, 1) ** 0.8
    return table.astype(np.uint8)[channel]


def draw_cell(image: np.ndarray, mask: np.ndarray, cell_id: int, box: np.ndarray) -> np.ndarray:
    """The four tiles of a cell: (1024, 1024, 3) uint8 RGB.

    Args:
        image: (4, H, W) uint8, stretched.
        mask: (H, W) uint16.
        cell_id: its value in ``mask``.
        box: y0, x0, y1, x1.
    """
    side = int(np.ceil((box[2:] - box[:2]).max() * (1 + 2 * MARGIN)))
    shade = np.where(_own(mask, cell_id, box, side), 1, DIM).astype(np.float32)
    near = [(_tile(channel, box, side) * shade).astype(np.uint8) for channel in image]
    protein = cv2.merge([near[CHANNELS.index("protein")]] * 3)
    wide = round(AROUND * side)
    around = cv2.merge([_tile(channel, box, wide) for channel in image[:3]])
    outline(around, _own(mask, cell_id, box, wide), "#ffffff")
    top = np.hstack([protein, cv2.merge(near[:3])])
    return np.vstack([top, np.hstack([_channels(near), around])])


def _channels(planes: list[np.ndarray]) -> np.ndarray:
    """Each channel in its colour, two by two in one tile."""
    half = (TILE_PX // 2, TILE_PX // 2)
    colored = []
    for name, plane in zip(CHANNELS, planes, strict=True):
        small = cv2.resize(plane, half, interpolation=cv2.INTER_AREA)
        color = np.array(ImageColor.getrgb(COLORS[name]), np.float32) / 255
        colored.append((small[..., None] * color).astype(np.uint8))
    return np.vstack([np.hstack(colored[:2]), np.hstack(colored[2:])])


def _tile(plane: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """The square of ``side`` pixels round the middle of a box, brought to a tile's size."""
    smooth = cv2.INTER_AREA if side > TILE_PX else cv2.INTER_CUBIC
    return cv2.resize(_square(plane, box, side), (TILE_PX, TILE_PX), interpolation=smooth)


def _own(mask: np.ndarray, cell_id: int, box: np.ndarray, side: int) -> np.ndarray:
    """Which pixels of such a tile are the cell's: bool."""
    inside = (_square(mask, box, side) == cell_id).astype(np.float32)
    return cv2.resize(inside, (TILE_PX, TILE_PX), interpolation=cv2.INTER_LINEAR) >= 0.5


def _square(plane: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """(side, side) round the middle of a box, zeros beyond the field."""
    top, left = (int(place) - side // 2 for place in (box[:2] + box[2:]) // 2)
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + side, plane.shape[0]), min(left + side, plane.shape[1])
    beyond = (y0 - top, top + side - y1, x0 - left, left + side - x1)
    return cv2.copyMakeBorder(plane[y0:y1, x0:x1], *beyond, cv2.BORDER_CONSTANT, value=0)
